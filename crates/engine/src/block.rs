//! Rows in blocks: of one instrument as they stand, of several instrument by instrument.

use crate::engine::Engine;
use crate::layout::Layout;
use crate::registers::{Code, Registers, VALID};
use crate::sides::Sides;
use crate::table::{Column, Instruments, Rows, Table, cell};
use crate::vectors::{Stamp, Vectors};
use signal_event::Reason;
use signal_kernels::BLOCK;
use signal_kernels::elementwise::map;
use signal_kernels::lanes::{Isa, expect};

/// Rows that are put in order of their instruments at a time.
const GROUPED_MAX: usize = 1 << 18;

/// The row of a bar that is missing.
const MISSING: u32 = u32::MAX;

/// Rows on their way to blocks, kept for their memory.
#[derive(Debug, Default)]
pub(crate) struct Grouping {
    entries: Vec<Entry>,
    /// Where each entry stands in the order of instruments, each one's in order of time. To go through the entries and not
    /// through that order keeps to as many places in memory as there are instruments.
    places: Vec<u32>,
    /// The instruments that have entries, with the end of each one's.
    ends: Vec<(u32, u32)>,
    counts: Vec<u32>,
    times: Vec<i64>,
    values: Vec<Vec<f64>>,
    codes: Vec<Vec<Code>>,
    made: Vectors,
}

/// A row, or a bar that is missing.
#[derive(Clone, Copy, Debug)]
struct Entry {
    t: i64,
    instrument: u32,
    row: u32,
    offset: u64,
}

impl Engine {
    /// `n` rows in one go.
    #[inline(always)]
    pub(crate) fn table_block<I: Isa>(
        &mut self,
        isa: I,
        layout: &Layout,
        rows: &Rows<'_>,
        row: usize,
        n: usize,
        out: &mut Vectors,
    ) {
        let (first, last) = (rows.times[row], rows.times[row + n - 1]);
        let offset = self.messages;
        self.block(isa, layout, rows, row, n, out);
        if self.instruments[rows.instrument].own {
            let stamps = (offset + 1..).zip(&rows.times[row..row + n]);
            out.stamps.extend(
                stamps.map(|(offset, &t)| Stamp::of_row(rows.instrument as u32, t, offset)),
            );
        }
        self.messages += n as u64;
        self.rows.take_many(n, last);
        self.await_bar(layout, rows.instrument, last);
        self.start(first, last);
    }

    /// Rows from `first` to `last` on the axis were taken.
    fn start(&mut self, first: i64, last: i64) {
        self.heard = self.heard.max(last);
        if !self.started {
            self.started = true;
            self.schedule.start(first);
        }
    }

    /// The vectors of `n` rows, without their stamps.
    #[inline(always)]
    fn block<I: Isa>(
        &mut self,
        isa: I,
        layout: &Layout,
        rows: &Rows<'_>,
        row: usize,
        n: usize,
        out: &mut Vectors,
    ) {
        let i = rows.instrument;
        let times = &rows.times[row..row + n];
        self.instruments[i].seen = true;
        for fed in &layout.fed {
            let p = fed.program;
            let regs = &mut self.block[p];
            for &(reg, column) in &fed.columns {
                load_block(regs, usize::from(reg), &rows.columns[column], row, n);
            }
            if let Some(traded) = fed.traded.filter(|_| fed.bars) {
                empty_prices(regs, &fed.prices, &rows.columns[traded], row, n);
            }
            for &reg in &fed.ones {
                let at = regs.at(usize::from(reg));
                regs.values[at..at + n].fill(1.0);
                regs.clean[usize::from(reg)] = true;
            }
            for &(reg, program, export) in &fed.lasts {
                // The earlier program ran on the same rows: its columns are still there.
                let (earlier, mine) = self.block.split_at_mut(p);
                let source = self.plan.programs[program].exports[export];
                mine[0].take_rows(usize::from(reg), &earlier[program], source, n);
            }
            let Some(machine) = &mut self.instruments[i].machines[p] else {
                continue;
            };
            let valid = match &fed.sides {
                Some(sides) => check_block(&mut self.block[p], sides, rows, row, n),
                None => Some(0),
            };
            let code = valid.map_or(Reason::Crossed.code(), |_| VALID);
            machine.note(times[valid.unwrap_or(0)], code, &self.plan.programs[p]);
            machine.steps_block(isa, &mut self.block[p], times);
            machine.note(times[n - 1], code, &self.plan.programs[p]);
            self.instruments[i].venue[p] = times[n - 1];
            self.instruments[i].heard[p] = times[n - 1];
            if p == self.plan.on {
                out.push_block(n, &self.block[p], &self.plan.columns);
            }
        }
    }

    /// Rows of several instruments from `next` on, as many as there is room for: each instrument's in blocks, the vectors
    /// in the order of the rows. Instruments do not read each other here.
    #[inline(always)]
    pub(crate) fn rows_by_instrument<I: Isa>(
        &mut self,
        isa: I,
        layout: &Layout,
        table: &Table<'_>,
        next: &mut usize,
        room: usize,
        out: &mut Vectors,
    ) {
        let mut grouping = std::mem::take(&mut self.grouping);
        let most = room.saturating_sub(out.len()).clamp(1, GROUPED_MAX);
        self.list(layout, table, next, most, &mut grouping.entries);
        grouping.sort(self.instruments.len());
        grouping.gather(layout, table.columns);
        let Grouping {
            entries,
            places,
            ends,
            times,
            values,
            codes,
            made,
            ..
        } = &mut grouping;
        let columns: Vec<Column<'_>> = values
            .iter()
            .zip(codes.iter())
            .map(|(values, codes)| Column {
                values,
                codes: (!codes.is_empty()).then_some(codes),
            })
            .collect();
        if made.values.len() != self.plan.columns.len() {
            *made = Vectors::new(self.plan.columns.len());
        }
        made.clear();
        let mut from = 0;
        for &(instrument, end) in ends.iter() {
            let rows = Rows {
                instrument: instrument as usize,
                times,
                columns: &columns,
            };
            while from < end as usize {
                let n = BLOCK.min(end as usize - from);
                self.block(isa, layout, &rows, from, n, made);
                from += n;
            }
        }
        if let (Some(first), Some(last)) = (entries.first(), entries.last()) {
            self.start(first.t, last.t);
        }
        put_back(entries, places, made, out);
        self.grouping = grouping;
    }

    /// Lists rows and the bars that are missing between them, in order of time.
    fn list(
        &mut self,
        layout: &Layout,
        table: &Table<'_>,
        next: &mut usize,
        most: usize,
        entries: &mut Vec<Entry>,
    ) {
        entries.clear();
        let Instruments::Each(of) = table.instruments else {
            return;
        };
        let ns = layout.bars_ns.unwrap_or(0);
        while *next < of.len() && entries.len() < most {
            let (row, t) = (*next, table.times[*next]);
            if self.rows.begun != row + 1 {
                self.rows.begun = row + 1;
                self.messages += 1;
            }
            let offset = self.messages;
            while self.schedule.rows() < t && entries.len() < most {
                let moment = self.schedule.rows();
                let instruments = self.instruments.iter().enumerate();
                let missing = instruments.filter(|(_, each)| each.bar_due == moment && each.own);
                entries.extend(missing.map(|(i, _)| Entry {
                    t: moment,
                    instrument: i as u32,
                    row: MISSING,
                    offset,
                }));
                self.pass_bars(moment, moment.saturating_add(ns), true);
            }
            if self.schedule.rows() < t {
                return;
            }
            let i = of[row] as usize;
            if self.instruments[i].own {
                entries.push(Entry {
                    t,
                    instrument: of[row],
                    row: row as u32,
                    offset,
                });
            }
            self.rows.take(t);
            self.await_bar(layout, i, t);
            self.rows.begun = 0;
            *next += 1;
        }
    }
}

impl Grouping {
    /// Finds the place of each entry.
    fn sort(&mut self, instruments: usize) {
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
    fn gather(&mut self, layout: &Layout, columns: &[Column<'_>]) {
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
fn put_back(entries: &[Entry], places: &[u32], made: &Vectors, out: &mut Vectors) {
    let stamps = entries.iter();
    out.stamps
        .extend(stamps.map(|entry| Stamp::of_row(entry.instrument, entry.t, entry.offset)));
    for (to, from) in out.values.iter_mut().zip(&made.values) {
        to.extend(places.iter().map(|&place| from[place as usize]));
    }
    for (to, from) in out.reasons.iter_mut().zip(&made.reasons) {
        to.extend(places.iter().map(|&place| from[place as usize]));
    }
}

/// Prices of bars without trades are not unknown; there are none.
#[inline(always)]
fn empty_prices(
    regs: &mut Registers,
    prices: &[crate::registers::Slot],
    traded: &Column<'_>,
    row: usize,
    n: usize,
) {
    for &reg in prices {
        let reg = usize::from(reg);
        if regs.clean[reg] {
            continue;
        }
        let at = regs.at(reg);
        for k in 0..n {
            if regs.reasons[at + k] == Reason::Missing.code()
                && cell(traded, row + k) == (0.0, VALID)
            {
                regs.set(at + k, 0.0, Reason::Empty.code());
            }
        }
    }
}

/// Marks what is invalid in `n` rows of a quote or a book; gives the first of them at which the stream is valid.
#[inline(always)]
fn check_block(
    regs: &mut Registers,
    sides: &Sides,
    rows: &Rows<'_>,
    row: usize,
    n: usize,
) -> Option<usize> {
    if sides.are_plain(rows.columns, row..row + n) {
        return Some(0);
    }
    check_each(regs, sides, rows, row, n)
}

#[cold]
fn check_each(
    regs: &mut Registers,
    sides: &Sides,
    rows: &Rows<'_>,
    row: usize,
    n: usize,
) -> Option<usize> {
    let mut first = None;
    for k in 0..n {
        let valid = sides.check(
            |column| cell(&rows.columns[column], row + k),
            |reg, code| {
                let reg = usize::from(reg);
                let at = regs.at(reg);
                if std::mem::take(&mut regs.clean[reg]) {
                    regs.reasons[at..at + n].fill(VALID);
                }
                regs.set(at + k, 0.0, code);
            },
        );
        if valid == VALID && first.is_none() {
            first = Some(k);
        }
    }
    first
}

/// Loads `n` rows of a column.
#[inline(always)]
fn load_block(regs: &mut Registers, reg: usize, column: &Column<'_>, row: usize, n: usize) {
    let at = regs.at(reg);
    let next = row + n..column.values.len().min(row + n + BLOCK);
    expect(&column.values[next]);
    let faults = map(
        &column.values[row..row + n],
        &mut regs.values[at..at + n],
        |x| x,
    );
    regs.clean[reg] = faults == 0 && column.codes.is_none();
    if !regs.clean[reg] {
        regs.clean[reg] = true;
        for k in 0..n {
            let (value, code) = cell(column, row + k);
            regs.set(at + k, value, code);
            regs.clean[reg] &= code == VALID;
        }
    }
}
