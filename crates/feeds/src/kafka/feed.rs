//! A topic as one stream.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use signal_event::{EventBatch, EventBatchBuilder};
use signal_ingest::Rejects;
use signal_kafka::{Consumer, KafkaError, Producer};

use super::fill::Refused;
use super::options::KafkaOptions;
use super::partition::Partition;
use super::payload::Payloads;
use super::position::{KafkaPosition, Place};
use crate::source::named_counts;
use crate::{FeedError, SourceRecord};

/// How long a broker may take to answer a question.
pub(super) const ANSWER: Duration = Duration::from_secs(10);

/// What [`KafkaFeed::poll`] found.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant)] // A box would be an allocation a batch to save a move.
pub enum KafkaPoll {
    /// The next messages.
    Batch(EventBatch),
    /// Nothing came in time.
    Idle,
    /// There will be no more.
    End,
}

/// A topic as one stream: messages of a partition in its order, those of several by `ts_recv`.
///
/// A message waits until every partition has one to compare with, or has been read to its end: a partition that is behind is not
/// late because of the others. Each message is given once: a reading that begins at [`KafkaFeed::position`] goes on behind what was
/// given. In a group the positions of what was given are committed when the next poll begins, so that whoever takes a partition
/// over goes on there: poll again when what was given is safe.
///
/// Invariants: `partitions` are those that are assigned; `known` and `gone` hold only others.
pub struct KafkaFeed {
    pub(super) options: KafkaOptions,
    pub(super) consumer: Consumer,
    pub(super) payloads: Payloads,
    pub(super) partitions: BTreeMap<i32, Partition>,
    /// Positions of partitions that are not assigned: from the beginning, for when they are.
    pub(super) known: BTreeMap<i32, Place>,
    /// Partitions that were given back: for their counts.
    pub(super) gone: BTreeMap<i32, Partition>,
    pub(super) merged: EventBatchBuilder,
    pub(super) dead_letters: Option<Producer>,
    pub(super) committed_at: Instant,
    pub(super) committed: BTreeMap<i32, Place>,
    /// Behind what was given and is safe.
    pub(super) safe: BTreeMap<i32, Place>,
    pub(super) trouble: Option<KafkaError>,
    pub(super) rebalances: u64,
    pub(super) refused: Vec<Refused>,
}

impl KafkaFeed {
    /// Connects, and finds the partitions.
    pub fn open(options: KafkaOptions) -> Result<KafkaFeed, FeedError> {
        let topic = options.topic.clone();
        let at = |error| FeedError::kafka(&topic, error);
        let consumer = Consumer::open(&topic, &options.consumer()).map_err(at)?;
        let numbers = consumer.partitions(ANSWER).map_err(at)?;
        let dead_letters = options.dead_letters.as_deref();
        let dead_letters = dead_letters.map(|topic| Producer::open(topic, &options.producer()));
        let dead_letters = dead_letters.transpose().map_err(at)?;
        let known = options.position.clone().unwrap_or_default().0;
        let mut feed = KafkaFeed {
            payloads: Payloads::new(options.payload, options.venue)?,
            partitions: BTreeMap::new(),
            known,
            gone: BTreeMap::new(),
            merged: EventBatchBuilder::new(),
            dead_letters,
            committed_at: Instant::now(),
            committed: BTreeMap::new(),
            safe: BTreeMap::new(),
            trouble: None,
            rebalances: 0,
            refused: Vec::new(),
            consumer,
            options,
        };
        if feed.options.group.is_some() {
            feed.consumer.subscribe().map_err(at)?;
        } else {
            let starts = feed.begin(&numbers, &BTreeMap::new());
            feed.consumer.assign(&starts).map_err(at)?;
        }
        Ok(feed)
    }

    /// The next messages, waiting for them so long at most. What was given before is safe now, and may be committed.
    pub fn poll(&mut self, wait: Duration) -> Result<KafkaPoll, FeedError> {
        let until = Instant::now() + wait;
        self.acknowledge();
        self.commit(false);
        loop {
            self.changes()?;
            self.fill()?;
            self.set_aside()?;
            if let Some(batch) = self.next_batch() {
                return Ok(KafkaPoll::Batch(batch));
            }
            if self.options.to_end && self.has_ended() {
                return Ok(KafkaPoll::End);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(KafkaPoll::Idle);
            }
            self.consumer.wait(left);
        }
    }

    /// What was given so far is safe.
    pub fn acknowledge(&mut self) {
        let places = self.partitions.iter();
        self.safe = places
            .filter_map(|(&number, partition)| Some((number, partition.place?)))
            .collect();
    }

    /// Where the reading stands, behind the last message that was given.
    pub fn position(&self) -> KafkaPosition {
        let mut places = self.known.clone();
        let assigned = self.partitions.iter();
        places.extend(assigned.filter_map(|(&number, partition)| Some((number, partition.place?))));
        KafkaPosition(places)
    }

    /// Tells the group up to where what was given is safe, and leaves it.
    pub fn close(mut self) {
        self.commit(true);
    }

    /// What was read of each partition, and what became of it.
    pub fn records(&self) -> Vec<SourceRecord> {
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
    pub fn rejects(&self) -> Vec<(PathBuf, Rejects)> {
        let place = |number: &i32| PathBuf::from(format!("{}/{number}", self.options.topic));
        let each = self.read();
        each.map(|(number, partition)| (place(number), partition.rejects.clone()))
            .collect()
    }

    /// Every partition that was read.
    fn read(&self) -> impl Iterator<Item = (&i32, &Partition)> {
        self.partitions.iter().chain(&self.gone)
    }

    /// Messages that the broker has and we have not given, as far as it told; by partition.
    pub fn lags(&self) -> BTreeMap<i32, i64> {
        let lag = |(&number, partition): (&i32, &Partition)| {
            let end = self.consumer.end_of(number)?;
            Some((number, (end - partition.place?.offset).max(0)))
        };
        self.partitions.iter().filter_map(lag).collect()
    }

    /// What the client said last, unless messages came since.
    pub fn trouble(&self) -> Option<&KafkaError> {
        self.trouble.as_ref()
    }

    /// How often the group gave or took partitions.
    pub fn rebalances(&self) -> u64 {
        self.rebalances
    }

    /// Partitions that are assigned.
    pub fn assigned(&self) -> Vec<i32> {
        self.partitions.keys().copied().collect()
    }
}
