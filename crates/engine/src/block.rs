//! Rows in blocks: of one instrument as they stand, of several instrument by instrument.

use crate::columns::{Column, Instruments, Rows, Table, cell};
use crate::engine::Engine;
use crate::grouping::{Entry, GROUPED_MAX, Grouping, MISSING, put_back};
use crate::layout::Layout;
use crate::sides::are_plain;
use crate::vectors::{Stamp, Vectors};
use signal_kernels::BLOCK;
use signal_kernels::elementwise::map;
use signal_kernels::simd::{Simd, expect};
use signal_runtime::Reason;
use signal_runtime::registers::{Registers, VALID};

impl Engine {
    /// `n` rows in one go.
    #[inline(always)]
    pub(crate) fn table_block<I: Simd>(
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
        self.recv_ts_max = self.recv_ts_max.max(last);
        if !self.started {
            self.started = true;
            self.schedule.start(first);
        }
    }

    /// The vectors of `n` rows, without their stamps.
    #[inline(always)]
    fn block<I: Simd>(
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
            let regs = &mut self.batch_regs[p];
            for &(reg, column) in &fed.inputs.columns {
                load_block(regs, usize::from(reg), &rows.columns[column], row, n);
            }
            if let Some(traded) = fed.traded.filter(|_| fed.bars) {
                empty_prices(regs, &fed.prices, &rows.columns[traded], row, n);
            }
            for &reg in &fed.inputs.ones {
                let at = regs.at(usize::from(reg));
                regs.values[at..at + n].fill(1.0);
                regs.clean[usize::from(reg)] = true;
            }
            for &(reg, f) in &fed.times {
                self.time.load(regs, usize::from(reg), f, times);
            }
            for &(reg, program, export) in &fed.lasts {
                // The earlier program ran on the same rows: its columns are still there.
                let (earlier, mine) = self.batch_regs.split_at_mut(p);
                let source = self.plan.programs[program].code.exports[export];
                mine[0].take_rows(usize::from(reg), &earlier[program], source, n);
            }
            let Some(state) = &mut self.instruments[i].program_states[p] else {
                continue;
            };
            let valid = match &fed.inputs.sides {
                Some(sides) => check_block(&mut self.batch_regs[p], sides, rows, row, n),
                None => Some(0),
            };
            let code = valid.map_or(Reason::Crossed.code(), |_| VALID);
            state.note(times[valid.unwrap_or(0)], code, &self.plan.programs[p].code);
            state.steps_block(isa, &mut self.batch_regs[p], times, &mut self.scratch);
            state.note(times[n - 1], code, &self.plan.programs[p].code);
            self.instruments[i].venue[p] = times[n - 1];
            self.instruments[i].recv_ts_max[p] = times[n - 1];
            if p == self.plan.on {
                out.push_block(n, &self.batch_regs[p], &self.plan.columns);
            }
        }
    }

    /// Rows of several instruments from `next` on, as many as there is room for: each instrument's in blocks, the vectors
    /// in the order of the rows. Instruments do not read each other here.
    #[inline(always)]
    pub(crate) fn rows_by_instrument<I: Simd>(
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

/// Prices of bars without trades are not unknown; there are none.
#[inline(always)]
fn empty_prices(
    regs: &mut Registers,
    prices: &[signal_runtime::registers::Slot],
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
    sides: &signal_runtime::Sides,
    rows: &Rows<'_>,
    row: usize,
    n: usize,
) -> Option<usize> {
    if are_plain(sides, rows.columns, row..row + n) {
        return Some(0);
    }
    check_each(regs, sides, rows, row, n)
}

#[cold]
fn check_each(
    regs: &mut Registers,
    sides: &signal_runtime::Sides,
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
