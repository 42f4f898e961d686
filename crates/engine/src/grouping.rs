//! Rows of several instruments, put into the order of their instruments for blocks.

use crate::columns::Column;
use crate::layout::Layout;
use crate::vectors::{Stamp, Vectors};
use signal_kernels::BLOCK;
use signal_runtime::registers::{Code, VALID};

/// Rows that are put in order of their instruments at a time.
pub(crate) const GROUPED_MAX: usize = 1 << 18;

/// The row of a bar that is missing.
pub(crate) const MISSING: u32 = u32::MAX;

/// Rows on their way to blocks, kept for their memory.
#[derive(Debug, Default)]
pub(crate) struct Grouping {
    pub(crate) entries: Vec<Entry>,
    /// Where each entry stands in the order of instruments, each one's in order of time. To go through the entries and not
    /// through that order keeps to as many places in memory as there are instruments.
    pub(crate) places: Vec<u32>,
    /// The instruments that have entries, with the end of each one's.
    pub(crate) ends: Vec<(u32, u32)>,
    pub(crate) counts: Vec<u32>,
    pub(crate) times: Vec<i64>,
    pub(crate) values: Vec<Vec<f64>>,
    pub(crate) codes: Vec<Vec<Code>>,
    pub(crate) made: Vectors,
}

/// A row, or a bar that is missing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) t: i64,
    pub(crate) instrument: u32,
    pub(crate) row: u32,
    pub(crate) offset: u64,
}

impl Grouping {
    /// Finds the place of each entry.
    pub(crate) fn sort(&mut self, instruments: usize) {
        let (entries, places, ends) = (&self.entries, &mut self.places, &mut self.ends);
        places.clear();
        places.resize(entries.len(), 0);
        ends.clear();
        if entries.len() < instruments / 8 {
            let mut order: Vec<u32> = (0..entries.len() as u32).collect();
            order.sort_by_key(|&k| entries[k as usize].instrument);
            for (place, &k) in (0..).zip(&order) {
                places[k as usize] = place;
                let instrument = entries[k as usize].instrument;
                match ends.last_mut() {
                    Some((last, end)) if *last == instrument => *end = place + 1,
                    _ => ends.push((instrument, place + 1)),
                }
            }
            return;
        }
        self.counts.clear();
        self.counts.resize(instruments, 0);
        for entry in entries {
            self.counts[entry.instrument as usize] += 1;
        }
        let mut next = 0;
        for (instrument, count) in (0..).zip(&mut self.counts) {
            let start = next;
            next += *count;
            if *count > 0 {
                ends.push((instrument, next));
            }
            *count = start;
        }
        for (place, entry) in places.iter_mut().zip(entries) {
            let next = &mut self.counts[entry.instrument as usize];
            *place = *next;
            *next += 1;
        }
    }

    /// Times and columns in the order of instruments.
    pub(crate) fn gather(&mut self, layout: &Layout, columns: &[Column<'_>]) {
        let (entries, places) = (&self.entries, &self.places);
        let placed = || {
            let places = places.iter().map(|&place| place as usize);
            places.zip(entries)
        };
        self.times.resize(entries.len(), 0);
        placed().for_each(|(at, entry)| self.times[at] = entry.t);
        self.values.resize_with(columns.len(), Vec::new);
        self.codes.resize_with(columns.len(), Vec::new);
        let missing = entries.iter().any(|entry| entry.row == MISSING);
        for (c, column) in columns.iter().enumerate() {
            let (values, codes) = (&mut self.values[c], &mut self.codes[c]);
            values.resize(entries.len(), 0.0);
            codes.clear();
            if !missing && column.codes.is_none() {
                placed().for_each(|(at, entry)| values[at] = column.values[entry.row as usize]);
                continue;
            }
            codes.resize(entries.len(), VALID);
            for (at, entry) in placed() {
                (values[at], codes[at]) = match entry.row as usize {
                    _ if entry.row == MISSING => layout.quiet(c),
                    row => (
                        column.values[row],
                        column.codes.map_or(VALID, |codes| codes[row]),
                    ),
                };
            }
        }
    }
}

/// Appends vectors that were made in the order of instruments, in the order of their entries.
pub(crate) fn put_back(entries: &[Entry], places: &[u32], made: &Vectors, out: &mut Vectors) {
    let stamps = entries.iter();
    out.stamps
        .extend(stamps.map(|entry| Stamp::of_row(entry.instrument, entry.t, entry.offset)));
    let to = out.values.iter_mut().zip(&mut out.reasons);
    for ((values, reasons), (made, why)) in to.zip(made.values.iter().zip(&made.reasons)) {
        for places in places.chunks(BLOCK) {
            let from = values.len();
            values.extend(places.iter().map(|&place| made[place as usize]));
            // What is invalid is NaN: where nothing is, no reason needs to be looked for.
            let invalid = values[from..].iter().fold(false, |any, x| any | x.is_nan());
            if invalid {
                reasons.extend(places.iter().map(|&place| why[place as usize]));
            } else {
                reasons.resize(from + places.len(), VALID);
            }
        }
    }
}
