//! A feature graph, compiled.
use pyo3::create_exception;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use signal_features::explain::explain;
use signal_features::{Graph, GraphError, Plan};
use std::sync::Arc;

create_exception!(
    _core,
    CoreError,
    PyValueError,
    "A refusal of the core: (code, message, node or None)."
);

/// Raises a refusal with its stable code.
pub fn refused(code: &str, message: &str, node: Option<usize>) -> PyErr {
    CoreError::new_err((code.to_string(), message.to_string(), node))
}

fn raised(error: &GraphError) -> PyErr {
    refused(error.code, &error.message, error.node)
}

/// All operators as JSON: what `signal-stream operators` prints.
#[pyfunction]
fn operators() -> String {
    signal_features::operators().to_string()
}

/// A compiled feature graph: plain data in, digest and plan out.
#[pyclass(name = "Plan", frozen, module = "signal_stream._core")]
pub struct PyPlan {
    pub plan: Arc<Plan>,
}

#[pymethods]
impl PyPlan {
    #[new]
    fn new(py: Python<'_>, json: &str) -> PyResult<Self> {
        let plan = py
            .detach(|| Graph::from_json(json).and_then(Plan::new))
            .map_err(|error| raised(&error))?;
        Ok(Self {
            plan: Arc::new(plan),
        })
    }

    /// sha256 of everything that decides the values, in hex.
    #[getter]
    fn digest(&self) -> &str {
        &self.plan.digest
    }

    /// sha256, in hex, of the columns' names and types: what a model is promised.
    #[getter]
    fn schema_digest(&self) -> String {
        crate::vectors::schema_digest(&self.plan)
    }

    /// The graph's name.
    #[getter]
    fn name(&self) -> &str {
        &self.plan.graph.name
    }

    /// Feature names in column order.
    #[getter]
    fn features(&self) -> Vec<&str> {
        self.plan
            .graph
            .features
            .iter()
            .map(|(name, _)| name.as_str())
            .collect()
    }

    /// When a vector is made, as text.
    #[getter]
    fn on(&self) -> String {
        self.plan.graph.on.to_string()
    }

    /// Bytes of state an instrument holds at most, without its order book.
    #[getter]
    fn state_bytes(&self) -> usize {
        self.plan.bytes()
    }

    /// Streams that the graph reads.
    #[getter]
    fn inputs(&self) -> Vec<String> {
        self.plan.inputs().map(ToString::to_string).collect()
    }

    /// Fields that the graph reads of its own stream, in the order in which it does.
    #[getter]
    fn row_fields(&self) -> Vec<String> {
        let fields = signal_engine::row_fields(&self.plan);
        fields.iter().map(ToString::to_string).collect()
    }

    /// Length in nanoseconds of the bars that the graph reads, if it reads bars of one length.
    #[getter]
    fn bars_ns(&self) -> Option<i64> {
        let mut lengths = self
            .plan
            .inputs()
            .filter_map(|stream| stream.source.bars_ns());
        let first = lengths.next();
        first.filter(|first| lengths.all(|other| other == *first))
    }

    /// The plan as JSON text: totals and one entry a node.
    fn explain(&self) -> PyResult<String> {
        explain(&self.plan)
            .map(|value| value.to_string())
            .map_err(|error| raised(&error))
    }
}

/// Adds this file's classes to the extension module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add("CoreError", m.py().get_type::<CoreError>())?;
    m.add_function(wrap_pyfunction!(operators, m)?)?;
    m.add_class::<PyPlan>()
}
