//! A feed and the place in it that was reached, also within a batch.

use std::time::Duration;

use signal_event::{EventBatch, Timestamp};

use crate::{Feed, FeedError, Poll, Position};

/// Polls a feed and knows the position behind every message that it gave.
///
/// Invariant: `position` is the feed's, behind its last batch.
pub(crate) struct Cursor {
    feed: Box<dyn Feed>,
    position: Position,
    /// Messages still to be passed over.
    skip: u64,
}

/// What a poll found, as [`Poll`].
#[allow(clippy::large_enum_variant)] // A box would be an allocation a batch to save a move.
pub(crate) enum Found {
    Batch(Located),
    Idle { watermark: Option<Timestamp> },
    End,
}

/// A batch and where it lies in its feed.
#[derive(Debug)]
pub(crate) struct Located {
    pub(crate) batch: EventBatch,
    /// The position before the feed's batch, and how many messages of that stand before this one's first; `None` where those
    /// cannot be read again.
    before: Option<(Position, u64)>,
    behind: Position,
}

impl Located {
    /// The position behind so many messages of the batch; `whole`: behind all of them.
    pub(crate) fn position(&self, messages: usize, whole: bool) -> Position {
        match &self.before {
            Some((before, passed)) if !whole && !self.behind.is_empty() => {
                before.after(passed + messages as u64)
            }
            _ => self.behind.clone(),
        }
    }
}

impl Cursor {
    /// Begins with the feed, or behind a position of it.
    pub(crate) fn open(
        mut feed: Box<dyn Feed>,
        position: Option<&Position>,
    ) -> Result<Cursor, FeedError> {
        let (own, skip) = match position {
            Some(position) => position.split()?,
            None => (Position::default(), 0),
        };
        feed.open(Some(&own).filter(|own| !own.is_empty()))?;
        let position = feed.position();
        Ok(Cursor {
            feed,
            position,
            skip,
        })
    }

    /// The next messages behind those that are passed over.
    pub(crate) fn poll(&mut self, wait: Duration) -> Result<Found, FeedError> {
        let batch = match self.feed.poll(wait)? {
            Poll::Batch(batch) => batch,
            Poll::Idle { watermark } => {
                self.position = self.feed.position();
                return Ok(Found::Idle { watermark });
            }
            Poll::End => return Ok(Found::End),
        };
        let behind = self.feed.position();
        let before = std::mem::replace(&mut self.position, behind.clone());
        let (batch, passed) = without_passed(&mut self.skip, batch);
        if batch.is_empty() {
            return Ok(Found::Idle { watermark: None });
        }
        Ok(Found::Batch(Located {
            batch,
            before: Some((before, passed)).filter(|_| self.feed.rereads()),
            behind,
        }))
    }

    /// The position behind what was given; where messages are still passed over, behind those.
    pub(crate) fn position(&self) -> Position {
        self.position.after(self.skip)
    }

    pub(crate) fn feed(&mut self) -> &mut dyn Feed {
        &mut *self.feed
    }
}

/// The batch without the messages that are passed over, of which `skip` are left, and how many those were.
pub(crate) fn without_passed(skip: &mut u64, batch: EventBatch) -> (EventBatch, u64) {
    if *skip == 0 {
        return (batch, 0);
    }
    let messages = batch.message_count();
    let passed = messages.min(usize::try_from(*skip).unwrap_or(usize::MAX));
    *skip -= passed as u64;
    (batch.slice_messages(passed..messages), passed as u64)
}
