//! The feature graph: plain data, validated, shared and compiled to a [`Plan`].
//!
//! Three types, three stages, each printable and testable alone:
//! [`Graph`] is what the user wrote, as nodes in topological order; [`Plan`] is how the engine will run it: one
//! [`Program`] or more for each stream of events, in static single assignment over numbered registers; the engine's state is
//! the third and lives elsewhere. Nothing here computes a value.
//!
//! Words: a *stream* is a domain of one instrument (its book, its trades, its bars of one kind) or the graph's clock.
//! A node's *home* is the stream at whose events it is evaluated. Where homes meet, the value is *sampled*: the last
//! one known at that moment.
#![deny(unsafe_code)]

pub mod bar_spec;
pub mod calendar;
mod canonical;
mod catalogue;
mod compiler;
mod composites;
mod duration;
pub mod explain;
mod from_json;
pub mod graph;
mod graph_error;
mod lowering;
pub mod operator;
pub mod plan;
mod reader;
pub mod stream;
mod time_fn;
mod universe;
mod universe_json;

pub use bar_spec::{BarSpec, Measure, Rule};
pub use calendar::{Calendar, CalendarName};
pub use catalogue::operators;
pub use duration::duration;
pub use graph::Graph;
pub use graph_error::{GraphError, nearest};
pub use operator::Operator;
pub use plan::{Input, Op, Plan, Program};
pub use stream::{Field, Scope, Source, Stream};
pub use time_fn::{SessionFn, TimeFn};
pub use universe::{Membership, Universe};
