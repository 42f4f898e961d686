//! Which column of a table feeds what.

use crate::built::grid_of;
use crate::sides::sides;
use signal_event::BarField;
use signal_features::duration;
use signal_features::{BarSpec, Field, Input, Measure, Plan, Rule, Source, TimeFn};
use signal_market::{Grid, Session};
use signal_runtime::registers::{Code, Slot, VALID, slot};
use signal_runtime::{Reason, RowInputs};
use std::collections::BTreeSet;
use std::fmt;

/// The fields of a bar, as graphs read them and as messages have them.
pub(crate) const FIELDS_OF_BARS: [(Field, BarField); 8] = [
    (Field::Open, BarField::Open),
    (Field::High, BarField::High),
    (Field::Low, BarField::Low),
    (Field::Close, BarField::Close),
    (Field::Volume, BarField::Volume),
    (Field::BuyVolume, BarField::BuyVolume),
    (Field::Trades, BarField::Trades),
    (Field::Vwap, BarField::Vwap),
];

pub(crate) const DAY_NS: i64 = 86_400_000_000_000;

/// What rows feed to one program.
#[derive(Clone, Debug)]
pub(crate) struct RowBinding {
    pub program: usize,
    /// What a row's numbers feed.
    pub inputs: RowInputs,
    /// Register, and the program and export whose newest value it takes.
    pub lasts: Vec<(Slot, usize, usize)>,
    /// Register, and the function of time that it takes.
    pub times: Vec<(Slot, TimeFn)>,
    /// Whether it samples more than newest values.
    pub samples: bool,
    /// Whether it runs at bars.
    pub bars: bool,
    /// Where these bars lie: they are made of those that come, where these are shorter.
    pub joins: Option<Grid>,
    /// Whether its bars are filled by those that come.
    pub fills: bool,
    /// Bars: registers that are empty where nothing was traded, and the column that tells how much was.
    pub prices: Vec<Slot>,
    pub traded: Option<usize>,
}

/// Which column feeds which register of which program.
#[derive(Clone, Debug)]
pub struct Layout {
    /// RowBinding programs in order of evaluation.
    pub(crate) fed: Vec<RowBinding>,
    /// Column numbers of price, quantity and side where trades build bars.
    pub(crate) trades: Option<[Option<usize>; 3]>,
    /// Whether rows can run in blocks.
    pub(crate) blocks: bool,
    /// Length of the bars that rows are, if they are bars.
    pub(crate) bars_ns: Option<i64>,
    /// Whether rows feed bars alone.
    pub(crate) only_bars: bool,
    /// Whether the plan reads a named instrument, so that what rows of one moment say must be known together.
    pub(crate) crosses: bool,
    /// Whether bars that come fill others.
    pub(crate) fills: bool,
    /// The field of each column.
    fields: Vec<Field>,
    /// For each column, whether the plan cannot do without it.
    reads: Vec<bool>,
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
        fields
            .iter()
            .any(|field| field.belongs_to(Source::Bars(BarSpec::time(1))))
    }

    /// Matches a table's columns, by the field that each holds, with what the plan reads. Bars are of `rows_ns`, if that is
    /// not said of the shortest length that the plan reads; longer ones are made of them.
    pub fn new(plan: &Plan, fields: &[Field], rows_ns: Option<i64>) -> Result<Self, LayoutError> {
        let has = |wanted: Field| fields.contains(&wanted);
        let fills = plan
            .programs
            .iter()
            .any(|program| is_of_trades(program.stream.source));
        // What trades fill is never made of bars: a table of trades may have a column of another use that is named as theirs.
        let gives_bars =
            Self::gives_bars(fields) && !(fills && has(Field::Price) && has(Field::Qty));
        let column = |wanted: Field| fields.iter().position(|field| *field == wanted);
        let (mut fed, mut missing, mut builds) = (Vec::<RowBinding>::new(), Vec::new(), false);
        // Whether what is sampled of another program is of the same rows, so that blocks can run.
        let mut same_rows = true;
        for (p, program) in plan.programs.iter().enumerate() {
            match program.stream.source {
                Source::Clock(_) => continue,
                Source::Bars(_) if !gives_bars => {
                    builds = true;
                    continue;
                }
                _ => {}
            }
            let mut one = RowBinding {
                program: p,
                inputs: RowInputs {
                    sides: match program.stream.source {
                        Source::Quotes => Some(sides(fields, &program.inputs, false)),
                        Source::Book => Some(sides(fields, &program.inputs, true)),
                        _ => None,
                    },
                    ..RowInputs::default()
                },
                lasts: vec![],
                times: vec![],
                samples: false,
                bars: matches!(program.stream.source, Source::Bars(_)),
                joins: grid_of(plan, program.stream.source),
                fills: program.stream.source.filled_by().is_some(),
                prices: vec![],
                traded: column(Field::Volume).or(column(Field::Trades)),
            };
            for (reg, input) in program.inputs.iter().enumerate() {
                match input {
                    Input::Field(Field::Count) => one.inputs.ones.push(slot(reg)),
                    Input::Field(field) => match column(*field) {
                        Some(column) => {
                            one.inputs.columns.push((slot(reg), column));
                            if is_price(*field) {
                                one.prices.push(slot(reg));
                            }
                        }
                        None => missing.push(field.to_string()),
                    },
                    Input::Last { program, export } => {
                        one.lasts.push((slot(reg), *program, *export));
                        same_rows &= fed.iter().any(|earlier| earlier.program == *program);
                    }
                    Input::Window { .. } | Input::Section { .. } | Input::Age { .. } => {
                        one.samples = true;
                    }
                    Input::Time(f) => one.times.push((slot(reg), *f)),
                }
            }
            fed.push(one);
        }
        let sources = plan.programs.iter().map(|program| program.stream.source);
        let long = |source: &Source| grid_of(plan, *source).is_some_and(|grid| is_long(&grid));
        let weeks = sources.clone().find(long);
        let even = sources.clone().filter(|source| !long(source));
        let mut lengths: BTreeSet<i64> = even.filter_map(Source::bars_ns).collect();
        let of: BTreeSet<i64> = sources.clone().filter_map(Source::filled_by).collect();
        if gives_bars && let Some(filled) = sources.clone().find(|source| is_of_trades(*source)) {
            return Err(LayoutError {
                missing: vec![],
                message: format!(
                    "the graph reads {filled}, which are made of trades, but the table holds bars: give trades, or say in the \
                     graph which bars fill them, as of=\"1m\""
                ),
            });
        }
        let rows_ns = rows_ns.or(lengths.union(&of).min().copied());
        if gives_bars
            && let Some(weeks) = weeks
            && rows_ns.is_none_or(|rows| DAY_NS % rows != 0)
        {
            let rows = rows_ns.map(|rows| format!(", and the rows are bars of {}", duration(rows)));
            return Err(LayoutError {
                missing: vec![],
                message: format!(
                    "the graph reads {weeks}, which are made of days or of parts of a day{}: say how long the rows are \
                     (length=\"1d\"), or give trades",
                    rows.unwrap_or_default()
                ),
            });
        }
        if gives_bars && let Some(&ns) = of.iter().find(|ns| Some(**ns) != rows_ns) {
            let [rows, ns] = [rows_ns.unwrap_or(ns), ns].map(duration);
            return Err(LayoutError {
                missing: vec![],
                message: format!(
                    "the graph reads bars that bars of {ns} fill, but the rows are bars of {rows}: give bars of {ns}"
                ),
            });
        }
        lengths.extend(of);
        // A row of a day is a session of it; of shorter rows a session is made, if they begin and end with it.
        let cuts = |source: Source| match (grid_of(plan, source), rows_ns) {
            (Some(Grid::Sessions(_, sessions)), Some(rows)) if rows < DAY_NS => {
                let fits = |session: &&Session| {
                    [session.open, session.close]
                        .iter()
                        .all(|at| at % rows == 0)
                };
                2 * sessions.iter().filter(fits).count() < sessions.len()
            }
            _ => false,
        };
        if gives_bars
            && let Some(Source::Bars(spec)) = sources.clone().find(|source| cuts(*source))
            && let (Some(calendar), Some(rows)) = (spec.session, rows_ns)
        {
            return Err(LayoutError {
                missing: vec![],
                message: format!(
                    "the graph reads bars in sessions of {calendar}, which do not begin and end with rows of {}: give shorter \
                     rows, or trades",
                    duration(rows)
                ),
            });
        }
        let odd = |ns: &&i64| {
            let of = rows_ns.unwrap_or(**ns);
            **ns != of && (*ns % of != 0 || of >= DAY_NS)
        };
        if gives_bars && let Some(&ns) = lengths.iter().find(odd) {
            let [rows, ns] = [rows_ns.unwrap_or(ns), ns].map(duration);
            return Err(LayoutError {
                missing: vec![],
                message: format!(
                    "the graph reads bars of {ns}, which are not made of rows of {rows}: give trades, or bars of a length, \
                     below a day, of which {ns} holds a whole number"
                ),
            });
        }
        let joins = |source: Source| match (grid_of(plan, source), rows_ns) {
            (Some(grid), Some(rows)) => is_joined(&grid, rows),
            _ => false,
        };
        let joined = sources.clone().any(joins);
        let trades = builds.then(|| {
            [
                column(Field::Price),
                column(Field::Qty),
                column(Field::Side),
            ]
        });
        let mut reads = vec![false; fields.len()];
        for program in &plan.programs {
            let built = !gives_bars && matches!(program.stream.source, Source::Bars(_));
            for input in &program.inputs {
                match input {
                    Input::Field(Field::BuyVolume) if built => {
                        column(Field::Side)
                            .into_iter()
                            .for_each(|i| reads[i] = true);
                    }
                    Input::Field(field) if !built => {
                        column(*field).into_iter().for_each(|i| reads[i] = true);
                        // The vwap of a longer bar weighs those of its parts.
                        let longer = joins(program.stream.source);
                        if gives_bars && longer && *field == Field::Vwap {
                            match column(Field::Volume) {
                                Some(i) => reads[i] = true,
                                None => missing.push(Field::Volume.to_string()),
                            }
                        }
                    }
                    _ => {}
                }
            }
        }
        // What fills bars must be told.
        for source in sources.clone().filter(|_| gives_bars) {
            for field in fillers(source) {
                match column(*field) {
                    Some(i) => reads[i] = true,
                    None => missing.push(field.to_string()),
                }
            }
        }
        // Where flow ends bars, sides do.
        let flows =
            |source: Source| matches!(source, Source::Bars(spec) if spec.rule != Rule::Fixed);
        if builds && sources.clone().any(flows) {
            column(Field::Side)
                .into_iter()
                .for_each(|i| reads[i] = true);
        }
        let builds_of = trades.iter().flat_map(|[price, qty, _]| [*price, *qty]);
        builds_of.flatten().for_each(|i| reads[i] = true);
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
        let clocked = matches!(plan.graph.on, Source::Clock(_));
        let crosses = plan.reads_others();
        let samples = fed.iter().any(|one| one.samples);
        let joined = joined && gives_bars;
        let fills = fed.iter().any(|one| one.fills);
        let blocks = !builds && !joined && !fills && !clocked && !crosses && same_rows && !samples;
        Ok(Self {
            bars_ns: rows_ns.filter(|_| gives_bars && (weeks.is_some() || !lengths.is_empty())),
            only_bars: fed.iter().all(|one| one.bars),
            crosses,
            fills,
            fields: fields.to_vec(),
            fed,
            trades,
            blocks,
            reads,
        })
    }

    /// Where the fields of a bar go that comes as a message: a column each, in the order of `FIELDS_OF_BARS`. `None` if
    /// the plan reads no bars.
    pub(crate) fn of_messages(plan: &Plan) -> Option<Self> {
        let column = |wanted: Field| FIELDS_OF_BARS.iter().position(|field| field.0 == wanted);
        let mut fed = Vec::new();
        let mut bars_ns = None;
        for (p, program) in plan.programs.iter().enumerate() {
            let source = program.stream.source;
            let Some(ns) = source.bars_ns().or(source.filled_by()) else {
                continue;
            };
            bars_ns = bars_ns.or(Some(ns));
            let inputs = || program.inputs.iter().enumerate();
            let places = || {
                inputs().filter_map(|(reg, input)| match input {
                    Input::Field(field) => Some((slot(reg), *field, column(*field)?)),
                    _ => None,
                })
            };
            let counts = inputs().filter(|(_, input)| **input == Input::Field(Field::Count));
            fed.push(RowBinding {
                program: p,
                inputs: RowInputs {
                    columns: places().map(|(reg, _, column)| (reg, column)).collect(),
                    ones: counts.map(|(reg, _)| slot(reg)).collect(),
                    sides: None,
                },
                lasts: vec![],
                times: vec![],
                samples: false,
                bars: true,
                joins: grid_of(plan, source),
                fills: source.filled_by().is_some(),
                prices: places()
                    .filter(|(_, field, _)| is_price(*field))
                    .map(|(reg, ..)| reg)
                    .collect(),
                traded: column(Field::Volume),
            });
        }
        bars_ns.map(|ns| Self {
            fills: fed.iter().any(|one| one.fills),
            fed,
            trades: None,
            blocks: false,
            bars_ns: Some(ns),
            only_bars: true,
            crosses: plan.reads_others(),
            fields: FIELDS_OF_BARS.iter().map(|(field, _)| *field).collect(),
            reads: vec![true; FIELDS_OF_BARS.len()],
        })
    }

    /// Whether rows are bars, so that none are built from trades.
    pub fn holds_bars(&self) -> bool {
        self.bars_ns.is_some()
    }

    /// Length of the bars that rows are.
    pub fn bars_ns(&self) -> Option<i64> {
        self.bars_ns
    }

    /// Whether longer bars are made of those of length `ns` that come.
    pub(crate) fn joins(&self, ns: i64) -> bool {
        self.fed
            .iter()
            .any(|fed| fed.joins.as_ref().is_some_and(|of| is_joined(of, ns)))
    }

    /// A bar's numbers by field, where it comes with a cell a column; what there is no column for is `MISSING`.
    pub(crate) fn bar_cells(
        &self,
        cells: &impl Fn(usize) -> (f64, Code),
    ) -> [(f64, Code); FIELDS_OF_BARS.len()] {
        FIELDS_OF_BARS.map(
            |(field, _)| match self.fields.iter().position(|each| *each == field) {
                Some(column) => cells(column),
                None => (0.0, Reason::Missing.code()),
            },
        )
    }

    /// What a bar without trades has in a column.
    #[inline]
    pub(crate) fn quiet(&self, column: usize) -> (f64, Code) {
        match self.fields[column] {
            Field::Volume | Field::BuyVolume | Field::Trades => (0.0, VALID),
            _ => (0.0, Reason::Empty.code()),
        }
    }

    /// The field of each column.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Columns that the layout was made for.
    pub fn columns(&self) -> usize {
        self.reads.len()
    }

    /// Whether the plan reads each column; the others only help to tell empty and crossed sides.
    pub fn reads(&self) -> &[bool] {
        &self.reads
    }
}

/// Whether a field of a bar has no value where nothing was traded.
fn is_price(field: Field) -> bool {
    matches!(
        field,
        Field::Open | Field::High | Field::Low | Field::Close | Field::Vwap
    )
}

/// Whether bars of a grid are made of those of length `ns`: those in sessions of all that are shorter than a day, as one may
/// reach beyond the close.
pub(crate) fn is_joined(of: &Grid, ns: i64) -> bool {
    match of {
        Grid::Even(length) => *length != ns,
        Grid::Sessions(..) => ns < DAY_NS || is_long(of),
    }
}

/// Whether bars of a grid are weeks or months: of no one length, and made of days.
pub(crate) fn is_long(grid: &Grid) -> bool {
    matches!(grid, Grid::Sessions(length, _) if *length > DAY_NS)
}

/// Whether bars of a source are filled by trades alone.
fn is_of_trades(source: Source) -> bool {
    source.filled().is_some_and(|spec| spec.of.is_none())
}

/// What must be known of bars that fill those of a source.
fn fillers(source: Source) -> &'static [Field] {
    match source.filled().map(|spec| spec.measure) {
        Some(Measure::Ticks(_)) => &[Field::Trades],
        Some(Measure::Volume(_)) => &[Field::Volume],
        Some(Measure::Notional(_)) => &[Field::Volume, Field::Vwap],
        Some(Measure::Time(_)) | None => &[],
    }
}
