//! When a book can be trusted: a venue's snapshot joined with its diffs.

use std::collections::BTreeMap;

use signal_event::{
    Event, Kind, Message, NO_RULE, NO_SEQUENCE, NO_TIME, Side, StatusCode, Timestamp, flags,
};

use crate::depth::Depths;
use crate::pending::{Diff, Pending, rows};
use crate::{BookCounts, Level, OrderBook};

mod change;
mod saved;

pub use change::{BookChange, BookState, SequenceGap};

/// A diff whose venue time is newer by more than this than any before it is new, whatever its id: 1 s.
const NEWER_NS: i64 = 1_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Join {
    Building,
    Gap,
    Overflow,
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
        } else if sequence_prev == NO_RULE || sequence_prev <= last || fresh && last == NO_SEQUENCE
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
/// - A snapshot replaces the book, waiting diffs up to its sequence number L are superseded, and the rest must follow.
///   This is one change.
/// - A diff follows if it begins at or before the id after the last one and ends after the last one: where diffs overlap,
///   nothing is missing, and quantities are absolute.
/// - A diff that does not follow is a `Gap`: the book is emptied and waits for a snapshot again, keeping that diff and
///   those after it. A snapshot that the waiting diffs do not follow is dropped, and is a `Gap` too.
/// - A snapshot that is not newer than a joined book, and a diff that is not newer, are superseded.
/// - The venue's ids *begin anew* with a diff that is not newer by its id, but by its venue time (which it must have):
///   if it follows a snapshot that was not newer either, that snapshot and it are the book; if not, and it is newer by
///   more than 1 s, the book is a `Gap` until the next snapshot.
/// - A snapshot may tell only the best levels of a side, which is then *cut*: if it says so, or if the diff that ends with
///   its id set a level beyond its worst one. What lies beyond is unknown.
/// - A joined book whose sides cross is `Crossed` until they part.
/// - A message whose numbers a tape cannot hold makes it `Overflow` until the next snapshot.
/// - When the feed is disconnected, the book is `Building` again.
/// - Where messages have no sequence numbers the order of arrival decides: a snapshot always replaces the book and
///   supersedes the diffs before it.
///
/// Invariants: a book that is not joined is empty; nothing waits while it is joined; `state` is `Crossed` exactly if
/// it is joined and its sides cross; the counts add up.
#[derive(Clone, Debug)]
pub struct BookSync {
    book: OrderBook,
    join: Join,
    state: BookState,
    pending: Pending,
    counts: BookCounts,
    /// How deep the joined snapshot told the sides.
    depths: Depths,
    /// Venue time of the newest diff.
    newest: Timestamp,
    /// The latest snapshot, if its id was not newer than what is known.
    earlier: Option<Earlier>,
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
    /// A book that waits for its first snapshot.
    pub fn new() -> BookSync {
        BookSync {
            book: OrderBook::new(),
            join: Join::Building,
            state: BookState::Building,
            pending: Pending::default(),
            counts: BookCounts::default(),
            depths: Depths::default(),
            newest: NO_TIME,
            earlier: None,
        }
    }

    /// The worst price up to which a side is known, where it goes on beyond; `None` where all of it is known.
    #[inline]
    pub fn cut(&self, side: Side) -> Option<i64> {
        self.depths.cut(side)
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
            Kind::BookDiff | Kind::BookSnapshot if message.flags()[0] & flags::UNHELD != 0 => {
                self.overflow()
            }
            Kind::BookDiff => self.diff(message),
            Kind::BookSnapshot => self.snapshot(message),
            Kind::Status => self.status(message),
            _ => self.change(),
        }
    }

    fn diff(&mut self, message: &Message<'_>) -> BookChange {
        self.counts.input += 1;
        let (sequence, sequence_prev) = (message.sequence, message.sequence_prev);
        let Join::Joined { last, fresh } = self.join else {
            let restart = match self.pending.last() {
                Some(last) => sequence <= last && self.begins_anew(message),
                None => self.earlier.is_some() && self.begins_anew(message),
            };
            return if restart {
                self.restart(message)
            } else {
                self.wait(message)
            };
        };
        match Join::order(last, fresh, sequence, sequence_prev) {
            Order::Superseded if self.begins_anew(message) => self.restart(message),
            Order::Superseded => {
                self.counts.superseded += 1;
                self.newest = self.newest.max(message.ts_event);
                BookChange {
                    superseded: true,
                    ..self.change()
                }
            }
            Order::Follows => {
                for (side, level) in rows(message) {
                    self.set(side, level);
                }
                self.counts.applied += 1;
                self.join = Join::Joined {
                    last: last.max(sequence),
                    fresh: false,
                };
                self.newest = self.newest.max(message.ts_event);
                self.earlier = None;
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

    #[inline]
    fn set(&mut self, side: Side, level: Level) {
        self.counts
            .level(self.book.apply(side, level.price, level.qty));
    }

    /// Whether a diff that is not newer by its id is so by its venue time.
    #[cold]
    fn begins_anew(&self, message: &Message<'_>) -> bool {
        let (time, newest) = (message.ts_event, self.newest);
        if message.sequence == NO_SEQUENCE {
            return false;
        }
        let timed = time != NO_TIME && newest != NO_TIME;
        let follows = self.earlier.as_ref().is_some_and(|earlier| {
            let last = earlier.snapshot.sequence;
            message.sequence > last
                && (message.sequence_prev == NO_RULE || message.sequence_prev <= last)
        });
        follows && time != NO_TIME && (newest == NO_TIME || time > newest)
            || timed && time.saturating_sub(newest) > NEWER_NS
    }

    /// Ids begin anew with this diff: what is known is of the ids before.
    #[cold]
    fn restart(&mut self, message: &Message<'_>) -> BookChange {
        let last = self.last().max(self.pending.last().unwrap_or(NO_SEQUENCE));
        self.counts.restarts += 1;
        self.counts.dropped += self.pending.len() as u64;
        self.pending.clear();
        self.book.clear();
        self.join = Join::Gap;
        self.newest = NO_TIME;
        self.wait(message);
        if let Some(Earlier {
            snapshot,
            cut,
            dropped,
        }) = self.earlier.take()
        {
            match dropped {
                true => self.counts.dropped -= 1,
                false => self.counts.superseded -= 1,
            }
            return self.join(snapshot, cut);
        }
        self.gap(SequenceGap {
            last,
            sequence_prev: message.sequence_prev,
            sequence: message.sequence,
        })
    }

    #[inline(never)]
    fn wait(&mut self, message: &Message<'_>) -> BookChange {
        self.newest = self.newest.max(message.ts_event);
        self.counts.dropped += self.pending.push(message);
        self.change()
    }

    #[inline(never)]
    fn snapshot(&mut self, message: &Message<'_>) -> BookChange {
        self.counts.input += 1;
        let sequence = message.sequence;
        let snapshot = Diff {
            sequence,
            sequence_prev: NO_RULE,
            levels: rows(message).collect(),
        };
        let cut = [Side::Bid, Side::Ask].map(|side| {
            let cells = message.sides().iter().zip(message.flags());
            let mut cut = cells
                .zip(message.prices())
                .filter(|((code, marks), _)| **code == side.code() && *marks & flags::CUT != 0);
            cut.next().map(|(_, price)| *price)
        });
        if let Join::Joined { last, .. } = self.join
            && sequence != NO_SEQUENCE
            && sequence <= last
        {
            let newer = message.ts_event.saturating_sub(self.newest) > NEWER_NS;
            if newer && message.ts_event != NO_TIME && self.newest != NO_TIME {
                self.counts.restarts += 1;
                self.newest = NO_TIME;
                return self.join(snapshot, cut);
            }
            self.counts.superseded += 1;
            self.earlier = Some(Earlier {
                snapshot,
                cut,
                dropped: false,
            });
            return BookChange {
                superseded: true,
                ..self.change()
            };
        }
        self.join(snapshot, cut)
    }

    /// Makes a snapshot the book, with the waiting diffs that follow it.
    fn join(&mut self, snapshot: Diff, cut: [Option<i64>; 2]) -> BookChange {
        let sequence = snapshot.sequence;
        let mut counts = self.counts;
        let mut depths = Depths::of(&snapshot.levels, cut);
        self.book.clear();
        for (side, level) in snapshot.levels.iter().filter(|(_, level)| level.qty > 0) {
            counts.level(self.book.apply(*side, level.price, level.qty));
        }
        counts.applied += 1;
        counts.joins += 1;
        let (mut last, mut fresh) = (sequence, true);
        // Levels beyond the snapshot's worst ones that diffs in it had set, with their latest quantities.
        let mut before: BTreeMap<(Side, i64), i64> = BTreeMap::new();
        for diff in self.pending.diffs() {
            // Without a number on either the order of arrival decides: the diff was first.
            let unnumbered = sequence == NO_SEQUENCE || diff.sequence == NO_SEQUENCE;
            match Join::order(last, fresh, diff.sequence, diff.sequence_prev) {
                Order::Superseded => {
                    counts.superseded += 1;
                    // The latest one that is in it, and nothing came between them.
                    if diff.sequence == sequence {
                        let levels = diff.levels.iter();
                        before.extend(
                            levels
                                .filter(|(side, level)| depths.is_beyond(*side, level.price))
                                .map(|(side, level)| ((*side, level.price), level.qty)),
                        );
                    }
                }
                _ if unnumbered => counts.superseded += 1,
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
                    self.earlier = Some(Earlier {
                        snapshot,
                        cut,
                        dropped: true,
                    });
                    return self.gap(SequenceGap {
                        last,
                        sequence_prev,
                        sequence,
                    });
                }
            }
        }
        for ((side, price), _) in before.into_iter().filter(|(_, qty)| *qty > 0) {
            depths.held(side, price);
        }
        self.counts = counts;
        self.depths = depths;
        self.earlier = None;
        self.pending.clear();
        self.join = Join::Joined { last, fresh };
        self.judge();
        BookChange {
            applied: true,
            ..self.change()
        }
    }

    fn status(&mut self, message: &Message<'_>) -> BookChange {
        if let Event::Status {
            code: StatusCode::Disconnected,
            stream: None | Some(Kind::BookDiff | Kind::BookSnapshot),
            ..
        } = message.event()
        {
            self.counts.dropped += self.pending.len() as u64;
            self.pending.clear();
            self.book.clear();
            self.join = Join::Building;
            self.depths = Depths::default();
            self.earlier = None;
            self.judge();
        }
        self.change()
    }

    /// A message that cannot be held: nobody knows what it changed.
    #[cold]
    fn overflow(&mut self) -> BookChange {
        self.counts.input += 1;
        self.counts.dropped += 1 + self.pending.len() as u64;
        self.pending.clear();
        self.book.clear();
        self.depths = Depths::default();
        self.earlier = None;
        self.join = Join::Overflow;
        self.judge();
        self.change()
    }

    fn gap(&mut self, gap: SequenceGap) -> BookChange {
        self.book.clear();
        self.depths = Depths::default();
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
            gap: None,
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
        assert!(
            self.counts.add_up(self.pending.len()),
            "counts add up: {:?}",
            self.counts
        );
    }
}
