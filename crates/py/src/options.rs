//! How an engine runs beside its plan, for Python.
use crate::layout::PyLayout;
use pyo3::prelude::*;
use signal_engine::Options;

/// Options of an engine: the same for one that begins and for one that goes on from a snapshot. `instruments` are those that
/// it runs for (all), `lateness_ns` how long events wait for those before them, `amend_ns` how late one may be that still takes
/// its place; `layout` and `empty_bars` say how the rows of a table are read.
#[pyclass(name = "EngineOptions", frozen, module = "signal_stream._core")]
pub struct PyOptions {
    options: Options,
}

#[pymethods]
impl PyOptions {
    #[new]
    #[pyo3(signature = (*, instruments=None, lateness_ns=0, refuse_late=false, amend_ns=0, layout=None, empty_bars=false))]
    fn new(
        instruments: Option<Vec<String>>,
        lateness_ns: i64,
        refuse_late: bool,
        amend_ns: i64,
        layout: Option<&PyLayout>,
        empty_bars: bool,
    ) -> Self {
        let options = Options {
            instruments: instruments.map(|list| list.into_iter().collect()),
            lateness_ns,
            refuse_late,
            amend_ns,
            table: layout.map(PyLayout::shared),
            empty_bars,
            ..Options::default()
        };
        Self { options }
    }
}

impl PyOptions {
    /// The options that were given; those that are usual where none were.
    pub fn of(given: Option<&Self>) -> Options {
        given.map_or_else(Options::default, |given| given.options.clone())
    }
}

/// Adds the class of this file to the extension module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<PyOptions>()
}
