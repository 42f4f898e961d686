//! Partitions that a group gives and takes, and what it is told of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use signal_kafka::{Event, Start};

use super::feed::{ANSWER, KafkaFeed};
use super::partition::Partition;
use super::position::Place;
use crate::FeedError;

/// How often a group is told how far we are.
const COMMIT: Duration = Duration::from_secs(1);

impl KafkaFeed {
    /// Begins to read partitions: where we were, or where the group was if that is further.
    pub(super) fn begin(
        &mut self,
        numbers: &[i32],
        committed: &BTreeMap<i32, Place>,
    ) -> Vec<(i32, Start)> {
        let mut starts = Vec::with_capacity(numbers.len());
        for &number in numbers {
            let own = self.known.remove(&number);
            let place = own.max(committed.get(&number).copied());
            let before = self.gone.remove(&number);
            self.partitions
                .insert(number, Partition::new(place, before));
            let start = match place {
                Some(place) => Start::At(place.offset),
                None if self.options.from_oldest => Start::Oldest,
                None => Start::Newest,
            };
            starts.push((number, start));
        }
        starts
    }

    /// Takes and gives back partitions as the group wants it.
    pub(super) fn changes(&mut self) -> Result<(), FeedError> {
        while let Some(event) = self.consumer.event() {
            match event {
                Event::Trouble(error) => self.trouble = Some(error),
                Event::Assigned(numbers) => {
                    self.rebalances += 1;
                    let committed = self.consumer.committed(&numbers, ANSWER);
                    let committed =
                        committed.map_err(|e| FeedError::kafka(&self.options.topic, e))?;
                    let places = committed.into_iter().filter_map(|each| {
                        let offset = each.offset?;
                        let given = noted(&each.note);
                        Some((each.partition, Place { offset, given }))
                    });
                    let starts = self.begin(&numbers, &places.collect());
                    let accepted = self.consumer.accept(&starts);
                    accepted.map_err(|e| FeedError::kafka(&self.options.topic, e))?;
                }
                Event::Revoked { partitions, lost } => {
                    self.rebalances += 1;
                    if !lost {
                        self.commit(true);
                    }
                    for number in &partitions {
                        if let Some(partition) = self.partitions.remove(number) {
                            self.gone.insert(*number, partition);
                            self.committed.remove(number);
                            self.safe.remove(number);
                        }
                    }
                    let released = self.consumer.release(&partitions);
                    released.map_err(|e| FeedError::kafka(&self.options.topic, e))?;
                }
            }
        }
        Ok(())
    }

    /// Commits what is safe: now and waiting for it, or once a second without.
    pub(super) fn commit(&mut self, now: bool) {
        if self.options.group.is_none() || !(now || self.committed_at.elapsed() >= COMMIT) {
            return;
        }
        self.committed_at = Instant::now();
        let places: Vec<(i32, Place)> = self
            .safe
            .iter()
            .map(|(&number, &place)| (number, place))
            .filter(|(number, place)| self.committed.get(number) != Some(place))
            .collect();
        let note = |events: u32| json!({"format": 1, "events": events}).to_string();
        let offsets: Vec<(i32, i64, String)> = places
            .iter()
            .map(|(number, place)| (*number, place.offset, note(place.given)))
            .collect();
        match self.consumer.commit(&offsets, now) {
            Ok(()) => self.committed.extend(places),
            Err(error) => self.trouble = Some(error),
        }
    }
}

/// Events of the next message that a committed note says were used.
fn noted(note: &str) -> u32 {
    let note: Option<Value> = serde_json::from_str(note).ok();
    let events = note.and_then(|note| note["events"].as_u64());
    events.map_or(0, |events| u32::try_from(events).unwrap_or(0))
}
