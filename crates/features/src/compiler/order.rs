//! In which order programs are evaluated at one moment: each after those that it reads.
//!
//! What happens at a moment is known to all that is evaluated at it. So where several streams have an event at once, a
//! program that samples another one runs behind it. Two streams may sample each other (a longer bar that is read at the
//! shorter one's events, and the other way round) although no value depends on itself: the work of each is then cut into
//! levels, one program a level, so that every program reads earlier levels only. A value across instruments begins a level of
//! the graph's own stream: all instruments do what lies before it first.

use super::draft::Draft;
use super::homes::Home;
use crate::graph::Graph;
use crate::operator::{NodeId, Operator};
use crate::stream::Stream;

/// The level of each node's value at each stream; 0 for streams that are in no circle.
#[derive(Default)]
pub(crate) struct Levels {
    /// One row a stream, empty where all levels are 0.
    of: Vec<Vec<usize>>,
}

impl Levels {
    pub(crate) fn new(
        graph: &Graph,
        homes: &[Home],
        streams: &[Stream],
        circles: &[Option<usize>],
    ) -> Self {
        let home = |node: NodeId| match &homes[node] {
            Home::Anywhere => None,
            Home::At(stream) => streams.iter().position(|known| known == stream),
        };
        let in_circle = (0..streams.len()).filter(|&s| circles[s].is_some());
        let in_circle: Vec<usize> = in_circle.collect();
        let mut of = vec![Vec::new(); streams.len()];
        in_circle
            .iter()
            .for_each(|&s| of[s] = vec![0; graph.nodes.len()]);
        for (node, op) in graph.nodes.iter().enumerate() {
            let at_home = home(node);
            // The value at its home is what other streams read.
            let first = in_circle.iter().filter(|&&s| Some(s) == at_home);
            let others = in_circle.iter().filter(|&&s| Some(s) != at_home);
            for &s in first.chain(others) {
                let sampled = |other: Option<usize>, level: usize| match other {
                    Some(other) if other != s && circles[other] == circles[s] => level + 1,
                    _ => 0,
                };
                let operands = || {
                    op.operands()
                        .into_iter()
                        .map(|x| of[s][x])
                        .max()
                        .unwrap_or(0)
                };
                of[s][node] = match op {
                    // Known once all instruments have done what lies before it.
                    Operator::Cross(_, x) if at_home == Some(s) => of[s][*x] + 1,
                    Operator::Age(x) => sampled(home(*x), 0),
                    Operator::Time(_) => 0,
                    Operator::MaxAge(_, x) => of[s][*x].max(sampled(home(*x), 0)),
                    _ if op.is_elementwise() => operands(),
                    _ if at_home.is_none_or(|at_home| at_home == s) => operands(),
                    _ => match at_home {
                        Some(other) if circles[other] == circles[s] => of[other][node] + 1,
                        _ => 0,
                    },
                };
            }
        }
        Self { of }
    }

    /// The level of a node's value at the events of a stream.
    pub(crate) fn of(&self, node: NodeId, stream: usize) -> usize {
        let levels = self.of.get(stream);
        levels
            .and_then(|levels| levels.get(node))
            .copied()
            .unwrap_or(0)
    }
}

/// Which streams read each other, directly or through others: the number of the circle that each is in, if it is in one.
pub(crate) fn circles(streams: usize, drafts: &[Draft]) -> Vec<Option<usize>> {
    let mut reads = vec![vec![false; streams]; streams];
    for draft in drafts {
        for other in draft.reads() {
            reads[draft.stream][drafts[other].stream] |= drafts[other].stream != draft.stream;
        }
    }
    // Of many streams only a handful both read others and are read.
    let is_read = |s: usize| reads.iter().any(|of| of[s]);
    let between = (0..streams).filter(|&s| reads[s].contains(&true) && is_read(s));
    let between: Vec<usize> = between.collect();
    for &via in &between {
        for &from in &between {
            if reads[from][via] {
                for &to in &between {
                    reads[from][to] |= reads[via][to];
                }
            }
        }
    }
    let mutual = |a: usize, b: usize| a == b || reads[a][b] && reads[b][a];
    (0..streams)
        .map(|s| {
            reads[s][s]
                .then(|| (0..streams).find(|&other| mutual(s, other)))
                .flatten()
        })
        .collect()
}

/// The drafts in order of evaluation; of those that may come next, the one of the first stream.
pub(crate) fn evaluation_order(drafts: &[Draft]) -> Vec<usize> {
    let mut waiting: Vec<usize> = (0..drafts.len()).collect();
    waiting.sort_by_key(|&draft| (drafts[draft].stream, drafts[draft].level));
    let mut order = Vec::with_capacity(drafts.len());
    while !waiting.is_empty() {
        let ready = waiting.iter().position(|&draft| {
            let mut reads = drafts[draft].reads();
            reads.all(|other| other == draft || !waiting.contains(&other))
        });
        // Levels leave no circle, so that one is always ready.
        order.push(waiting.remove(ready.unwrap_or(0)));
    }
    order
}
