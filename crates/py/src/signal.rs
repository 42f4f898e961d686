//! The text of signals for Python.
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::PyString;
use signal_journal::{Inputs, Judged, Model};

/// Writes the signals of one model in one pipeline.
#[pyclass(frozen, module = "signal_stream._core")]
struct SignalTemplate {
    template: signal_journal::SignalTemplate,
}

#[pymethods]
impl SignalTemplate {
    #[new]
    #[pyo3(signature = (*, pipeline, tape, model, version, signal, graph_digest, schema_digest))]
    fn new(
        pipeline: &str,
        tape: &str,
        model: &str,
        version: &str,
        signal: &str,
        graph_digest: &str,
        schema_digest: &str,
    ) -> Self {
        Self {
            template: signal_journal::SignalTemplate::new(Model {
                pipeline,
                tape,
                name: model,
                version,
                signal,
                graph_digest,
                schema_digest,
            }),
        }
    }

    /// A signal's id and its JSON. `latency` are the nanoseconds of features, model, guards and emit.
    #[expect(clippy::too_many_arguments)]
    fn write<'py>(
        &self,
        py: Python<'py>,
        instrument: &str,
        digest: &[u8],
        ts_event: Option<i64>,
        ts_recv: i64,
        data_window_end: i64,
        offset: u64,
        value: Option<f64>,
        outcome: &str,
        codes: Vec<PyBackedStr>,
        defaults_used: Vec<PyBackedStr>,
        latency: (i64, i64, i64, i64),
    ) -> (Bound<'py, PyString>, Bound<'py, PyString>) {
        let inputs = Inputs {
            instrument,
            vector: digest,
            ts_event,
            ts_recv,
            data_window_end,
            offset,
        };
        let judged = Judged {
            value,
            outcome,
            codes: &codes,
            defaults_used: &defaults_used,
            latency: latency.into(),
        };
        let id = self.template.id(&inputs);
        let text = self.template.text(&id, &inputs, &judged);
        (PyString::new(py, &id), PyString::new(py, &text))
    }
}

/// Adds this file's class to the extension module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<SignalTemplate>()
}
