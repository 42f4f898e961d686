//! Append-only checksummed records as an Arrow IPC stream: rows to bytes and back. Pure: no files, no clock.
//!
//! A segment of the journal is one Arrow IPC stream without an end marker: the [`HEADER`] (its schema message),
//! then one record-batch message, a *frame*, for each append. Any Arrow reader opens it; [`decode`] is stricter
//! than any Arrow reader, because it accepts exactly the bytes that [`encode`] makes: a changed bit anywhere in a
//! frame is seen.
//!
//! | column | type | meaning |
//! |---|---|---|
//! | `seq` | u64 | position in the journal, without holes, over all segments |
//! | `ts` | i64 | nanoseconds UTC on the receive axis |
//! | `kind` | utf8 | `signal`, `latch`, `feed`, … |
//! | `key` | utf8 | what it is found by: a signal's id |
//! | `body` | utf8 | canonical JSON |
//! | `crc32` | u32 | [`checksum`] of the other five |
//!
//! Three kinds of damage are told apart. A frame that ends before its last byte is [`Fault::Short`]: a write cut
//! off, which a writer may cut away at the end of the last segment. Anything else is [`Fault::Damaged`]. Whether
//! good frames follow the bad place, which makes it damage and not a torn end, is answered by [`resync`].
//!
//! The body of a signal's record is written by a [`SignalTemplate`].

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod fault;
mod frame;
mod header;
mod json;
mod layout;
mod record;
mod scan;
mod signal;

pub use fault::Fault;
pub use frame::{Frame, decode, encode, frame_len, resync};
pub use header::{HEADER, decode_header};
pub use record::{BODY_BYTES_MAX, ROWS_MAX, Record, Row, checksum};
pub use scan::{Scan, scan};
pub use signal::{Inputs, Judged, Model, SignalTemplate};
