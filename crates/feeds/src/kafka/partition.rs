//! One partition as it is read: what was decoded of it and not given yet.

use std::sync::Arc;
use std::time::Instant;

use signal_event::EventBatch;
use signal_ingest::Rejects;

use super::position::Place;

/// Decoded messages of a partition.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) batch: EventBatch,
    /// Rows that were given.
    pub(crate) row: usize,
    /// The end of each Kafka message: rows up to there, its events, and the offset behind it. The last may bring no rows.
    pub(crate) ends: Arc<[End]>,
    /// The first of `ends` that was not given as a whole.
    pub(crate) at: usize,
}

/// Where a Kafka message ends in a [`Head`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) rows: usize,
    pub(crate) next: i64,
}

/// A partition that is read.
///
/// Invariants: `place` is behind everything that was given; `skip` events of the next message that arrives are to be passed over.
#[derive(Debug)]
pub(crate) struct Partition {
    /// Behind what was given.
    pub(crate) place: Option<Place>,
    /// Events of the first message to pass over, and that message.
    pub(crate) skip: Option<Place>,
    pub(crate) head: Option<Head>,
    /// Whether everything that the broker has was taken.
    pub(crate) at_end: bool,
    /// Whether that was so once, and all of it was given.
    pub(crate) caught_up: bool,
    /// Since when there is nothing of it although its end was not reached.
    pub(crate) silent_since: Option<Instant>,
    pub(crate) inputs: u64,
    pub(crate) messages: u64,
    pub(crate) rejects: Rejects,
}

impl Partition {
    /// To be read from a place on; counts go on from those of `before`, when it was read earlier.
    pub(crate) fn new(place: Option<Place>, before: Option<Partition>) -> Partition {
        let (inputs, messages, rejects) = before.map_or_else(Default::default, |before| {
            (before.inputs, before.messages, before.rejects)
        });
        Partition {
            place,
            skip: place.filter(|place| place.given > 0),
            head: None,
            at_end: false,
            caught_up: false,
            silent_since: None,
            inputs,
            messages,
            rejects,
        }
    }

    /// When its next message was received.
    pub(crate) fn next_recv(&self) -> Option<i64> {
        let head = self.head.as_ref()?;
        head.batch.ts_recv().get(head.row).copied()
    }

    /// The rows before `row` of the head were given.
    pub(crate) fn give(&mut self, row: usize) {
        let Some(head) = &mut self.head else { return };
        head.row = row;
        while head.ends.get(head.at).is_some_and(|end| end.rows <= row) {
            head.at += 1;
        }
        self.place = place_behind(&head.batch, &head.ends, head.at, row).or(self.place);
        if row >= head.batch.len() && head.at >= head.ends.len() {
            self.head = None;
        }
    }
}

impl Partition {
    /// A new head: passes over events that were given before, and messages that brought none.
    pub(crate) fn begin_head(&mut self) {
        let Some(head) = &self.head else { return };
        let first = head.ends.first();
        let given = self.skip.take().zip(first).map_or(0, |(skip, first)| {
            // Else that message was removed from the topic meanwhile.
            let same = first.next - 1 == skip.offset;
            let rows = head.batch.row_after(0, skip.given as usize);
            if same { rows.min(first.rows) } else { 0 }
        });
        self.give(given);
    }
}

/// The place behind the rows before `row`, of which `whole` messages end there or before: behind the last of them, or within the
/// next.
pub(super) fn place_behind(
    batch: &EventBatch,
    ends: &[End],
    whole: usize,
    row: usize,
) -> Option<Place> {
    let last = whole.checked_sub(1).map(|at| ends[at]);
    match ends.get(whole) {
        Some(end) if row > last.map_or(0, |last| last.rows) => {
            let first = last.map_or(0, |last| last.rows);
            let given = batch.slice_rows(first..row).message_count();
            Some(Place {
                offset: end.next - 1,
                given: u32::try_from(given).unwrap_or(u32::MAX),
            })
        }
        _ => last.map(|last| Place {
            offset: last.next,
            given: 0,
        }),
    }
}
