//! A file that others may write, looked at before every signal.
use std::path::PathBuf;

use pyo3::prelude::*;

/// Tells whether a file is still the one that was read.
#[pyclass(module = "signal_stream._core")]
struct FileWatch {
    watch: signal_feeds::FileWatch,
}

#[pymethods]
impl FileWatch {
    #[new]
    fn new(path: PathBuf) -> Self {
        Self {
            watch: signal_feeds::FileWatch::new(path),
        }
    }

    /// Whether the file may be another one than at the last call; true too where it cannot be looked at.
    fn changed(&mut self) -> bool {
        self.watch.changed()
    }
}

/// Adds this file's class to the extension module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<FileWatch>()
}
