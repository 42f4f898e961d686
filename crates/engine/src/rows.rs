//! What an engine remembers of a table's rows.

use signal_ingest::Counts;
use signal_kernels::state::{
    Exhausted, put_f64, put_i64, put_u64, take, take_f64, take_i64, take_u64,
};
use signal_runtime::program_state::NEVER;
use signal_runtime::registers::Code;
use std::collections::BTreeMap;

/// Columns of a row at most.
const COLUMNS_MAX: u64 = 1 << 12;

/// A row on venue time that waits for its turn.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Venue time.
    pub t: i64,
    pub instrument: usize,
    pub received: i64,
    pub cells: Box<[(f64, Code)]>,
}

/// Rows so far.
///
/// Invariant: `counts` balance but for the rows that wait.
#[derive(Clone, Debug)]
pub(crate) struct RowState {
    /// Axis time of the newest row.
    pub newest: i64,
    /// One more than the number of the row that has been counted but not taken, within one call; 0 if none is.
    pub begun: usize,
    pub counts: Counts,
    /// On venue time: rows by time, instrument and arrival.
    reorder: BTreeMap<(i64, usize, u64), Row>,
    arrivals: u64,
}

impl Default for RowState {
    fn default() -> Self {
        Self {
            newest: NEVER,
            begun: 0,
            counts: Counts::default(),
            reorder: BTreeMap::new(),
            arrivals: 0,
        }
    }
}

impl RowState {
    /// A row is taken at axis time `t`.
    #[inline(always)]
    pub fn take(&mut self, t: i64) {
        self.newest = self.newest.max(t);
        self.counts.input += 1;
        self.counts.accepted += 1;
    }

    /// So many rows are taken, the newest at `t`.
    pub fn take_many(&mut self, rows: usize, t: i64) {
        self.newest = self.newest.max(t);
        self.counts.input += rows as u64;
        self.counts.accepted += rows as u64;
    }

    /// A row came too late.
    pub fn refuse_late(&mut self) {
        self.counts.input += 1;
        self.counts.late += 1;
    }

    /// Keeps a row until its turn.
    pub fn hold(&mut self, row: Row) {
        self.reorder
            .insert((row.t, row.instrument, self.arrivals), row);
        self.arrivals += 1;
    }

    /// Time of the first row that waits, if its turn has come at `watermark`.
    pub fn first_turn(&self, watermark: i64) -> Option<i64> {
        let (&(t, ..), _) = self.reorder.first_key_value()?;
        (t <= watermark).then_some(t)
    }

    /// Takes it.
    pub fn take_turn(&mut self) -> Option<Row> {
        self.reorder.pop_first().map(|(_, row)| row)
    }

    /// Rows that wait.
    pub fn waiting(&self) -> usize {
        self.reorder.len()
    }

    /// Appends the state.
    pub fn save(&self, out: &mut Vec<u8>) {
        put_i64(out, self.newest);
        for count in [
            self.counts.input,
            self.counts.accepted,
            self.counts.late,
            self.arrivals,
        ] {
            put_u64(out, count);
        }
        put_u64(out, self.reorder.len() as u64);
        for (&(.., arrival), row) in &self.reorder {
            put_i64(out, row.t);
            put_u64(out, row.instrument as u64);
            put_u64(out, arrival);
            put_i64(out, row.received);
            put_cells(out, Some(&row.cells));
        }
    }

    /// Reads what [`RowState::save`] wrote.
    pub fn load(bytes: &mut &[u8]) -> Result<Self, Exhausted> {
        let mut rows = Self {
            newest: take_i64(bytes)?,
            ..Self::default()
        };
        rows.counts.input = take_u64(bytes)?;
        rows.counts.accepted = take_u64(bytes)?;
        rows.counts.late = take_u64(bytes)?;
        rows.arrivals = take_u64(bytes)?;
        for _ in 0..take_u64(bytes)? {
            let t = take_i64(bytes)?;
            let instrument = take_u64(bytes)?;
            let arrival = take_u64(bytes)?;
            let received = take_i64(bytes)?;
            let cells = take_cells(bytes)?.ok_or(Exhausted)?;
            if instrument > u64::from(u32::MAX) {
                return Err(Exhausted);
            }
            let instrument = instrument as usize;
            let row = Row {
                t,
                instrument,
                received,
                cells,
            };
            rows.reorder.insert((t, instrument, arrival), row);
        }
        Ok(rows)
    }

    /// Whether every row that waits is of one of so many instruments and has so many columns.
    pub fn fits(&self, instruments: usize, columns: usize) -> bool {
        let mut rows = self.reorder.values();
        rows.all(|row| row.instrument < instruments && row.cells.len() == columns)
    }
}

/// Appends a row's numbers, or that there are none.
pub(crate) fn put_cells(out: &mut Vec<u8>, cells: Option<&[(f64, Code)]>) {
    let cells = cells.unwrap_or_default();
    put_u64(out, cells.len() as u64);
    for &(value, code) in cells {
        put_f64(out, value);
        out.push(code);
    }
}

/// Takes what [`put_cells`] wrote.
#[allow(clippy::type_complexity)]
pub(crate) fn take_cells(bytes: &mut &[u8]) -> Result<Option<Box<[(f64, Code)]>>, Exhausted> {
    let count = take_u64(bytes)?;
    if count > COLUMNS_MAX {
        return Err(Exhausted);
    }
    let mut cells = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let value = take_f64(bytes)?;
        let [code] = take(bytes)?;
        cells.push((value, code));
    }
    Ok((count > 0).then(|| cells.into()))
}
