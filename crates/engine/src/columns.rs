//! A table as its caller has it: columns of numbers, and whose rows they are.

use signal_runtime::number;
use signal_runtime::registers::{Code, VALID};

/// Numbers of a table's column. Null and NaN are two things.
#[derive(Clone, Copy, Debug)]
pub struct Column<'a> {
    /// One a row.
    pub values: &'a [f64],
    /// Why a row has no value, [`VALID`] where it has; none given means all have.
    pub codes: Option<&'a [Code]>,
}

/// Whose rows.
#[derive(Clone, Copy, Debug)]
pub enum Instruments<'a> {
    /// All of one instrument.
    One(usize),
    /// The instrument of each row.
    Each(&'a [u32]),
}

impl Instruments<'_> {
    pub(crate) fn of(self, row: usize) -> usize {
        match self {
            Self::One(i) => i,
            Self::Each(all) => all[row] as usize,
        }
    }
}

/// Rows in order of time; on venue time in order of arrival.
#[derive(Clone, Debug)]
pub struct Table<'a> {
    /// Numbers of the instruments.
    pub instruments: Instruments<'a>,
    /// Axis time of each row: for bars their end.
    pub times: &'a [i64],
    /// When each row was received, where its axis time is the venue's.
    pub received: Option<&'a [i64]>,
    /// As in the layout.
    pub columns: &'a [Column<'a>],
    /// Columns whose numbers must not be below 0. They are looked at block by block, just before a block is taken: what has
    /// been read for that need not be read again. So rows before the first such number are taken.
    pub amounts: &'a [usize],
}

impl Table<'_> {
    #[inline(always)]
    pub(crate) fn is_below_zero(&self, rows: std::ops::Range<usize>) -> bool {
        self.amounts.iter().any(|&column| {
            let values = self.columns[column].values[rows.clone()].iter();
            values.fold(false, |any, x| any | (*x < 0.0))
        })
    }
}

/// Rows of one instrument.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub instrument: usize,
    pub times: &'a [i64],
    pub columns: &'a [Column<'a>],
}

#[inline]
pub(crate) fn cell(column: &Column<'_>, row: usize) -> (f64, Code) {
    match column.codes {
        Some(codes) if codes[row] != VALID => (0.0, codes[row]),
        _ => number(column.values[row]),
    }
}
