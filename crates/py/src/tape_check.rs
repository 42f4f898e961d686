//! The first thing on a tape that should not be there, for Python. The GIL is not held while a tape is read.

use std::path::PathBuf;
use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use signal_feeds::{Check, Checked, Fault, ReaderOptions};

use crate::graph::refused;
use crate::tape::{PyEventBatch, locked, raised, spec_of};

/// What a check came to: messages, the first fault, allowed faults by name, and how often and far time goes back.
type CheckedTape<'py> = (u64, Option<FoundFault>, Bound<'py, PyDict>, (u64, i64));

/// A fault of a tape: its name, message, ts_recv, place, and what was seen.
type FoundFault = (&'static str, Option<u64>, Option<i64>, String, String);

/// Reads files up to the first fault that is not allowed: messages read, the fault if there is one as (name, message or None,
/// ts_recv or None, place, what), the allowed ones by name, and how often and how far time goes back.
#[pyfunction]
#[pyo3(signature = (paths, allowed, *, venue=None))]
fn tape_check<'py>(
    py: Python<'py>,
    paths: Vec<PathBuf>,
    allowed: Vec<String>,
    venue: Option<&str>,
) -> PyResult<CheckedTape<'py>> {
    let allowed = faults(&allowed)?;
    let options = ReaderOptions {
        spec: spec_of(venue)?,
        ..ReaderOptions::default()
    };
    let checked = py
        .detach(|| Checked::read(&paths, &options, &allowed))
        .map_err(|error| raised(&error))?;
    shown(py, &checked)
}

/// The same of batches that follow each other.
#[pyclass(name = "TapeCheck", frozen, module = "signal_stream._core")]
struct PyTapeCheck {
    check: Mutex<Check>,
}

#[pymethods]
impl PyTapeCheck {
    #[new]
    fn new(allowed: Vec<String>) -> PyResult<Self> {
        Ok(Self {
            check: Mutex::new(Check::new(&faults(&allowed)?)),
        })
    }

    /// Looks at the next messages; false if a fault was found, and what follows is of no use.
    fn push(&self, py: Python<'_>, batch: &PyEventBatch) -> PyResult<bool> {
        let pushed = py.detach(|| locked(&self.check).map(|mut check| check.push(&batch.batch)))?;
        pushed.map_err(|error| raised(&error))
    }

    /// What was found so far, as `tape_check` gives it.
    fn result<'py>(&self, py: Python<'py>) -> PyResult<CheckedTape<'py>> {
        shown(py, locked(&self.check)?.checked())
    }
}

fn faults(names: &[String]) -> PyResult<Vec<Fault>> {
    let fault = |name: &String| {
        let known = Fault::ALL.into_iter().find(|fault| fault.name() == name);
        let names: Vec<&str> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        let what = format!("no fault \"{name}\": one of {}", names.join(", "));
        known.ok_or_else(|| refused("UNKNOWN_NAME", &what, None))
    };
    names.iter().map(fault).collect()
}

fn shown<'py>(py: Python<'py>, checked: &Checked) -> PyResult<CheckedTape<'py>> {
    let found = checked.violation.as_ref().map(|found| {
        let (place, what) = (found.place.clone(), found.what.clone());
        (
            found.fault.name(),
            found.message,
            found.ts_recv,
            place,
            what,
        )
    });
    let counts = PyDict::new(py);
    for (fault, count) in &checked.allowed {
        counts.set_item(fault.name(), *count)?;
    }
    let back = (checked.backwards.count, checked.backwards.most_ns);
    Ok((checked.messages, found, counts, back))
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<PyTapeCheck>()?;
    m.add_function(wrap_pyfunction!(tape_check, m)?)
}
