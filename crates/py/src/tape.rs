//! Tapes and captures for Python: batches of events, files to read and write. The GIL is not held while
//! bytes are read or decoded.
use crate::capsule;
use crate::graph::refused;
use crate::vectors::PyBatch;
use arrow_array::RecordBatch;
use arrow_array::ffi_stream::RecordBatchStreamReader;
use arrow_schema::ArrowError;
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyDict, PyTuple};
use signal_event::{
    EventBatch, EventBatchBuilder, Header, INSTRUMENTS_KEY, Instruments, Kind, Side, TapeColumns,
    from_record_batches, record_batch, to_record_batch, to_record_batch_in,
};
use signal_feeds::{FeedError, Reader, ReaderOptions, Tally, TapeInfo, TapeWriter};
use signal_ingest::{KeptReject, Rejects, SourceSpec, Venue};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

pub fn raised(error: &FeedError) -> PyErr {
    refused(error.code(), &error.to_string(), None)
}

pub fn locked<T>(inner: &Mutex<T>) -> PyResult<MutexGuard<'_, T>> {
    inner
        .lock()
        .map_err(|_| refused("POISONED", "an earlier call failed: open it again", None))
}

/// Whole messages of a tape, as columns.
#[pyclass(name = "EventBatch", frozen, module = "signal_stream._core")]
pub struct PyEventBatch {
    pub batch: EventBatch,
    /// First row of each message, and the number of rows.
    starts: Vec<usize>,
}

impl PyEventBatch {
    pub fn new(batch: EventBatch) -> Self {
        let mut starts: Vec<usize> = batch.messages().map(|message| message.rows.start).collect();
        starts.push(batch.len());
        Self { batch, starts }
    }
}

#[pymethods]
impl PyEventBatch {
    /// Rows: a message has one or more.
    fn __len__(&self) -> usize {
        self.batch.len()
    }

    /// Number of messages.
    #[getter]
    fn messages(&self) -> usize {
        self.starts.len() - 1
    }

    /// Ids of the instruments that rows name by number.
    #[getter]
    fn instruments(&self) -> Vec<String> {
        self.batch
            .instruments()
            .iter()
            .map(|instrument| instrument.id.clone())
            .collect()
    }

    /// What an instrument is at a time in nanoseconds, as the keys of an instruments file; None where nobody has said.
    fn definition<'py>(
        &self,
        py: Python<'py>,
        instrument: &str,
        ts: i64,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let known = self.batch.instruments();
        let found = known.id(instrument).and_then(|id| known.definition(id, ts));
        let text = found.map(|definition| definition.to_json());
        let json = PyModule::import(py, "json")?;
        text.map(|text| json.call_method1("loads", (text,)))
            .transpose()
    }

    /// Receive time of the first message in nanoseconds; None if there is none.
    #[getter]
    fn first_recv(&self) -> Option<i64> {
        self.batch.ts_recv().first().copied()
    }

    /// Receive time of the last message in nanoseconds; None if there is none.
    #[getter]
    fn last_recv(&self) -> Option<i64> {
        self.batch.ts_recv().last().copied()
    }

    /// Messages from `start` to before `stop`, without a copy.
    fn slice(&self, start: usize, stop: usize) -> PyResult<Self> {
        if start > stop || stop >= self.starts.len() {
            return Err(PyIndexError::new_err(format!(
                "messages {start} to {stop} of {}",
                self.starts.len() - 1
            )));
        }
        let first = self.starts[start];
        let starts = self.starts[start..=stop]
            .iter()
            .map(|row| row - first)
            .collect();
        Ok(Self {
            batch: self.batch.slice_rows(first..self.starts[stop]),
            starts,
        })
    }

    /// A batch from any Arrow record batch or table in the tape's schema; in a table a message may begin in one chunk
    /// and end in the next. CoreError names the row and column that is wrong.
    #[staticmethod]
    fn from_arrow(batch: &Bound<'_, PyAny>) -> PyResult<Self> {
        let pieces = pieces(batch)?;
        from_record_batches(&pieces)
            .map(Self::new)
            .map_err(|error| refused("SCHEMA", &error.to_string(), None))
    }

    /// The records of one kind ("trade", "quote", "book_diff", "book_snapshot", "bar", "mark", "status", "order",
    /// "definition", "reference") as a table with the columns of that kind; diffs and snapshots come together.
    fn records(&self, py: Python<'_>, kind: &str) -> PyResult<PyBatch> {
        let Some(kind) = Kind::ALL.iter().find(|known| known.name() == kind) else {
            let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
            return Err(refused(
                "UNKNOWN_NAME",
                &format!("no kind \"{kind}\": one of {}", known.join(", ")),
                None,
            ));
        };
        let table = py.detach(|| record_batch(&self.batch, *kind));
        table
            .map(PyBatch::new)
            .map_err(|error| refused("SCHEMA", &error.to_string(), None))
    }

    /// One clock mark: time has reached `ts` nanoseconds.
    #[staticmethod]
    fn mark(ts: i64) -> Self {
        let mut builder = EventBatchBuilder::new();
        builder.push(Header::mark(ts), Side::None.code(), 0, 0);
        Self::new(builder.finish(&Arc::new(Instruments::new())))
    }

    /// Whether an Arrow schema is one of a tape with the columns that these events need, and names the same instruments.
    fn fits(&self, schema: &Bound<'_, PyAny>) -> PyResult<bool> {
        let schema = capsule::import_schema(&schema.call_method0("__arrow_c_schema__")?)?;
        let needed = TapeColumns::of(&self.batch);
        let told = schema.metadata().get(INSTRUMENTS_KEY).map(String::as_str);
        let same = told == Some(&*self.batch.instruments().to_json());
        Ok(same && TapeColumns::of_schema(&schema).hold(needed))
    }

    /// The schema of a tape with the columns that these events need, and metadata that names format and instruments.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = TapeColumns::of(&self.batch).schema_with(self.batch.instruments());
        capsule::export_schema(py, &schema)
    }

    /// The rows; in the requested schema, if that is one of a tape and has the columns that these events need.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let requested = match requested_schema.filter(|schema| !schema.is_none()) {
            Some(schema) => {
                let schema = capsule::import_schema(schema)?;
                to_record_batch_in(&self.batch, Arc::new(schema)).ok()
            }
            None => None,
        };
        let rows = requested.unwrap_or_else(|| to_record_batch(&self.batch));
        capsule::export(py, &rows)
    }
}

/// What is known of instruments, from the JSON that a tape holds it in.
pub fn instruments_of(text: Option<&str>) -> PyResult<Arc<Instruments>> {
    let known = text.map_or(Ok(Instruments::new()), Instruments::from_json);
    known
        .map(Arc::new)
        .map_err(|error| refused("INSTRUMENTS", &error.to_string(), None))
}

/// What is stated of raw captures.
pub fn spec_of(venue: Option<&str>) -> PyResult<SourceSpec> {
    let Some(name) = venue else {
        return Ok(SourceSpec::default());
    };
    let known = Venue::ALL.iter().map(|venue| venue.name());
    let names: Vec<&str> = known.collect();
    let unknown = || {
        let what = format!("venue {name:?} is none of {}", names.join(", "));
        refused("OPTION", &what, None)
    };
    Ok(SourceSpec {
        venue: Some(Venue::of_name(name).ok_or_else(unknown)?),
        ..SourceSpec::default()
    })
}

/// The venues whose frames captures may hold.
#[pyfunction]
fn capture_venues() -> Vec<&'static str> {
    Venue::ALL.iter().map(|venue| venue.name()).collect()
}

/// Refuses instruments that make no sense.
#[pyfunction]
fn check_instruments(text: &str) -> PyResult<()> {
    instruments_of(Some(text)).map(|_| ())
}

/// What is wrong with an instrument's id, if anything is.
#[pyfunction]
fn instrument_id_fault(id: &str) -> Option<&'static str> {
    signal_event::id_fault(id)
}

/// The record batches of an Arrow record batch or table.
fn pieces(object: &Bound<'_, PyAny>) -> PyResult<Vec<RecordBatch>> {
    if object.hasattr("__arrow_c_array__")? || !object.hasattr("__arrow_c_stream__")? {
        return Ok(vec![capsule::import(object)?]);
    }
    let stream: Bound<'_, PyCapsule> = object.call_method0("__arrow_c_stream__")?.extract()?;
    let stream = stream.pointer_checked(Some(c"arrow_array_stream"))?;
    let unreadable = |error: ArrowError| {
        refused(
            "SCHEMA",
            &format!("the Arrow table cannot be read: {error}"),
            None,
        )
    };
    // SAFETY: the capsule's name says what it points to (Arrow's PyCapsule interface); the stream is moved out, which
    // marks the producer's as released.
    let reader =
        unsafe { RecordBatchStreamReader::from_raw(stream.as_ptr().cast()) }.map_err(unreadable)?;
    reader
        .collect::<Result<Vec<RecordBatch>, ArrowError>>()
        .map_err(unreadable)
}

/// Rejected lines of a file: code to count, and the first of them in words.
pub fn rejects_of<'py>(
    py: Python<'py>,
    files: &[(PathBuf, Rejects)],
) -> PyResult<Bound<'py, PyDict>> {
    let all = PyDict::new(py);
    let mut first = Vec::new();
    for (path, rejects) in files {
        for (code, count) in &rejects.counts {
            let known: u64 = all
                .get_item(code.name())?
                .map_or(Ok(0), |value| value.extract())?;
            all.set_item(code.name(), known + count)?;
        }
        for line in &rejects.first {
            first.push(format!("{}:{line}", path.display()));
        }
    }
    let faults: u64 = files.iter().map(|(_, rejects)| rejects.faults()).sum();
    let dict = PyDict::new(py);
    dict.set_item("faults", faults)?;
    dict.set_item("counts", all)?;
    dict.set_item("first", first)?;
    Ok(dict)
}

/// A refused line: file, number, code, detail, bytes.
type KeptLine<'py> = (String, u64, &'static str, String, Bound<'py, PyBytes>);

/// Reads tapes and captures, merged in order of arrival.
#[pyclass(name = "Reader", frozen, module = "signal_stream._core")]
pub struct PyReader {
    reader: Mutex<Reader>,
}

#[pymethods]
impl PyReader {
    #[new]
    #[pyo3(signature = (paths, *, batch_rows=signal_feeds::BATCH_ROWS, instruments=None, keep_rejects=false, venue=None))]
    fn new(
        py: Python<'_>,
        paths: Vec<PathBuf>,
        batch_rows: usize,
        instruments: Option<&str>,
        keep_rejects: bool,
        venue: Option<&str>,
    ) -> PyResult<Self> {
        let options = ReaderOptions {
            batch_rows,
            instruments: instruments_of(instruments)?,
            keep_rejects,
            spec: spec_of(venue)?,
        };
        let reader = py
            .detach(|| Reader::open(&paths, &options))
            .map_err(|error| raised(&error))?;
        Ok(Self {
            reader: Mutex::new(reader),
        })
    }

    /// The next batch of whole messages; None at the end.
    fn next(&self, py: Python<'_>) -> PyResult<Option<PyEventBatch>> {
        let batch = py.detach(|| {
            locked(&self.reader).map(|mut reader| reader.next().map(|b| b.map(PyEventBatch::new)))
        })?;
        batch.map_err(|error| raised(&error))
    }

    /// Bytes of all files.
    #[getter]
    fn bytes_total(&self) -> PyResult<u64> {
        Ok(locked(&self.reader)?.bytes_total())
    }

    /// Bytes of them that have been read.
    #[getter]
    fn bytes_read(&self) -> PyResult<u64> {
        Ok(locked(&self.reader)?.bytes_read())
    }

    /// Refused lines so far: `{"counts": {code: n}, "first": ["file:line  reason"], "faults": n}`. Faults are those that say
    /// that something is broken: not frames of streams that nobody uses, nor a last line that was cut off.
    fn rejects<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let files: Vec<(PathBuf, Rejects)> = locked(&self.reader)?
            .rejects()
            .map(|(path, rejects)| (path.to_path_buf(), rejects.clone()))
            .collect();
        rejects_of(py, &files)
    }

    /// The refused lines since the last call, where they are kept: file, line, code, detail, bytes.
    fn take_rejects<'py>(&self, py: Python<'py>) -> PyResult<Vec<KeptLine<'py>>> {
        let kept = locked(&self.reader)?.take_rejects();
        let of = |(path, kept): (PathBuf, KeptReject)| {
            let bytes = PyBytes::new(py, &kept.bytes);
            (
                path.display().to_string(),
                kept.line,
                kept.reject.code.name(),
                kept.reject.detail,
                bytes,
            )
        };
        Ok(kept.into_iter().map(of).collect())
    }

    /// Lines of the raw captures among the files so far, the refused ones included.
    #[getter]
    fn lines(&self) -> PyResult<u64> {
        Ok(locked(&self.reader)?.lines())
    }

    /// The raw files behind the stream and what became of their lines, as JSON texts.
    fn records(&self) -> PyResult<Vec<String>> {
        Ok(locked(&self.reader)?
            .records()
            .iter()
            .map(|record| record.to_json().to_string())
            .collect())
    }
}

/// Writes a tape; the extension chooses Parquet (`.parquet`) or Arrow IPC (`.arrow`).
#[pyclass(name = "TapeWriter", frozen, module = "signal_stream._core")]
pub struct PyTapeWriter {
    writer: Mutex<Option<TapeWriter>>,
}

#[pymethods]
impl PyTapeWriter {
    #[new]
    fn new(path: PathBuf) -> PyResult<Self> {
        let writer = TapeWriter::create(&path).map_err(|error| raised(&error))?;
        Ok(Self {
            writer: Mutex::new(Some(writer)),
        })
    }

    /// Appends a batch.
    fn write(&self, py: Python<'_>, batch: &PyEventBatch) -> PyResult<()> {
        let written = py.detach(|| {
            let mut writer = locked(&self.writer)?;
            match writer.as_mut() {
                Some(writer) => Ok(writer.write(&batch.batch)),
                None => Err(refused(
                    "CLOSED",
                    "the tape is finished: open a new one",
                    None,
                )),
            }
        })?;
        written.map_err(|error| raised(&error))
    }

    /// How often, and how far in nanoseconds, receive times of what was written so far go back from one message to the next.
    #[getter]
    fn backwards(&self) -> PyResult<(u64, i64)> {
        let seen = locked(&self.writer)?.as_ref().map(TapeWriter::backwards);
        Ok(seen.map_or((0, 0), |seen| (seen.count, seen.most_ns)))
    }

    /// Finishes the file, which appears under its name only now; gives (rows, messages, bytes). `source` tells which raw
    /// files it came from.
    #[pyo3(signature = (source=None))]
    fn finish(&self, py: Python<'_>, source: Option<&PyReader>) -> PyResult<(u64, u64, u64)> {
        let records = source.map_or(Ok(Vec::new()), |reader| {
            locked(&reader.reader).map(|reader| reader.records())
        })?;
        let Some(writer) = locked(&self.writer)?.take() else {
            return Err(refused(
                "CLOSED",
                "the tape is finished: open a new one",
                None,
            ));
        };
        let summary = py
            .detach(|| writer.finish(&records))
            .map_err(|error| raised(&error))?;
        Ok((summary.rows, summary.messages, summary.bytes))
    }
}

/// What is on a tape, or in the stream that several files make, as JSON text.
#[pyfunction]
#[pyo3(signature = (paths, *, venue=None))]
fn tape_info(py: Python<'_>, paths: Vec<PathBuf>, venue: Option<&str>) -> PyResult<String> {
    let options = ReaderOptions {
        spec: spec_of(venue)?,
        ..ReaderOptions::default()
    };
    let info = py
        .detach(|| TapeInfo::read(&paths, &options))
        .map_err(|error| raised(&error))?;
    Ok(info.to_json().to_string())
}

/// Counts what is on a tape as its batches come.
#[pyclass(name = "TapeTally", frozen, module = "signal_stream._core")]
struct PyTapeTally {
    tally: Mutex<Tally>,
}

#[pymethods]
impl PyTapeTally {
    #[new]
    fn new() -> Self {
        Self {
            tally: Mutex::new(Tally::default()),
        }
    }

    /// Counts the next messages.
    fn push(&self, py: Python<'_>, batch: &PyEventBatch) -> PyResult<()> {
        let pushed = py.detach(|| locked(&self.tally).map(|mut tally| tally.push(&batch.batch)))?;
        pushed.map_err(|error| raised(&error))
    }

    /// What was counted so far, as `tape_info` tells it, but for the files.
    fn info(&self) -> PyResult<String> {
        Ok(locked(&self.tally)?.info().to_json().to_string())
    }
}

/// The kinds of events: the code in a tape's column to the name.
#[pyfunction]
fn event_kinds() -> BTreeMap<u8, &'static str> {
    Kind::ALL
        .iter()
        .map(|kind| (kind.code(), kind.name()))
        .collect()
}

/// "capture", "tape" … of a file, by its content.
#[pyfunction]
fn tape_format(path: PathBuf) -> PyResult<&'static str> {
    let options = ReaderOptions::default();
    let reader =
        Reader::open(std::slice::from_ref(&path), &options).map_err(|error| raised(&error))?;
    let format = reader
        .files()
        .next()
        .map_or("", |(_, format): (&Path, _)| format.name());
    Ok(format)
}

/// Adds this file's classes and functions to the extension module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<PyEventBatch>()?;
    m.add_class::<PyReader>()?;
    m.add_class::<PyTapeWriter>()?;
    m.add_class::<PyTapeTally>()?;
    m.add_function(wrap_pyfunction!(check_instruments, m)?)?;
    m.add_function(wrap_pyfunction!(instrument_id_fault, m)?)?;
    m.add_function(wrap_pyfunction!(capture_venues, m)?)?;
    m.add_function(wrap_pyfunction!(tape_info, m)?)?;
    m.add_function(wrap_pyfunction!(event_kinds, m)?)?;
    m.add_function(wrap_pyfunction!(tape_format, m)?)
}
