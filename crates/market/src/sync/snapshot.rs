//! What snapshots do: make the book, with the waiting diffs that follow them. And what unmakes it from outside.

use std::collections::BTreeMap;

use signal_event::{
    BookIds, Event, Kind, Message, NO_RULE, NO_SEQUENCE, NO_TIME, Side, StatusCode, flags,
};

use super::follow::NEWER_NS;
use super::{Basis, BookChange, BookNotice, BookSync, Earlier, Join, Place, SequenceGap};
use crate::depth::Depths;
use crate::orders::Full;
use crate::pending::{Diff, Rows};
use crate::{BookCounts, OrderFaults};

impl BookSync {
    #[inline(never)]
    pub(super) fn snapshot(&mut self, message: &Message<'_>) -> BookChange {
        self.counts.input += 1;
        let (sequence, _) = self.ids(message);
        let snapshot = Diff::of(message, sequence, NO_RULE);
        let cut = [Side::Bid, Side::Ask].map(|side| {
            let cells = message.sides().iter().zip(message.flags());
            let mut cut = cells
                .zip(message.prices())
                .filter(|((code, marks), _)| **code == side.code() && *marks & flags::CUT != 0);
            cut.next().map(|(_, price)| *price)
        });
        if let Join::Joined { last, .. } = self.join
            && self.rule.ids != BookIds::SnapshotResets
            && sequence != NO_SEQUENCE
            && sequence <= last
        {
            let newer = message.ts_event.saturating_sub(self.newest) > NEWER_NS;
            if newer && message.ts_event != NO_TIME && self.newest != NO_TIME {
                self.counts.restarts += 1;
                self.newest = NO_TIME;
                return self.join(snapshot, cut);
            }
            self.earlier = Some(Earlier {
                snapshot,
                cut,
                dropped: false,
            });
            return self.superseded();
        }
        self.join(snapshot, cut)
    }

    /// Makes a snapshot the book, with the waiting diffs that follow it.
    pub(super) fn join(&mut self, snapshot: Diff, cut: [Option<i64>; 2]) -> BookChange {
        let sequence = snapshot.sequence;
        let mut counts = self.counts;
        let mut depths = match self.rule.depth {
            None => Depths::of(snapshot.rows.levels(), cut),
            Some(_) => Depths::default(),
        };
        self.empty();
        let mut faults = OrderFaults::default();
        let Ok(told) = self.place(&snapshot.rows, true, &mut counts) else {
            return self.overflow();
        };
        faults.add(told);
        self.kept = self.rule.depth.map(|most| {
            // A side that was cut holds as many levels as the venue keeps.
            let sides = [Side::Bid, Side::Ask].into_iter().zip(cut);
            let told = sides.filter(|(_, cut)| cut.is_some());
            let told = told.map(|(side, _)| self.book.depth(side)).max();
            told.map_or(most as usize, |levels| levels.clamp(1, most as usize))
        });
        counts.applied += 1;
        counts.joins += 1;
        let (mut last, mut fresh) = (sequence, true);
        let mut checksum = snapshot.checksum;
        // Levels beyond the snapshot's worst ones that diffs in it had set, with their latest quantities.
        let mut before: BTreeMap<(Side, i64), i64> = BTreeMap::new();
        let pending = std::mem::take(&mut self.pending);
        for diff in pending.diffs() {
            // Without a number on either, and where snapshots come among the diffs, the order of arrival decides: the
            // diff was first. Orders are known by their own ids: what came first does no harm.
            let unnumbered = sequence == NO_SEQUENCE || diff.sequence == NO_SEQUENCE;
            let first = self.rule.ids == BookIds::SnapshotResets
                || unnumbered && matches!(self.basis, Basis::Levels);
            match Join::place(
                self.rule.ids,
                last,
                fresh,
                diff.sequence,
                diff.sequence_prev,
            ) {
                _ if first => counts.superseded += 1,
                Place::Superseded => {
                    counts.superseded += 1;
                    // The latest one that is in it, and nothing came between them.
                    if diff.sequence == sequence {
                        let levels = diff.rows.levels().iter();
                        before.extend(
                            levels
                                .filter(|(side, level)| depths.is_beyond(*side, level.price))
                                .map(|(side, level)| ((*side, level.price), level.qty)),
                        );
                    }
                }
                Place::Follows => {
                    let Ok(told) = self.place(&diff.rows, false, &mut counts) else {
                        self.pending = pending;
                        return self.overflow();
                    };
                    faults.add(told);
                    counts.applied += 1;
                    (last, fresh, checksum) = (diff.sequence, false, diff.checksum);
                    if let Some(most) = self.kept {
                        counts.levels_shed += self.book.truncate(most) as u64;
                    }
                }
                Place::Breaks => {
                    // The diffs go on waiting: a newer snapshot may join them.
                    self.counts.dropped += 1;
                    let Diff {
                        sequence,
                        sequence_prev,
                        ..
                    } = *diff;
                    self.pending = pending;
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
        self.join = Join::Joined { last, fresh };
        let notice = self.settle(checksum);
        let notice = notice.or((!faults.is_empty()).then_some(BookNotice::Orders(faults)));
        self.judge();
        BookChange {
            applied: true,
            notice,
            ..self.change()
        }
    }

    /// Puts what a message tells into the book. A `whole` book's levels without quantity only say where it was cut.
    fn place(
        &mut self,
        rows: &Rows,
        whole: bool,
        counts: &mut BookCounts,
    ) -> Result<OrderFaults, Full> {
        let mut faults = OrderFaults::default();
        match (rows, &mut self.basis) {
            (Rows::Orders(orders), Basis::Orders(standing)) => {
                for order in orders {
                    faults.add(standing.apply(order, &mut self.book)?);
                }
                counts.orders(faults);
            }
            _ => {
                let levels = rows.levels().iter();
                for (side, level) in levels.filter(|(_, level)| !whole || level.qty > 0) {
                    counts.level(self.book.apply(*side, level.price, level.qty));
                }
            }
        }
        Ok(faults)
    }

    pub(super) fn status(&mut self, message: &Message<'_>) -> BookChange {
        if let Event::Status {
            code: StatusCode::Disconnected,
            stream: None | Some(Kind::BookDiff | Kind::BookSnapshot | Kind::Order),
            ..
        } = message.event()
        {
            self.give_up_pending();
            self.leave(Join::Building);
        }
        self.change()
    }

    /// A message that cannot be held: nobody knows what it changed.
    #[cold]
    pub(super) fn overflow(&mut self) -> BookChange {
        self.counts.dropped += 1;
        self.give_up_pending();
        self.leave(Join::Overflow);
        self.change()
    }

    fn give_up_pending(&mut self) {
        self.counts.dropped += self.pending.len() as u64;
        self.pending.clear();
        self.earlier = None;
    }
}
