//! Random graphs over every operator, and random tables with what real ones have: NaN, nulls, zeros, constant
//! stretches, several rows of one moment.
// Each test file compiles this module and uses its own part of it.
#![allow(dead_code, missing_docs, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use signal_engine::Reason;
use signal_engine::{Code, Column, Engine, Instruments, Layout, Options, Table, VALID, Vectors};
use signal_features::{Field, Graph, Plan, SessionFn};
use signal_runtime::{Formula, Kind, LagFn, Scan, Statistic, Weighted};
use std::sync::Arc;

/// Fields of the table, in order: four of bars, then two levels of a book, then what only composites read.
pub const FIELDS: [&str; 18] = [
    "high",
    "low",
    "close",
    "volume",
    "bid_price_1",
    "ask_price_1",
    "bid_qty_1",
    "bid_qty_2",
    "ask_qty_1",
    "ask_qty_2",
    "bid_price_2",
    "ask_price_2",
    "open",
    "vwap",
    "buy_volume",
    "price",
    "qty",
    "side",
];
const BARS: &str = r#"{"bars_ns":60000000000}"#;
/// Sessions of 45 minutes each, 15 apart, around the times of the tables.
const CALENDARS: &str = r#""calendars":[{"name":"TEST","version":"1","sessions":"1699996000+2700*1 1699999600+2700*1 1700003200+2700*1 1700006800+2700*1 1700010400+2700*1 1700100000+2700*1"}]"#;
/// Nodes that every graph begins with: the bars' fields and three constants.
const ROOTS: usize = 7;

/// Which operators a graph may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kinds {
    /// All of them.
    All,
    /// Those whose value depends on rows, not on time.
    Counted,
    /// Those that read bars alone.
    Bars,
}

/// The draw of one node: operator, operands, parameters.
type Draw = (usize, [usize; 3], usize, usize);

/// A graph's JSON: each node is a feature. Operands are any nodes before.
fn json(kinds: Kinds, draws: &[Draw]) -> String {
    let mut nodes: Vec<String> = ["high", "low", "close", "volume"]
        .iter()
        .map(|name| format!(r#"{{"op":"field","of":{BARS},"name":"{name}"}}"#))
        .collect();
    nodes.extend(["0.0", "2.0", "-1.5"].map(|x| format!(r#"{{"op":"const","value":{x}}}"#)));
    for &(op, of, small, large) in draws {
        let op = if kinds == Kinds::Bars { op % 41 } else { op };
        // A constant has no events to look back on: the first operand is always a series.
        let n = nodes.len();
        let [x, y, c] = of.map(|at| at % n);
        let series = |at: usize| if (4..ROOTS).contains(&at) { at - 4 } else { at };
        let (sx, sy) = (series(x), series(y));
        let lag = |at: usize| LagFn::ALL[at % LagFn::ALL.len()].row().name;
        let count = 3 + large % 70;
        let timed = format!(
            r#"{{"ns":{},"cap":{}}}"#,
            60_000_000_000i64 * (1 + large as i64 % 20),
            4 + small * 3
        );
        let window = |least: usize| match kinds {
            Kinds::All | Kinds::Bars if large % 4 == 0 => timed.clone(),
            _ => format!(r#"{{"count":{}}}"#, count.max(least)),
        };
        nodes.push(match op {
            0..=17 => {
                // Every row of the table, so that a new one cannot be left out.
                let all = Formula::OPERATORS;
                let row = all[(op + 18 * large) % all.len()].row();
                let of = [sx, y, c, sy].into_iter().cycle();
                let operands = row.operands.iter().zip(of);
                let operands: String = operands
                    .map(|(name, of)| format!(r#","{name}":{of}"#))
                    .collect();
                format!(r#"{{"op":"{}"{operands}}}"#, row.name)
            }
            18..=21 => format!(
                r#"{{"op":"{}","n":{},"x":{sx}}}"#,
                lag(op),
                1 + small % 9
            ),
            22 => format!(
                r#"{{"op":"{}","n":{},"x":{sx}}}"#,
                lag(small),
                100 + large
            ),
            23..=37 => {
                // Every statistic: the draw's other numbers reach those that the operator's does not.
                let f = Statistic::ALL[(op - 23 + 15 * large) % Statistic::ALL.len()];
                let (stat, window) = (f.row(), window(f.usual().least()));
                let parameter = stat.parameter.map_or(String::new(), |parameter| {
                    let x = match parameter.kind {
                        Kind::Whole(least, most) => (least + small % (most - least + 1)) as f64,
                        Kind::Real(least, most) => least + (most - least) * (small % 10) as f64 / 9.0,
                        Kind::Number(_, most) => most,
                        Kind::Only(x) => x,
                        Kind::Window(_) => unreachable!("a statistic has one window"),
                    };
                    format!(r#","{}":{x}"#, parameter.name)
                });
                let y = match stat.operands.len() {
                    1 => String::new(),
                    _ => format!(r#","y":{sy}"#),
                };
                format!(
                    r#"{{"op":"rolling","stat":"{}","window":{window}{parameter},"x":{sx}{y}}}"#,
                    stat.name
                )
            }
            38..=39 => {
                let alpha = [0.9, 0.5, 0.25, 0.2, 1.0][small % 5];
                let stat = Weighted::ALL[large % Weighted::ALL.len()].row();
                let y = match stat.operands.len() {
                    1 => String::new(),
                    _ => format!(r#","y":{sy}"#),
                };
                format!(
                    r#"{{"op":"ewm","stat":"{}","alpha":{alpha},"min_periods":{},"x":{sx}{y}}}"#,
                    stat.name,
                    1 + small
                )
            }
            40 => {
                let row = Scan::ALL[large % Scan::ALL.len()].row();
                let parameters = row.parameters.iter().map(|parameter| {
                    let x = match parameter.name {
                        "half_life_ns" => 20e9 * (1 + small) as f64,
                        "alpha" => 0.05,
                        "beta" => 0.02 * (1 + small) as f64,
                        _ => 0.1 * (1 + small) as f64,
                    };
                    format!(r#","{}":{x}"#, parameter.name)
                });
                let parameters: String = parameters.collect();
                let (op, stat) = match row.family.word() {
                    None => (row.name, String::new()),
                    Some(word) => (
                        word,
                        format!(r#","stat":"{}","min_periods":{}"#, row.name, 1 + small % 4),
                    ),
                };
                format!(r#"{{"op":"{op}"{stat}{parameters},"x":{sx}}}"#)
            }
            41 => format!(
                r#"{{"op":"book","of":"book","name":"{}"}}"#,
                ["mid", "spread", "microprice"][small % 3]
            ),
            42 => format!(
                r#"{{"op":"book","of":"book","name":"imbalance","levels":{}}}"#,
                1 + small % 2
            ),
            43 => r#"{"op":"book","of":"book","name":"ofi","levels":1}"#.to_string(),
            44 if kinds == Kinds::All => {
                format!(
                    r#"{{"op":"max_age","ns":{},"x":{sx}}}"#,
                    1_000_000_000i64 * (1 + large as i64)
                )
            }
            45 if kinds == Kinds::All => {
                // Some rows lie before the time, others behind it; some are in a session of the calendar.
                let at = 1_700_000_000_000_000_000i64 + 60_000_000_000 * (1 + large as i64);
                let (names, of) = (SessionFn::PLAIN, small % 9);
                match (of, names.get(of)) {
                    (_, Some((name, _))) => {
                        format!(r#"{{"op":"time","name":"{name}","session":"TEST"}}"#)
                    }
                    (7, _) => format!(
                        r#"{{"op":"time","name":"open_minutes_until","session":"TEST","at_ns":{at}}}"#
                    ),
                    _ => format!(r#"{{"op":"time","name":"minutes_until","at_ns":{at}}}"#),
                }
            }
            _ => r#"{"op":"field","of":"book","name":"bid_qty_2"}"#.to_string(),
        });
    }
    let features: Vec<String> = (0..nodes.len())
        .map(|i| format!(r#"["n{i}",{i}]"#))
        .collect();
    format!(
        r#"{{"signal_stream":1,"name":"random","axis":"recv","on":{BARS},{CALENDARS},"nodes":[{}],"features":[{}]}}"#,
        nodes.join(","),
        features.join(",")
    )
}

/// Plans of random graphs.
pub fn plans(kinds: Kinds) -> impl Strategy<Value = Arc<Plan>> {
    let draw = (
        0usize..47,
        prop::array::uniform3(0usize..1000),
        0usize..40,
        0usize..200,
    );
    prop::collection::vec(draw, 1..24).prop_map(move |draws| plan(&json(kinds, &draws)))
}

/// The plan of a graph in JSON.
pub fn plan(json: &str) -> Arc<Plan> {
    let graph = Graph::from_json(json).unwrap_or_else(|error| panic!("{error}: {json}"));
    Arc::new(Plan::new(graph).unwrap_or_else(|error| panic!("{error}: {json}")))
}

/// A table's rows.
#[derive(Clone, Debug)]
pub struct Rows {
    pub times: Vec<i64>,
    /// Columns in the order of [`FIELDS`].
    pub values: Vec<Vec<f64>>,
    /// Why rows have no value.
    pub codes: Vec<Option<Vec<Code>>>,
}

/// What may be wrong with a table's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Faults {
    /// NaN, nulls, infinities, zeros, constant stretches.
    All,
    /// All but nulls: rows that stand in a buffer.
    NoNulls,
    /// Zeros and constant stretches only.
    Finite,
    /// Positive numbers without repetition: every operator of the catalogue is inside its domain.
    None,
}

/// Tables of so many rows.
pub fn tables(rows: std::ops::Range<usize>, faults: Faults) -> impl Strategy<Value = Rows> {
    (rows, any::<u64>()).prop_map(move |(rows, seed)| table(rows, seed, faults))
}

/// A table from a seed: long tables do not shrink cell by cell anyway.
pub fn table(rows: usize, seed: u64, faults: Faults) -> Rows {
    let mut state = seed | 1;
    let mut draw = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut t = 1_700_000_000_000_000_000i64;
    let times = (0..rows)
        .map(|_| {
            // Some rows share a moment, some come after a pause.
            t += match draw() {
                u if u < 0.1 => 0,
                u if u < 0.9 => 60_000_000_000,
                _ => 300_000_000_000,
            };
            t
        })
        .collect();
    let mut values = Vec::new();
    let mut codes = Vec::new();
    for name in FIELDS {
        let mut x = if name.contains("qty") || name == "volume" {
            20.0
        } else if name.starts_with("ask") {
            101.0
        } else {
            100.0
        };
        let (nulls, holes) = (faults == Faults::All && draw() < 0.3, draw() < 0.5);
        let mut hold = 0usize;
        let mut column = Vec::with_capacity(rows);
        let mut there = Vec::with_capacity(rows);
        for _ in 0..rows {
            if hold > 0 {
                hold -= 1;
            } else {
                x = if name.contains("qty") || name == "volume" {
                    0.1 + 40.0 * draw()
                } else {
                    x * (1.0 + 0.02 * (draw() - 0.5))
                };
                if faults != Faults::None && draw() < 0.01 {
                    hold = (draw() * 90.0) as usize;
                }
            }
            let odd = draw();
            column.push(match faults {
                Faults::None => x,
                _ if odd < 0.01 => 0.0,
                _ if odd < 0.015 => -x,
                Faults::Finite => x,
                _ if !holes => x,
                _ if odd < 0.025 => f64::NAN,
                _ if odd < 0.027 => f64::INFINITY,
                _ if odd < 0.029 => 1e300,
                _ => x,
            });
            there.push(draw() > 0.03);
        }
        values.push(column);
        let code = |there: bool| if there { VALID } else { Reason::Missing.code() };
        codes.push(nulls.then(|| there.into_iter().map(code).collect()));
    }
    Rows {
        times,
        values,
        codes,
    }
}

/// Tables feed an engine in pieces.
pub struct Run {
    pub engine: Engine,
    pub instrument: usize,
    pub out: Vectors,
}

pub fn options(plan: &Arc<Plan>) -> Options {
    let fields: Vec<Field> = FIELDS
        .iter()
        .map(|name| Field::parse(name).expect("a field"))
        .collect();
    Options {
        table: Some(Arc::new(
            Layout::new(plan, &fields, None).expect("a layout"),
        )),
        ..Options::default()
    }
}

impl Run {
    pub fn new(plan: &Arc<Plan>) -> Self {
        Self::of(Engine::new(Arc::clone(plan), options(plan)).expect("an engine"))
    }

    pub fn of(mut engine: Engine) -> Self {
        let instrument = engine.table_instrument("X").expect("an instrument");
        let out = engine.vectors();
        Self {
            engine,
            instrument,
            out,
        }
    }

    /// Takes rows `from..to` in one call.
    pub fn push(&mut self, rows: &Rows, from: usize, to: usize) {
        let columns: Vec<Column<'_>> = rows
            .values
            .iter()
            .zip(&rows.codes)
            .map(|(values, codes)| Column {
                values: &values[from..to],
                codes: codes.as_ref().map(|codes| &codes[from..to]),
            })
            .collect();
        let table = Table {
            instruments: Instruments::One(self.instrument),
            received: None,
            times: &rows.times[from..to],
            columns: &columns,
            amounts: &[],
        };
        self.engine.push_table(&table, &mut self.out).expect("rows");
    }

    /// The engine again from its own snapshot.
    pub fn restored(self, plan: &Arc<Plan>) -> Self {
        let bytes = self.engine.snapshot();
        let engine = Engine::restore(Arc::clone(plan), options(plan), &bytes).expect("a snapshot");
        Self {
            out: self.out,
            ..Self::of(engine)
        }
    }
}

/// All rows at once.
pub fn whole(plan: &Arc<Plan>, rows: &Rows) -> Vectors {
    let mut run = Run::new(plan);
    run.push(rows, 0, rows.times.len());
    run.out
}

/// The first difference between two runs over the same rows, in bits or reasons.
pub fn difference(plan: &Plan, a: &Vectors, b: &Vectors) -> Option<String> {
    if a.stamps != b.stamps {
        return Some(format!(
            "{} stamps against {}, or other ones",
            a.len(),
            b.len()
        ));
    }
    (0..a.len()).find_map(|row| {
        (0..a.values.len()).find_map(|f| {
            let [left, right] = [a, b].map(|v| (v.values[f][row].to_bits(), v.reasons[f][row]));
            (left != right).then(|| {
                let shown = [a, b].map(|v| (v.values[f][row], v.reasons[f][row]));
                let (name, node) = &plan.graph.features[f];
                format!(
                    "row {row} feature {name} {:?}: {shown:?}",
                    plan.graph.nodes[*node]
                )
            })
        })
    })
}

/// One feature's value and reason at one row.
pub fn cell(v: &Vectors, feature: usize, row: usize) -> (f64, Code) {
    (v.values[feature][row], v.reasons[feature][row])
}
