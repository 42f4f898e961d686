//! Rows of numbers as events: bars, trades or quotes that come as columns of a table.
//!
//! A row is one event of each stream whose fields the table has, in the order book, quotes, trades, bars. Rows of several
//! instruments come in order of time. Bars that end together are one moment: where the graph reads instruments that it
//! names or takes values across instruments, they wait until the moment has passed. Where the plan allows it (no clock, no bars to build, nothing sampled
//! from a later stream or another instrument) rows run in blocks, instrument by instrument; the bits are the same.

use crate::columns::{Column, Instruments, Rows, Table, cell};
use crate::engine::Engine;
use crate::error::{EngineError, refuse};
use crate::instrument::Instrument;
use crate::layout::{Layout, RowBinding};
use crate::rows::Row;
use crate::vectors::Vectors;
use signal_event::Side;
use signal_kernels::BLOCK;
#[cfg(target_arch = "x86_64")]
use signal_kernels::simd::Avx2;
use signal_kernels::simd::{BASELINE, Simd};
use signal_runtime::Reason;
use signal_runtime::program_state::NEVER;
use signal_runtime::registers::{Code, Registers, VALID};
use std::sync::Arc;

/// The first row that lies before the one in front of it, or before `newest`.
fn disorder(newest: i64, times: &[i64]) -> Option<usize> {
    let sorted = times
        .windows(2)
        .fold(true, |sorted, pair| sorted & (pair[0] <= pair[1]));
    match times.first() {
        Some(&first) if first < newest => Some(0),
        _ if sorted => None,
        _ => times
            .windows(2)
            .position(|pair| pair[0] > pair[1])
            .map(|k| k + 1),
    }
}

impl Engine {
    /// Takes the rows of a table and appends the vectors that they bring about. How rows are read, the engine's options
    /// say. Rows of receive time that are not in order are refused, none of them taken.
    pub fn push_table(&mut self, table: &Table<'_>, out: &mut Vectors) -> Result<(), EngineError> {
        self.push_rows(table, &mut 0, usize::MAX, out).map(|_| ())
    }

    /// The same from row `next` on, until `out` holds about `room` vectors. `false` if something is left: call again with
    /// the same table and `next`.
    pub fn push_rows(
        &mut self,
        table: &Table<'_>,
        next: &mut usize,
        room: usize,
        out: &mut Vectors,
    ) -> Result<bool, EngineError> {
        let Some(layout) = self.options.table.clone() else {
            return refuse(
                "TABLE",
                "the engine was made for messages, not for rows".into(),
            );
        };
        let rows = table.times.len();
        let fits = |column: &Column<'_>| {
            column.values.len() == rows && column.codes.is_none_or(|codes| codes.len() == rows)
        };
        let named = match table.instruments {
            Instruments::One(i) => i < self.instruments.len(),
            Instruments::Each(all) => {
                all.len() == rows && all.iter().all(|&i| (i as usize) < self.instruments.len())
            }
        };
        let heard = table.received.is_none_or(|received| received.len() == rows);
        if table.columns.len() != layout.columns()
            || !table.columns.iter().all(fits)
            || !named
            || !heard
        {
            return refuse(
                "TABLE",
                format!("expected {} columns of {rows} rows each", layout.columns()),
            );
        }
        out.instruments = Arc::clone(&self.names);
        if self.reorder.is_some() {
            return Ok(self.rows_in_turn(&layout, table, next, room, out));
        }
        if *next == 0
            && let Some(row) = disorder(self.rows.newest, table.times)
        {
            return refuse(
                "LATE",
                format!("row {row} goes back in time: sort the table by time first"),
            );
        }
        out.reserve((rows - *next).min(room));
        self.table_rows(&layout, table, next, room, out)
    }

    fn table_rows(
        &mut self,
        layout: &Layout,
        table: &Table<'_>,
        next: &mut usize,
        room: usize,
        out: &mut Vectors,
    ) -> Result<bool, EngineError> {
        #[cfg(target_arch = "x86_64")]
        if self.simd {
            #[allow(unsafe_code)]
            // SAFETY: `simd` is only set where the processor has AVX2.
            unsafe {
                return self.table_rows_avx2(Avx2::new(), layout, table, next, room, out);
            }
        }
        self.table_rows_on(BASELINE, layout, table, next, room, out)
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn table_rows_avx2(
        &mut self,
        isa: Avx2,
        layout: &Layout,
        table: &Table<'_>,
        next: &mut usize,
        room: usize,
        out: &mut Vectors,
    ) -> Result<bool, EngineError> {
        self.table_rows_on(isa, layout, table, next, room, out)
    }

    #[inline(always)]
    fn table_rows_on<I: Simd>(
        &mut self,
        isa: I,
        layout: &Layout,
        table: &Table<'_>,
        next: &mut usize,
        room: usize,
        out: &mut Vectors,
    ) -> Result<bool, EngineError> {
        let rows = table.times.len();
        let mut looked_at = *next;
        while *next < rows {
            if out.len() >= room {
                return Ok(false);
            }
            if *next >= looked_at {
                looked_at = match table.instruments {
                    Instruments::One(_) => rows.min(*next + BLOCK),
                    Instruments::Each(_) => rows,
                };
                if table.is_below_zero(*next..looked_at) {
                    return refuse("BELOW_ZERO", "an amount is below 0".to_owned());
                }
            }
            match table.instruments {
                Instruments::One(instrument) if layout.blocks => {
                    let of_one = Rows {
                        instrument,
                        times: table.times,
                        columns: table.columns,
                    };
                    let n = self.without_holes(layout, &of_one, *next, BLOCK.min(rows - *next));
                    if n > 1 {
                        self.table_block(isa, layout, &of_one, *next, n, out);
                        *next += n;
                        continue;
                    }
                }
                Instruments::Each(_)
                    if layout.blocks && (layout.only_bars || !self.options.empty_bars) =>
                {
                    self.rows_by_instrument(isa, layout, table, next, room, out);
                    continue;
                }
                _ => {}
            }
            let (row, t) = (*next, table.times[*next]);
            if self.rows.begun != *next + 1 {
                self.rows.begun = *next + 1;
                self.messages += 1;
            }
            if !self.advance_to(t, room, out) {
                return Ok(false);
            }
            self.rows.begun = 0;
            let received = t;
            let cells = |column: usize| cell(&table.columns[column], row);
            self.row(layout, table.instruments.of(row), t, received, cells, out);
            *next += 1;
        }
        Ok(true)
    }

    /// How many of `most` rows from `row` on follow each other without a bar missing, in front of the first neither, nor a bar
    /// of another instrument, which may have rows in other pieces of the table alone.
    #[inline(always)]
    fn without_holes(&self, layout: &Layout, rows: &Rows<'_>, row: usize, most: usize) -> usize {
        let Some(ns) = layout.bars_ns.filter(|_| self.options.empty_bars) else {
            return most;
        };
        let due = self.instruments[rows.instrument].bar_due;
        let times = &rows.times[row..row + most];
        if due != NEVER && due != times[0] {
            return 0;
        }
        let others = self.instruments.iter().enumerate();
        let soonest = others
            .filter(|&(i, other)| i != rows.instrument && other.bar_due != NEVER)
            .map(|(_, other)| other.bar_due)
            .min()
            .unwrap_or(i64::MAX);
        if soonest < times[0] {
            return 0;
        }
        let beside = times
            .windows(2)
            .take_while(|pair| pair[1] - pair[0] == ns && pair[1] <= soonest);
        beside.count() + 1
    }

    /// Keeps to the instructions of the build even where the processor has more. The bits are the same.
    pub fn use_baseline_instructions(&mut self) {
        self.simd = false;
    }

    /// How rows of a table are read, for an engine that was restored before that was known.
    pub fn read_tables(&mut self, table: Arc<Layout>, empty_bars: bool) -> Result<(), EngineError> {
        if table.holds_bars() && !(self.built.timed.is_empty() && self.built.filled.is_empty()) {
            return refuse(
                "TABLE",
                "the engine builds its bars from trades, the rows are bars: make it for tables"
                    .into(),
            );
        }
        (self.options.table, self.options.empty_bars) = (Some(table), empty_bars);
        self.instruments.iter_mut().for_each(Instrument::make_all);
        Ok(())
    }

    /// Registers an instrument for tables.
    pub fn table_instrument(&mut self, id: &str) -> Result<usize, EngineError> {
        self.instrument(id, [signal_event::DEFAULT_SCALE; 2])
    }

    /// No more rows come: bars that waited for others of their moment happen. Which of that moment are missing only a
    /// later one would tell.
    pub fn finish(&mut self, out: &mut Vectors) {
        let reached = if self.reorder.is_some() {
            self.event_ts_released
        } else {
            self.rows.newest
        };
        while self.schedule.rows() < reached {
            self.end_rows(self.schedule.rows(), true, out);
        }
        if self.schedule.rows() == reached {
            self.end_rows(reached, false, out);
        }
        out.instruments = Arc::clone(&self.names);
    }

    /// One row at axis time `t`, which has been reached.
    #[inline(never)]
    pub(crate) fn row(
        &mut self,
        layout: &Layout,
        i: usize,
        t: i64,
        received: i64,
        cells: impl Fn(usize) -> (f64, Code),
        out: &mut Vectors,
    ) {
        self.rows.take(t);
        self.recv_ts_max = self.recv_ts_max.max(received);
        self.instruments[i].observe(t);
        if let Some([Some(price), Some(qty), side]) = layout.trades {
            let trade = [cells(price), cells(qty)];
            let side = aggressor(side.map_or(0.0, |side| cells(side).0));
            self.build_bars(i, t, trade, side);
            self.fill_from_row(i, [t, received], trade, side);
        }
        let waits = layout.holds_bars() && layout.crosses;
        if let Some(ns) = layout.bars_ns {
            self.note_part(layout, i, ns);
            if !waits {
                self.join_part(layout, i, t, &cells);
            }
        }
        let mut next = 0;
        for (f, fed) in layout.fed.iter().enumerate() {
            self.run_filled(&mut next, fed.program, i, t, out);
            if !(fed.bars && waits) {
                self.run_bar(layout, f, i, t, received, &cells, out);
            }
        }
        self.run_filled(&mut next, usize::MAX, i, t, out);
        if waits {
            let instrument = &mut self.instruments[i];
            instrument.held = Some((0..layout.columns()).map(&cells).collect());
            instrument.bar_due = t;
            self.schedule.expect_rows(t);
        } else {
            self.await_bar(layout, i, t);
        }
    }

    /// A bar of instrument `i` has ended at `t`; if none may be missing, the next one is awaited.
    #[inline(always)]
    pub(crate) fn await_bar(&mut self, layout: &Layout, i: usize, t: i64) {
        if self.options.empty_bars
            && let Some(ns) = layout.bars_ns
        {
            self.instruments[i].bar_due = t.saturating_add(ns);
            self.schedule.expect_rows(t.saturating_add(ns));
        }
    }

    fn build_bars(&mut self, i: usize, t: i64, [price, qty]: [(f64, Code); 2], side: Side) {
        for (_, bars) in &mut self.instruments[i].bars {
            if price.1 == VALID && qty.1 == VALID {
                let held = bars.trade(t, price.0, qty.0, side);
                debug_assert!(held.is_ok());
            } else {
                bars.trade_unknown();
            }
        }
    }

    /// Runs one program for a row, and makes the vector if the graph wants one here.
    pub(crate) fn run_fed(
        &mut self,
        fed: &RowBinding,
        i: usize,
        t: i64,
        received: i64,
        cells: &impl Fn(usize) -> (f64, Code),
        out: &mut Vectors,
    ) {
        self.run_fed_as(fed, i, [t, received], VALID, cells, out);
    }

    /// The same for what is itself invalid, unless `fault` is [`VALID`].
    pub(crate) fn run_fed_as(
        &mut self,
        fed: &RowBinding,
        i: usize,
        [t, received]: [i64; 2],
        fault: Code,
        cells: &impl Fn(usize) -> (f64, Code),
        out: &mut Vectors,
    ) {
        let p = fed.program;
        if !self.instruments[i].ready(p) {
            return;
        }
        let code = match load(&mut self.scalar_regs[p], fed, cells) {
            VALID => fault,
            code => code,
        };
        self.instruments[i].recv_ts_max[p] = received;
        if self.run_row(i, p, t, code) && self.instruments[i].own {
            let stamp = self.stamp(i, t, t);
            out.push_one(stamp, &self.scalar_regs[p], &self.plan.columns);
        }
    }

    /// Runs one program whose own numbers are loaded; `true` if the graph makes a vector here.
    pub(crate) fn run_row(&mut self, i: usize, p: usize, t: i64, code: Code) -> bool {
        let Some(mut state) = self.instruments[i].program_states[p].take() else {
            return false;
        };
        state.note(t, code, &self.plan.programs[p].code);
        self.sample(i, p, t);
        state.run_one(&mut self.scalar_regs[p], t, self.simd);
        self.instruments[i].program_states[p] = Some(state);
        self.instruments[i].venue[p] = t;
        p == self.plan.on
    }

    /// The bars that end at `moment`: those whose rows wait and, once it has `passed`, those whose rows are missing.
    pub(crate) fn end_rows(&mut self, moment: i64, passed: bool, out: &mut Vectors) {
        let Some(layout) = self.bar_layout().cloned() else {
            return self.schedule.set_rows(i64::MAX);
        };
        let due = |instrument: &Instrument| {
            instrument.bar_due == moment && (passed || instrument.held.is_some())
        };
        for i in 0..self.instruments.len() {
            if due(&self.instruments[i]) && (layout.fills || self.instruments[i].parts.is_some()) {
                let held = self.instruments[i].held.take();
                self.join_part(&layout, i, moment, &|column| match &held {
                    Some(cells) => cells[column],
                    None => layout.quiet(column),
                });
                self.instruments[i].held = held;
            }
        }
        for f in (0..layout.fed.len()).filter(|&f| layout.fed[f].bars) {
            for i in 0..self.instruments.len() {
                if !due(&self.instruments[i]) {
                    continue;
                }
                let (held, heard) = (self.instruments[i].held.take(), self.recv_ts_max);
                let cells = |column: usize| match &held {
                    Some(cells) => cells[column],
                    None => layout.quiet(column),
                };
                self.run_bar(&layout, f, i, moment, heard, &cells, out);
                self.instruments[i].held = held;
            }
            self.sections
                .take(layout.fed[f].program, moment, &self.instruments);
        }
        let next = layout.bars_ns.filter(|_| self.options.empty_bars);
        let next = next.map_or(NEVER, |ns| moment.saturating_add(ns));
        self.pass_bars(moment, next, passed);
    }

    /// Bars that were due at `moment`, or those of them whose rows came, are due at `next` now.
    pub(crate) fn pass_bars(&mut self, moment: i64, next: i64, all: bool) {
        let mut soonest = i64::MAX;
        for instrument in &mut self.instruments {
            if instrument.bar_due == moment && (all || instrument.held.is_some()) {
                (instrument.bar_due, instrument.held) = (next, None);
            }
            if instrument.bar_due != NEVER {
                soonest = soonest.min(instrument.bar_due);
            }
        }
        self.schedule.set_rows(soonest);
    }
}

fn aggressor(side: f64) -> Side {
    if side > 0.0 {
        Side::Buy
    } else if side < 0.0 {
        Side::Sell
    } else {
        Side::None
    }
}

/// Loads one row into a program's first registers; gives why the stream itself is invalid, if it is.
fn load(regs: &mut Registers, fed: &RowBinding, cells: &impl Fn(usize) -> (f64, Code)) -> Code {
    for &(reg, column) in &fed.inputs.columns {
        let (value, code) = cells(column);
        regs.set(usize::from(reg), value, code);
    }
    fed.inputs
        .ones
        .iter()
        .for_each(|&reg| regs.set(usize::from(reg), 1.0, VALID));
    if let Some(traded) = fed.traded.filter(|_| fed.bars)
        && cells(traded) == (0.0, VALID)
    {
        // Prices of a bar without trades are not unknown; there are none.
        for &reg in &fed.prices {
            if regs.reasons[usize::from(reg)] == Reason::Missing.code() {
                regs.set(usize::from(reg), 0.0, Reason::Empty.code());
            }
        }
    }
    match &fed.inputs.sides {
        Some(sides) => sides.check(cells, |reg, code| regs.set(usize::from(reg), 0.0, code)),
        None => VALID,
    }
}

impl Engine {
    /// Rows on venue time: each waits for its turn.
    fn rows_in_turn(
        &mut self,
        layout: &Layout,
        table: &Table<'_>,
        next: &mut usize,
        room: usize,
        out: &mut Vectors,
    ) -> bool {
        while *next < table.times.len() {
            let (row, t) = (*next, table.times[*next]);
            if self.rows.begun != *next + 1 {
                self.rows.begun = *next + 1;
                self.messages += 1;
                let received = table.received.map_or(t, |received| received[row]);
                self.recv_ts_max = self.recv_ts_max.max(received);
                let late = t < self.rows.newest.saturating_sub(self.options.lateness_ns);
                if self.rows.newest != NEVER && late {
                    self.rows.refuse_late();
                } else {
                    self.rows.newest = self.rows.newest.max(t);
                    let cells =
                        (0..layout.columns()).map(|column| cell(&table.columns[column], row));
                    self.rows.hold(Row {
                        t,
                        instrument: table.instruments.of(row),
                        received,
                        cells: cells.collect(),
                    });
                }
            }
            let watermark = self.rows.newest.saturating_sub(self.options.lateness_ns);
            while let Some(t) = self.rows.first_turn(watermark) {
                if !self.advance_to(t, room, out) {
                    return false;
                }
                self.event_ts_released = self.event_ts_released.max(t);
                if let Some(row) = self.rows.take_turn() {
                    let cells = |column: usize| row.cells[column];
                    self.row(layout, row.instrument, t, row.received, cells, out);
                }
            }
            self.rows.begun = 0;
            *next += 1;
        }
        true
    }
}
