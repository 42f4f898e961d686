//! Bars of a table that go on where the newest ended: the usual case live, in which one look is enough.

use crate::arrow_table;
use crate::capsule;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch};
use arrow_schema::DataType;
use pyo3::prelude::*;
use std::sync::Arc;

/// Where a table of one instrument's bars holds when each opens, and its numbers.
///
/// Amounts below 0 end the usual case. Where a refused table may have been taken in part, they are looked for piece by piece
/// as the engine takes them: what has been read once is then still in the processor's cache.
#[pyclass(name = "BarColumns", frozen, module = "signal_stream._core")]
pub struct PyBarColumns {
    pub instrument: String,
    opens: Place,
    columns: Vec<Place>,
    /// Which of the columns hold amounts.
    pub amounts: Vec<usize>,
    length_ns: i64,
}

/// A column's number and name.
type Place = (usize, String);

#[pymethods]
impl PyBarColumns {
    /// `opens` and `columns`, one a field of the layout, are the columns' numbers and names; those at `amounts` must not be
    /// below 0.
    #[new]
    fn new(
        instrument: String,
        opens: Place,
        columns: Vec<Place>,
        amounts: Vec<usize>,
        length_ns: i64,
    ) -> Self {
        Self {
            instrument,
            opens,
            columns,
            amounts,
            length_ns,
        }
    }
}

impl PyBarColumns {
    /// The ends of the bars and their numbers, if the batch has the columns, its first bar opens at `begins` (ns), each
    /// opens where the one before ends, and no number is null; otherwise None.
    pub fn go_on(&self, batch: &Bound<'_, PyAny>, begins: i64) -> PyResult<Option<Vec<ArrayRef>>> {
        let batch = capsule::import(batch)?;
        Ok(self.read(&batch, begins))
    }

    fn read(&self, batch: &RecordBatch, begins: i64) -> Option<Vec<ArrayRef>> {
        let opens = arrow_table::times(self.column(batch, &self.opens)?).ok()?;
        let beside = opens.windows(2).fold(true, |all, pair| {
            all & (pair[1].wrapping_sub(pair[0]) == self.length_ns)
        });
        opens.last()?.checked_add(self.length_ns)?;
        if *opens.first()? != begins || !beside {
            return None;
        }
        let ends = opens.iter().map(|open| open + self.length_ns);
        let mut taken: Vec<ArrayRef> = vec![Arc::new(Int64Array::from_iter_values(ends))];
        for place in &self.columns {
            let column = self.column(batch, place)?;
            if *column.data_type() != DataType::Float64 || column.null_count() > 0 {
                return None;
            }
            taken.push(Arc::clone(column));
        }
        Some(taken)
    }

    fn column<'a>(&self, batch: &'a RecordBatch, (at, name): &Place) -> Option<&'a ArrayRef> {
        let known = batch.schema_ref().fields().get(*at)?.name() == name;
        known.then(|| batch.column(*at))
    }
}
