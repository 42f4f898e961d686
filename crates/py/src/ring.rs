//! The ring between the pipeline and a model worker: `Ring` for the pipeline, `RingWorker` for the worker process.
use std::ffi::OsString;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, TryLockError};

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyException, PyOSError, PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};
use signal_ring::{Client, Outcome, Refusal, RingError, Spec, Taken, View, Worker, monotonic_ns};

use crate::row::PyRow;

const OK: u32 = 0;
const FLOAT: usize = size_of::<f64>();

/// Adds this file's classes and functions to the extension module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<Ring>()?;
    m.add_class::<RingWorker>()?;
    m.add_function(wrap_pyfunction!(die_with_parent, m)?)?;
    m.add_function(wrap_pyfunction!(run_promptly, m)?)?;
    m.add_function(wrap_pyfunction!(yield_to_pipeline, m)?)
}

fn raised(error: RingError) -> PyErr {
    match &error {
        RingError::Os { source, .. } => match source.raw_os_error() {
            Some(number) => PyOSError::new_err((number, error.to_string())),
            None => PyOSError::new_err(error.to_string()),
        },
        RingError::Usage(_) => PyValueError::new_err(error.to_string()),
        RingError::Corrupt(_) => PyRuntimeError::new_err(error.to_string()),
    }
}

/// The pipeline's end of a ring, for one worker process. One thread calls; any thread may look or close.
#[pyclass(frozen, module = "signal_stream._core")]
pub struct Ring {
    asker: Mutex<Asker>,
    view: View,
}

struct Asker {
    client: Client,
    /// A request that is being made; kept for its room.
    request: Vec<u8>,
}

impl Asker {
    /// The request's id, 0 where no slot is free.
    fn submit(client: &mut Client, request: &[u8], deadline_ns: u64) -> PyResult<u64> {
        match client.submit(request, deadline_ns) {
            Ok(id) => Ok(id),
            Err(Refusal::Full) => Ok(0),
            Err(Refusal::TooLong(mistake) | Refusal::Forked(mistake)) => Err(raised(mistake)),
        }
    }
}

impl Ring {
    /// Waits for the answer to request `id`, without the GIL, until `deadline_ns` at the latest, and gives it to `seen` if it came
    /// in time.
    fn wait<T: Send>(
        &self,
        py: Python<'_>,
        id: u64,
        deadline_ns: u64,
        seen: impl FnOnce(&[[u8; FLOAT]]) -> T + Send,
    ) -> Result<(u32, T), Unanswered> {
        py.detach(|| {
            let mut asker = match self.asker.try_lock() {
                Ok(asker) => asker,
                Err(TryLockError::WouldBlock) => return Err(Unanswered::Busy),
                Err(TryLockError::Poisoned(_)) => return Err(Unanswered::Dead),
            };
            match asker.client.wait(id, deadline_ns) {
                Outcome::Answer { code, bytes } => Ok((code, seen(bytes.as_chunks::<FLOAT>().0))),
                Outcome::Deadline => Err(Unanswered::Deadline),
                Outcome::Dead => Err(Unanswered::Dead),
                Outcome::Full => Err(Unanswered::Busy),
            }
        })
    }

    /// The answer to request `id`: number `output` of it and, if they are `wanted`, all numbers. None where none came by `deadline_ns`,
    /// or the worker says that it failed. The answer stays for `collect`.
    pub fn value(
        &self,
        py: Python<'_>,
        id: u64,
        deadline_ns: u64,
        output: usize,
        wanted: bool,
    ) -> Option<(f64, Vec<f64>)> {
        let numbers = |floats: &[[u8; FLOAT]]| {
            let wanted = if wanted { floats } else { &[] };
            let value = floats.get(output).copied().map(f64::from_ne_bytes);
            value.map(|value| (value, doubles(wanted)))
        };
        match self.wait(py, id, deadline_ns, numbers) {
            Ok((OK, answer)) => answer,
            _ => None,
        }
    }
}

fn doubles(floats: &[[u8; FLOAT]]) -> Vec<f64> {
    floats
        .iter()
        .map(|float| f64::from_ne_bytes(*float))
        .collect()
}

#[pymethods]
impl Ring {
    #[new]
    #[pyo3(signature = (*, slots, request_bytes, values_max, spin_ns_max))]
    fn new(slots: u32, request_bytes: u32, values_max: u32, spin_ns_max: u32) -> PyResult<Self> {
        let client = Client::create(Spec {
            slots,
            request_bytes,
            answer_bytes: values_max.saturating_mul(FLOAT as u32),
            spin_ns_max,
        })
        .map_err(raised)?;
        Ok(Self {
            view: client.view(),
            asker: Mutex::new(Asker {
                client,
                request: Vec::new(),
            }),
        })
    }

    /// Starts the worker process with this ring as its standard input; gives its pid and the descriptors of its standard
    /// output and standard error, which the caller closes. The caller reaps the process.
    fn spawn(&self, py: Python<'_>, argv: Vec<OsString>) -> PyResult<(u32, RawFd, RawFd)> {
        let child = py.detach(|| match self.asker.lock() {
            Ok(mut asker) => asker.client.spawn(&argv),
            Err(_) => Err(RingError::Usage("a call on this ring has panicked".into())),
        });
        let child = child.map_err(raised)?;
        Ok((
            child.pid,
            child.stdout.into_raw_fd(),
            child.stderr.into_raw_fd(),
        ))
    }

    /// Puts a request into the ring, without waiting, and gives its id; the worker skips it once `deadline_ns` of
    /// `time.monotonic_ns()` has passed. 0 where no slot is free, or another thread is asking.
    fn submit(&self, payload: &[u8], deadline_ns: u64) -> PyResult<u64> {
        let Ok(mut asker) = self.asker.try_lock() else {
            return Ok(0);
        };
        Asker::submit(&mut asker.client, payload, deadline_ns)
    }

    /// Puts a vector into the ring as `submit` puts its bytes, if there is nothing unusual about it: the worker lives, everything in
    /// the vector is valid, and its floats or doubles make `row_bytes`. 0, with nothing done, otherwise.
    fn submit_row(&self, row: &PyRow, row_bytes: usize, deadline_ns: u64) -> PyResult<u64> {
        let Ok(mut asker) = self.asker.try_lock() else {
            return Ok(0);
        };
        let Asker { client, request } = &mut *asker;
        if !self.view.is_alive() || !row.fill_valid(row_bytes, request) {
            return Ok(0);
        }
        Asker::submit(client, request, deadline_ns)
    }

    /// Waits for the answer to request `id`, without the GIL, until `deadline_ns` at the latest. Gives status and values;
    /// BUSY at once if another thread is asking.
    fn collect<'py>(
        &self,
        py: Python<'py>,
        id: u64,
        deadline_ns: u64,
    ) -> PyResult<(&Bound<'py, PyString>, Bound<'py, PyTuple>)> {
        let (status, values): (_, Vec<f64>) = match self.wait(py, id, deadline_ns, doubles) {
            Ok((OK, values)) => (intern!(py, "OK"), values),
            Ok((_, values)) => (intern!(py, "ERROR"), values),
            Err(Unanswered::Deadline) => (intern!(py, "DEADLINE"), Vec::new()),
            Err(Unanswered::Dead) => (intern!(py, "DEAD"), Vec::new()),
            Err(Unanswered::Busy) => (intern!(py, "BUSY"), Vec::new()),
        };
        Ok((status, PyTuple::new(py, values)?))
    }

    /// Whether the worker can still answer; true before it has attached.
    fn is_alive(&self) -> bool {
        self.view.is_alive()
    }

    /// Requests that the worker has not finished, given-up ones included.
    fn in_flight(&self) -> u32 {
        self.view.in_flight()
    }

    /// A number that changes whenever the worker finishes a request.
    fn progress(&self) -> u32 {
        self.view.progress()
    }

    /// Asks the worker to end.
    fn close(&self) {
        self.view.close();
    }
}

/// Why no answer came.
enum Unanswered {
    Deadline,
    Dead,
    Busy,
}

/// The worker's end of a ring. Belongs to the thread that made it: its life is the sign of life.
#[pyclass(unsendable, module = "signal_stream._core")]
struct RingWorker {
    worker: Worker,
    row: PyBuffer<u8>,
    values: Floats,
    /// The answer in doubles, and as it goes through the ring; kept for their room.
    answer: Vec<f64>,
    bytes: Vec<u8>,
}

/// The model's output buffer, in the dtype that the model gives, and room for a copy.
enum Floats {
    F32(PyBuffer<f32>, Vec<f32>),
    F64(PyBuffer<f64>, Vec<f64>),
}

impl Floats {
    fn of(values: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(floats) = PyBuffer::get(values) {
            let room = vec![0.0; floats.item_count()];
            return Ok(Self::F32(floats, room));
        }
        let floats = PyBuffer::get(values)?;
        let room = vec![0.0; floats.item_count()];
        Ok(Self::F64(floats, room))
    }
}

#[pymethods]
impl RingWorker {
    /// Attaches to the ring behind the descriptor `fd`, which it takes over. Requests are copied into `row`, a writable buffer of
    /// bytes; answers are read from `values`, a buffer of floats or doubles.
    #[new]
    fn new(fd: RawFd, row: PyBuffer<u8>, values: &Bound<'_, PyAny>) -> PyResult<Self> {
        if fd < 0 {
            return Err(PyValueError::new_err(format!("{fd} is no file descriptor")));
        }
        // SAFETY: the caller hands the descriptor over, as the docstring says.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let values = Floats::of(values)?;
        Ok(Self {
            worker: Worker::attach(fd).map_err(raised)?,
            row,
            values,
            answer: Vec::new(),
            bytes: Vec::new(),
        })
    }

    /// Takes requests into `row`, has `compute` turn each into `values`, and answers, until something else is to be done. Says
    /// what: "IDLE", nothing has come for `timeout_ns`; "CLOSED", the pipeline has closed the ring; "NOT_FINITE", a value
    /// was not finite, and the request has been told so; or the Exception that `compute` raised, the request told as well.
    /// The GIL stays held: this process does nothing but wait here.
    fn serve<'py>(
        &mut self,
        py: Python<'py>,
        compute: &Bound<'py, PyAny>,
        timeout_ns: u64,
    ) -> PyResult<Bound<'py, PyAny>> {
        loop {
            let until_ns = monotonic_ns().saturating_add(timeout_ns);
            match self.worker.take(until_ns).map_err(raised)? {
                Taken::Request { bytes, .. } => self.row.copy_from_slice(py, bytes)?,
                Taken::Idle => return Ok(intern!(py, "IDLE").clone().into_any()),
                Taken::Closed => return Ok(intern!(py, "CLOSED").clone().into_any()),
            }
            if let Err(error) = compute.call0() {
                if !error.is_instance_of::<PyException>(py) {
                    return Err(error);
                }
                self.worker.answer(OK + 1, &[]).map_err(raised)?;
                return Ok(error.into_value(py).into_bound(py).into_any());
            }
            if !self.answer(py)? {
                self.worker.answer(OK + 1, &[]).map_err(raised)?;
                return Ok(intern!(py, "NOT_FINITE").clone().into_any());
            }
        }
    }
}

impl RingWorker {
    /// Answers the request taken last with what lies in `values`; does nothing, and gives false, if one is not finite.
    fn answer(&mut self, py: Python<'_>) -> PyResult<bool> {
        self.answer.clear();
        match &mut self.values {
            Floats::F32(floats, room) => {
                floats.copy_to_slice(py, room)?;
                self.answer.extend(room.iter().copied().map(f64::from));
            }
            Floats::F64(floats, room) => {
                floats.copy_to_slice(py, room)?;
                self.answer.extend_from_slice(room);
            }
        }
        if !self.answer.iter().all(|value| value.is_finite()) {
            return Ok(false);
        }
        self.bytes.clear();
        self.bytes
            .extend(self.answer.iter().flat_map(|value| value.to_ne_bytes()));
        self.worker.answer(OK, &self.bytes).map_err(raised)?;
        Ok(true)
    }
}

/// Ends this process when the thread that spawned it ends; False if it has ended already.
#[pyfunction]
fn die_with_parent(parent_pid: u32) -> bool {
    signal_ring::die_with_parent(parent_pid)
}

/// Asks for short time slices for this thread, so that it gets its CPU back soon after it is woken; or for the usual ones.
#[pyfunction]
fn run_promptly(prompt: bool) -> PyResult<()> {
    signal_ring::run_promptly(prompt).map_err(raised)
}

/// Schedules this thread behind the pipeline that shares its CPU.
#[pyfunction]
fn yield_to_pipeline() -> PyResult<()> {
    signal_ring::yield_to_pipeline().map_err(raised)
}
