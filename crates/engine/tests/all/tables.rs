//! Tables of several instruments: the bits of each instrument alone, bars that are missing, instruments that read each
//! other, any cut.

use crate::random::{Faults, Kinds, Rows, options, plans, tables, whole};
use proptest::prelude::*;
use signal_engine::Reason;
use signal_engine::{Code, Column, Engine, Instruments, Layout, Options, Table, VALID, Vectors};
use signal_features::{Field, Graph, Plan};
use std::sync::Arc;

const MINUTE: i64 = 60_000_000_000;
const START: i64 = 1_700_000_040_000_000_000;

/// A row: time, instrument, numbers with their reasons.
type Row = (i64, usize, Vec<(f64, Code)>);

/// Pushes rows in pieces of these lengths, each with the engine's snapshot taken and restored in between if asked.
struct Pushed<'a> {
    plan: &'a Arc<Plan>,
    options: Options,
    names: usize,
    cuts: &'a [usize],
    restored: bool,
}

impl Pushed<'_> {
    fn run(&self, rows: &[Row]) -> Vectors {
        let mut engine = self.engine(None);
        let mut out = engine.vectors();
        let (mut from, mut cuts) = (0, self.cuts.iter().cycle());
        while from < rows.len() {
            let to = rows.len().min(from + cuts.next().expect("a cut"));
            push(&mut engine, &rows[from..to], &mut out);
            from = to;
            if self.restored {
                let bytes = engine.snapshot();
                engine = self.engine(Some(&bytes));
                assert_eq!(engine.snapshot(), bytes);
            }
        }
        engine.finish(&mut out);
        out
    }

    fn engine(&self, state: Option<&[u8]>) -> Engine {
        let (plan, options) = (Arc::clone(self.plan), self.options.clone());
        let mut engine = match state {
            Some(bytes) => Engine::restore(plan, options, bytes).expect("a snapshot"),
            None => Engine::new(plan, options).expect("an engine"),
        };
        (0..self.names).for_each(|i| assert_eq!(engine.table_instrument(&name(i)), Ok(i)));
        engine
    }
}

fn name(i: usize) -> String {
    ["AAA", "BBB", "CCC", "DDD", "EEE"][i].to_string()
}

fn push(engine: &mut Engine, rows: &[Row], out: &mut Vectors) {
    let times: Vec<i64> = rows.iter().map(|row| row.0).collect();
    let which: Vec<u32> = rows.iter().map(|row| row.1 as u32).collect();
    let width = rows[0].2.len();
    let values: Vec<Vec<f64>> = (0..width)
        .map(|c| rows.iter().map(|row| row.2[c].0).collect())
        .collect();
    let codes: Vec<Vec<Code>> = (0..width)
        .map(|c| rows.iter().map(|row| row.2[c].1).collect())
        .collect();
    let columns: Vec<Column<'_>> = values
        .iter()
        .zip(&codes)
        .map(|(values, codes)| Column {
            values,
            codes: codes
                .iter()
                .any(|&code| code != VALID)
                .then_some(codes.as_slice()),
        })
        .collect();
    let table = Table {
        instruments: Instruments::Each(&which),
        received: None,
        times: &times,
        columns: &columns,
        amounts: &[],
    };
    let mut next = 0;
    // A room of a few vectors: what is left is taken by the next call.
    while !engine
        .push_rows(&table, &mut next, out.len() + 7, out)
        .expect("rows in order")
    {}
}

/// Vectors of one instrument, as bits with reasons and times.
fn of(out: &Vectors, instrument: usize) -> Vec<(i64, Vec<(u64, Code)>)> {
    let rows = (0..out.len()).filter(|&row| out.stamps[row].instrument as usize == instrument);
    rows.map(|row| {
        let cells =
            (0..out.values.len()).map(|f| (out.values[f][row].to_bits(), out.reasons[f][row]));
        (out.stamps[row].ts_recv, cells.collect())
    })
    .collect()
}

/// Rows of several tables, merged in order of time.
fn merged(tables: &[Rows]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (i, table) in tables.iter().enumerate() {
        for (k, &t) in table.times.iter().enumerate() {
            let cells = table
                .values
                .iter()
                .zip(&table.codes)
                .map(|(values, codes)| (values[k], codes.as_ref().map_or(VALID, |codes| codes[k])));
            rows.push((t, i, cells.collect()));
        }
    }
    rows.sort_by_key(|row| row.0);
    rows
}

fn plan(on: &str, nodes: &str, features: &str, fields: &[&str]) -> (Arc<Plan>, Arc<Layout>) {
    let text = format!(
        r#"{{"signal_stream": 1, "name": "g", "axis": "recv", "on": {on}, "nodes": [{nodes}], "features": [{features}]}}"#
    );
    let plan = Plan::new(Graph::from_json(&text).expect("a graph")).expect("a plan");
    let fields: Vec<Field> = fields
        .iter()
        .map(|name| Field::parse(name).expect("a field"))
        .collect();
    let layout = Layout::new(&plan, &fields, None).expect("a layout");
    (Arc::new(plan), Arc::new(layout))
}

/// Closes and volumes of one-minute bars: change, a window, and the close at the bars' own events.
fn closes() -> (Arc<Plan>, Arc<Layout>) {
    plan(
        r#"{"bars_ns": 60000000000}"#,
        r#"{"op": "field", "of": {"bars_ns": 60000000000}, "name": "close"}, {"op": "diff", "n": 1, "x": 0},
           {"op": "field", "of": {"bars_ns": 60000000000}, "name": "volume"},
           {"op": "rolling", "stat": "sum", "window": {"count": 3}, "x": 2}"#,
        r#"["close", 0], ["step", 1], ["sum", 3]"#,
        &["close", "volume"],
    )
}

/// The same with the difference to a named instrument's close and its age.
fn spread() -> (Arc<Plan>, Arc<Layout>) {
    plan(
        r#"{"bars_ns": 60000000000}"#,
        r#"{"op": "field", "of": {"bars_ns": 60000000000}, "name": "close"},
           {"op": "field", "of": {"bars_ns": 60000000000}, "name": "close", "instrument": "BBB"},
           {"op": "sub", "x": 0, "y": 1}, {"op": "age", "x": 1}"#,
        r#"["close", 0], ["spread", 2], ["age", 3]"#,
        &["close"],
    )
}

/// Bars of some instruments, some of them missing: minute, instrument, close.
fn bars() -> impl Strategy<Value = Vec<(i64, usize, f64)>> {
    prop::collection::vec((0i64..40, 0usize..4, 1.0f64..100.0), 1..120).prop_map(|mut rows| {
        rows.sort_by_key(|row| (row.0, row.1));
        rows.dedup_by_key(|row| (row.0, row.1));
        rows
    })
}

fn row(minute: i64, instrument: usize, cells: &[(f64, Code)]) -> Row {
    (START + MINUTE * minute, instrument, cells.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn instruments_side_by_side_have_the_bits_of_each_alone(
        plan in plans(Kinds::All), parts in prop::collection::vec(tables(1..300, Faults::All), 2..4),
        cuts in prop::collection::vec(1usize..400, 1..6), restored: bool
    ) {
        let options = options(&plan);
        let pushed = Pushed { plan: &plan, options, names: parts.len(), cuts: &cuts, restored };
        let rows = merged(&parts);
        let out = pushed.run(&rows);
        prop_assert!(out.stamps.windows(2).all(|pair| pair[0].ts_recv <= pair[1].ts_recv));
        for (i, part) in parts.iter().enumerate() {
            let alone = whole(&plan, part);
            prop_assert_eq!(of(&out, i), of(&alone, 0));
        }
        let offsets: Vec<u64> = out.stamps.iter().map(|stamp| stamp.offset).collect();
        let expected: Vec<u64> = (1..=rows.len() as u64).collect();
        prop_assert_eq!(offsets, expected);
    }

    #[test]
    fn a_missing_bar_is_one_without_trades(
        bars in bars(), cuts in prop::collection::vec(1usize..30, 1..6), restored: bool
    ) {
        let (plan, table) = closes();
        let rows: Vec<Row> = bars
            .iter()
            .map(|&(minute, i, close)| row(minute, i, &[(close, VALID), (close / 2.0, VALID)]))
            .collect();
        let options = Options { table: Some(table), empty_bars: true, ..Options::default() };
        let all = Pushed { plan: &plan, options: options.clone(), names: 4, cuts: &cuts, restored }.run(&rows);
        // The same with every bar written out, from each instrument's first to the moment before the last of all.
        let last = bars.iter().map(|bar| bar.0).max().unwrap_or(0);
        let mut written: Vec<Row> = Vec::new();
        for i in 0..4 {
            let Some(first) = bars.iter().filter(|bar| bar.1 == i).map(|bar| bar.0).min() else { continue };
            for minute in first..=last {
                let there = bars.iter().find(|bar| (bar.0, bar.1) == (minute, i));
                match there {
                    Some(&(_, _, close)) => written.push(row(minute, i, &[(close, VALID), (close / 2.0, VALID)])),
                    None if minute == last => {}
                    None => written.push(row(minute, i, &[(f64::NAN, Reason::Missing.code()), (0.0, VALID)])),
                }
            }
        }
        written.sort_by_key(|row| row.0);
        let options = Options { empty_bars: false, ..options };
        let expected = Pushed { plan: &plan, options, names: 4, cuts: &[usize::MAX >> 1], restored: false }.run(&written);
        for i in 0..4 {
            prop_assert_eq!(of(&all, i), of(&expected, i), "instrument {}", i);
        }
        prop_assert!(all.stamps.windows(2).all(|pair| pair[0].ts_recv <= pair[1].ts_recv));
    }

    #[test]
    fn bars_that_end_together_know_each_other_in_any_order(
        bars in bars(), cuts in prop::collection::vec(1usize..30, 1..6), restored: bool, turned: bool, empty_bars: bool
    ) {
        let (plan, table) = spread();
        let mut rows: Vec<Row> = bars.iter().map(|&(minute, i, close)| row(minute, i, &[(close, VALID)])).collect();
        if turned {
            rows.sort_by_key(|row| (row.0, usize::MAX - row.1));
        }
        let options = Options { table: Some(table), empty_bars, ..Options::default() };
        let out = Pushed { plan: &plan, options, names: 4, cuts: &cuts, restored }.run(&rows);
        let last = bars.iter().map(|bar| bar.0).max().unwrap_or(0);
        for (minute, i, close) in bars.iter().copied() {
            let mine = of(&out, i);
            let (_, cells) = mine.iter().find(|(t, _)| *t == START + MINUTE * minute).expect("a vector");
            let other = bars.iter().rfind(|bar| bar.1 == 1 && bar.0 <= minute);
            let then = other.map_or(i64::MIN, |bar| bar.0);
            // Of the last moment nobody knows yet which bars are missing.
            let known = if minute == last && then < last { last - 1 } else { minute };
            let spread = match other {
                Some(_) if empty_bars && then < known => (f64::NAN, Reason::Empty.code()),
                Some(&(_, _, other)) => (close - other, VALID),
                None => (f64::NAN, Reason::Warmup.code()),
            };
            prop_assert_eq!(cells[1], (spread.0.to_bits(), spread.1), "minute {} instrument {}", minute, i);
            let newest = if empty_bars { known } else { then };
            let age = other.map(|_| (60 * (minute - newest)) as f64);
            if let Some(age) = age {
                prop_assert_eq!(cells[2], (age.to_bits(), VALID));
            }
        }
    }
}
