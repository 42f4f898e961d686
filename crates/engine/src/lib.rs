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
mod course;
mod engine;
mod error;
mod fetch;
mod given;
mod instrument;
mod joined;
mod layout;
mod machine;
mod moment;
mod notice;
mod pool;
mod registers;
mod rows;
mod schedule;
mod sides;
mod snapshot;
mod stamp;
mod step;
mod table;
mod vectors;
mod waiting;

pub use amend::{AmendedTotals, Amendments, Change};
pub use engine::{Cursor, Engine, Options};
pub use error::EngineError;
pub use layout::{Layout, LayoutError};
pub use notice::Notice;
pub use pool::{Loan, Pool};
pub use registers::{Code, VALID};
pub use table::{Column, Instruments, Table};
pub use vectors::{Stamp, Vectors, row_digest};
