//! What every source of events is to the rest of the system: something that is polled, and knows where it stands.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use signal_event::{EventBatch, Timestamp};
use signal_ingest::Rejects;

use crate::{FeedError, Notice, Position, SourceRecord};

/// A source of events in the order in which they arrived: files, a growing capture, a pipe, a topic, a connection.
///
/// It is made without opening anything. One thread opens and polls it. A feed reads no clock to decide what it gives, except that
/// a live one stamps `ts_recv` on what arrives; what it gives does not depend on how long it is waited for.
///
/// What every feed has to keep: batches hold whole messages, at least one; the position behind a batch, given to `open` of a
/// new feed of the same source, gives the messages that follow it; after [`Poll::End`] every poll gives [`Poll::End`]; an error
/// of the source comes after everything that was read before it.
pub trait Feed: Send {
    /// Begins, or continues behind a position that a feed of this source gave; called once, before anything else. The position
    /// is never empty.
    fn open(&mut self, position: Option<&Position>) -> Result<(), FeedError>;

    /// The next messages, waiting for them as long as `wait` at most: a caller that wants to stop is heard after that time.
    /// A feed with nothing to give sleeps or blocks meanwhile, it does not return at once.
    fn poll(&mut self, wait: Duration) -> Result<Poll, FeedError>;

    /// Where the feed stands: behind the last message that `poll` gave. Empty where nothing can be resumed, as on a pipe; then
    /// it is so from the beginning.
    fn position(&self) -> Position;

    /// Whether what follows a position can be read again. Where it cannot, a batch goes on whole, and no position lies within one.
    fn rereads(&self) -> bool {
        true
    }

    /// Positions within the batch that `poll` gave last, for a feed that does not reread and can tell them nonetheless: so a
    /// merge may give part of the batch, and what follows that part is read again. `None`: a batch counts as a whole.
    fn places(&self) -> Option<Box<dyn Places>> {
        None
    }

    /// What was read so far and what became of it, one record for each raw file, topic or connection.
    fn records(&self) -> Vec<SourceRecord>;

    /// Refused lines or frames so far, with what they came from.
    fn rejects(&self) -> Vec<(PathBuf, Rejects)>;

    /// What else the feed wants known, for the status: a JSON object, or null.
    fn stats(&self) -> Value {
        Value::Null
    }

    /// Something is wrong with what this feed gave: it may subscribe again or fetch a snapshot. A feed of something recorded
    /// can do nothing about it.
    fn notice(&mut self, _notice: &Notice) {}

    /// What was given up to this position of the feed is safe with whoever asked for it: the feed may tell others so.
    fn written(&mut self, _position: &Position) {}
}

/// Positions within one batch of a feed.
pub trait Places: Send + fmt::Debug {
    /// Behind so many messages of the batch.
    fn behind(&self, messages: usize) -> Position;
}

/// What a poll found.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant)] // A box would be an allocation a batch to save a move.
pub enum Poll {
    /// The next whole messages, at least one.
    Batch(EventBatch),
    /// Nothing came in time; poll again.
    Idle {
        /// Every message that comes later has a `ts_recv` above this; `None` where the feed cannot promise that. A feed that
        /// stamps messages as they arrive promises the moment at which it had none.
        watermark: Option<Timestamp>,
    },
    /// There will be no more.
    End,
}
