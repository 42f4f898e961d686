//! Columns of Arrow as the engine reads them: times and columns of numbers, in place where they can be.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float64Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt32Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};
use signal_engine::Reason;
use signal_engine::{Code, Column, EngineError, Instruments, Table, VALID};
use std::borrow::Cow;
use std::ops::Range;

/// Numbers of a column, and why rows have none if some have none.
type Numbers<'a> = (&'a [f64], Option<Vec<Code>>);

/// Whose rows.
enum Named<'a> {
    One(usize),
    Each(Cow<'a, [u32]>),
}

/// Times in nanoseconds and columns of numbers.
pub struct ArrowTable<'a> {
    times: Cow<'a, [i64]>,
    received: Option<Cow<'a, [i64]>>,
    named: Named<'a>,
    columns: Vec<Numbers<'a>>,
}

fn wrong(message: String) -> EngineError {
    EngineError {
        code: "TABLE",
        message,
    }
}

impl<'a> ArrowTable<'a> {
    /// Column 0 holds times; `received` and `which` are columns too, the others hold numbers. `numbers` are the engine's
    /// of the instruments that column `which` tells by their place, or of the one.
    pub fn new(
        all: &'a [ArrayRef],
        numbers: &[usize],
        received: Option<usize>,
        which: Option<usize>,
    ) -> Result<Self, EngineError> {
        let column = |i: usize| {
            all.get(i).ok_or_else(|| {
                wrong(format!(
                    "column {i} is asked for, the table has {}",
                    all.len()
                ))
            })
        };
        let others = (1..all.len()).filter(|&i| Some(i) != received && Some(i) != which);
        Ok(Self {
            times: times(column(0)?)?,
            received: received.map(|i| times(column(i)?)).transpose()?,
            named: match (which, numbers) {
                (None, &[one]) => Named::One(one),
                (None, _) => return Err(wrong(format!("{} instruments for one", numbers.len()))),
                (Some(i), _) => named(column(i)?, numbers)?,
            },
            columns: others
                .map(|i| numbers_of(column(i)?))
                .collect::<Result<_, _>>()?,
        })
    }

    /// The columns of some rows.
    pub fn columns(&self, rows: Range<usize>) -> Vec<Column<'_>> {
        let columns = self.columns.iter();
        columns
            .map(|(values, codes)| Column {
                values: &values[rows.clone()],
                codes: codes.as_ref().map(|codes| &codes[rows.clone()]),
            })
            .collect()
    }

    /// Whether a row has a number below 0 in one of the columns of numbers at `amounts`.
    pub fn is_below_zero(&self, amounts: &[usize]) -> bool {
        amounts.iter().any(|&at| {
            let values = self.columns[at].0.iter();
            values.fold(false, |any, x| any | (*x < 0.0))
        })
    }

    /// Some rows, with their columns. Numbers of the columns at `amounts` must not be below 0.
    pub fn piece<'b>(
        &'b self,
        rows: Range<usize>,
        columns: &'b [Column<'b>],
        amounts: &'b [usize],
    ) -> Table<'b> {
        Table {
            instruments: match &self.named {
                Named::One(i) => Instruments::One(*i),
                Named::Each(all) => Instruments::Each(&all[rows.clone()]),
            },
            received: self.received.as_ref().map(|all| &all[rows.clone()]),
            times: &self.times[rows],
            columns,
            amounts,
        }
    }
}

/// The engine's number of each row's instrument; one where all rows have the same.
fn named<'a>(column: &'a ArrayRef, numbers: &[usize]) -> Result<Named<'a>, EngineError> {
    let Some(places) = column.as_primitive_opt::<UInt32Type>() else {
        return Err(wrong(format!(
            "instruments must be uint32, found {}",
            column.data_type()
        )));
    };
    let places = places.values();
    if column.null_count() > 0 || places.iter().any(|&place| place as usize >= numbers.len()) {
        return Err(wrong(format!(
            "a row is of none of {} instruments",
            numbers.len()
        )));
    }
    match places.first() {
        Some(&first) if places.iter().all(|&place| place == first) => {
            Ok(Named::One(numbers[first as usize]))
        }
        _ if numbers
            .iter()
            .enumerate()
            .all(|(place, &number)| place == number) =>
        {
            Ok(Named::Each(Cow::Borrowed(places)))
        }
        _ => Ok(Named::Each(
            places
                .iter()
                .map(|&place| numbers[place as usize] as u32)
                .collect(),
        )),
    }
}

/// Times in nanoseconds, of whole numbers in that unit or of timestamps.
pub fn times(column: &ArrayRef) -> Result<Cow<'_, [i64]>, EngineError> {
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
    if unit == 1 {
        return Ok(Cow::Borrowed(values));
    }
    let times: Option<Vec<i64>> = values.iter().map(|time| time.checked_mul(unit)).collect();
    times.map(Cow::Owned).ok_or_else(|| {
        wrong("times lie outside the years 1677 to 2262, which nanoseconds can say".to_owned())
    })
}

fn numbers_of(column: &ArrayRef) -> Result<Numbers<'_>, EngineError> {
    let Some(numbers) = column.as_primitive_opt::<Float64Type>() else {
        return Err(wrong(format!(
            "columns must be float64, found {}",
            column.data_type()
        )));
    };
    let code = |there: bool| if there { VALID } else { Reason::Missing.code() };
    let codes = numbers
        .nulls()
        .filter(|nulls| nulls.null_count() > 0)
        .map(|nulls| nulls.iter().map(code).collect());
    Ok((numbers.values(), codes))
}
