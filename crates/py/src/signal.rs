//! The text of signals for Python.
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::PyString;
use signal_journal::{Inputs, Judged, Model};

use crate::row::PyRow;

/// Writes the signals of one model in one pipeline.
#[pyclass(frozen, module = "signal_stream._core")]
pub struct SignalTemplate {
    pub template: signal_journal::SignalTemplate,
}

#[pymethods]
impl SignalTemplate {
    #[new]
    #[expect(clippy::too_many_arguments)]
    #[pyo3(signature = (*, pipeline, tape, model, version, signal, stage, graph_digest, schema_digest))]
    fn new(
        pipeline: &str,
        tape: &str,
        model: &str,
        version: &str,
        signal: &str,
        stage: Option<&str>,
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
                stage,
                graph_digest,
                schema_digest,
            }),
        }
    }

    /// A signal's id, its receive time and its JSON. `vector` is a `Row`, or has the attributes of one; `latency` are the
    /// nanoseconds of features, model, guards and emit.
    #[expect(clippy::too_many_arguments)]
    fn write<'py>(
        &self,
        py: Python<'py>,
        vector: &Bound<'py, PyAny>,
        value: Option<f64>,
        outcome: &str,
        codes: Vec<PyBackedStr>,
        defaults_used: Vec<PyBackedStr>,
        latency: (i64, i64, i64, i64),
    ) -> PyResult<(Bound<'py, PyString>, i64, Bound<'py, PyString>)> {
        let judged = Judged {
            value,
            outcome,
            codes: &codes,
            defaults_used: &defaults_used,
            latency: latency.into(),
        };
        let written = |inputs: &Inputs<'_>| {
            let id = self.template.id(inputs);
            let text = self.template.text(&id, inputs, &judged);
            let ts_recv = inputs.ts_recv;
            (PyString::new(py, &id), ts_recv, PyString::new(py, &text))
        };
        if let Ok(row) = vector.cast::<PyRow>() {
            return Ok(row.get().with_inputs(written));
        }
        let like: RowLike = vector.extract()?;
        Ok(written(&Inputs {
            instrument: &like.instrument,
            vector: &like.digest,
            ts_event: like.ts_event,
            ts_recv: like.ts_recv,
            data_window_end: like.data_window_end,
            data_age_ns: like
                .age_recv_ns
                .map(|age| age.max(like.age_event_ns.unwrap_or(age))),
            offset: like.offset,
        }))
    }
}

/// What a signal names of its vector.
#[derive(FromPyObject)]
struct RowLike {
    instrument: PyBackedStr,
    digest: PyBackedBytes,
    ts_event: Option<i64>,
    ts_recv: i64,
    data_window_end: i64,
    age_recv_ns: Option<i64>,
    age_event_ns: Option<i64>,
    offset: i64,
}

/// Adds this file's class to the extension module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<SignalTemplate>()
}
