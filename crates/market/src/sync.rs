//! When a book can be trusted: a venue's snapshot joined with what follows it, by the venue's rule.

use signal_event::{
    BookIds, BookRule, DEFAULT_SCALE, Kind, Message, NO_RULE, NO_SEQUENCE, NO_TIME, Order,
    OrderAction, Side, Timestamp, flags,
};

use crate::checksum::Checksum;
use crate::depth::Depths;
use crate::orders::Orders;
use crate::pending::{Diff, Pending, orders};
use crate::{BookCounts, Level, OrderBook};

mod change;
mod follow;
mod saved;
mod snapshot;

pub use change::{BookChange, BookNotice, BookState, ChecksumMismatch, SequenceGap};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Join {
    Building,
    Gap,
    Checksum,
    Overflow,
    /// `last` is the book's sequence number, [`NO_SEQUENCE`] where the venue gives none. `fresh`: nothing has followed
    /// the snapshot yet, so the next diff may begin before it.
    Joined {
        last: u64,
        fresh: bool,
    },
}

/// Where a diff stands to a joined book.
enum Place {
    Superseded,
    Follows,
    Breaks,
}

impl Join {
    #[inline]
    fn place(ids: BookIds, last: u64, fresh: bool, sequence: u64, sequence_prev: u64) -> Place {
        let follows = match ids {
            BookIds::Range | BookIds::Unnumbered => sequence_prev <= last,
            BookIds::Linked | BookIds::SnapshotResets => {
                sequence_prev == last || fresh && sequence_prev < last
            }
        };
        if ids == BookIds::SnapshotResets && sequence_prev == last && last != NO_SEQUENCE {
            // Also where ids begin anew behind this link: OKX does so without a snapshot.
            Place::Follows
        } else if sequence != NO_SEQUENCE && sequence <= last {
            Place::Superseded
        } else if follows || sequence_prev == NO_RULE || fresh && last == NO_SEQUENCE {
            Place::Follows
        } else {
            Place::Breaks
        }
    }
}

/// An order book that follows one instrument's depth stream, by the venue's [`BookRule`].
///
/// - Before a snapshot the book is `Building`: diffs wait, within a bound beyond which the oldest is dropped.
/// - A snapshot replaces the book, waiting diffs up to its sequence number L are superseded, and the rest must follow.
///   This is one change.
/// - A diff follows if it ends after the id of the book and begins at or before the one after it: where diffs overlap,
///   nothing is missing, and quantities are absolute. Where ids are linked it must name the book's own; only the first
///   after a snapshot may begin before it.
/// - A diff that does not follow is a `Gap`: the book is emptied and waits for a snapshot again, keeping that diff and
///   those after it. A snapshot that the waiting diffs do not follow is dropped, and is a `Gap` too.
/// - A snapshot that is not newer than a joined book, and a diff that is not newer, are superseded; but where snapshots
///   reset the ids, each replaces the book and supersedes what waits.
/// - The venue's ids *begin anew* with a diff that is not newer by its id, but by its venue time (which it must have):
///   if it follows a snapshot that was not newer either, that snapshot and it are the book; if not, and it is newer by
///   more than 1 s, the book is a `Gap` until the next snapshot.
/// - A snapshot may tell only the best levels of a side, which is then *cut*: if it says so, or if the diff that ends with
///   its id set a level beyond its worst one. What lies beyond is unknown.
/// - Where the venue keeps books at a number of levels, those that are pushed out of it are dropped after each message,
///   and a side is cut exactly while it holds that many.
/// - A message may carry the venue's checksum of the book after it. One that the book does not meet makes it `Checksum`:
///   it is emptied and waits for a snapshot.
/// - A joined book whose sides cross is `Crossed` until they part.
/// - A message whose numbers a tape cannot hold makes it `Overflow` until the next snapshot.
/// - A book is made of levels or of single orders: of what comes first, and messages of the other kind are superseded.
///   A message of orders is a snapshot if it begins with a clear of both sides. A snapshot of orders without a number supersedes nothing:
///   the diffs that waited are applied to it, for orders have ids of their own. Orders that the book does not know, or knows
///   already, are counted and harm nothing.
/// - When the feed is disconnected, the book is `Building` again.
/// - Where messages have no sequence numbers the order of arrival decides: a snapshot always replaces the book and
///   supersedes the diffs before it.
///
/// Invariants: a book that is not joined is empty; nothing waits while it is joined; `state` is `Crossed` exactly if
/// it is joined and its sides cross; a side has no more levels than the venue keeps; the counts add up.
#[derive(Clone, Debug)]
pub struct BookSync {
    rule: BookRule,
    book: OrderBook,
    join: Join,
    state: BookState,
    pending: Pending,
    counts: BookCounts,
    /// How deep the joined snapshot told the sides.
    depths: Depths,
    /// Levels a side that the venue keeps.
    kept: Option<usize>,
    checksum: Option<Checksum>,
    basis: Basis,
    /// Venue time of the newest diff.
    newest: Timestamp,
    /// The latest snapshot, if its id was not newer than what is known.
    earlier: Option<Earlier>,
}

/// What a book is made of.
#[derive(Clone, Debug)]
enum Basis {
    /// Nothing has come yet.
    Unknown,
    Levels,
    Orders(Box<Orders>),
}

/// A snapshot whose id was not newer: with a diff that follows it, ids have begun anew.
#[derive(Clone, Debug)]
struct Earlier {
    snapshot: Diff,
    cut: [Option<i64>; 2],
    /// It was counted as dropped, not as superseded.
    dropped: bool,
}

impl Default for BookSync {
    fn default() -> Self {
        Self::new()
    }
}

impl BookSync {
    /// A book of a venue whose ids are ranges, that waits for its first snapshot.
    pub fn new() -> BookSync {
        BookSync::with_rule(BookRule::RANGE, [DEFAULT_SCALE; 2])
    }

    /// A book that waits for its first snapshot. `scales` are those of the instrument's prices and quantities: checksums
    /// are over numbers as text.
    pub fn with_rule(rule: BookRule, scales: [u8; 2]) -> BookSync {
        BookSync {
            rule,
            book: OrderBook::new(),
            join: Join::Building,
            state: BookState::Building,
            pending: Pending::default(),
            counts: BookCounts::default(),
            depths: Depths::default(),
            kept: rule.depth.map(|levels| levels as usize),
            checksum: rule.checksum.map(|kind| Checksum::new(kind, scales)),
            basis: Basis::Unknown,
            newest: NO_TIME,
            earlier: None,
        }
    }

    /// How the venue's messages become this book.
    pub fn rule(&self) -> BookRule {
        self.rule
    }

    /// The worst price up to which a side is known, where it goes on beyond; `None` where all of it is known.
    #[inline]
    pub fn cut(&self, side: Side) -> Option<i64> {
        match self.kept {
            None => self.depths.cut(side),
            Some(most) if self.book.depth(side) < most => None,
            Some(_) => self.book.worst(side).map(|level| level.price),
        }
    }

    /// Fills `out` with the known levels of a side from the best outwards; gives how many there were.
    #[inline]
    pub fn top(&self, side: Side, out: &mut [Level]) -> usize {
        let count = self.book.top(side, out);
        match self.depths.cut(side) {
            None => count,
            Some(_) => {
                out[..count].partition_point(|level| !self.depths.is_beyond(side, level.price))
            }
        }
    }

    /// Names the places that the next message will touch beside the levels, for who wants them in the cache before.
    #[inline]
    pub fn places(&self, touch: &mut impl FnMut(*const u8)) {
        let first = std::ptr::from_ref(self).cast::<u8>();
        for at in (0..size_of::<Self>()).step_by(64) {
            touch(first.wrapping_add(at));
        }
    }

    /// Venue time begins anew: what was the newest says nothing any more.
    pub fn begin_anew(&mut self) {
        self.newest = NO_TIME;
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
            Kind::BookDiff | Kind::BookSnapshot | Kind::Order
                if message.flags()[0] & flags::UNHELD != 0 =>
            {
                self.counts.input += 1;
                self.overflow()
            }
            Kind::BookDiff | Kind::BookSnapshot | Kind::Order if self.is_foreign(message.kind) => {
                self.counts.input += 1;
                self.superseded()
            }
            Kind::BookDiff => self.diff(message),
            Kind::BookSnapshot => self.snapshot(message),
            Kind::Order => match orders(message).next() {
                Some(Order {
                    action: OrderAction::Clear,
                    side: Side::None,
                    ..
                }) => self.snapshot(message),
                _ => self.diff(message),
            },
            Kind::Status => self.status(message),
            Kind::Trade
            | Kind::Quote
            | Kind::Bar
            | Kind::Mark
            | Kind::Definition
            | Kind::Reference => self.change(),
        }
    }

    /// Whether the book is made of something else than a message of this kind tells.
    #[inline]
    fn is_foreign(&mut self, kind: Kind) -> bool {
        match (&self.basis, kind) {
            (Basis::Levels, kind) => kind == Kind::Order,
            (Basis::Orders(_), kind) => kind != Kind::Order,
            (Basis::Unknown, kind) => {
                self.basis = match kind {
                    Kind::Order => Basis::Orders(Box::default()),
                    _ => Basis::Levels,
                };
                false
            }
        }
    }

    fn superseded(&mut self) -> BookChange {
        self.counts.superseded += 1;
        BookChange {
            superseded: true,
            ..self.change()
        }
    }

    /// The orders that stand in the book, by their ids, as they would be added to an empty one; `None` if it is made of
    /// levels.
    pub fn orders(&self) -> Option<Vec<Order>> {
        match &self.basis {
            Basis::Orders(orders) => Some(orders.standing()),
            Basis::Unknown | Basis::Levels => None,
        }
    }

    /// What the ids of a message say by the rule.
    #[inline]
    fn ids(&self, message: &Message<'_>) -> (u64, u64) {
        match self.rule.ids {
            BookIds::Unnumbered => (NO_SEQUENCE, NO_RULE),
            _ => (message.sequence, message.sequence_prev),
        }
    }

    #[inline]
    fn set(&mut self, side: Side, level: Level) {
        self.counts
            .level(self.book.apply(side, level.price, level.qty));
    }

    /// Ends a message that changed the joined book: what was pushed out of the depth that the venue keeps goes, and the
    /// book must meet the message's checksum, if it has one.
    #[inline]
    fn settle(&mut self, checksum: Option<u32>) -> Option<BookNotice> {
        if let Some(most) = self.kept {
            self.counts.levels_shed += self.book.truncate(most) as u64;
        }
        match (&mut self.checksum, checksum) {
            (Some(check), Some(expected)) => match check.check(&self.book, expected) {
                Ok(()) => {
                    self.counts.checksums += 1;
                    None
                }
                Err(computed) => Some(self.mismatch(expected, computed)),
            },
            _ => None,
        }
    }

    /// Empties the book, which waits for a snapshot again, or goes on waiting for it.
    fn leave(&mut self, join: Join) {
        self.empty();
        self.depths = Depths::default();
        self.kept = self.rule.depth.map(|levels| levels as usize);
        self.join = join;
        self.judge();
    }

    fn empty(&mut self) {
        self.book.clear();
        if let Basis::Orders(orders) = &mut self.basis {
            orders.clear();
        }
    }

    #[cold]
    fn mismatch(&mut self, expected: u32, computed: u32) -> BookNotice {
        let sequence = self.last();
        self.counts.mismatches += 1;
        self.leave(Join::Checksum);
        BookNotice::Checksum(ChecksumMismatch {
            sequence,
            expected,
            computed,
        })
    }

    fn gap(&mut self, gap: SequenceGap) -> BookChange {
        self.counts.gaps += 1;
        self.leave(Join::Gap);
        BookChange {
            notice: Some(BookNotice::Gap(gap)),
            ..self.change()
        }
    }

    #[inline]
    fn judge(&mut self) {
        self.state = match self.join {
            Join::Building => BookState::Building,
            Join::Gap => BookState::Gap,
            Join::Checksum => BookState::Checksum,
            Join::Overflow => BookState::Overflow,
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
            notice: None,
        }
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
        if let Basis::Orders(orders) = &self.basis {
            orders.check_invariants(&self.book);
        }
        for side in [Side::Bid, Side::Ask] {
            assert!(
                self.kept.is_none_or(|most| self.book.depth(side) <= most),
                "more levels than the venue keeps"
            );
        }
        assert!(
            self.counts.add_up(self.pending.len()),
            "counts add up: {:?}",
            self.counts
        );
    }
}
