//! One deep object: run a [`Plan`](signal_features::Plan) over events.
//!
//! [`Engine`] hides sequencing, books, bars, windows, late data and memory bounds behind `push`, `advance`, `snapshot`
//! and `restore`. It reads no clock and touches no file. The same engine runs history in large batches and the live
//! stream in small ones: what it gives depends on the sequence of events alone, not on how it was cut.
#![deny(unsafe_code)]

mod ahead;
mod amend;
mod amend_saved;
mod block;
mod bound;
mod built;
mod columns;

mod engine;
mod error;
mod fetch;
mod fills;
mod gathered;
mod given;
mod grouping;
mod instrument;
mod joined;
mod joining;
mod layout;
mod moment;
mod notice;
mod options;
mod pool;
mod portable;
mod profile;
mod progress;
mod push;
mod recv_time;
mod reorder;
mod rerun;
mod rows;
mod schedule;
mod sections;
mod sides;
mod snapshot;
mod stamp;
mod table;
mod time_inputs;
mod vectors;
mod venue_time;

pub use amend::{AmendedTotals, Amendments, Change};
pub use columns::{Column, Instruments, Table};
pub use engine::Engine;
pub use error::EngineError;
pub use layout::{Layout, LayoutError};
pub use notice::Notice;
pub use options::Options;
pub use pool::{Loan, Pool};
pub use portable::{row_fields, row_plan};
pub use profile::{Profile, Samples};
pub use progress::Cursor;
pub use signal_runtime::Reason;
pub use signal_runtime::mark::Mark;
pub use signal_runtime::registers::{Code, VALID};
pub use vectors::{Stamp, Vectors, row_digest};
