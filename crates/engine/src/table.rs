//! Rows of numbers as events: bars, trades or quotes that come as columns of a table.
//!
//! A row is one event of each stream whose fields the table has, in the order book, quotes, trades, bars. Where the
//! plan allows it (no clock, no bars to build, nothing sampled from a later stream) rows run in blocks; the bits are
//! the same.

use crate::engine::Engine;
use crate::error::{EngineError, refuse};
use crate::layout::{Fed, Layout};
use crate::registers::{Code, Registers, Slot, VALID, fault};
use crate::sides::Sides;
use crate::vectors::{Stamp, Vectors};
use signal_event::{Reason, Side};
use signal_features::Source;
use signal_kernels::BLOCK;
use signal_kernels::elementwise::map;
#[cfg(target_arch = "x86_64")]
use signal_kernels::lanes::Avx2;
use signal_kernels::lanes::{BASELINE, Isa, expect};
use std::sync::Arc;

/// Numbers of a table's column. Null and NaN are two things.
#[derive(Clone, Copy, Debug)]
pub struct Column<'a> {
    /// One a row.
    pub values: &'a [f64],
    /// Whether the row has a value; none given means all have.
    pub present: Option<&'a [bool]>,
}

/// Rows of one instrument in order of time.
#[derive(Clone, Debug)]
pub struct Table<'a> {
    /// Number of the instrument.
    pub instrument: usize,
    /// Axis time of each row: for bars their end.
    pub times: &'a [i64],
    /// As in the layout.
    pub columns: &'a [Column<'a>],
}

fn cell(column: &Column<'_>, row: usize) -> (f64, Code) {
    match column.present {
        Some(present) if !present[row] => (0.0, Reason::Missing.code()),
        _ => number(column.values[row]),
    }
}

fn number(value: f64) -> (f64, Code) {
    if value.is_finite() {
        (value, VALID)
    } else {
        (0.0, Reason::Nan.code())
    }
}

/// The number of leading rows whose times do not fall, from `newest` on.
#[inline(always)]
fn in_order(newest: i64, times: &[i64]) -> usize {
    let starts = times.first().is_some_and(|&first| newest <= first);
    if starts
        && times
            .windows(2)
            .fold(true, |sorted, pair| sorted & (pair[0] <= pair[1]))
    {
        return times.len();
    }
    let before = std::iter::once(&newest).chain(times);
    before
        .zip(times)
        .take_while(|(before, t)| before <= t)
        .count()
}

impl Engine {
    /// Takes the rows of a table and appends the vectors that they bring about. Rows before the newest time are late
    /// and left out; gives how many.
    pub fn push_table(
        &mut self,
        layout: &Layout,
        table: &Table<'_>,
        out: &mut Vectors,
    ) -> Result<u64, EngineError> {
        let rows = table.times.len();
        let fits = |column: &Column<'_>| {
            column.values.len() == rows
                && column.present.is_none_or(|present| present.len() == rows)
        };
        if table.columns.len() != layout.columns() || !table.columns.iter().all(fits) {
            return refuse(
                "TABLE",
                format!("expected {} columns of {rows} rows each", layout.columns()),
            );
        }
        out.reserve(rows);
        let late = self.table_rows(layout, table, out);
        out.instruments = Arc::clone(&self.names);
        Ok(late)
    }

    fn table_rows(&mut self, layout: &Layout, table: &Table<'_>, out: &mut Vectors) -> u64 {
        #[cfg(target_arch = "x86_64")]
        if self.simd {
            #[allow(unsafe_code)]
            // SAFETY: `simd` is only set where the processor has AVX2.
            unsafe {
                return self.table_rows_avx2(Avx2::new(), layout, table, out);
            }
        }
        self.table_rows_on(BASELINE, layout, table, out)
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn table_rows_avx2(
        &mut self,
        isa: Avx2,
        layout: &Layout,
        table: &Table<'_>,
        out: &mut Vectors,
    ) -> u64 {
        self.table_rows_on(isa, layout, table, out)
    }

    #[inline(always)]
    fn table_rows_on<I: Isa>(
        &mut self,
        isa: I,
        layout: &Layout,
        table: &Table<'_>,
        out: &mut Vectors,
    ) -> u64 {
        let (mut late, mut row, rows) = (0, 0, table.times.len());
        while row < rows {
            let ahead = &table.times[row..rows.min(row + BLOCK)];
            match in_order(self.newest_row, ahead) {
                0 => {
                    late += 1;
                    row += 1;
                }
                n if layout.blocks && n > 1 => {
                    self.table_block(isa, layout, table, row, n, out);
                    row += n;
                }
                _ => {
                    self.table_row(layout, table, row, out);
                    row += 1;
                }
            }
        }
        late
    }

    /// Keeps to the instructions of the build even where the processor has more. The bits are the same.
    pub fn use_baseline_instructions(&mut self) {
        self.simd = false;
    }

    /// Registers an instrument for tables.
    pub fn table_instrument(&mut self, id: &str) -> Result<usize, EngineError> {
        self.instrument(id, [signal_event::DEFAULT_SCALE; 2])
    }

    /// Whether rows can be taken one by one, for the layout and an instrument: what they do not bring about is refused, not
    /// left out.
    pub fn check_rows(&self, layout: &Layout, i: usize) -> Result<(), EngineError> {
        let what = if let Source::Clock(_) = self.plan.graph.on {
            format!(
                "bound rows do not move the clock of a graph on {}: push tables",
                self.plan.graph.on
            )
        } else if layout.trades.is_some() {
            "bound rows are the bars themselves, none are built from trades: push tables, or bind bars".into()
        } else if layout.gives_bars_to(&self.plan) && !self.options.given_bars {
            "the engine builds its bars from trades, the rows are bars: bind them to an engine of their own".into()
        } else if self.instruments[i].machines[self.plan.on].is_none() {
            format!("the engine makes no vectors for {}", self.instruments[i].id)
        } else {
            return Ok(());
        };
        refuse("ROW", what)
    }

    #[inline(never)]
    fn table_row(&mut self, layout: &Layout, table: &Table<'_>, row: usize, out: &mut Vectors) {
        let (i, t) = (table.instrument, table.times[row]);
        self.begin_row(i, t, out);
        if let Some([Some(price), Some(qty), side]) = layout.trades {
            let side = side.map_or(0.0, |side| cell(&table.columns[side], row).0);
            let side = if side > 0.0 {
                Side::Buy
            } else if side < 0.0 {
                Side::Sell
            } else {
                Side::None
            };
            let ((price, bad_price), (qty, bad_qty)) = (
                cell(&table.columns[price], row),
                cell(&table.columns[qty], row),
            );
            for (_, bars) in &mut self.instruments[i].bars {
                if bad_price == VALID && bad_qty == VALID {
                    let held = bars.trade(t, price, qty, side);
                    debug_assert!(held.is_ok());
                } else {
                    bars.trade_unknown();
                }
            }
        }
        for fed in &layout.fed {
            let p = fed.program;
            for &(reg, column) in &fed.columns {
                let (value, code) = cell(&table.columns[column], row);
                self.one[p].set(usize::from(reg), value, code);
            }
            fed.ones
                .iter()
                .for_each(|&reg| self.one[p].set(usize::from(reg), 1.0, VALID));
            let valid = fed.sides.as_ref().map_or(VALID, |sides| {
                let regs = &mut self.one[p];
                sides.check(
                    |column| cell(&table.columns[column], row),
                    |reg, code| regs.set(usize::from(reg), 0.0, code),
                )
            });
            if self.run_row(i, p, t, valid) {
                let stamp = self.stamp(i, t, t);
                out.push_one(stamp, &self.one[p], &self.plan.columns);
            }
        }
    }

    fn begin_row(&mut self, i: usize, t: i64, out: &mut Vectors) {
        self.messages += 1;
        (self.newest_row, self.heard) = (t, t);
        self.reach(t, usize::MAX, out);
        self.instruments[i].observe(t);
    }

    /// Runs one program whose own numbers are loaded; `true` if the graph makes a vector here.
    fn run_row(&mut self, i: usize, p: usize, t: i64, valid: Code) -> bool {
        let Some(mut machine) = self.instruments[i].machines[p].take() else {
            return false;
        };
        machine.note(t, valid, &self.plan.programs[p]);
        self.sample(i, p, t);
        machine.run_one(&mut self.one[p], t, self.simd);
        self.instruments[i].machines[p] = Some(machine);
        self.instruments[i].venue[p] = t;
        self.instruments[i].heard[p] = t;
        p == self.plan.on
    }

    /// Takes one row of numbers, in the layout's order, and writes the vector: NaN where a feature is invalid. Gives the
    /// number of invalid features; `None` if the row brought no vector about. `reasons` takes the codes if given.
    #[inline]
    pub fn push_row(
        &mut self,
        layout: &Layout,
        i: usize,
        t: i64,
        row: &[f64],
        out: &mut [f64],
        reasons: Option<&mut [Code]>,
    ) -> Result<Option<usize>, EngineError> {
        if t < self.newest_row {
            return refuse(
                "LATE",
                format!(
                    "row at {t} comes after one at {}: rows must be in order",
                    self.newest_row
                ),
            );
        }
        if row.len() != layout.columns()
            || out.len() != self.plan.columns.len()
            || layout.trades.is_some()
        {
            return refuse(
                "ROW",
                format!(
                    "a row has {} numbers and a vector {}; found {} and {}",
                    layout.columns(),
                    self.plan.columns.len(),
                    row.len(),
                    out.len()
                ),
            );
        }
        #[cfg(target_arch = "x86_64")]
        if self.simd {
            #[allow(unsafe_code)]
            // SAFETY: `simd` is only set where the processor has AVX2.
            unsafe {
                return Ok(self.bound_row_avx2(Avx2::new(), layout, i, t, row, out, reasons));
            }
        }
        Ok(self.bound_row(BASELINE, layout, i, t, row, out, reasons))
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    #[allow(clippy::too_many_arguments)]
    fn bound_row_avx2(
        &mut self,
        isa: Avx2,
        layout: &Layout,
        i: usize,
        t: i64,
        row: &[f64],
        out: &mut [f64],
        reasons: Option<&mut [Code]>,
    ) -> Option<usize> {
        self.bound_row(isa, layout, i, t, row, out, reasons)
    }

    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn bound_row<I: Isa>(
        &mut self,
        isa: I,
        layout: &Layout,
        i: usize,
        t: i64,
        row: &[f64],
        out: &mut [f64],
        reasons: Option<&mut [Code]>,
    ) -> Option<usize> {
        self.messages += 1;
        (self.newest_row, self.heard) = (t, t);
        self.instruments[i].seen = true;
        let mut made = None;
        for fed in &layout.fed {
            let p = fed.program;
            isa.apart(|| load_row(&mut self.one[p], fed, row));
            let valid = fed
                .sides
                .as_ref()
                .map_or(VALID, |sides| check_row(&mut self.one[p], sides, row));
            if fed.samples {
                self.run_row(i, p, t, valid);
            } else {
                let instrument = &mut self.instruments[i];
                let regs = &mut self.one[p];
                for &(reg, program, export) in &fed.lasts {
                    match instrument.machines[program]
                        .as_ref()
                        .map(|machine| machine.slot(export))
                    {
                        // Until a reason is told, all of them are VALID.
                        Some((value, VALID)) if !regs.spoilt => {
                            regs.span()[usize::from(reg)] = value
                        }
                        Some((value, code)) => regs.set(usize::from(reg), value, code),
                        None => {}
                    }
                }
                instrument.venue[p] = t;
                instrument.heard[p] = t;
                if let Some(machine) = &mut instrument.machines[p] {
                    machine.note(t, valid, &self.plan.programs[p]);
                    machine.steps_one(isa, &mut self.one[p], t);
                }
            }
            if p == self.plan.on {
                let regs = &mut self.one[p];
                isa.apart(|| regs.gather(&self.columns, out));
                let invalid = |&&reg: &&Slot| regs.reasons[usize::from(reg)] != VALID;
                made = Some(if regs.spoilt {
                    self.columns.iter().filter(invalid).count()
                } else {
                    0
                });
            }
        }
        if let (Some(reasons), Some(_)) = (reasons, made) {
            let regs = &self.one[self.plan.on];
            reasons
                .iter_mut()
                .zip(&self.plan.columns)
                .for_each(|(slot, &reg)| *slot = regs.reasons[reg]);
        }
        made
    }

    /// `n` rows in one go.
    #[inline(always)]
    fn table_block<I: Isa>(
        &mut self,
        isa: I,
        layout: &Layout,
        table: &Table<'_>,
        row: usize,
        n: usize,
        out: &mut Vectors,
    ) {
        let i = table.instrument;
        let times = &table.times[row..row + n];
        self.instruments[i].seen = true;
        let before = self.messages;
        for fed in &layout.fed {
            let p = fed.program;
            for &(reg, column) in &fed.columns {
                load_block(
                    &mut self.block[p],
                    usize::from(reg),
                    &table.columns[column],
                    row,
                    n,
                );
            }
            for &reg in &fed.ones {
                let regs = &mut self.block[p];
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
                Some(sides) => check_block(&mut self.block[p], sides, table, row, n),
                None => Some(0),
            };
            let code = valid.map_or(Reason::Crossed.code(), |_| VALID);
            machine.note(times[valid.unwrap_or(0)], code, &self.plan.programs[p]);
            machine.steps_block(isa, &mut self.block[p], times);
            machine.note(times[n - 1], code, &self.plan.programs[p]);
            self.instruments[i].venue[p] = times[n - 1];
            self.instruments[i].heard[p] = times[n - 1];
            if p == self.plan.on {
                out.stamps
                    .extend((before + 1..).zip(times).map(|(offset, &t)| Stamp {
                        instrument: i as u32,
                        ts_event: t,
                        ts_recv: t,
                        offset,
                        data_window_end: t,
                        age_recv: 0,
                        age_event: 0,
                    }));
                out.push_block(n, &self.block[p], &self.plan.columns);
            }
        }
        self.messages += n as u64;
        (self.newest_row, self.heard) = (times[n - 1], times[n - 1]);
        if !self.started {
            self.started = true;
            self.schedule.start(times[0]);
        }
    }
}

/// Loads what one row feeds to a program.
#[inline(always)]
fn load_row(regs: &mut Registers, fed: &Fed, row: &[f64]) {
    let spoilt = regs.spoilt;
    let values = regs.span();
    let mut faults = 0;
    for &(reg, column) in &fed.columns {
        values[usize::from(reg)] = row[column];
        faults |= fault(row[column]);
    }
    for &reg in &fed.ones {
        values[usize::from(reg)] = 1.0;
    }
    if spoilt || faults != 0 {
        spell_row(regs, fed, row);
    }
}

/// The same with the reasons.
#[cold]
fn spell_row(regs: &mut Registers, fed: &Fed, row: &[f64]) {
    for &(reg, column) in &fed.columns {
        let (value, code) = number(row[column]);
        regs.set(usize::from(reg), value, code);
    }
    for &reg in &fed.ones {
        regs.set(usize::from(reg), 1.0, VALID);
    }
}

/// Marks what is invalid in a row of a quote or a book; gives why its stream is invalid, if it is.
fn check_row(regs: &mut Registers, sides: &Sides, row: &[f64]) -> Code {
    sides.check(
        |column| number(row[column]),
        |reg, code| regs.set(usize::from(reg), 0.0, code),
    )
}

/// The same for `n` rows; gives the first of them at which the stream is valid.
fn check_block(
    regs: &mut Registers,
    sides: &Sides,
    table: &Table<'_>,
    row: usize,
    n: usize,
) -> Option<usize> {
    let mut first = None;
    for k in 0..n {
        let valid = sides.check(
            |column| cell(&table.columns[column], row + k),
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
    regs.clean[reg] = faults == 0 && column.present.is_none();
    if !regs.clean[reg] {
        regs.clean[reg] = true;
        for k in 0..n {
            let (value, code) = cell(column, row + k);
            regs.set(at + k, value, code);
            regs.clean[reg] &= code == VALID;
        }
    }
}
