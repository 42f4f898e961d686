//! Large, deep and shared graphs: compiled on a small stack, in time that grows with their size.
#![allow(clippy::expect_used)]

use super::*;
use crate::explain::explain;
use crate::graph::NODES_MAX;
use crate::stream::Source;
use proptest::prelude::*;
use signal_runtime::{Content, LagFn, Statistic};
use std::time::{Duration, Instant};

/// The order as it is defined, turn by turn: formulas as long as one can run, then all that remembers and could run when the
/// turn began.
fn turn_by_turn(ops: &[Op], registers: usize) -> Vec<usize> {
    let mut waiting: Vec<usize> = (0..ops.len()).collect();
    let mut order = Vec::new();
    let mut formulas = true;
    while !waiting.is_empty() {
        let mut unknown = vec![false; registers];
        let outputs = waiting.iter().flat_map(|&i| ops[i].outputs());
        outputs.for_each(|reg| unknown[reg] = true);
        let before = waiting.len();
        waiting.retain(|&i| {
            let known = !ops[i].operands().into_iter().any(|reg| unknown[reg]);
            let runs = known && ops[i].is_formula() == formulas;
            if runs {
                let outputs = ops[i].outputs();
                outputs.into_iter().for_each(|reg| unknown[reg] = !formulas);
                order.push(i);
            }
            !runs
        });
        if !formulas || waiting.len() == before {
            formulas = !formulas;
        }
    }
    order
}

/// A draft of steps over one input: kind, and how far back each operand lies.
fn draft(steps: &[(u8, usize, usize)]) -> Draft {
    let mut draft = Draft::new(0, 0);
    let mut made = vec![draft.input(Input::Field(Field::Price))];
    for (node, &(kind, back, other)) in steps.iter().enumerate() {
        let x = made[made.len() - 1 - back % made.len()];
        let y = made[made.len() - 1 - other % made.len()];
        made.push(match kind % 4 {
            0 => draft.emit(node, |out| Op::Formula {
                f: Formula::Add,
                of: std::array::from_fn(|k| if k == 1 { y } else { x }),
                out,
            }),
            1 => {
                let f = LagFn::Shift;
                draft.emit(node, |out| Op::Lag { f, n: 1, x, out })
            }
            2 => {
                let window = Window::Count(2 + other % 3);
                let stat = Statistic::Sum.usual();
                let (op, read) = draft.window(node, Content::Sums, stat, window, x, None);
                draft.read_inside(op, read)
            }
            _ => {
                let f = Formula::Neg;
                draft.emit(node, |out| Op::Formula {
                    f,
                    of: [x; OPERANDS_MAX],
                    out,
                })
            }
        });
    }
    draft
}

fn stream() -> Stream {
    Stream {
        scope: Scope::Own,
        source: Source::Trades,
    }
}

fn price() -> Operator {
    Operator::Field(stream(), Field::Price)
}

fn graph(nodes: Vec<Operator>, features: Vec<NodeId>) -> Graph {
    let features = (features.into_iter().enumerate())
        .map(|(i, node)| (format!("f{i}"), node))
        .collect();
    Graph {
        name: "g".into(),
        axis: crate::graph::Axis::Recv,
        on: Source::Trades,
        calendars: Vec::new(),
        universes: Vec::new(),
        nodes,
        origins: Vec::new(),
        features,
    }
}

fn on_a_small_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new().stack_size(128 << 10);
    thread
        .spawn(work)
        .expect("a thread")
        .join()
        .expect("no overflow")
}

proptest! {
    #[test]
    fn steps_come_in_turns(steps in prop::collection::vec((any::<u8>(), 0usize..9, 0usize..9), 1..60)) {
        let mut draft = draft(&steps);
        let ops: Vec<Op> = draft.ops.iter().map(|(op, _)| op.clone()).collect();
        let expected = turn_by_turn(&ops, draft.registers);
        let places = draft.schedule();
        let mut order: Vec<usize> = (0..ops.len()).collect();
        order.sort_by_key(|&i| places[i]);
        prop_assert_eq!(order, expected);
        for (i, op) in ops.iter().enumerate() {
            prop_assert_eq!(&draft.ops[places[i]].0, op);
        }
    }
}

#[test]
fn a_deep_graph_needs_no_deep_stack() {
    type Step = fn(NodeId) -> Operator;
    let kinds: [Step; 4] = [
        |x| Operator::formula(Formula::Neg, &[x]),
        |x| Operator::Lag(LagFn::Diff, 1, x),
        |x| Operator::rolling(Statistic::Sum.usual(), Window::Count(2), x, None),
        |x| Operator::MaxAge(1_000_000_000, x),
    ];
    for kind in kinds {
        let depth = on_a_small_stack(move || {
            let nodes = std::iter::once(price()).chain((0..NODES_MAX - 1).map(kind));
            let plan = Plan::new(graph(nodes.collect(), vec![NODES_MAX - 1])).expect("a plan");
            let explained = explain(&plan).expect("explained");
            explained["nodes"].as_array().map_or(0, Vec::len)
        });
        assert_eq!(depth, NODES_MAX);
    }
}

#[test]
fn a_value_used_twice_at_each_step_costs_its_steps() {
    let started = Instant::now();
    on_a_small_stack(|| {
        let kinds = [Formula::Add, Formula::Max];
        let double = |x: NodeId| Operator::formula(kinds[x % 2], &[x, x]);
        let mut nodes: Vec<Operator> = std::iter::once(price())
            .chain((0..200).map(double))
            .collect();
        nodes.push(Operator::Age(200));
        let plan = Plan::new(graph(nodes, vec![200, 201])).expect("a plan");
        explain(&plan).expect("explained");
    });
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn a_wide_graph_costs_its_width() {
    let started = Instant::now();
    let wide = NODES_MAX / 2 - 1;
    let mut nodes = vec![price()];
    for i in 0..wide {
        nodes.push(Operator::Const(i as f64));
        nodes.push(Operator::rolling(
            Statistic::Skew.usual(),
            Window::Count(i + 3),
            0,
            None,
        ));
    }
    let plan = Plan::new(graph(nodes, (1..2 * wide + 1).collect())).expect("a plan");
    explain(&plan).expect("explained");
    assert_eq!(plan.columns.len(), 2 * wide);
    assert!(
        started.elapsed() < Duration::from_secs(4),
        "{:?}",
        started.elapsed()
    );
}
