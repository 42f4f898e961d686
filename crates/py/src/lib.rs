//! The only crate that knows Python: classes, errors, the GIL and Arrow capsules. No logic.
use pyo3::prelude::*;

#[pymodule]
mod _core {}
