//! Feature vectors for Python: rows for decisions, columns for research.
use crate::capsule;
use crate::pool::Pool;
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, DictionaryArray, Float64Array, Int32Array, RecordBatch, StringArray,
    TimestampNanosecondArray,
};
use arrow_buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use signal_engine::{Code, Stamp, VALID, Vectors};
use signal_event::Reason;
use signal_features::Plan;
use std::sync::Arc;

/// Feature vectors. Row accessors take the number of a vector; `__arrow_c_array__` gives all of them as columns.
#[pyclass(name = "Vectors", frozen, module = "signal_stream._core")]
pub struct PyVectors {
    plan: Arc<Plan>,
    schema_digest: Arc<str>,
    instruments: Arc<Vec<String>>,
    stamps: Vec<Stamp>,
    values: Vec<ScalarBuffer<f64>>,
    reasons: Vec<ScalarBuffer<Code>>,
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
    pub fn new(
        plan: Arc<Plan>,
        schema_digest: Arc<str>,
        vectors: Vectors,
        pool: &Arc<Pool>,
    ) -> Self {
        Self {
            plan,
            schema_digest,
            instruments: vectors.instruments,
            stamps: vectors.stamps,
            values: vectors
                .values
                .into_iter()
                .map(|column| pool.lend(column))
                .collect(),
            reasons: vectors
                .reasons
                .into_iter()
                .map(ScalarBuffer::from)
                .collect(),
        }
    }

    fn name_of(&self, stamp: &Stamp) -> &str {
        self.instruments
            .get(stamp.instrument as usize)
            .map_or("", String::as_str)
    }

    fn stamp(&self, i: usize) -> PyResult<&Stamp> {
        match self.stamps.get(i) {
            Some(stamp) => Ok(stamp),
            None => Err(PyIndexError::new_err(format!(
                "vector {i} of {}",
                self.stamps.len()
            ))),
        }
    }

    fn batch(&self, reasons: bool) -> Result<RecordBatch, arrow_schema::ArrowError> {
        let utc: Arc<str> = Arc::from("UTC");
        let mut fields: Vec<Field> = schema(&self.plan)
            .fields()
            .iter()
            .map(|field| field.as_ref().clone())
            .collect();
        let keys =
            Int32Array::from_iter_values(self.stamps.iter().map(|stamp| stamp.instrument as i32));
        let names = StringArray::from_iter_values(self.instruments.iter());
        let event: ScalarBuffer<i64> = self.stamps.iter().map(|stamp| stamp.ts_event).collect();
        let event =
            TimestampNanosecondArray::new(event.clone(), nulls(&event, |ts| ts != i64::MIN));
        let recv = TimestampNanosecondArray::from_iter_values(
            self.stamps.iter().map(|stamp| stamp.ts_recv),
        );
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(DictionaryArray::<Int32Type>::try_new(
                keys,
                Arc::new(names),
            )?),
            Arc::new(event.with_timezone(Arc::clone(&utc))),
            Arc::new(recv.with_timezone(utc)),
        ];
        for (values, codes) in self.values.iter().zip(&self.reasons) {
            let nulls = nulls(codes, |code| code == VALID);
            columns.push(Arc::new(Float64Array::new(values.clone(), nulls)));
        }
        if reasons {
            let names: ArrayRef = Arc::new(StringArray::from(reason_names()));
            for ((name, _), codes) in self.plan.graph.features.iter().zip(&self.reasons) {
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
        self.stamps.len()
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

    /// Instrument id of a vector.
    fn instrument(&self, i: usize) -> PyResult<&str> {
        Ok(self.name_of(self.stamp(i)?))
    }

    /// When the vector happened, in nanoseconds; None where the venue does not say.
    fn ts_event(&self, i: usize) -> PyResult<Option<i64>> {
        self.stamp(i)
            .map(|stamp| (stamp.ts_event != i64::MIN).then_some(stamp.ts_event))
    }

    /// When we could know it, in nanoseconds.
    fn ts_recv(&self, i: usize) -> PyResult<i64> {
        self.stamp(i).map(|stamp| stamp.ts_recv)
    }

    /// Messages of the tape read up to and with the one that brought the vector about.
    fn offset(&self, i: usize) -> PyResult<u64> {
        self.stamp(i).map(|stamp| stamp.offset)
    }

    /// Receive time of the newest input, in nanoseconds.
    fn data_window_end(&self, i: usize) -> PyResult<i64> {
        self.stamp(i).map(|stamp| stamp.data_window_end)
    }

    /// Nanoseconds since the newest event of the quietest input, by receive time.
    fn age_recv_ns(&self, i: usize) -> PyResult<i64> {
        self.stamp(i).map(|stamp| stamp.age_recv)
    }

    /// The same by venue time: newest venue time of all inputs minus that of the quietest.
    fn age_event_ns(&self, i: usize) -> PyResult<i64> {
        self.stamp(i).map(|stamp| stamp.age_event)
    }

    /// Values of a vector in column order; None where invalid.
    fn values<'py>(&self, py: Python<'py>, i: usize) -> PyResult<Bound<'py, PyTuple>> {
        self.stamp(i)?;
        let row = self
            .values
            .iter()
            .zip(&self.reasons)
            .map(|(values, codes)| (codes[i] == VALID).then_some(values[i]));
        PyTuple::new(py, row.collect::<Vec<_>>())
    }

    /// Why each value is invalid; None where it is valid.
    fn reasons<'py>(&self, py: Python<'py>, i: usize) -> PyResult<Bound<'py, PyTuple>> {
        self.stamp(i)?;
        let row = self.reasons.iter().map(|codes| match codes[i] {
            VALID => None,
            code => Some(Reason::from_code(code).map_or("UNKNOWN", Reason::name)),
        });
        PyTuple::new(py, row.collect::<Vec<_>>())
    }

    /// Number of invalid values of a vector.
    fn invalid(&self, i: usize) -> PyResult<usize> {
        self.stamp(i)?;
        Ok(self
            .reasons
            .iter()
            .filter(|codes| codes[i] != VALID)
            .count())
    }

    /// sha256 over instrument, times, the values' bits and the reasons of a vector.
    fn digest<'py>(&self, py: Python<'py>, i: usize) -> PyResult<Bound<'py, PyBytes>> {
        let stamp = self.stamp(i)?;
        let instrument = self.name_of(stamp);
        let row = self
            .values
            .iter()
            .zip(&self.reasons)
            .map(|(values, codes)| (values[i], codes[i]));
        Ok(PyBytes::new(
            py,
            &signal_engine::row_digest(instrument, stamp, row),
        ))
    }

    /// The vector as little-endian float32 (or float64) bytes. Where a value is invalid the default of that column is
    /// taken; ValueError if there is none.
    #[pyo3(signature = (i, defaults=None, *, double=false))]
    fn payload<'py>(
        &self,
        py: Python<'py>,
        i: usize,
        defaults: Option<Vec<Option<f64>>>,
        double: bool,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.stamp(i)?;
        let width = if double { 8 } else { 4 };
        PyBytes::new_with(py, self.values.len() * width, |bytes| {
            for (f, slot) in bytes.chunks_exact_mut(width).enumerate() {
                let value = match self.reasons[f][i] {
                    VALID => self.values[f][i],
                    _ => match defaults
                        .as_ref()
                        .and_then(|defaults| defaults.get(f).copied().flatten())
                    {
                        Some(value) => value,
                        None => {
                            let name = &self.plan.graph.features[f].0;
                            return Err(PyValueError::new_err(format!(
                                "feature \"{name}\" is invalid and has no default"
                            )));
                        }
                    },
                };
                if double {
                    slot.copy_from_slice(&value.to_le_bytes());
                } else {
                    slot.copy_from_slice(&(value as f32).to_le_bytes());
                }
            }
            Ok(())
        })
    }

    /// Everything that two runs must agree on, as bytes, vector by vector: instrument, times, offset, bits, reasons.
    /// Concatenations do not depend on how a run was cut into calls.
    fn bits<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let mut bytes = Vec::with_capacity(self.stamps.len() * (64 + 9 * self.values.len()));
        for (i, stamp) in self.stamps.iter().enumerate() {
            bytes.extend_from_slice(self.name_of(stamp).as_bytes());
            for word in [
                stamp.ts_event,
                stamp.ts_recv,
                stamp.offset as i64,
                stamp.data_window_end,
            ] {
                bytes.extend_from_slice(&word.to_le_bytes());
            }
            for (values, codes) in self.values.iter().zip(&self.reasons) {
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
            .stamps
            .len()
            .saturating_sub(row)
            .min(other.stamps.len().saturating_sub(other_row));
        for i in 0..rows {
            let (a, b) = (&self.stamps[row + i], &other.stamps[other_row + i]);
            let when = |stamp: &Stamp| (stamp.ts_event, stamp.ts_recv, stamp.offset);
            if when(a) != when(b) || self.name_of(a) != other.name_of(b) {
                return (i, Some(-1));
            }
            for f in 0..self.values.len().min(other.values.len()) {
                let (x, y) = (&self.values[f][row + i], &other.values[f][other_row + i]);
                if x.to_bits() != y.to_bits()
                    || self.reasons[f][row + i] != other.reasons[f][other_row + i]
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
        match self.values.get(column) {
            Some(values) => Ok(values[i].to_bits()),
            None => Err(PyIndexError::new_err(format!(
                "column {column} of {}",
                self.values.len()
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
