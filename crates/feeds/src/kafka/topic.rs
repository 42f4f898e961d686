//! A topic that is read: its partitions in one order.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use signal_event::{EventBatchBuilder, Timestamp};
use signal_ingest::Rejects;
use signal_kafka::{Consumer, KafkaError, Producer};

use super::membership::Group;
use super::options::KafkaOptions;
use super::partition::Partition;
use super::payload::Payloads;
use super::places::Given;
use super::position::{KafkaPosition, Place};
use super::refused::Refused;
use crate::source_record::named_counts;
use crate::{FeedError, Poll, SourceRecord};

/// How long a broker may take to answer a question.
pub(super) const ANSWER: Duration = Duration::from_secs(10);

/// What is read of a topic.
///
/// Invariants: `partitions` are those that are assigned; `known` and `gone` hold only others.
pub(super) struct Topic {
    pub(super) options: KafkaOptions,
    pub(super) consumer: Consumer,
    pub(super) payloads: Payloads,
    pub(super) partitions: BTreeMap<i32, Partition>,
    /// Positions of partitions that are not assigned: from the beginning, or from when they were.
    pub(super) known: BTreeMap<i32, Place>,
    /// Partitions that were given back: for their counts.
    pub(super) gone: BTreeMap<i32, Partition>,
    pub(super) merged: EventBatchBuilder,
    /// What the last batch was made of.
    pub(super) given: Given,
    pub(super) dead_letters: Option<Producer>,
    pub(super) group: Option<Group>,
    pub(super) trouble: Option<KafkaError>,
    pub(super) refused: Vec<Refused>,
    /// Why a partition cannot be read on: told when everything that was read before it was given.
    pub(super) failed: Option<FeedError>,
    history: Option<History>,
}

/// What was read before every partition had been read to its end for the first time.
#[derive(Clone, Copy, Debug, Default)]
struct History {
    messages: u64,
    newest: Option<Timestamp>,
    is_over: bool,
}

impl Topic {
    /// Connects, and finds the partitions.
    pub(super) fn open(
        options: KafkaOptions,
        position: Option<KafkaPosition>,
    ) -> Result<Topic, FeedError> {
        let name = options.topic.clone();
        let at = |error| FeedError::kafka(&name, error);
        options.check()?;
        let consumer = Consumer::open(&name, &options.consumer()).map_err(at)?;
        let numbers = consumer.partitions(ANSWER).map_err(at)?;
        let dead_letters = options.dead_letters.as_deref();
        let dead_letters = dead_letters.map(|topic| Producer::open(topic, &options.producer()));
        let dead_letters = dead_letters.transpose().map_err(at)?;
        let is_history = match &position {
            Some(position) => position.in_history,
            None => options.history,
        };
        let mut topic = Topic {
            payloads: Payloads::new(options.payload, options.venue)?,
            partitions: BTreeMap::new(),
            known: position.unwrap_or_default().places,
            gone: BTreeMap::new(),
            merged: EventBatchBuilder::new(),
            given: Given::default(),
            dead_letters,
            group: options.group.is_some().then(Group::default),
            trouble: None,
            refused: Vec::new(),
            failed: None,
            history: is_history.then(History::default),
            consumer,
            options,
        };
        if topic.group.is_some() {
            topic.consumer.subscribe().map_err(at)?;
        } else {
            let starts = topic.begin(&numbers, &BTreeMap::new())?;
            topic.consumer.assign(&starts).map_err(at)?;
        }
        Ok(topic)
    }

    /// The next messages, waiting for them so long at most.
    pub(super) fn poll(&mut self, wait: Duration) -> Result<Poll, FeedError> {
        let until = Instant::now() + wait;
        self.commit_now_and_then();
        loop {
            self.changes()?;
            self.give_up()?;
            self.fill();
            self.set_aside()?;
            if let Some(history) = &mut self.history {
                let mut all = self.partitions.values();
                history.is_over = history.is_over || all.all(|partition| partition.caught_up);
            }
            if let Some(batch) = self.next_batch() {
                if let Some(history) = self.history.as_mut().filter(|each| !each.is_over) {
                    history.messages += batch.message_count() as u64;
                    history.newest = batch.ts_recv().last().copied().max(history.newest);
                }
                return Ok(Poll::Batch(batch));
            }
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            if self.options.to_end && self.has_ended() {
                return Ok(Poll::End);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Poll::Idle { watermark: None });
            }
            self.consumer.wait(left);
        }
    }

    /// Where the reading stands, behind the last message that was given.
    pub(super) fn position(&self) -> KafkaPosition {
        let mut places = self.known.clone();
        let assigned = self.partitions.iter();
        places.extend(assigned.filter_map(|(&number, partition)| Some((number, partition.place?))));
        KafkaPosition {
            places,
            in_history: self.history.is_some_and(|history| !history.is_over),
        }
    }

    /// What was read of each partition, and what became of it.
    pub(super) fn records(&self) -> Vec<SourceRecord> {
        let record = |(number, partition): (&i32, &Partition)| SourceRecord {
            name: format!("{}/{number}", self.options.topic),
            format: format!("kafka {}", self.options.payload.name()),
            inputs: partition.inputs,
            messages: partition.messages,
            rejects: named_counts(&partition.rejects),
        };
        self.read().map(record).collect()
    }

    /// The first refusals by partition; a line is an offset.
    pub(super) fn rejects(&self) -> Vec<(PathBuf, Rejects)> {
        let place = |number: &i32| PathBuf::from(format!("{}/{number}", self.options.topic));
        let each = self.read();
        each.map(|(number, partition)| (place(number), partition.rejects.clone()))
            .collect()
    }

    /// Every partition that was read.
    fn read(&self) -> impl Iterator<Item = (&i32, &Partition)> {
        self.partitions.iter().chain(&self.gone)
    }

    /// Partitions, messages that the broker has and we have not given as far as it told, and what the client said last unless
    /// messages came since; in a group how often it changed.
    pub(super) fn stats(&self) -> Value {
        let lag = |(&number, partition): (&i32, &Partition)| {
            let end = self.consumer.end_of(number)?;
            Some((end - partition.place?.offset).max(0))
        };
        let lag: i64 = self.partitions.iter().filter_map(lag).sum();
        let mut stats = json!({
            "partitions": self.partitions.keys().collect::<Vec<_>>(),
            "lag_messages": lag,
            "trouble": self.trouble.as_ref().map(ToString::to_string),
        });
        if let Some(group) = &self.group {
            stats["rebalances"] = json!(group.rebalances);
        }
        if let Some(history) = &self.history {
            stats["history"] = json!({
                "messages": history.messages,
                "ended": history.is_over,
                "bridged": true,
                "ends": history.newest,
                "begins": Value::Null,
                "overlap": 0,
                "missing": 0,
                "lacking": [],
            });
        }
        stats
    }
}

impl Drop for Topic {
    /// Tells the group up to where what was given is written, and leaves it.
    fn drop(&mut self) {
        self.commit(true);
    }
}
