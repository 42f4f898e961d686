//! A Kafka topic as a feed: messages of all its partitions in one order, each once, from a position on.

mod feed;
mod fill;
mod group;
mod membership;
mod options;
mod packed;
mod partition;
mod payload;
mod places;
mod position;
mod refused;
#[cfg(test)]
mod tests;
mod topic;
mod turns;

pub use feed::KafkaFeed;
pub use options::{BATCH_MESSAGES, Begin, KafkaOptions};
pub use packed::pack;
pub use payload::Payload;
