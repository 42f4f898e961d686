//! A thread that looks from time to time at what an engine does.
use pyo3::prelude::*;
use signal_engine::{Profile, Samples};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two looks; the system makes it somewhat longer.
const INTERVAL: Duration = Duration::from_micros(50);

/// Samples of what engines of one plan do, taken while it is entered (`with`).
#[pyclass(name = "Profile", frozen, module = "signal_stream._core")]
#[derive(Default)]
pub struct PyProfile {
    profile: Arc<Mutex<Profile>>,
    thread: Mutex<Option<(Sender<()>, JoinHandle<()>)>>,
}

impl PyProfile {
    pub fn locked(&self) -> MutexGuard<'_, Profile> {
        self.profile.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn thread(&self) -> MutexGuard<'_, Option<(Sender<()>, JoinHandle<()>)>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl PyProfile {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    fn __enter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        let profile = Arc::clone(&this.profile);
        let (end, ended) = channel();
        let thread = std::thread::spawn(move || {
            while ended.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                profile
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .sample();
            }
        });
        *this.thread() = Some((end, thread));
        this
    }

    fn __exit__(&self, _type: Py<PyAny>, _value: Py<PyAny>, _traceback: Py<PyAny>) {
        let thread = self.thread().take();
        if let Some((end, thread)) = thread {
            drop(end);
            let _ = thread.join();
        }
    }

    /// Samples while the input was read, in the engine while no step ran, and at each node of the graph, up to the last that
    /// has a step.
    fn samples(&self) -> (u64, u64, Vec<u64>) {
        let Samples {
            outside,
            events,
            nodes,
        } = self.locked().samples();
        (outside, events, nodes)
    }
}

/// Adds this file's classes to the extension module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<PyProfile>()
}
