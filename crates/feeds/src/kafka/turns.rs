//! Whose turn it is among the partitions.

use std::time::{Duration, Instant};

use signal_event::EventBatch;

use super::partition::Partition;
use super::places::{Given, HeadPlace};
use super::topic::Topic;

/// How long the others wait for a partition of which nothing comes although it has not ended: its broker may be away.
const PATIENCE: Duration = Duration::from_secs(10);

impl Topic {
    pub(super) fn has_ended(&self) -> bool {
        let mut all = self.partitions.values();
        all.all(|partition| partition.at_end && partition.head.is_none())
    }

    /// Messages whose turn it is.
    pub(super) fn next_batch(&mut self) -> Option<EventBatch> {
        self.begin_given();
        if self.partitions.len() == 1 {
            let (&number, partition) = self.partitions.iter_mut().next()?;
            let head = partition.head.as_ref()?;
            let (row, end) = (head.row, head.batch.len());
            let batch = if row == 0 {
                head.batch.clone()
            } else {
                head.batch.slice_rows(row..end)
            };
            partition.give(end);
            self.given.add(number, end);
            return Some(batch).filter(|batch| !batch.is_empty());
        }
        while self.merged.len() < self.options.batch_messages && self.is_ready() {
            let Some((number, end)) = self.turn() else {
                break;
            };
            let partition = self.partitions.get_mut(&number)?;
            if let Some(head) = &partition.head {
                self.merged.extend(&head.batch, head.row..end, &[]);
            }
            partition.give(end);
            self.given.add(number, end);
        }
        let batch = self.merged.finish(self.payloads.instruments());
        self.merged.reserve(batch.len());
        Some(batch).filter(|batch| !batch.is_empty())
    }

    /// Notes where the batch begins that comes next.
    fn begin_given(&mut self) {
        let heads = self.partitions.iter();
        let heads = heads.filter_map(|(&number, partition)| {
            Some((number, HeadPlace::of(partition.head.as_ref()?)))
        });
        let heads: Vec<(i32, HeadPlace)> = heads.collect();
        if !heads.is_empty() {
            self.given = Given::new(self.position(), heads);
        }
    }

    /// Whether every partition has a message, is at its end, or has been silent for too long to be waited for.
    pub(super) fn is_ready(&self) -> bool {
        let patient = |since: Instant| since.elapsed() < PATIENCE;
        let waits = |partition: &Partition| {
            partition.head.is_none()
                && !partition.at_end
                && partition.silent_since.is_none_or(patient)
        };
        !self.partitions.values().any(waits)
    }

    /// The partition with the earliest message, and up to which row it is the earliest; at equal times the lower number.
    pub(super) fn turn(&self) -> Option<(i32, usize)> {
        let mut first: Option<(i64, i32)> = None;
        let mut second: Option<(i64, i32)> = None;
        for (&number, partition) in &self.partitions {
            let Some(recv) = partition.next_recv() else {
                continue;
            };
            let key = (recv, number);
            if first.is_none_or(|least| key < least) {
                second = first;
                first = Some(key);
            } else if second.is_none_or(|least| key < least) {
                second = Some(key);
            }
        }
        let (_, number) = first?;
        let head = self.partitions.get(&number)?.head.as_ref()?;
        let times = &head.batch.ts_recv()[head.row..];
        let count = match second {
            None => times.len(),
            Some((limit, other)) => {
                let comes_later = |&ts: &i64| (ts, number) > (limit, other);
                times.iter().position(comes_later).unwrap_or(times.len())
            }
        };
        Some((number, head.row + count.max(1)))
    }
}
