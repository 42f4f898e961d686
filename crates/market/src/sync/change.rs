//! What a message did to a book, and whether the book can be read.

use std::fmt;

use crate::OrderFaults;

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
    /// The book did not meet the venue's checksum; it is empty until the next snapshot that joins.
    Checksum,
    /// A message had numbers that a tape cannot hold; the book is empty until the next snapshot that joins.
    Overflow,
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

/// A message after which the book is not the venue's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChecksumMismatch {
    /// The id that the book was at; [`signal_event::NO_SEQUENCE`] where the venue gives none.
    pub sequence: u64,
    /// The venue's checksum.
    pub expected: u32,
    /// The book's.
    pub computed: u32,
}

impl fmt::Display for ChecksumMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ChecksumMismatch {
            expected, computed, ..
        } = self;
        write!(
            f,
            "the venue's checksum is {expected:08x}, the book's {computed:08x}; the book is invalid (CHECKSUM) until the \
             next snapshot"
        )
    }
}

/// What a message showed to be wrong. A feed answers a gap and a checksum by subscribing again or by fetching a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookNotice {
    /// Messages are missing.
    Gap(SequenceGap),
    /// The book is not the venue's.
    Checksum(ChecksumMismatch),
    /// Orders are named otherwise than the book knows them; it goes on.
    Orders(OrderFaults),
}

impl BookNotice {
    /// The name in logs and counts.
    pub const fn name(&self) -> &'static str {
        match self {
            BookNotice::Gap(_) => "BOOK_GAP",
            BookNotice::Checksum(_) => "CHECKSUM_MISMATCH",
            BookNotice::Orders(_) => "UNKNOWN_ORDERS",
        }
    }
}

impl fmt::Display for BookNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BookNotice::Gap(gap) => gap.fmt(f),
            BookNotice::Checksum(mismatch) => mismatch.fmt(f),
            BookNotice::Orders(OrderFaults { orphans, repeated }) => write!(
                f,
                "{orphans} cancels, fills or changes of orders that the book does not hold, {repeated} new ones that it \
                 holds; the book goes on"
            ),
        }
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
    /// What this message showed to be wrong.
    pub notice: Option<BookNotice>,
}

impl BookChange {
    /// The break in the sequence that the message showed.
    pub fn gap(&self) -> Option<SequenceGap> {
        match self.notice {
            Some(BookNotice::Gap(gap)) => Some(gap),
            _ => None,
        }
    }

    /// The checksum that the book did not meet.
    pub fn mismatch(&self) -> Option<ChecksumMismatch> {
        match self.notice {
            Some(BookNotice::Checksum(mismatch)) => Some(mismatch),
            _ => None,
        }
    }
}
