//! Where the time of an engine goes: samples of what runs, taken from beside.

use crate::engine::Engine;
use signal_features::operator::NodeId;
use signal_runtime::mark::{Mark, StepMarks};
use signal_runtime::program_state::ProgramState;

/// Samples of engines of one plan. Who holds it takes them, at moments that do not depend on what the engine does.
///
/// Invariant: `counts` has an entry for each number that the mark may show, `nodes` for each from [`Mark::STEPS`] on.
#[derive(Debug)]
pub struct Profile {
    mark: Mark,
    nodes: Vec<NodeId>,
    counts: Vec<u64>,
}

/// How many samples fell where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Samples {
    /// While the input was read.
    pub outside: u64,
    /// In the engine, while no step ran: order, books, bars, what steps read, vectors.
    pub events: u64,
    /// At the steps of each node of the graph, up to the last that has one; windows that share a state count at the node
    /// that keeps it.
    pub nodes: Vec<u64>,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            mark: Mark::default(),
            nodes: Vec::new(),
            counts: vec![0; Mark::STEPS],
        }
    }
}

impl Profile {
    /// Takes a sample.
    pub fn sample(&mut self) {
        if let Some(count) = self.counts.get_mut(self.mark.get()) {
            *count += 1;
        }
    }

    /// The samples so far.
    pub fn samples(&self) -> Samples {
        let most = self.nodes.iter().max().map_or(0, |most| most + 1);
        let mut of_nodes = vec![0; most];
        for (&node, count) in self.nodes.iter().zip(&self.counts[Mark::STEPS..]) {
            of_nodes[node] += count;
        }
        Samples {
            outside: self.counts[Mark::OUTSIDE],
            events: self.counts[Mark::EVENTS],
            nodes: of_nodes,
        }
    }

    /// The mark that the engine sets; who calls it says where the engine begins and ends.
    pub fn mark(&self) -> &Mark {
        &self.mark
    }
}

impl Engine {
    /// Lets an engine that has seen nothing say which of its steps runs.
    pub fn profile(&mut self, profile: &mut Profile) {
        debug_assert!(self.instruments.is_empty());
        let Profile {
            mark,
            nodes,
            counts,
        } = profile;
        nodes.clear();
        let mut marked = |of: &mut dyn Iterator<Item = NodeId>| {
            let first = Mark::STEPS + nodes.len();
            nodes.extend(of);
            StepMarks {
                mark: mark.clone(),
                first,
            }
        };
        let programs = self.plan.programs.iter();
        self.blanks = programs
            .map(|program| {
                let marks = marked(&mut program.nodes.iter().copied());
                ProgramState::with_marks(&program.code, Some(marks))
            })
            .collect();
        let sections = self.plan.sections.iter().map(|section| section.node);
        self.sections.marks = Some(marked(&mut sections.into_iter()));
        counts.resize(Mark::STEPS + nodes.len(), 0);
    }
}
