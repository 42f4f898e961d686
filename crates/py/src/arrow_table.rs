//! A record batch as the engine reads it: times and columns of numbers, in place where they can be.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float64Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use signal_engine::{Column, EngineError, Table};
use std::borrow::Cow;

/// Numbers of a column, and whether each row has one if some have none.
type Numbers<'a> = (&'a [f64], Option<Vec<bool>>);

/// Times in nanoseconds and columns of numbers.
pub struct ArrowTable<'a> {
    times: Cow<'a, [i64]>,
    columns: Vec<Numbers<'a>>,
}

fn wrong(message: String) -> EngineError {
    EngineError {
        code: "TABLE",
        message,
    }
}

impl<'a> ArrowTable<'a> {
    /// The columns of these numbers; `added_ns` is added to the times.
    pub fn new(
        batch: &'a RecordBatch,
        time: usize,
        added_ns: i64,
        columns: &[usize],
    ) -> Result<Self, EngineError> {
        let column = |i: usize| {
            batch.columns().get(i).ok_or_else(|| {
                wrong(format!(
                    "column {i} is asked for, the table has {}",
                    batch.num_columns()
                ))
            })
        };
        Ok(Self {
            times: times(column(time)?, added_ns)?,
            columns: columns
                .iter()
                .map(|&i| numbers(column(i)?))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Gives the rows to `take`, `size` at a time.
    pub fn pieces<E>(
        &self,
        instrument: usize,
        size: usize,
        mut take: impl FnMut(&Table<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let rows = self.times.len();
        for start in (0..rows).step_by(size.max(1)) {
            let piece = start..rows.min(start.saturating_add(size));
            let columns: Vec<Column<'_>> = self
                .columns
                .iter()
                .map(|(values, present)| Column {
                    values: &values[piece.clone()],
                    present: present.as_ref().map(|present| &present[piece.clone()]),
                })
                .collect();
            take(&Table {
                instrument,
                times: &self.times[piece],
                columns: &columns,
            })?;
        }
        Ok(())
    }
}

fn times(column: &ArrayRef, added_ns: i64) -> Result<Cow<'_, [i64]>, EngineError> {
    let (values, unit) = match column.data_type() {
        DataType::Int64 => (column.as_primitive::<Int64Type>().values(), 1),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            (column.as_primitive::<TimestampNanosecondType>().values(), 1)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => (
            column.as_primitive::<TimestampMicrosecondType>().values(),
            1_000,
        ),
        DataType::Timestamp(TimeUnit::Millisecond, _) => (
            column.as_primitive::<TimestampMillisecondType>().values(),
            1_000_000,
        ),
        DataType::Timestamp(TimeUnit::Second, _) => (
            column.as_primitive::<TimestampSecondType>().values(),
            1_000_000_000,
        ),
        other => {
            return Err(wrong(format!(
                "times must be int64 or timestamps, found {other}"
            )));
        }
    };
    if column.null_count() > 0 {
        return Err(wrong(format!("{} rows have no time", column.null_count())));
    }
    if unit == 1 && added_ns == 0 {
        return Ok(Cow::Borrowed(values));
    }
    let in_ns = |time: &i64| time.checked_mul(unit)?.checked_add(added_ns);
    let times: Option<Vec<i64>> = values.iter().map(in_ns).collect();
    times.map(Cow::Owned).ok_or_else(|| {
        wrong("times lie outside the years 1677 to 2262, which nanoseconds can say".to_owned())
    })
}

fn numbers(column: &ArrayRef) -> Result<Numbers<'_>, EngineError> {
    let Some(numbers) = column.as_primitive_opt::<Float64Type>() else {
        return Err(wrong(format!(
            "columns must be float64, found {}",
            column.data_type()
        )));
    };
    let present = numbers
        .nulls()
        .filter(|nulls| nulls.null_count() > 0)
        .map(|nulls| nulls.iter().collect());
    Ok((numbers.values(), present))
}
