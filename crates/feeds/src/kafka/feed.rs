//! A topic as a feed.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use signal_ingest::Rejects;

use super::options::KafkaOptions;
use super::position::KafkaPosition;
use super::topic::Topic;
use crate::{Feed, FeedError, Places, Poll, Position, SourceRecord};

/// A Kafka topic: messages of a partition in its order, those of several by `ts_recv`.
///
/// A message waits until every partition has one to compare with, or has been read to its end: a partition that is behind is not
/// late because of the others. How messages of several partitions interleave at the end of the topic depends on when they came, so
/// a position within a batch is not a number of messages behind the one before it, but a place in each partition. Each message is given once: behind a position follows what was not given.
///
/// In a group, partitions are given up, and offsets committed, when what was given of them is [`written`](Feed::written): whoever
/// takes a partition over goes on there.
///
/// The position is the next message of each partition, and how many of its events were given:
/// `{"format":1,"offsets":{"0":[123,0]}}`; with `"history":true` while the history is read.
pub struct KafkaFeed {
    options: KafkaOptions,
    topic: Option<Topic>,
    has_ended: bool,
}

impl KafkaFeed {
    /// Not connected yet.
    pub fn new(options: KafkaOptions) -> KafkaFeed {
        KafkaFeed {
            options,
            topic: None,
            has_ended: false,
        }
    }
}

impl Feed for KafkaFeed {
    fn open(&mut self, position: Option<&Position>) -> Result<(), FeedError> {
        let position = position.map(KafkaPosition::parse).transpose()?;
        self.topic = Some(Topic::open(self.options.clone(), position)?);
        Ok(())
    }

    fn poll(&mut self, wait: Duration) -> Result<Poll, FeedError> {
        let Some(topic) = self.topic.as_mut().filter(|_| !self.has_ended) else {
            return Ok(Poll::End);
        };
        let found = topic.poll(wait);
        self.has_ended = matches!(found, Ok(Poll::End) | Err(_));
        found
    }

    fn position(&self) -> Position {
        let opened = self.topic.as_ref().map(Topic::position);
        opened.unwrap_or_default().to_position()
    }

    fn rereads(&self) -> bool {
        false
    }

    fn places(&self) -> Option<Box<dyn Places>> {
        let given = self.topic.as_ref()?.given.clone();
        Some(Box::new(given))
    }

    fn records(&self) -> Vec<SourceRecord> {
        self.topic.as_ref().map_or_else(Vec::new, Topic::records)
    }

    fn rejects(&self) -> Vec<(PathBuf, Rejects)> {
        self.topic.as_ref().map_or_else(Vec::new, Topic::rejects)
    }

    fn stats(&self) -> Value {
        self.topic.as_ref().map_or_else(|| json!({}), Topic::stats)
    }

    fn written(&mut self, position: &Position) {
        if let (Some(topic), Ok(position)) = (&mut self.topic, KafkaPosition::parse(position)) {
            topic.written(position);
        }
    }
}
