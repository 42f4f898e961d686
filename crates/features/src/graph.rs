//! What the user wrote, as plain data: nodes in topological order and named features.
//!
//! The JSON form is the contract with Python and with files. Every refusal names the place, the value seen, and the
//! nearest thing that would have been right.

use crate::calendar::{Calendar, CalendarName};
use crate::operator::{NodeId, Operator};
use crate::stream::Source;
use crate::universe::Universe;

/// The version of the JSON form and of the operators' meaning; part of every digest.
pub const FORMAT: u64 = 1;
/// Nodes that a graph may hold.
pub const NODES_MAX: usize = 10_000;
/// Shortest bars and clocks: what a silence of days brings due at once stays bounded.
pub const SHORTEST_NS: i64 = 1_000_000;
/// Values that a window may hold.
pub const WINDOW_MAX: usize = 1 << 20;

/// Which clock windows and bars run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Receive time: what we knew when.
    Recv,
    /// Venue time, in watermark order.
    Event,
}

/// A feature graph. Invariants: operands have smaller numbers than their readers; equal nodes are one node; every node
/// serves a feature; feature names are unique.
#[derive(Clone, Debug)]
pub struct Graph {
    /// Name for people; not part of the digest.
    pub name: String,
    /// Time axis.
    pub axis: Axis,
    /// When a vector is made.
    pub on: Source,
    /// Calendars of its bars, in order of their names; each is used.
    pub calendars: Vec<Calendar>,
    /// Universes of its functions across instruments, in order of their names; each is used.
    pub universes: Vec<Universe>,
    /// Operators in topological order.
    pub nodes: Vec<Operator>,
    /// Where each node is from.
    pub origins: Vec<Origin>,
    /// Name and node of each feature, in column order.
    pub features: Vec<(String, NodeId)>,
}

/// Where a node is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Number of the JSON's node.
    pub node: usize,
    /// The composite whose result it is.
    pub composite: Option<&'static str>,
}

impl Graph {
    /// The calendar of this name.
    pub fn calendar(&self, name: CalendarName) -> Option<&Calendar> {
        self.calendars.iter().find(|calendar| calendar.name == name)
    }

    /// The place of the universe of this name.
    pub fn universe(&self, name: &str) -> Option<usize> {
        self.universes
            .iter()
            .position(|universe| universe.name == name)
    }
}
