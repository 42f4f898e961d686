//! Which columns of a table feed a plan, for Python.
use crate::graph::{PyPlan, refused};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use signal_engine::{Layout, row_plan};
use signal_features::Field;
use std::sync::Arc;

/// Which column of a table feeds which field of a plan.
#[pyclass(name = "TableLayout", frozen, module = "signal_stream._core")]
pub struct PyLayout {
    layout: Arc<Layout>,
}

#[pymethods]
impl PyLayout {
    /// Matches the fields that a table's columns hold, in order, with what the plan reads. `rows_ns` is the length of its
    /// bars, if they are not of the shortest that the plan reads.
    #[new]
    #[pyo3(signature = (plan, fields, rows_ns=None))]
    fn new(plan: &PyPlan, fields: Vec<String>, rows_ns: Option<i64>) -> PyResult<Self> {
        let mut parsed = Vec::with_capacity(fields.len());
        for name in &fields {
            match Field::parse(name) {
                Some(field) => parsed.push(field),
                None => {
                    return Err(refused(
                        "UNKNOWN_NAME",
                        &format!("no field \"{name}\""),
                        None,
                    ));
                }
            }
        }
        match Layout::new(&plan.plan, &parsed, rows_ns) {
            Ok(layout) => Ok(Self {
                layout: Arc::new(layout),
            }),
            Err(error) => Err(refused("COLUMNS", &error.message, None)),
        }
    }

    /// A plan over such rows as bytes, for a module that has no compiler. `empty_bars`: none of the bars may be missing.
    #[pyo3(signature = (plan, *, empty_bars))]
    fn row_plan<'py>(
        &self,
        py: Python<'py>,
        plan: &PyPlan,
        empty_bars: bool,
    ) -> PyResult<Bound<'py, PyBytes>> {
        match row_plan(&plan.plan, &self.layout, empty_bars) {
            Ok(rows) => Ok(PyBytes::new(py, &rows.to_bytes())),
            Err(error) => Err(refused("WASM", &error.message, None)),
        }
    }

    /// Length of the bars that rows are, in nanoseconds, if they are bars.
    #[getter]
    fn bars_ns(&self) -> Option<i64> {
        self.layout.bars_ns()
    }

    /// Whether the plan reads each of the fields.
    #[getter]
    fn reads(&self) -> Vec<bool> {
        self.layout.reads().to_vec()
    }
}

impl PyLayout {
    pub fn shared(&self) -> Arc<Layout> {
        Arc::clone(&self.layout)
    }

    /// Numbers in a row.
    pub fn columns(&self) -> usize {
        self.layout.columns()
    }
}

/// Adds the class of this file to the extension module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<PyLayout>()
}
