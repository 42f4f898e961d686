//! Feature vectors: what the engine gives.

use sha2::{Digest, Sha256};
use signal_runtime::registers::{Code, Registers, VALID};
use std::sync::Arc;

/// When and from what a vector was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Number of the instrument in [`Vectors::instruments`].
    pub instrument: u32,
    /// When it happened, in nanoseconds; `i64::MIN` where the venue does not say.
    pub ts_event: i64,
    /// When we could know it.
    pub ts_recv: i64,
    /// Messages read up to and with the one that brought the vector about.
    pub offset: u64,
    /// Receive time of the newest input of the instrument.
    pub data_window_end: i64,
    /// Nanoseconds since the quietest input stream's newest event, by receive time.
    pub age_recv: i64,
    /// The same since that event happened, by venue time: a delay between venue and us counts. 0 without venue time.
    pub age_event: i64,
}

impl Stamp {
    /// Of a vector that a row at `t` brings about: what it rests on is the row's.
    #[inline(always)]
    pub(crate) fn of_row(instrument: u32, t: i64, offset: u64) -> Self {
        Self {
            instrument,
            ts_event: t,
            ts_recv: t,
            offset,
            data_window_end: t,
            age_recv: 0,
            age_event: 0,
        }
    }
}

/// Vectors as columns. Row `i` of every column belongs to `stamps[i]`. An invalid value is NaN with its reason.
#[derive(Clone, Debug, Default)]
pub struct Vectors {
    /// Instrument ids by number.
    pub instruments: Arc<Vec<String>>,
    /// One a vector.
    pub stamps: Vec<Stamp>,
    /// Values, one column a feature.
    pub values: Vec<Vec<f64>>,
    /// Reason codes, placed alike.
    pub reasons: Vec<Vec<Code>>,
}

impl Vectors {
    /// No vectors, of so many features.
    pub fn new(features: usize) -> Self {
        Self {
            values: vec![Vec::new(); features],
            reasons: vec![Vec::new(); features],
            ..Self::default()
        }
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.stamps.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.stamps.is_empty()
    }

    /// Makes room for as many vectors more.
    pub(crate) fn reserve(&mut self, vectors: usize) {
        self.stamps.reserve(vectors);
        self.values
            .iter_mut()
            .for_each(|column| column.reserve(vectors));
        self.reasons
            .iter_mut()
            .for_each(|column| column.reserve(vectors));
    }

    /// Appends the vector that stands in the registers of one event.
    #[inline]
    pub(crate) fn push_one(&mut self, stamp: Stamp, regs: &Registers, columns: &[usize]) {
        self.stamps.push(stamp);
        for ((values, reasons), &reg) in self.values.iter_mut().zip(&mut self.reasons).zip(columns)
        {
            values.push(regs.values[reg]);
            reasons.push(regs.reasons[reg]);
        }
    }

    /// Appends vector `i` of others with the same columns, under another stamp.
    pub(crate) fn push_row_of(&mut self, others: &Vectors, i: usize, stamp: Stamp) {
        self.stamps.push(stamp);
        for (column, other) in self.values.iter_mut().zip(&others.values) {
            column.push(other[i]);
        }
        for (column, other) in self.reasons.iter_mut().zip(&others.reasons) {
            column.push(other[i]);
        }
    }

    /// Appends a vector without values.
    pub(crate) fn push_missing(&mut self, stamp: Stamp, why: Code) {
        self.stamps.push(stamp);
        self.values
            .iter_mut()
            .for_each(|column| column.push(f64::NAN));
        self.reasons.iter_mut().for_each(|column| column.push(why));
    }

    /// Appends the vectors that stand in the registers of a block of `n` events.
    #[inline(always)]
    pub(crate) fn push_block(&mut self, n: usize, regs: &Registers, columns: &[usize]) {
        for ((values, reasons), &reg) in self.values.iter_mut().zip(&mut self.reasons).zip(columns)
        {
            values.extend_from_slice(regs.rows(reg, n));
            if regs.clean[reg] {
                reasons.resize(reasons.len() + n, VALID);
            } else {
                reasons.extend_from_slice(regs.codes(reg, n));
            }
        }
    }

    /// Bytes that the columns have room for.
    pub fn bytes(&self) -> usize {
        let values: usize = self.values.iter().map(Vec::capacity).sum();
        let reasons: usize = self.reasons.iter().map(Vec::capacity).sum();
        self.stamps.capacity() * size_of::<Stamp>() + values * size_of::<f64>() + reasons
    }

    /// Removes all vectors, keeping the room.
    pub fn clear(&mut self) {
        self.stamps.clear();
        self.values.iter_mut().for_each(Vec::clear);
        self.reasons.iter_mut().for_each(Vec::clear);
    }
}

/// sha256 over instrument, times, bits and reasons of one vector.
pub fn row_digest(
    instrument: &str,
    stamp: &Stamp,
    row: impl Iterator<Item = (f64, Code)>,
) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(512);
    bytes.extend_from_slice(instrument.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(&stamp.ts_event.to_le_bytes());
    bytes.extend_from_slice(&stamp.ts_recv.to_le_bytes());
    for (value, code) in row {
        bytes.extend_from_slice(&value.to_bits().to_le_bytes());
        bytes.push(code);
    }
    Sha256::digest(&bytes).into()
}
