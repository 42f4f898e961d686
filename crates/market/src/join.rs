//! When a book can be trusted: a venue's snapshot joined with its diffs.

use std::fmt;

use signal_event::{Kind, Message, NO_RULE, NO_SEQUENCE, Reason, StatusCode};

use crate::load::{take_bool, take_u8, take_u64};
use crate::pending::{Diff, Pending, rows};
use crate::{BookCounts, LoadError, OrderBook};

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
}

impl BookState {
    /// Why values of the book are invalid; [`Reason::Valid`] if they are not.
    pub fn reason(self) -> Reason {
        match self {
            BookState::Building => Reason::Building,
            BookState::Valid => Reason::Valid,
            BookState::Gap => Reason::Gap,
            BookState::Crossed => Reason::Crossed,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Join {
    Building,
    Gap,
    /// `last` is the book's sequence number, [`NO_SEQUENCE`] where the venue gives none. `fresh`: nothing has followed
    /// the snapshot yet, so the next diff may begin before it.
    Joined {
        last: u64,
        fresh: bool,
    },
}

enum Order {
    Superseded,
    Follows,
    Breaks,
}

impl Join {
    /// Where a diff stands to a joined book.
    #[inline]
    fn order(last: u64, fresh: bool, sequence: u64, sequence_prev: u64) -> Order {
        if sequence != NO_SEQUENCE && sequence <= last {
            Order::Superseded
        } else if sequence_prev == NO_RULE
            || sequence_prev == last
            || fresh && (sequence_prev < last || last == NO_SEQUENCE)
        {
            Order::Follows
        } else {
            Order::Breaks
        }
    }
}

/// An order book that follows one instrument's depth stream.
///
/// - Before a snapshot the book is `Building`: diffs wait, within a bound beyond which the oldest is dropped.
/// - A snapshot replaces the book, waiting diffs up to its sequence number L are superseded, and the rest must follow:
///   the first begins at or before L and ends after it, each later one follows the one before. This is one change.
/// - A diff that does not follow is a `Gap`: the book is emptied and waits for a snapshot again, keeping that diff and
///   those after it. A snapshot that the waiting diffs do not follow is dropped, and is a `Gap` too.
/// - A snapshot that is not newer than a joined book, and a diff that is not newer, are superseded.
/// - A joined book whose sides cross is `Crossed` until they part.
/// - When the feed is disconnected, the book is `Building` again.
/// - Where messages have no sequence numbers the order of arrival decides: a snapshot always replaces the book and
///   supersedes the diffs before it.
///
/// Invariants: a book that is not joined is empty; nothing waits while it is joined; `state` is `Crossed` exactly if
/// it is joined and its sides cross; the counts add up.
#[derive(Clone, Debug)]
pub struct JoinedBook {
    book: OrderBook,
    join: Join,
    state: BookState,
    pending: Pending,
    counts: BookCounts,
}

impl Default for JoinedBook {
    fn default() -> Self {
        Self::new()
    }
}

impl JoinedBook {
    /// A book that waits for its first snapshot.
    pub fn new() -> JoinedBook {
        JoinedBook {
            book: OrderBook::new(),
            join: Join::Building,
            state: BookState::Building,
            pending: Pending::default(),
            counts: BookCounts::default(),
        }
    }

    /// The levels; empty unless the book is joined.
    #[inline]
    pub fn book(&self) -> &OrderBook {
        &self.book
    }

    /// Whether the book can be read.
    #[inline]
    pub fn state(&self) -> BookState {
        self.state
    }

    /// The venue's sequence number that the book is at; [`NO_SEQUENCE`] while it is not joined.
    pub fn last(&self) -> u64 {
        match self.join {
            Join::Joined { last, .. } => last,
            _ => NO_SEQUENCE,
        }
    }

    /// What became of the messages.
    pub fn counts(&self) -> BookCounts {
        self.counts
    }

    /// How many diffs wait for a snapshot.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Takes the next message of the instrument. Kinds that say nothing about the book change nothing.
    #[inline]
    pub fn apply(&mut self, message: &Message<'_>) -> BookChange {
        match message.kind {
            Kind::BookDiff => self.diff(message),
            Kind::BookSnapshot => self.snapshot(message),
            Kind::Status => self.status(message),
            Kind::Trade | Kind::Quote | Kind::Bar | Kind::Mark => self.change(),
        }
    }

    fn diff(&mut self, message: &Message<'_>) -> BookChange {
        self.counts.input += 1;
        let (sequence, sequence_prev) = (message.sequence, message.sequence_prev);
        let Join::Joined { last, fresh } = self.join else {
            return self.wait(message);
        };
        match Join::order(last, fresh, sequence, sequence_prev) {
            Order::Superseded => {
                self.counts.superseded += 1;
                BookChange {
                    superseded: true,
                    ..self.change()
                }
            }
            Order::Follows => {
                for (side, level) in rows(message) {
                    self.counts
                        .level(self.book.apply(side, level.price, level.qty));
                }
                self.counts.applied += 1;
                self.join = Join::Joined {
                    last: last.max(sequence),
                    fresh: false,
                };
                self.judge();
                BookChange {
                    applied: true,
                    ..self.change()
                }
            }
            Order::Breaks => {
                self.wait(message);
                self.gap(SequenceGap {
                    last,
                    sequence_prev,
                    sequence,
                })
            }
        }
    }

    #[inline(never)]
    fn wait(&mut self, message: &Message<'_>) -> BookChange {
        self.counts.dropped += self.pending.push(message);
        self.change()
    }

    #[inline(never)]
    fn snapshot(&mut self, message: &Message<'_>) -> BookChange {
        self.counts.input += 1;
        let sequence = message.sequence;
        if let Join::Joined { last, .. } = self.join
            && sequence != NO_SEQUENCE
            && sequence <= last
        {
            self.counts.superseded += 1;
            return BookChange {
                superseded: true,
                ..self.change()
            };
        }
        let mut counts = self.counts;
        self.book.clear();
        for (side, level) in rows(message) {
            counts.level(self.book.apply(side, level.price, level.qty));
        }
        counts.applied += 1;
        counts.joins += 1;
        let (mut last, mut fresh) = (sequence, true);
        for diff in self.pending.diffs() {
            // Without a number on either the order of arrival decides: the diff was first.
            let unnumbered = sequence == NO_SEQUENCE || diff.sequence == NO_SEQUENCE;
            match Join::order(last, fresh, diff.sequence, diff.sequence_prev) {
                _ if unnumbered => counts.superseded += 1,
                Order::Superseded => counts.superseded += 1,
                Order::Follows => {
                    for (side, level) in &diff.levels {
                        counts.level(self.book.apply(*side, level.price, level.qty));
                    }
                    counts.applied += 1;
                    (last, fresh) = (diff.sequence, false);
                }
                Order::Breaks => {
                    // The diffs go on waiting: a newer snapshot may join them.
                    self.counts.dropped += 1;
                    let Diff {
                        sequence,
                        sequence_prev,
                        ..
                    } = *diff;
                    return self.gap(SequenceGap {
                        last,
                        sequence_prev,
                        sequence,
                    });
                }
            }
        }
        self.counts = counts;
        self.pending.clear();
        self.join = Join::Joined { last, fresh };
        self.judge();
        BookChange {
            applied: true,
            ..self.change()
        }
    }

    fn status(&mut self, message: &Message<'_>) -> BookChange {
        let concerns = [
            0,
            Kind::BookDiff.code().into(),
            Kind::BookSnapshot.code().into(),
        ];
        let disconnected =
            message.prices().first() == Some(&StatusCode::Disconnected.code().into());
        if disconnected
            && message
                .qtys()
                .first()
                .is_some_and(|kind| concerns.contains(kind))
        {
            self.counts.dropped += self.pending.len() as u64;
            self.pending.clear();
            self.book.clear();
            self.join = Join::Building;
            self.judge();
        }
        self.change()
    }

    fn gap(&mut self, gap: SequenceGap) -> BookChange {
        self.book.clear();
        self.join = Join::Gap;
        self.counts.gaps += 1;
        self.judge();
        BookChange {
            gap: Some(gap),
            ..self.change()
        }
    }

    #[inline]
    fn judge(&mut self) {
        self.state = match self.join {
            Join::Building => BookState::Building,
            Join::Gap => BookState::Gap,
            Join::Joined { .. } if self.book.is_crossed() => BookState::Crossed,
            Join::Joined { .. } => BookState::Valid,
        };
    }

    /// A message that changed nothing.
    #[inline]
    fn change(&self) -> BookChange {
        BookChange {
            state: self.state,
            applied: false,
            superseded: false,
            gap: None,
        }
    }

    /// Appends the book, its state, what waits, and the counts.
    pub fn save(&self, out: &mut Vec<u8>) {
        let (code, last, fresh) = match self.join {
            Join::Building => (0, 0, false),
            Join::Gap => (1, 0, false),
            Join::Joined { last, fresh } => (2, last, fresh),
        };
        out.push(code);
        out.extend_from_slice(&last.to_le_bytes());
        out.push(fresh.into());
        self.counts.save(out);
        self.book.save(out);
        self.pending.save(out);
    }

    /// Takes a saved book from the front of `bytes`.
    pub fn load(bytes: &mut &[u8]) -> Result<JoinedBook, LoadError> {
        let join = match (take_u8(bytes)?, take_u64(bytes)?, take_bool(bytes)?) {
            (0, 0, false) => Join::Building,
            (1, 0, false) => Join::Gap,
            (2, last, fresh) => Join::Joined { last, fresh },
            _ => {
                return Err(LoadError::Invalid(
                    "the state of a book has an unknown code",
                ));
            }
        };
        let counts = BookCounts::load(bytes)?;
        let (book, pending) = (OrderBook::load(bytes)?, Pending::load(bytes)?);
        let joined = matches!(join, Join::Joined { .. });
        if joined && pending.len() > 0 || !joined && !book.is_empty() {
            return Err(LoadError::Invalid("a book's state contradicts its levels"));
        }
        if !counts.add_up(pending.len()) {
            return Err(LoadError::Invalid("a book's counts do not add up"));
        }
        let mut loaded = JoinedBook {
            book,
            join,
            state: BookState::Building,
            pending,
            counts,
        };
        loaded.judge();
        Ok(loaded)
    }

    /// Panics with the broken invariant; for tests.
    pub fn check_invariants(&self) {
        self.book.check_invariants();
        self.pending.check_invariants();
        let joined = matches!(self.join, Join::Joined { .. });
        assert!(joined || self.book.is_empty(), "levels without a join");
        assert!(
            !joined || self.pending.len() == 0,
            "diffs wait though the book is joined"
        );
        assert_eq!(
            self.state == BookState::Crossed,
            joined && self.book.is_crossed(),
            "crossed state"
        );
        assert_eq!(
            joined,
            matches!(self.state, BookState::Valid | BookState::Crossed),
            "joined state"
        );
        assert!(
            self.counts.add_up(self.pending.len()),
            "counts add up: {:?}",
            self.counts
        );
    }
}
