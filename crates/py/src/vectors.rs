//! Feature vectors for Python: rows for decisions, columns for research.
use crate::capsule;
use crate::row::PyRow;
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, DictionaryArray, Float64Array, Int32Array, RecordBatch, StringArray,
    TimestampNanosecondArray,
};
use arrow_buffer::alloc::Allocation;
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use signal_engine::Reason;
use signal_engine::{Loan, Stamp, VALID, Vectors};
use signal_features::Plan;
use std::ptr::NonNull;
use std::sync::Arc;

/// Feature vectors. Row accessors take the number of a vector; `__arrow_c_array__` gives all of them as columns.
#[pyclass(name = "Vectors", frozen, module = "signal_stream._core")]
pub struct PyVectors {
    plan: Arc<Plan>,
    schema_digest: Arc<str>,
    /// Shared with the columns that were made of it.
    vectors: Arc<Loan>,
}

/// Names of the reason codes, by code.
fn reason_names() -> Vec<&'static str> {
    (0..=u8::MAX)
        .map_while(Reason::from_code)
        .map(Reason::name)
        .collect()
}

fn text_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// The columns of a plan's vectors: instrument, times, and one float64 a feature.
pub fn schema(plan: &Plan) -> Schema {
    let time = DataType::Timestamp(TimeUnit::Nanosecond, Some(Arc::from("UTC")));
    let head = [
        Field::new("instrument", text_type(), false),
        Field::new("ts_event", time.clone(), true),
        Field::new("ts_recv", time, false),
    ];
    let features = plan
        .graph
        .features
        .iter()
        .map(|(name, _)| Field::new(name, DataType::Float64, true));
    Schema::new(head.into_iter().chain(features).collect::<Vec<_>>())
}

/// sha256, in hex, of the columns' names and types: what a model is promised.
pub fn schema_digest(plan: &Plan) -> String {
    signal_event::digest(&schema(plan))
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Which rows have a value; none given means all have.
fn nulls<T: Copy>(rows: &[T], has: impl Fn(T) -> bool) -> Option<NullBuffer> {
    // Without an early end, so that many rows are looked at in one instruction.
    let all = rows.iter().fold(true, |all, &row| all & has(row));
    let bits = || BooleanBuffer::collect_bool(rows.len(), |i| has(rows[i]));
    (!all).then(|| NullBuffer::new(bits()))
}

impl PyVectors {
    pub fn new(plan: Arc<Plan>, schema_digest: Arc<str>, vectors: Loan) -> Self {
        Self {
            plan,
            schema_digest,
            vectors: Arc::new(vectors),
        }
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    pub fn vectors(&self) -> &Vectors {
        &self.vectors
    }

    pub fn schema_digest_text(&self) -> &str {
        &self.schema_digest
    }

    pub fn name_of(&self, stamp: &Stamp) -> &str {
        self.vectors
            .instruments
            .get(stamp.instrument as usize)
            .map_or("", String::as_str)
    }

    fn stamp(&self, i: usize) -> PyResult<&Stamp> {
        match self.vectors.stamps.get(i) {
            Some(stamp) => Ok(stamp),
            None => Err(PyIndexError::new_err(format!(
                "vector {i} of {}",
                self.vectors.stamps.len()
            ))),
        }
    }

    /// A column for Arrow, which shares its memory.
    fn shared(&self, values: &[f64]) -> ScalarBuffer<f64> {
        let start = NonNull::from(values).cast::<u8>();
        let owner: Arc<dyn Allocation> = self.vectors.clone();
        // SAFETY: `values` is a column of `vectors`, which never changes and lives as long as its owner.
        let buffer = unsafe { Buffer::from_custom_allocation(start, size_of_val(values), owner) };
        ScalarBuffer::new(buffer, 0, values.len())
    }

    fn batch(&self, reasons: bool) -> Result<RecordBatch, arrow_schema::ArrowError> {
        let utc: Arc<str> = Arc::from("UTC");
        let mut fields: Vec<Field> = schema(&self.plan)
            .fields()
            .iter()
            .map(|field| field.as_ref().clone())
            .collect();
        let stamps = &self.vectors.stamps;
        // One walk over the stamps: of many vectors they lie beyond the second-level cache.
        let mut keys = Vec::with_capacity(stamps.len());
        let mut event = Vec::with_capacity(stamps.len());
        let mut recv = Vec::with_capacity(stamps.len());
        let mut told = true;
        for stamp in stamps {
            keys.push(stamp.instrument as i32);
            event.push(stamp.ts_event);
            recv.push(stamp.ts_recv);
            told &= stamp.ts_event != i64::MIN;
        }
        let keys = Int32Array::new(keys.into(), None);
        let names = StringArray::from_iter_values(self.vectors.instruments.iter());
        let untold = (!told)
            .then(|| nulls(&event, |ts| ts != i64::MIN))
            .flatten();
        let event = TimestampNanosecondArray::new(event.into(), untold);
        let recv = TimestampNanosecondArray::new(recv.into(), None);
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(DictionaryArray::<Int32Type>::try_new(
                keys,
                Arc::new(names),
            )?),
            Arc::new(event.with_timezone(Arc::clone(&utc))),
            Arc::new(recv.with_timezone(utc)),
        ];
        for (values, codes) in self.vectors.values.iter().zip(&self.vectors.reasons) {
            let nulls = nulls(codes, |code| code == VALID);
            columns.push(Arc::new(Float64Array::new(self.shared(values), nulls)));
        }
        if reasons {
            let names: ArrayRef = Arc::new(StringArray::from(reason_names()));
            for ((name, _), codes) in self.plan.graph.features.iter().zip(&self.vectors.reasons) {
                let keys: Int32Array = codes.iter().map(|&code| Some(i32::from(code))).collect();
                fields.push(Field::new(format!("{name}.reason"), text_type(), false));
                columns.push(Arc::new(DictionaryArray::<Int32Type>::try_new(
                    keys,
                    Arc::clone(&names),
                )?));
            }
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
    }
}

#[pymethods]
impl PyVectors {
    fn __len__(&self) -> usize {
        self.vectors.stamps.len()
    }

    /// Feature names in column order.
    #[getter]
    fn features(&self) -> Vec<&str> {
        self.plan
            .graph
            .features
            .iter()
            .map(|(name, _)| name.as_str())
            .collect()
    }

    /// Digest of the columns, as the plan's.
    #[getter]
    fn schema_digest(&self) -> &str {
        &self.schema_digest
    }

    /// Digest of the graph that made the vectors.
    #[getter]
    fn graph_digest(&self) -> &str {
        &self.plan.digest
    }

    /// One vector, to be read as often as its signals need it.
    fn row(slf: Bound<'_, Self>, i: usize) -> PyResult<PyRow> {
        slf.get().stamp(i)?;
        Ok(PyRow::new(slf.unbind(), i))
    }

    /// Instrument id of a vector.
    fn instrument(&self, i: usize) -> PyResult<&str> {
        Ok(self.name_of(self.stamp(i)?))
    }

    /// When we could know it, in nanoseconds.
    fn ts_recv(&self, i: usize) -> PyResult<i64> {
        self.stamp(i).map(|stamp| stamp.ts_recv)
    }

    /// Messages of the tape read up to and with the one that brought the vector about.
    fn offset(&self, i: usize) -> PyResult<u64> {
        self.stamp(i).map(|stamp| stamp.offset)
    }

    /// Everything that two runs must agree on, as bytes, vector by vector: instrument, times, offset, bits, reasons.
    /// Concatenations do not depend on how a run was cut into calls. `rows`: of the first so many.
    #[pyo3(signature = (rows=None))]
    fn bits<'py>(&self, py: Python<'py>, rows: Option<usize>) -> Bound<'py, PyBytes> {
        let mut bytes =
            Vec::with_capacity(self.vectors.stamps.len() * (64 + 9 * self.vectors.values.len()));
        let rows = rows.unwrap_or(usize::MAX);
        for (i, stamp) in self.vectors.stamps.iter().take(rows).enumerate() {
            bytes.extend_from_slice(self.name_of(stamp).as_bytes());
            for word in [
                stamp.ts_event,
                stamp.ts_recv,
                stamp.offset as i64,
                stamp.data_window_end,
            ] {
                bytes.extend_from_slice(&word.to_le_bytes());
            }
            for (values, codes) in self.vectors.values.iter().zip(&self.vectors.reasons) {
                bytes.extend_from_slice(&values[i].to_bits().to_le_bytes());
                bytes.push(codes[i]);
            }
        }
        PyBytes::new(py, &bytes)
    }

    /// Compares vectors from `row` on with those of `other` from `other_row` on, as far as both go. Gives how many agree,
    /// and the first column that differs: None if none does, -1 if times or instrument do.
    fn agreement(&self, row: usize, other: &Self, other_row: usize) -> (usize, Option<isize>) {
        let rows = self
            .vectors
            .stamps
            .len()
            .saturating_sub(row)
            .min(other.vectors.stamps.len().saturating_sub(other_row));
        for i in 0..rows {
            let (a, b) = (
                &self.vectors.stamps[row + i],
                &other.vectors.stamps[other_row + i],
            );
            let when = |stamp: &Stamp| (stamp.ts_event, stamp.ts_recv, stamp.offset);
            if when(a) != when(b) || self.name_of(a) != other.name_of(b) {
                return (i, Some(-1));
            }
            for f in 0..self.vectors.values.len().min(other.vectors.values.len()) {
                let (x, y) = (
                    &self.vectors.values[f][row + i],
                    &other.vectors.values[f][other_row + i],
                );
                if x.to_bits() != y.to_bits()
                    || self.vectors.reasons[f][row + i] != other.vectors.reasons[f][other_row + i]
                {
                    return (i, Some(f as isize));
                }
            }
        }
        (rows, None)
    }

    /// A value whatever its validity, as its 64 bits.
    fn value_bits(&self, i: usize, column: usize) -> PyResult<u64> {
        self.stamp(i)?;
        match self.vectors.values.get(column) {
            Some(values) => Ok(values[i].to_bits()),
            None => Err(PyIndexError::new_err(format!(
                "column {column} of {}",
                self.vectors.values.len()
            ))),
        }
    }

    /// Columns instrument, ts_event, ts_recv and one a feature; with `reasons` one more `<feature>.reason` each.
    #[pyo3(signature = (*, reasons=false))]
    fn columns(&self, reasons: bool) -> PyResult<PyBatch> {
        match self.batch(reasons) {
            Ok(batch) => Ok(PyBatch { batch }),
            Err(error) => Err(PyValueError::new_err(error.to_string())),
        }
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        self.columns(false)?.__arrow_c_array__(py, requested_schema)
    }
}

/// Columns on their way to Arrow.
#[pyclass(name = "Columns", frozen, module = "signal_stream._core")]
pub struct PyBatch {
    batch: RecordBatch,
}

impl PyBatch {
    pub fn new(batch: RecordBatch) -> Self {
        Self { batch }
    }
}

#[pymethods]
impl PyBatch {
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let _ = requested_schema;
        capsule::export(py, &self.batch)
    }
}

/// Adds this file's classes to the extension module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<PyVectors>()?;
    m.add_class::<PyBatch>()
}
