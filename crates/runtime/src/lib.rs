//! What runs a compiled graph: nothing here knows Arrow, JSON, files or a clock.
//!
//! A [`Program`] is steps over numbered registers; a [`ProgramState`](program_state::ProgramState) runs it for one
//! instrument, over [`Registers`](registers::Registers) that a caller has loaded. Order, time and what becomes of the
//! results are the caller's.
//!
//! [`Formula`] is the table of operators that are functions of their operands' present values. A row of it is the whole
//! declaration: name, operands, what becomes of operands that are missing, citation, and the expression. The graph's
//! reader, its canonical text, `explain` and the engine's three orders of work (one event, a block, rows with reasons)
//! all come from the row.
#![deny(unsafe_code)]
// One index runs over several columns, of which clippy sees the first.
#![allow(clippy::needless_range_loop)]

mod black;
mod fast_path;
mod formula;
mod implied;
pub mod mark;
pub mod memory;
pub mod op;
mod parameter;
mod program;
pub mod program_state;
mod reason;
pub mod registers;
mod row_inputs;
mod row_plan;
mod rows;
pub mod section;
mod sides;
mod special;
mod step;
mod table;

pub use formula::{Missing, OPERANDS_MAX, Row, Values};
pub use memory::{
    Content, LagFn, SCAN_PARAMETERS, Scan, ScanFamily, Statistic, Weighted, WindowStat,
};
pub use parameter::{Kind, Parameter};
pub use program::Program;
pub use reason::Reason;
pub use row_inputs::{RowInputs, number};
pub use row_plan::{PlanFault, RowPlan, RowProgram};
pub use rows::{RowFault, Rows, StateFault, load_rows, save_rows};
pub use section::SectionFn;
pub use sides::{Level, LevelInput, Sides};
pub use table::Formula;
