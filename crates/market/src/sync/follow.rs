//! What diffs do: follow, break, wait, or show that ids have begun anew.

use signal_event::{Message, NO_RULE, NO_SEQUENCE, NO_TIME};

use super::{Basis, BookChange, BookNotice, BookSync, Earlier, Join, Place, SequenceGap};
use crate::OrderFaults;
use crate::orders::Full;
use crate::pending::{Diff, orders, rows};

/// A message whose venue time is newer by more than this than any before it is new, whatever its id: 1 s.
pub(super) const NEWER_NS: i64 = 1_000_000_000;

impl BookSync {
    #[inline]
    pub(super) fn diff(&mut self, message: &Message<'_>) -> BookChange {
        self.counts.input += 1;
        let (sequence, sequence_prev) = self.ids(message);
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
        match Join::place(self.rule.ids, last, fresh, sequence, sequence_prev) {
            Place::Superseded if self.begins_anew(message) => self.restart(message),
            Place::Superseded => {
                self.newest = self.newest.max(message.ts_event);
                self.superseded()
            }
            Place::Follows => {
                let mut faults = OrderFaults::default();
                if matches!(self.basis, Basis::Orders(_)) {
                    match self.take_orders(message) {
                        Ok(found) => faults = found,
                        Err(Full) => return self.overflow(),
                    }
                } else {
                    for (side, level) in rows(message) {
                        self.set(side, level);
                    }
                }
                self.counts.applied += 1;
                self.join = Join::Joined {
                    last: match sequence {
                        NO_SEQUENCE => last,
                        sequence => sequence,
                    },
                    fresh: false,
                };
                self.newest = self.newest.max(message.ts_event);
                self.earlier = None;
                let notice = self.settle(message.checksum());
                let notice = notice.or((!faults.is_empty()).then_some(BookNotice::Orders(faults)));
                self.judge();
                BookChange {
                    applied: true,
                    notice,
                    ..self.change()
                }
            }
            Place::Breaks => {
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
    fn take_orders(&mut self, message: &Message<'_>) -> Result<OrderFaults, Full> {
        let mut faults = OrderFaults::default();
        if let Basis::Orders(standing) = &mut self.basis {
            for order in orders(message) {
                faults.add(standing.apply(&order, &mut self.book)?);
            }
        }
        self.counts.orders(faults);
        Ok(faults)
    }

    /// Whether a diff that is not newer by its id is so by its venue time.
    #[cold]
    fn begins_anew(&self, message: &Message<'_>) -> bool {
        let (time, newest) = (message.ts_event, self.newest);
        let (sequence, sequence_prev) = self.ids(message);
        if sequence == NO_SEQUENCE {
            return false;
        }
        let timed = time != NO_TIME && newest != NO_TIME;
        let follows = self.earlier.as_ref().is_some_and(|earlier| {
            let last = earlier.snapshot.sequence;
            sequence > last && (sequence_prev == NO_RULE || sequence_prev <= last)
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
        self.empty();
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
        let (sequence, sequence_prev) = self.ids(message);
        self.gap(SequenceGap {
            last,
            sequence_prev,
            sequence,
        })
    }

    #[inline(never)]
    fn wait(&mut self, message: &Message<'_>) -> BookChange {
        self.newest = self.newest.max(message.ts_event);
        let (sequence, sequence_prev) = self.ids(message);
        self.counts.dropped += self
            .pending
            .push(Diff::of(message, sequence, sequence_prev));
        self.change()
    }
}
