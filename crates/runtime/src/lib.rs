//! What runs a compiled graph: nothing here knows Arrow, JSON, files or a clock.
//!
//! [`Formula`] is the table of operators that are functions of their operands' present values. A row of it is the whole
//! declaration: name, operands, what becomes of operands that are missing, citation, and the expression. The graph's
//! reader, its canonical text, `explain` and the engine's three orders of work (one event, a block, rows with reasons)
//! all come from the row.
#![deny(unsafe_code)]
// One index runs over several columns, of which clippy sees the first.
#![allow(clippy::needless_range_loop)]

mod black;
mod formula;
mod implied;
pub mod section;
mod special;
mod table;

pub use formula::{Missing, OPERANDS_MAX, Row, Values};
pub use section::SectionFn;
pub use table::Formula;
