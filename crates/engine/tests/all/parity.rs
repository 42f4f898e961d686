//! One definition, one engine, same bits: rows one by one, blocks of any cut, restored from a snapshot, any start, any
//! instruction set.

use crate::random::{Faults, Kinds, Rows, Run, cell, difference, plans, tables, whole};
use proptest::prelude::*;
use signal_engine::{VALID, Vectors};
use signal_features::Plan;
use signal_features::operator::{Operator, Window};
use signal_kernels::ewm::Ewm;
use signal_runtime::{Formula, LagFn, Scan, Statistic, Weighted};
use std::sync::Arc;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn blocks_of_any_cut_give_the_bits_of_rows_one_by_one(
        plan in plans(Kinds::All), rows in tables(1..700, Faults::All), cuts in prop::collection::vec(1usize..300, 1..40)
    ) {
        let mut single = Run::new(&plan);
        (0..rows.times.len()).for_each(|i| single.push(&rows, i, i + 1));
        let mut cut = Run::new(&plan);
        pieces(&rows, &cuts).for_each(|(from, to)| cut.push(&rows, from, to));
        prop_assert_eq!(difference(&plan, &single.out, &cut.out), None);
        prop_assert_eq!(difference(&plan, &single.out, &whole(&plan, &rows)), None);
        prop_assert_eq!(single.engine.snapshot(), cut.engine.snapshot());
    }

    #[test]
    fn bound_rows_give_the_bits_of_the_table(
        plan in plans(Kinds::All), rows in tables(1..500, Faults::NoNulls), blocks in any::<bool>()
    ) {
        let expected = whole(&plan, &rows);
        let mut run = Run::new(&plan);
        let mut out = vec![0.0; plan.columns.len()];
        let mut reasons = vec![0; plan.columns.len()];
        let mut i = 0;
        while i < rows.times.len() {
            if blocks && i % 150 == 37 {
                // Blocks in between leave the same state.
                let to = (i + 40).min(rows.times.len());
                run.push(&rows, i, to);
                i = to;
                continue;
            }
            let row: Vec<f64> = rows.values.iter().map(|column| column[i]).collect();
            let made = run.engine.push_row(run.instrument, rows.times[i], &row, &mut out, Some(&mut reasons));
            let invalid = reasons.iter().filter(|&&code| code != VALID).count();
            prop_assert_eq!(made, Ok(Some(invalid)));
            for f in 0..out.len() {
                let (value, code) = cell(&expected, f, i);
                prop_assert_eq!((out[f].to_bits(), reasons[f]), (value.to_bits(), code), "row {} feature {}", i, f);
            }
            i += 1;
        }
    }

    #[test]
    fn a_snapshot_at_any_row_goes_on_with_the_same_bits(
        plan in plans(Kinds::All), rows in tables(1..500, Faults::All), at in 0usize..500, again in 0usize..500, single in any::<bool>()
    ) {
        let n = rows.times.len();
        let (at, again) = (at.min(n).min(again), at.max(again).min(n));
        let mut run = Run::new(&plan);
        for (from, to) in [(0, at), (at, again), (again, n)] {
            if single {
                (from..to).for_each(|i| run.push(&rows, i, i + 1));
            } else {
                run.push(&rows, from, to);
            }
            run = run.restored(&plan);
        }
        prop_assert_eq!(difference(&plan, &run.out, &whole(&plan, &rows)), None);
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits(
        plan in plans(Kinds::All), rows in tables(1..500, Faults::All), cuts in prop::collection::vec(1usize..200, 1..20)
    ) {
        let mut plain = Run::new(&plan);
        plain.engine.use_baseline_instructions();
        pieces(&rows, &cuts).for_each(|(from, to)| plain.push(&rows, from, to));
        prop_assert_eq!(difference(&plan, &plain.out, &whole(&plan, &rows)), None);
    }

    #[test]
    fn a_value_forgets_what_came_before_its_windows(
        plan in plans(Kinds::Counted), rows in tables(400..1200, Faults::Finite), starts in prop::array::uniform2(0usize..300)
    ) {
        let all = whole(&plan, &rows);
        for start in starts {
            let late = tail(&rows, start);
            let began = whole(&plan, &late);
            let settled = settled(&plan, &began);
            for (f, settled) in settled.iter().enumerate() {
                for row in (0..began.len()).filter(|&row| settled[row]) {
                    let [(a, x), (b, y)] = [cell(&began, f, row), cell(&all, f, start + row)];
                    prop_assert_eq!((a.to_bits(), x), (b.to_bits(), y), "start {} row {} feature {}", start, row, f);
                }
            }
        }
    }
}

/// Pieces of a table by cuts taken in turn.
fn pieces<'a>(rows: &'a Rows, cuts: &'a [usize]) -> impl Iterator<Item = (usize, usize)> + 'a {
    let mut from = 0;
    cuts.iter().cycle().map_while(move |cut| {
        let piece = (from, (from + cut).min(rows.times.len()));
        from = piece.1;
        (piece.0 < piece.1).then_some(piece)
    })
}

fn tail(rows: &Rows, start: usize) -> Rows {
    Rows {
        times: rows.times[start..].to_vec(),
        values: rows
            .values
            .iter()
            .map(|column| column[start..].to_vec())
            .collect(),
        codes: rows.codes.clone(),
    }
}

/// For each feature and row of a run, whether the value depends on rows of the run alone.
fn settled(plan: &Plan, run: &Vectors) -> Vec<Vec<bool>> {
    let n = run.len();
    let graph = &plan.graph;
    let feature = |node: usize| graph.features.iter().position(|&(_, of)| of == node);
    let mut nodes: Vec<Vec<bool>> = Vec::new();
    for op in &graph.nodes {
        let all = |i: usize| op.operands().iter().all(|&x| nodes[x][i]);
        // The newest `count` valid values of the operands stand in settled rows, with nothing unknown between.
        let window = |count: usize| -> Vec<bool> {
            let valid = |i: usize| {
                op.operands()
                    .iter()
                    .all(|&x| feature(x).is_some_and(|f| run.reasons[f][i] == VALID))
            };
            (0..n)
                .map(|i| {
                    let mut missing = count;
                    for row in (0..=i).rev() {
                        if !all(row) {
                            return false;
                        }
                        missing -= usize::from(valid(row));
                        if missing == 0 {
                            return true;
                        }
                    }
                    false
                })
                .collect()
        };
        let settled = match *op {
            Operator::Lag(LagFn::Shift, lag, x) => {
                (0..n).map(|i| i >= lag && nodes[x][i - lag]).collect()
            }
            Operator::Lag(_, lag, x) => (0..n)
                .map(|i| i >= lag && nodes[x][i] && nodes[x][i - lag])
                .collect(),
            Operator::Rolling(_, Window::Count(count), _) => window(count),
            Operator::Ewm {
                alpha, min_periods, ..
            } => window(Ewm::settled_after(alpha).max(min_periods)),
            // It looks back on all that came.
            Operator::Scan { .. } => vec![false; n],
            Operator::Book(..) => (0..n).map(|i| i > 0).collect(),
            _ => (0..n).map(all).collect(),
        };
        nodes.push(settled);
    }
    graph
        .features
        .iter()
        .map(|&(_, node)| nodes[node].clone())
        .collect()
}

#[test]
fn the_generator_reaches_every_operator() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..400 {
        let plan: Arc<Plan> = plans(Kinds::All)
            .new_tree(&mut runner)
            .expect("a plan")
            .current();
        for op in &plan.graph.nodes {
            let words = format!("{op:?}");
            let words: Vec<&str> = words
                .split(|c: char| !c.is_alphanumeric())
                .filter(|word| !word.is_empty())
                .collect();
            seen.extend(
                words
                    .windows(2)
                    .map(|pair| pair.join(" "))
                    .chain(words.first().map(|word| word.to_string())),
            );
        }
    }
    let formulas = Formula::OPERATORS.iter();
    let mut rows: Vec<String> = formulas.map(|f| format!("Formula {f:?}")).collect();
    rows.extend(LagFn::ALL.iter().map(|f| format!("Lag {f:?}")));
    rows.extend(Statistic::ALL.iter().map(|f| format!("f {f:?}")));
    rows.extend(Weighted::ALL.iter().map(|f| format!("f {f:?}")));
    rows.extend(Scan::ALL.iter().map(|f| format!("f {f:?}")));
    let others = [
        "Count",
        "Time",
        "MaxAge",
        "MinutesUntil",
        "OpenMinutesUntil",
        "IsOpen",
        "MinutesSinceOpen",
        "Phase",
        "Weekday",
        "Mid",
        "Spread",
        "Microprice",
        "Imbalance",
        "Ofi",
    ];
    for wanted in rows.iter().map(String::as_str).chain(others) {
        assert!(
            seen.iter()
                .any(|name| name == wanted || name.ends_with(&format!(" {wanted}"))),
            "{wanted}: {seen:?}"
        );
    }
}
