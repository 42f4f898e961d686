//! One Kafka topic, read through librdkafka's queues: a queue a partition, taken in batches without a copy.
//!
//! A [`Consumer`] is assigned partitions, or gets them from a group; it tells of changes by [`Event`] and leaves what to do about
//! them to its owner. [`Consumer::take`] gives what has arrived of one partition, [`Consumer::wait`] sleeps until there may be
//! more. A [`Producer`] sends messages elsewhere: those that could not be decoded. Nothing here knows what is in a message.
//!
//! librdkafka is C: all unsafe code of the Kafka source is in this crate, and none of its pointers leave it.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod bell;
mod client;
mod consumer;
mod error;
mod offsets;
mod producer;
mod queue;
mod record;

pub use consumer::{Consumer, Event, Start, Taken};
pub use error::KafkaError;
pub use offsets::Committed;
pub use producer::Producer;
pub use record::Record;
