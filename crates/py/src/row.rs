//! One feature vector, as model, guards and Gate read it.
use crate::vectors::PyVectors;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyTuple};
use signal_engine::Reason;
use signal_engine::{Code, Stamp, VALID, Vectors};
use signal_journal::Inputs;

const FLOAT: usize = size_of::<f32>();
const DOUBLE: usize = size_of::<f64>();

/// A vector of what the engine gave. Nothing of it is made for Python before something asks.
#[pyclass(name = "Row", frozen, module = "signal_stream._core")]
pub struct PyRow {
    vectors: Py<PyVectors>,
    /// A vector of `vectors`.
    i: usize,
    /// Kept, since several guards ask.
    reasons: PyOnceLock<Py<PyTuple>>,
}

/// What the guards of schema, completeness and staleness let pass without a word: vectors of this graph and these columns
/// in which everything is valid, no input is older than `max_age_ns` by either clock, and none was longer than
/// `max_venue_delay_ns` on its way.
#[pyclass(frozen, module = "signal_stream._core")]
pub struct Clean {
    graph_digest: String,
    schema_digest: String,
    columns: usize,
    max_age_ns: i64,
    max_venue_delay_ns: i64,
}

#[pymethods]
impl Clean {
    #[new]
    #[pyo3(signature = (*, graph_digest, schema_digest, columns, max_age_ns, max_venue_delay_ns=None))]
    fn new(
        graph_digest: String,
        schema_digest: String,
        columns: usize,
        max_age_ns: i64,
        max_venue_delay_ns: Option<i64>,
    ) -> Self {
        Self {
            graph_digest,
            schema_digest,
            columns,
            max_age_ns,
            max_venue_delay_ns: max_venue_delay_ns.unwrap_or(i64::MAX),
        }
    }
}

impl PyRow {
    pub fn new(vectors: Py<PyVectors>, i: usize) -> Self {
        Self {
            vectors,
            i,
            reasons: PyOnceLock::new(),
        }
    }

    fn of(&self) -> &Vectors {
        self.vectors.get().vectors()
    }

    fn stamp(&self) -> &Stamp {
        &self.of().stamps[self.i]
    }

    fn sha256(&self) -> [u8; 32] {
        signal_engine::row_digest(self.instrument(), self.stamp(), self.numbers())
    }

    /// What a signal that rests on the vector names of it.
    pub fn with_inputs<T>(&self, work: impl FnOnce(&Inputs<'_>) -> T) -> T {
        let stamp = self.stamp();
        work(&Inputs {
            instrument: self.instrument(),
            vector: &self.sha256(),
            ts_event: self.ts_event(),
            ts_recv: stamp.ts_recv,
            data_window_end: stamp.data_window_end,
            data_age_ns: self.age_recv_ns().map(|age| age.max(stamp.age_event)),
            offset: stamp.offset as i64,
        })
    }

    /// Writes the values as little-endian floats or doubles, `width` bytes each, with the default of a column where its value is
    /// invalid; the number of the first column that has none is the error.
    fn fill(
        &self,
        bytes: &mut [u8],
        width: usize,
        default: impl Fn(usize) -> Option<f64>,
    ) -> Result<(), usize> {
        let slots = bytes.chunks_exact_mut(width);
        for (f, (slot, (value, code))) in slots.zip(self.numbers()).enumerate() {
            let value = match code {
                VALID => value,
                _ => default(f).ok_or(f)?,
            };
            if width == DOUBLE {
                slot.copy_from_slice(&value.to_le_bytes());
            } else {
                slot.copy_from_slice(&(value as f32).to_le_bytes());
            }
        }
        Ok(())
    }

    /// The bytes of a vector in which everything is valid, `row_bytes` of them: floats or doubles, as that number says. False for
    /// any other vector.
    pub fn fill_valid(&self, row_bytes: usize, bytes: &mut Vec<u8>) -> bool {
        let columns = self.of().values.len();
        let width = match row_bytes.checked_div(columns) {
            Some(width @ (FLOAT | DOUBLE)) if width * columns == row_bytes => width,
            _ => return false,
        };
        bytes.resize(row_bytes, 0);
        self.fill(bytes, width, |_| None).is_ok()
    }

    /// Values with their reason codes, in column order.
    fn numbers(&self) -> impl Iterator<Item = (f64, Code)> {
        let Vectors {
            values, reasons, ..
        } = self.of();
        values
            .iter()
            .zip(reasons)
            .map(|(values, codes)| (values[self.i], codes[self.i]))
    }
}

#[pymethods]
impl PyRow {
    /// Digest of the graph that made the vector.
    #[getter]
    fn graph_digest(&self) -> &str {
        &self.vectors.get().plan().digest
    }

    /// Digest of the columns.
    #[getter]
    fn schema_digest(&self) -> &str {
        self.vectors.get().schema_digest_text()
    }

    /// Instrument id.
    #[getter]
    fn instrument(&self) -> &str {
        self.vectors.get().name_of(self.stamp())
    }

    /// When the vector happened, in nanoseconds; None where the venue does not say.
    #[getter]
    fn ts_event(&self) -> Option<i64> {
        let ts_event = self.stamp().ts_event;
        (ts_event != i64::MIN).then_some(ts_event)
    }

    /// When we could know it, in nanoseconds.
    #[getter]
    pub fn ts_recv(&self) -> i64 {
        self.stamp().ts_recv
    }

    /// Messages of the tape read up to and with the one that brought the vector about.
    #[getter]
    fn offset(&self) -> u64 {
        self.stamp().offset
    }

    /// Receive time of the newest input, in nanoseconds.
    #[getter]
    fn data_window_end(&self) -> i64 {
        self.stamp().data_window_end
    }

    /// Nanoseconds since the newest event of the quietest input, by receive time; None if an input never came.
    #[getter]
    fn age_recv_ns(&self) -> Option<i64> {
        let age = self.stamp().age_recv;
        (age != i64::MAX).then_some(age)
    }

    /// The same since that event happened, by venue time: a delay between venue and us counts. 0 without venue time.
    #[getter]
    fn age_event_ns(&self) -> i64 {
        self.stamp().age_event
    }

    /// Whether the guards of schema, completeness and staleness would let it pass without a word at axis time `now`.
    pub fn is_clean(&self, clean: &Clean, now: i64) -> bool {
        let stamp = self.stamp();
        let waited = now.saturating_sub(stamp.ts_recv).max(0);
        let left = clean.max_age_ns.saturating_sub(waited);
        self.graph_digest() == clean.graph_digest
            && self.schema_digest() == clean.schema_digest
            && self.of().values.len() == clean.columns
            && stamp.age_recv <= left
            && stamp.age_recv != i64::MAX
            && stamp.age_event <= left
            && stamp.age_event.saturating_sub(stamp.age_recv) <= clean.max_venue_delay_ns
            && self.numbers().all(|(_, code)| code == VALID)
    }

    /// Values in column order; None where invalid.
    #[getter]
    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let row = self.numbers();
        let row = row.map(|(value, code)| (code == VALID).then_some(value));
        PyTuple::new(py, row.collect::<Vec<_>>())
    }

    /// Why each value is invalid; None where it is valid.
    #[getter]
    fn reasons<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyTuple>> {
        let made = || {
            let row = self.numbers().map(|(_, code)| match code {
                VALID => None,
                code => Some(Reason::from_code(code).map_or("UNKNOWN", Reason::name)),
            });
            PyTuple::new(py, row.collect::<Vec<_>>()).map(Bound::unbind)
        };
        Ok(self.reasons.get_or_try_init(py, made)?.bind(py))
    }

    /// Number of invalid values.
    #[getter]
    fn invalid(&self) -> usize {
        self.numbers().filter(|&(_, code)| code != VALID).count()
    }

    /// sha256 over instrument, times, the values' bits and the reasons.
    #[getter]
    fn digest<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.sha256())
    }

    /// The vector as little-endian float32 (or float64) bytes. Where a value is invalid the default of that column is
    /// taken; ValueError if there is none.
    #[pyo3(signature = (defaults=None, *, double=false))]
    fn payload<'py>(
        &self,
        py: Python<'py>,
        defaults: Option<Vec<Option<f64>>>,
        double: bool,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let width = if double { DOUBLE } else { FLOAT };
        let default = |f: usize| defaults.as_ref()?.get(f).copied().flatten();
        PyBytes::new_with(py, self.of().values.len() * width, |bytes| {
            self.fill(bytes, width, default).map_err(|f| {
                let name = &self.vectors.get().plan().graph.features[f].0;
                PyValueError::new_err(format!("feature \"{name}\" is invalid and has no default"))
            })
        })
    }
}

/// Adds this file's class to the extension module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<Clean>()?;
    m.add_class::<PyRow>()
}
