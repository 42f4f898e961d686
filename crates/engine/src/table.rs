//! Rows of numbers as events: bars, trades or quotes that come as columns of a table.
//!
//! A row is one event of each stream whose fields the table has, in the order book, quotes, trades, bars. Where the
//! plan allows it (no clock, no bars to build, nothing sampled from a later stream) rows run in blocks; the bits are
//! the same.

use crate::engine::{Engine, EngineError, refuse};
use crate::registers::{Code, VALID};
use crate::vectors::Vectors;
use signal_event::{Reason, Side};
use signal_features::{Field, Input, Plan, Scope, Source};
use signal_kernels::BLOCK;
use std::fmt;

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

/// Where a program's field comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Column(usize),
    /// Every row counts one.
    One,
}

/// Which column feeds which register of which program.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Fed programs in order of evaluation, with (register, source) pairs.
    fed: Vec<(usize, Vec<(usize, From)>)>,
    /// Column numbers of price, quantity and side where trades build bars.
    trades: Option<[Option<usize>; 3]>,
    /// Whether rows can run in blocks.
    blocks: bool,
    columns: usize,
}

/// Why a table does not fit a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutError {
    /// The fields for which there is no column.
    pub missing: Vec<String>,
    /// What is wrong and what to do next.
    pub message: String,
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for LayoutError {}

impl Layout {
    /// Whether the table brings bars itself, so that none are built from trades.
    pub fn gives_bars(fields: &[Field]) -> bool {
        fields.iter().any(|field| field.belongs_to(Source::Bars(1)))
    }

    /// Matches a table's columns, by the field that each holds, with what the plan reads.
    pub fn new(plan: &Plan, fields: &[Field]) -> Result<Self, LayoutError> {
        let gives_bars = Self::gives_bars(fields);
        let find = |wanted: Field| match wanted {
            Field::Count => Some(From::One),
            _ => fields
                .iter()
                .position(|field| *field == wanted)
                .map(From::Column),
        };
        let (mut fed, mut missing, mut builds) = (Vec::new(), Vec::new(), false);
        for (p, program) in plan.programs.iter().enumerate() {
            if let Scope::Named(instrument) = &program.stream.scope {
                return Err(LayoutError {
                    missing: vec![],
                    message: format!(
                        "the graph reads {instrument}, but a table holds one instrument: use a tape"
                    ),
                });
            }
            match program.stream.source {
                Source::Clock(_) => continue,
                Source::Bars(_) if !gives_bars => {
                    builds = true;
                    continue;
                }
                _ => {}
            }
            let mut loads = Vec::new();
            for (reg, input) in program.inputs.iter().enumerate() {
                if let Input::Field(field) = input {
                    match find(*field) {
                        Some(from) => loads.push((reg, from)),
                        None => missing.push(field.to_string()),
                    }
                }
            }
            fed.push((p, loads));
        }
        let lengths = plan
            .programs
            .iter()
            .filter(|program| matches!(program.stream.source, Source::Bars(_)))
            .count();
        if gives_bars && lengths > 1 {
            return Err(LayoutError {
                missing: vec![],
                message:
                    "the graph reads bars of several lengths, but the table holds one: use trades"
                        .into(),
            });
        }
        let column = |wanted: Field| fields.iter().position(|field| *field == wanted);
        let trades = builds.then(|| {
            [
                column(Field::Price),
                column(Field::Qty),
                column(Field::Side),
            ]
        });
        if let Some([price, qty, _]) = trades {
            missing.extend(price.is_none().then(|| "price".to_string()));
            missing.extend(qty.is_none().then(|| "qty".to_string()));
        }
        if !missing.is_empty() {
            missing.sort();
            missing.dedup();
            let list = missing.join(", ");
            return Err(LayoutError {
                message: format!(
                    "the graph reads {list}, for which the table has no column: name it in columns={{…}}"
                ),
                missing,
            });
        }
        let earlier = |p: usize| {
            fed.iter()
                .take_while(|(fed, _)| *fed != p)
                .map(|(fed, _)| *fed)
                .collect::<Vec<_>>()
        };
        let blocks = !builds
            && !matches!(plan.graph.on, Source::Clock(_))
            && fed.iter().all(|(p, _)| {
                plan.programs[*p].inputs.iter().all(|input| match input {
                    Input::Field(_) => true,
                    Input::Last { program, .. } => earlier(*p).contains(program),
                    Input::Window { .. } | Input::Age { .. } => false,
                })
            });
        Ok(Self {
            fed,
            trades,
            blocks,
            columns: fields.len(),
        })
    }

    /// Columns that the layout was made for.
    pub fn columns(&self) -> usize {
        self.columns
    }
}

fn cell(column: &Column<'_>, row: usize) -> (f64, Code) {
    match column.present {
        Some(present) if !present[row] => (0.0, Reason::Missing.code()),
        _ if column.values[row].is_finite() => (column.values[row], VALID),
        _ => (0.0, Reason::Nan.code()),
    }
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
        if table.columns.len() != layout.columns
            || table
                .columns
                .iter()
                .any(|column| column.values.len() != rows)
        {
            return refuse(
                "TABLE",
                format!("expected {} columns of {rows} rows each", layout.columns),
            );
        }
        let mut late = 0;
        let mut row = 0;
        while row < rows {
            let ordered =
                table.times[row..]
                    .iter()
                    .take(BLOCK)
                    .scan(self.newest(), |newest, &t| {
                        let fits = t >= *newest;
                        *newest = t;
                        fits.then_some(())
                    });
            match ordered.count() {
                0 => {
                    late += 1;
                    row += 1;
                }
                n if layout.blocks && n > 1 => {
                    self.table_block(layout, table, row, n, out);
                    row += n;
                }
                _ => {
                    self.table_row(layout, table, row, out);
                    row += 1;
                }
            }
        }
        out.instruments = std::sync::Arc::clone(&self.names);
        Ok(late)
    }

    fn newest(&self) -> i64 {
        self.newest_row
    }

    /// Keeps to the instructions of the build even where the processor has more. The bits are the same.
    pub fn use_baseline_instructions(&mut self) {
        self.simd = false;
    }

    /// Registers an instrument for tables.
    pub fn table_instrument(&mut self, id: &str) -> Result<usize, EngineError> {
        let i = self.instrument(id, [signal_event::DEFAULT_SCALE; 2])?;
        self.instruments[i].own = true;
        Ok(i)
    }

    fn table_row(&mut self, layout: &Layout, table: &Table<'_>, row: usize, out: &mut Vectors) {
        let (i, t) = (table.instrument, table.times[row]);
        self.begin_row(i, t, out);
        if let Some([Some(price), Some(qty), side]) = layout.trades {
            let side = side.map_or(0.0, |side| table.columns[side].values[row]);
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
                    bars.trades_lost();
                }
            }
        }
        for (p, loads) in &layout.fed {
            for &(reg, from) in loads {
                let (value, code) = match from {
                    From::Column(column) => cell(&table.columns[column], row),
                    From::One => (1.0, VALID),
                };
                self.one[*p].set(reg, value, code);
            }
            if self.run_row(i, *p, t) {
                let stamp = self.stamp(i, t, t);
                out.push_one(stamp, &self.one[*p], &self.plan.columns);
            }
        }
    }

    fn begin_row(&mut self, i: usize, t: i64, out: &mut Vectors) {
        self.messages += 1;
        self.newest_row = t;
        self.reach(t, out);
        if !self.instruments[i].seen {
            self.instruments[i].seen = true;
            self.instruments[i]
                .bars
                .iter_mut()
                .for_each(|(_, bars)| bars.observe(t));
        }
    }

    /// Runs one program whose own numbers are loaded; `true` if the graph makes a vector here.
    #[inline(always)]
    fn run_row(&mut self, i: usize, p: usize, t: i64) -> bool {
        let Some(mut machine) = self.instruments[i].machines[p].take() else {
            return false;
        };
        machine.note(t, true);
        self.sample(i, p, t);
        machine.run_one(&mut self.one[p], t, self.simd);
        self.instruments[i].machines[p] = Some(machine);
        self.instruments[i].venue[p] = t;
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
        if row.len() != layout.columns
            || out.len() != self.plan.columns.len()
            || layout.trades.is_some()
        {
            return refuse(
                "ROW",
                format!(
                    "a row has {} numbers and a vector {}; found {} and {}",
                    layout.columns,
                    self.plan.columns.len(),
                    row.len(),
                    out.len()
                ),
            );
        }
        self.messages += 1;
        self.newest_row = t;
        self.instruments[i].seen = true;
        let mut made = None;
        for (p, loads) in &layout.fed {
            let regs = &mut self.one[*p];
            for &(reg, from) in loads {
                let value = match from {
                    From::Column(column) => row[column],
                    From::One => 1.0,
                };
                let code = if value.is_finite() {
                    VALID
                } else {
                    Reason::Nan.code()
                };
                regs.set(reg, value, code);
            }
            if self.run_row(i, *p, t) {
                let regs = &self.one[*p];
                let mut invalid = 0;
                for (slot, &reg) in out.iter_mut().zip(&self.plan.columns) {
                    *slot = regs.values[reg];
                    invalid += usize::from(regs.reasons[reg] != VALID);
                }
                made = Some(invalid);
            }
        }
        if let (Some(reasons), Some(_)) = (reasons, made) {
            let regs = &self.one[self.plan.on];
            reasons
                .iter_mut()
                .zip(&self.plan.columns)
                .for_each(|(slot, &reg)| *slot = regs.reasons[reg]);
        }
        Ok(made)
    }

    /// `n` rows in one go.
    fn table_block(
        &mut self,
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
        for (p, loads) in &layout.fed {
            let p = *p;
            let Some(mut machine) = self.instruments[i].machines[p].take() else {
                continue;
            };
            for &(reg, from) in loads {
                let at = reg * BLOCK;
                self.block[p].clean[reg] = true;
                match from {
                    From::One => self.block[p].values[at..at + n].fill(1.0),
                    From::Column(column) => {
                        let column = &table.columns[column];
                        let values = &column.values[row..row + n];
                        if column.present.is_none() && crate::registers::all_finite(values) {
                            self.block[p].values[at..at + n].copy_from_slice(values);
                        } else {
                            for k in 0..n {
                                let (value, code) = cell(column, row + k);
                                self.block[p].set(at + k, value, code);
                                self.block[p].clean[reg] &= code == VALID;
                            }
                        }
                    }
                }
            }
            for c in 0..self.crosses(p).len() {
                let (reg, input) = self.crosses(p)[c].clone();
                if let Input::Last { program, export } = input {
                    let source = self.plan.programs[program].exports[export];
                    let [from, to] = [source * BLOCK, reg * BLOCK];
                    // The earlier program ran on the same rows: its columns are still there.
                    let (low, high) = self.block.split_at_mut(p.max(program));
                    let (theirs, mine) = if program < p {
                        (&low[program], &mut high[0])
                    } else {
                        (&high[0], &mut low[p])
                    };
                    mine.values[to..to + n].copy_from_slice(&theirs.values[from..from + n]);
                    mine.clean[reg] = theirs.clean[source];
                    if !theirs.clean[source] {
                        mine.reasons[to..to + n].copy_from_slice(&theirs.reasons[from..from + n]);
                    }
                }
            }
            machine.note(times[0], true);
            machine.run_block(&mut self.block[p], times, self.simd);
            machine.note(times[n - 1], true);
            self.instruments[i].machines[p] = Some(machine);
            self.instruments[i].venue[p] = times[n - 1];
            if p == self.plan.on {
                for (k, &t) in times.iter().enumerate() {
                    let stamp = crate::vectors::Stamp {
                        instrument: i as u32,
                        ts_event: t,
                        ts_recv: t,
                        offset: before + k as u64 + 1,
                        data_window_end: t,
                        age_recv: 0,
                        age_event: 0,
                    };
                    out.stamps.push(stamp);
                }
                out.push_block(n, &self.block[p], &self.plan.columns);
            }
        }
        self.messages += n as u64;
        self.newest_row = times[n - 1];
        if !self.started {
            self.started = true;
            self.schedule.start(times[0]);
        }
    }
}
