//! A feed and the place in it that was reached, also within a batch.

use std::time::Duration;

use signal_event::{EventBatch, Timestamp};

use crate::{Feed, FeedError, Places, Poll, Position};

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
    /// How many messages of the feed's batch stand before this one's first.
    passed: u64,
    within: Within,
    behind: Position,
}

/// How places within a feed's batch are named.
#[derive(Debug)]
enum Within {
    /// By the position before the batch and a number of messages: they can be read again.
    After(Position),
    /// By the feed.
    Named(Box<dyn Places>),
    /// Not at all: who has some of the batch has all of it.
    Whole,
}

impl Located {
    /// The position behind the batch.
    pub(crate) fn behind(&self) -> &Position {
        &self.behind
    }

    /// The position behind so many messages of the batch; `whole`: behind all of them.
    pub(crate) fn position(&self, messages: usize, whole: bool) -> Position {
        if whole || self.behind.is_empty() {
            return self.behind.clone();
        }
        let messages = self.passed + messages as u64;
        match &self.within {
            Within::After(before) => before.after(messages),
            Within::Named(places) => places.behind(usize::try_from(messages).unwrap_or(usize::MAX)),
            Within::Whole => self.behind.clone(),
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
        let within = match self.feed.rereads() {
            true => Within::After(before),
            false => self.feed.places().map_or(Within::Whole, Within::Named),
        };
        Ok(Found::Batch(Located {
            batch,
            passed,
            within,
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
