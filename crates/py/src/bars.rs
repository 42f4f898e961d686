//! Bars of a table that go on where the newest ended: the usual case live, in which one look is enough.

use crate::arrow_table;
use crate::capsule;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
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
    /// Open, high, low and close, those that the table has.
    prices: [Option<Place>; 4],
}

/// A column's number and name.
type Place = (usize, String);

#[pymethods]
impl PyBarColumns {
    /// `opens` and `columns`, one a field of the layout, are the columns' numbers and names; those at `amounts` must not be
    /// below 0. `prices` are those of open, high, low and close, None where the table has no such column.
    #[new]
    fn new(
        instrument: String,
        opens: Place,
        columns: Vec<Place>,
        amounts: Vec<usize>,
        length_ns: i64,
        prices: [Option<Place>; 4],
    ) -> Self {
        Self {
            instrument,
            opens,
            columns,
            amounts,
            length_ns,
            prices,
        }
    }
}

impl PyBarColumns {
    /// The ends of the bars and their numbers, if the batch has the columns, its first bar opens at `begins` (ns), each
    /// opens where the one before ends, no number is null, and none contradicts itself; otherwise None.
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
        if *opens.first()? != begins || !beside || !self.agree(batch)? {
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

    /// Whether of no bar the high lies below the low, or the open or close outside of them. None where a price is no float64,
    /// or null: that wants another look.
    fn agree(&self, batch: &RecordBatch) -> Option<bool> {
        let mut found = [None; 4];
        for (values, place) in found.iter_mut().zip(&self.prices) {
            if let Some(place) = place {
                let column = self.column(batch, place)?;
                let numbers = column.as_primitive_opt::<Float64Type>()?;
                if numbers.null_count() > 0 {
                    return None;
                }
                *values = Some(&numbers.values()[..]);
            }
        }
        let [open, high, low, close] = found;
        let lies_below = |a: Option<&[f64]>, b: Option<&[f64]>| {
            let (Some(a), Some(b)) = (a, b) else {
                return false;
            };
            a.iter().zip(b).fold(false, |any, (a, b)| any | (a < b))
        };
        let pairs = [
            (high, low),
            (high, open),
            (high, close),
            (open, low),
            (close, low),
        ];
        Some(!pairs.into_iter().any(|(a, b)| lies_below(a, b)))
    }

    fn column<'a>(&self, batch: &'a RecordBatch, (at, name): &Place) -> Option<&'a ArrayRef> {
        let known = batch.schema_ref().fields().get(*at)?.name() == name;
        known.then(|| batch.column(*at))
    }
}
