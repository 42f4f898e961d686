//! Partitions that a group gives and takes, and what it is told of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use signal_kafka::{Event, Start};

use super::membership::{Giving, Group};
use super::options::Begin;
use super::partition::Partition;
use super::position::{KafkaPosition, Place};
use super::topic::{ANSWER, Topic};
use crate::FeedError;

/// How often a group is told how far we are.
const COMMIT: Duration = Duration::from_secs(1);

/// How long a group may take to say what was committed: a transaction that somebody who died left open is ended first.
const SETTLED: Duration = Duration::from_secs(30);

impl Topic {
    /// Begins to read partitions: where we were, or where the group was if that is further.
    pub(super) fn begin(
        &mut self,
        numbers: &[i32],
        committed: &BTreeMap<i32, Place>,
    ) -> Result<Vec<(i32, Start)>, FeedError> {
        let unknown =
            |number: &&i32| !self.known.contains_key(number) && !committed.contains_key(number);
        let at_times = match self.options.begin {
            Begin::Time { ms } => {
                let unknown: Vec<i32> = numbers.iter().filter(unknown).copied().collect();
                let found = self.consumer.offsets_at(&unknown, ms, ANSWER);
                found.map_err(|e| FeedError::kafka(&self.options.topic, e))?
            }
            Begin::Oldest | Begin::Newest => BTreeMap::new(),
        };
        let mut starts = Vec::with_capacity(numbers.len());
        for &number in numbers {
            let own = self.known.remove(&number);
            let of_group = committed.get(&number).copied();
            let place = own.max(of_group);
            if let Some(group) = &mut self.group {
                group
                    .committed
                    .extend(of_group.map(|place| (number, place)));
                if place == of_group {
                    group.written.extend(place.map(|place| (number, place)));
                } else if let Some(place) = place {
                    group.written.entry(number).or_insert(place);
                }
            }
            let before = self.gone.remove(&number);
            self.partitions
                .insert(number, Partition::new(place, before));
            let start = match (place, at_times.get(&number)) {
                (Some(place), _) => Start::At(place.offset),
                (None, Some(&offset)) => Start::At(offset),
                (None, None) if self.options.begin == Begin::Oldest => Start::Oldest,
                (None, None) => Start::Newest,
            };
            starts.push((number, start));
        }
        Ok(starts)
    }

    /// Takes and gives back partitions as the group wants it.
    pub(super) fn changes(&mut self) -> Result<(), FeedError> {
        let at = |topic: &Topic, error| FeedError::kafka(&topic.options.topic, error);
        while let Some(event) = self.consumer.event().map_err(|e| at(self, e))? {
            match event {
                Event::Trouble(error) => self.trouble = Some(error),
                Event::Assigned(numbers) => {
                    let committed = self.consumer.committed(&numbers, SETTLED);
                    let committed = committed.map_err(|e| at(self, e))?;
                    let places = committed.into_iter().filter_map(|each| {
                        let offset = each.offset?;
                        let given = noted(&each.note);
                        Some((each.partition, Place { offset, given }))
                    });
                    let starts = self.begin(&numbers, &places.collect())?;
                    self.consumer.accept(&starts).map_err(|e| at(self, e))?;
                    self.changed();
                }
                Event::Revoked { partitions, lost } => {
                    let mut places = BTreeMap::new();
                    for &number in &partitions {
                        if let Some(partition) = self.partitions.remove(&number) {
                            places.extend(partition.place.map(|place| (number, place)));
                            self.gone.insert(number, partition);
                        }
                    }
                    self.known.extend(&places);
                    if let Some(group) = &mut self.group {
                        if lost {
                            places.clear();
                        }
                        let numbers = partitions;
                        group.giving = Some(Giving { numbers, places });
                    }
                    self.changed();
                }
            }
        }
        Ok(())
    }

    fn changed(&mut self) {
        if let Some(group) = &mut self.group {
            group.rebalances += 1;
        }
    }

    /// Gives back what the group wants back, once it is written and the group was told: nobody reads it again.
    pub(super) fn give_up(&mut self) -> Result<(), FeedError> {
        let Some(giving) = self.group.as_mut().and_then(|group| group.giving.take()) else {
            return Ok(());
        };
        let is_lost = self.consumer.is_lost();
        if !is_lost
            && self
                .group
                .as_ref()
                .is_some_and(|group| giving.is_in(&group.written))
        {
            self.commit_of(&giving.numbers, true);
        }
        if let Some(group) = &mut self.group {
            if !is_lost && !giving.is_in(&group.committed) {
                group.giving = Some(giving); // not written yet, or no broker answers
                return Ok(());
            }
            for number in &giving.numbers {
                group.committed.remove(number);
            }
        }
        let released = self.consumer.release(&giving.numbers);
        released.map_err(|e| FeedError::kafka(&self.options.topic, e))
    }

    /// What was given up to this position is written.
    pub(super) fn written(&mut self, position: KafkaPosition) {
        if let Some(group) = &mut self.group {
            for (number, place) in position.places {
                let known = group.written.entry(number).or_default();
                *known = place.max(*known);
            }
        }
    }

    /// Commits what is written, once a second, without waiting for it.
    pub(super) fn commit_now_and_then(&mut self) {
        let is_due = |group: &Group| group.committed_at.is_none_or(|at| at.elapsed() >= COMMIT);
        if self.group.as_ref().is_some_and(is_due) {
            self.commit(false);
        }
    }

    /// Commits what is written of the partitions that we read. `waits` until the group has it.
    pub(super) fn commit(&mut self, waits: bool) {
        let numbers: Vec<i32> = self.partitions.keys().copied().collect();
        self.commit_of(&numbers, waits);
    }

    fn commit_of(&mut self, numbers: &[i32], waits: bool) {
        let Some(group) = &mut self.group else {
            return;
        };
        group.committed_at = Some(Instant::now());
        let new = numbers.iter().filter_map(|number| {
            let place = *group.written.get(number)?;
            (group.committed.get(number) < Some(&place)).then_some((*number, place))
        });
        let new: Vec<(i32, Place)> = new.collect();
        let offsets: Vec<(i32, i64, String)> = new
            .iter()
            .map(|(number, place)| (*number, place.offset, note(*place)))
            .collect();
        match self.consumer.commit(&offsets, waits) {
            Ok(()) if waits => group.committed.extend(new),
            Ok(()) => {} // on its way: committed again when it counts
            Err(error) => self.trouble = Some(error),
        }
    }
}

fn note(place: Place) -> String {
    json!({"format": 1, "events": place.given}).to_string()
}

/// Events of the next message that a committed note says were used.
fn noted(note: &str) -> u32 {
    let note: Option<Value> = serde_json::from_str(note).ok();
    let events = note.and_then(|note| note["events"].as_u64());
    events.map_or(0, |events| u32::try_from(events).unwrap_or(0))
}
