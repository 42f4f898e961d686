//! Files and folders that others may write.
use std::os::fd::RawFd;
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

/// Tells that files of a folder are written, or appear, by a descriptor that can be waited for.
#[pyclass(frozen, module = "signal_stream._core")]
struct FolderWatch {
    watch: signal_feeds::FolderWatch,
}

#[pymethods]
impl FolderWatch {
    /// OSError where the folder cannot be watched.
    #[new]
    fn new(path: PathBuf) -> PyResult<Self> {
        Ok(Self {
            watch: signal_feeds::FolderWatch::new(&path)?,
        })
    }

    /// The descriptor that can be read as soon as something was written; the watch's own.
    fn fileno(&self) -> RawFd {
        self.watch.fd()
    }

    /// Takes what was noticed; false where the folder itself is gone, and another watch is needed. OSError.
    fn take(&self) -> PyResult<bool> {
        Ok(self.watch.take()?)
    }
}

/// Adds this file's classes to the extension module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<FileWatch>()?;
    m.add_class::<FolderWatch>()
}
