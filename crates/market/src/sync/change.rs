//! What a message did to a book, and whether the book can be read.

use std::fmt;

use signal_event::Reason;

/// Whether a book can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookState {
    /// No snapshot has been joined yet; the book is empty.
    Building,
    /// The book is as the venue's at its last sequence number.
    Valid,
    /// A diff is missing; the book is empty until the next snapshot that joins.
    Gap,
    /// The book is joined, but its best bid is not below its best ask.
    Crossed,
    /// A message had numbers that a tape cannot hold; the book is empty until the next snapshot that joins.
    Overflow,
}

impl BookState {
    /// Why values of the book are invalid; [`Reason::Valid`] if they are not.
    pub fn reason(self) -> Reason {
        match self {
            BookState::Building => Reason::Building,
            BookState::Valid => Reason::Valid,
            BookState::Gap => Reason::Gap,
            BookState::Crossed => Reason::Crossed,
            BookState::Overflow => Reason::Overflow,
        }
    }
}

/// A diff that does not follow what came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceGap {
    /// The last id that the book (or the snapshot) had.
    pub last: u64,
    /// The id that the diff must follow.
    pub sequence_prev: u64,
    /// The diff's own last id.
    pub sequence: u64,
}

impl SequenceGap {
    /// How many ids are missing. Where a venue shares its ids among instruments, fewer of them were this book's.
    pub fn missing(&self) -> u64 {
        self.sequence_prev.saturating_sub(self.last)
    }
}

impl fmt::Display for SequenceGap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SequenceGap {
            last,
            sequence_prev,
            sequence,
        } = self;
        write!(
            f,
            "diff {sequence} must follow {sequence_prev}, the book is at {last}; {} missing",
            self.missing()
        )?;
        write!(f, "; the book is invalid (GAP) until the next snapshot")
    }
}

/// What one message did to the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BookChange {
    /// The state after the message.
    pub state: BookState,
    /// The message is in the book now: a diff that followed, or a snapshot that joined.
    pub applied: bool,
    /// The message was older than the book and left it as it is.
    pub superseded: bool,
    /// The break that this message showed.
    pub gap: Option<SequenceGap>,
}
