//! What a live source found.

use signal_event::{EventBatch, Timestamp};

use crate::Position;

/// What [`crate::LiveSource::next`] found.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant)] // A box would be an allocation a batch to save a move.
pub enum Next {
    /// The next messages, and the position behind them.
    Batch(EventBatch, Position),
    /// Nothing came in time; try again.
    Idle {
        /// What the feed promised behind the last batch, as [`crate::Poll::Idle`] does.
        watermark: Option<Timestamp>,
    },
    /// There will be no more.
    End,
    /// There will be no more: the queue was full and the source was told to halt then.
    Halted,
}
