//! The usual case of a signal in one call: judged, put into words, framed and appended. Everything else is Python's.
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};
use signal_feeds::{AppendFile, FileWatch};
use signal_journal::{Judged, Row};
use signal_ring::monotonic_ns;

use crate::ring::Ring;
use crate::row::{Clean, PyRow};
use crate::signal::SignalTemplate;

/// The newest segment of a journal, as its writer sees it.
#[pyclass(frozen, module = "signal_stream._core")]
pub struct JournalFile {
    state: Mutex<Segment>,
}

struct Segment {
    file: AppendFile,
    next_seq: u64,
    bytes_max: u64,
    durable: bool,
    frame: Vec<u8>,
}

fn poisoned<T>(_: T) -> PyErr {
    PyOSError::new_err("the journal's writer failed in an earlier call")
}

/// The system's error with its number, as Python's own file functions raise it.
fn os_error(error: std::io::Error) -> PyErr {
    match error.raw_os_error() {
        Some(number) => {
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or_default();
            PyOSError::new_err((number, text.to_owned()))
        }
        None => error.into(),
    }
}

fn refused(fault: signal_journal::Fault) -> PyErr {
    PyValueError::new_err(fault.to_string())
}

impl Segment {
    /// Appends a frame with one record; false, with nothing done, if the segment has no room for it.
    fn append(&mut self, row: &Row<'_>) -> PyResult<bool> {
        let len = signal_journal::frame_len(&[*row]).map_err(refused)?;
        if self.file.size() + len as u64 > self.bytes_max {
            return Ok(false);
        }
        self.frame.resize(len, 0);
        signal_journal::encode(self.next_seq, &[*row], &mut self.frame).map_err(refused)?;
        self.file.append(&self.frame).map_err(os_error)?;
        self.next_seq += 1;
        Ok(true)
    }
}

impl JournalFile {
    fn state(&self) -> PyResult<MutexGuard<'_, Segment>> {
        self.state.lock().map_err(poisoned)
    }
}

#[pymethods]
impl JournalFile {
    /// A segment that exists, whose first `size` bytes are good and end before record `next_seq`. With `durable` each append
    /// waits for the disk.
    #[new]
    fn new(
        path: PathBuf,
        size: u64,
        next_seq: u64,
        bytes_max: u64,
        durable: bool,
    ) -> PyResult<Self> {
        let file = AppendFile::open(&path, size).map_err(os_error)?;
        let segment = Segment {
            file,
            next_seq,
            bytes_max,
            durable,
            frame: Vec::new(),
        };
        Ok(Self {
            state: Mutex::new(segment),
        })
    }

    /// Length of the good part.
    #[getter]
    fn size(&self) -> PyResult<u64> {
        Ok(self.state()?.file.size())
    }

    /// Number of the next record.
    #[getter]
    fn next_seq(&self) -> PyResult<u64> {
        Ok(self.state()?.next_seq)
    }

    /// Appends a frame of so many records. OSError if it was not written.
    fn append(&self, py: Python<'_>, frame: &[u8], records: u64) -> PyResult<()> {
        py.detach(|| {
            let mut state = self.state()?;
            state.file.append(frame).map_err(os_error)?;
            if state.durable {
                state.file.sync().map_err(os_error)?;
            }
            state.next_seq += records;
            Ok(())
        })
    }

    /// Cuts what an append that failed left. OSError.
    fn cut(&self) -> PyResult<()> {
        self.state()?.file.cut().map_err(os_error)
    }
}

/// What a signal of one model has to fulfil to pass without a word, and how it is written then.
#[pyclass(module = "signal_stream._core")]
struct PassingSignals {
    template: Py<SignalTemplate>,
    clean: Py<Clean>,
    latches: FileWatch,
    armed: bool,
    /// Of the newest signal.
    signal_id: String,
}

/// See `PassingSignals::take`.
type Taken<'py> = (
    f64,
    i64,
    i64,
    i64,
    i64,
    Option<(Bound<'py, PyString>, Bound<'py, PyTuple>)>,
);

#[pymethods]
impl PassingSignals {
    #[new]
    fn new(template: Py<SignalTemplate>, clean: Py<Clean>, latches: PathBuf) -> Self {
        Self {
            template,
            clean,
            latches: FileWatch::new(latches),
            armed: false,
            signal_id: String::new(),
        }
    }

    /// Looks at the latches' file: from now on a change of it is noticed. To be called before the latches are asked.
    fn look(&mut self) {
        self.armed = false;
        self.latches.changed();
    }

    /// Nobody was killed when the latches were asked after `look`: signals may pass.
    fn arm(&mut self) {
        self.armed = true;
    }

    /// Waits for the answer to request `id`, whose number `output` is the signal's value, and writes the signal for the vector, if
    /// nothing is unusual: an answer by `deadline_ns`, a finite value, armed, latches unchanged, the vector clean at the axis time
    /// that `axis_now` gives then, room in the segment.
    ///
    /// Gives the value, the moment when the model had answered, and the nanoseconds of model, guards and emit; None, with nothing done
    /// and the answer still in the ring, otherwise. If they are `wanted`, the signal's id and all numbers of the answer as well. `before` are the nanoseconds that features and asking took. OSError if it was not written.
    #[expect(clippy::too_many_arguments)]
    fn take<'py>(
        &mut self,
        py: Python<'py>,
        ring: &Ring,
        id: u64,
        deadline_ns: u64,
        output: usize,
        row: &PyRow,
        axis_now: &Bound<'_, PyAny>,
        journal: &JournalFile,
        before: (i64, i64),
        wanted: bool,
    ) -> PyResult<Option<Taken<'py>>> {
        let begun = monotonic_ns() as i64;
        let Some((value, numbers)) = ring.value(py, id, deadline_ns, output, wanted) else {
            return Ok(None);
        };
        let answered = monotonic_ns() as i64;
        let now = axis_now.call1((row.ts_recv(),))?.extract()?;
        let (features, asking) = before;
        let model = asking + answered - begun;
        let Some((guards, emit)) =
            self.write(journal, row, value, now, (features, model), answered)?
        else {
            return Ok(None);
        };
        let more = match wanted {
            true => Some((
                PyString::new(py, &self.signal_id),
                PyTuple::new(py, numbers)?,
            )),
            false => None,
        };
        Ok(Some((value, answered, model, guards, emit, more)))
    }

    /// Writes the signal for a vector, if nothing is unusual: armed, latches unchanged, value finite, the vector clean at
    /// axis time `now`, room in the segment. Gives the nanoseconds of guards and emit; None, with nothing done, otherwise.
    /// `latency` are those of features and model, `answered` the moment when the model had answered. OSError if it was not
    /// written.
    fn write(
        &mut self,
        journal: &JournalFile,
        row: &PyRow,
        value: f64,
        now: i64,
        latency: (i64, i64),
        answered: i64,
    ) -> PyResult<Option<(i64, i64)>> {
        if !self.armed
            || !value.is_finite()
            || !row.is_clean(self.clean.get(), now)
            || !self.latches.is_same()
        {
            return Ok(None);
        }
        let judged_ns = monotonic_ns() as i64;
        let guards = judged_ns - answered;
        let mut state = journal.state()?;
        if state.durable {
            return Ok(None);
        }
        let template = &self.template.get().template;
        row.with_inputs(|inputs| {
            let id = template.id(inputs);
            let emit = monotonic_ns() as i64 - judged_ns;
            let none: [&str; 0] = [];
            let judged = Judged {
                value: Some(value),
                outcome: "PASS",
                codes: &none,
                defaults_used: &none,
                latency: [latency.0, latency.1, guards, emit],
            };
            let body = template.text(&id, inputs, &judged);
            let written = state.append(&Row {
                ts: inputs.ts_recv,
                kind: "signal",
                key: &id,
                body: &body,
            })?;
            if !written {
                return Ok(None);
            }
            self.signal_id = id;
            Ok(Some((guards, emit)))
        })
    }

    /// Of the newest signal that passed this way.
    #[getter]
    fn signal_id(&self) -> &str {
        &self.signal_id
    }
}

/// Adds this file's classes to the extension module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<JournalFile>()?;
    m.add_class::<PassingSignals>()
}
