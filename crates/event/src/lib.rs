//! The vocabulary: timestamps, exact decimals, market events and their Arrow schemas.
//!
//! A *message* is what a venue said in one breath: one trade, one best quote, a depth diff with forty levels, a
//! snapshot. On the tape a message is a run of rows that share instrument, kind, times and sequence numbers; its final
//! row carries [`flags::LAST`]. An [`EventBatch`] holds whole messages as columns, so that a batch crosses from Rust to
//! Arrow, Parquet or Python without a copy.
//!
//! Times are `i64` nanoseconds since 1970 UTC. Prices and quantities are `i64` mantissas in the decimal scale that the
//! [`Instrument`] declares; [`decimal`] turns them into text and, once and correctly rounded, into `f64`.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod arrow;
mod batch;
mod builder;
mod check;
mod condition;
pub mod decimal;
mod definition;
mod error;
mod event;
mod field;
mod format;
mod instrument;
mod instruments;
mod kind;
mod message;
mod more;
mod order;
mod pieces;
mod rare;
mod record;
mod row;
mod rule;
mod saved;
mod schema;
mod spent;
mod stage;
mod status;

pub use arrow::{
    from_record_batch, from_record_batches, from_record_batches_with, to_record_batch,
    to_record_batch_in,
};
pub use batch::{Columns, EventBatch};
pub use builder::EventBatchBuilder;
pub use condition::Condition;
pub use decimal::{Decimal, DecimalError};
pub use definition::{Definition, InstrumentKind, OptionRight, OptionStyle};
pub use error::EventError;
pub use event::{Bar, DefinitionText, Event, Levels, Number, Orders, Reference};
pub use field::{BarField, ReferenceField, Unit};
pub use format::TapeFormat;
pub use instrument::{
    DEFAULT_SCALE, ID_CHARS_MAX, Instrument, InstrumentId, NO_INSTRUMENT, id_fault, venue_of,
};
pub use instruments::Instruments;
pub use kind::{Kind, Side, flags};
pub use message::{Header, Message, Messages};
pub use more::{More, NO_CHECKSUM, Rare};
pub use order::{Order, OrderAction};
pub use record::{record_batch, record_schema};
pub use row::Row;
pub use rule::{BookIds, BookRule, ChecksumKind};
pub use saved::{load_message, save_message};
pub use schema::{INSTRUMENTS_KEY, TAPE_VERSION_KEY, TapeColumns, digest};
pub use status::{Scope, StatusCode};

/// Nanoseconds since 1970 UTC.
pub type Timestamp = i64;

/// "The venue gave no event time": in memory only; in Arrow the value is null.
pub const NO_TIME: Timestamp = i64::MIN;

/// "The venue gave no sequence number": in memory only; in Arrow the value is null.
pub const NO_SEQUENCE: u64 = 0;

/// "This message need not follow a given one": in memory only; in Arrow the value is null.
pub const NO_RULE: u64 = u64::MAX;
