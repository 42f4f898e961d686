//! Where a topic stands within a batch: in each of its partitions.

use std::sync::Arc;

use signal_event::{EventBatch, flags};

use super::partition::{End, Head, place_behind};
use super::position::KafkaPosition;
use crate::{Places, Position};

/// What a batch was made of: rows of heads, in turns.
#[derive(Clone, Debug, Default)]
pub(super) struct Given {
    before: KafkaPosition,
    heads: Vec<(i32, HeadPlace)>,
    /// The partition, and the row of its head up to which it had its turn.
    turns: Vec<(i32, usize)>,
}

/// A head, and the row from which the batch has it.
#[derive(Clone, Debug)]
pub(super) struct HeadPlace {
    batch: EventBatch,
    ends: Arc<[End]>,
    row: usize,
}

impl HeadPlace {
    pub(super) fn of(head: &Head) -> HeadPlace {
        HeadPlace {
            batch: head.batch.clone(),
            ends: head.ends.clone(),
            row: head.row,
        }
    }

    /// Goes on by as many of `messages` as stand before row `end`; returns how many those were.
    fn advance(&mut self, end: usize, messages: usize) -> usize {
        let ends = self.batch.columns().flags[self.row..end].iter();
        let count = ends.filter(|f| *f & flags::LAST != 0).count();
        self.row = match count <= messages {
            true => end,
            false => self.batch.row_after(self.row, messages),
        };
        count.min(messages)
    }
}

impl Given {
    pub(super) fn new(before: KafkaPosition, heads: Vec<(i32, HeadPlace)>) -> Given {
        Given {
            before,
            heads,
            turns: Vec::new(),
        }
    }

    /// A partition had its turn up to this row of its head.
    pub(super) fn add(&mut self, number: i32, end: usize) {
        self.turns.push((number, end));
    }
}

impl Places for Given {
    fn behind(&self, messages: usize) -> Position {
        let (mut heads, mut left) = (self.heads.clone(), messages);
        for &(number, end) in &self.turns {
            if left == 0 {
                break;
            }
            if let Ok(at) = heads.binary_search_by_key(&number, |(number, _)| *number) {
                left -= heads[at].1.advance(end, left);
            }
        }
        let mut position = self.before.clone();
        for ((number, head), (_, begun)) in heads.iter().zip(&self.heads) {
            if head.row > begun.row {
                let whole = head.ends.partition_point(|end| end.rows <= head.row);
                let place = place_behind(&head.batch, &head.ends, whole, head.row);
                position.places.extend(place.map(|place| (*number, place)));
            }
        }
        position.to_position()
    }
}
