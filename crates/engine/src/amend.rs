//! What late events change, where the graph runs on venue time (docs/adr/0026-amend.md).

use crate::options::Options;
use crate::reorder::HeldMessage;
use crate::vectors::{Stamp, Vectors, row_digest};
use signal_event::{InstrumentId, Message};
use signal_ingest::{Admit, Counts};
use signal_runtime::Reason;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Messages, and vectors, that are kept at most.
pub const KEPT_MAX: usize = 1 << 18;
/// So many states lie within the horizon, about.
const STATES: usize = 8;

/// What became of a vector that was given out, or was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// How often the vector has changed, this time included.
    pub revision: u32,
    /// [`row_digest`] of the vector as it was given last; `None` if there was none.
    pub old: Option<[u8; 32]>,
    /// The same of the vector that takes its place; `None` if there is none any more.
    pub new: Option<[u8; 32]>,
}

/// Vectors that late events changed. Row `i` of `vectors` belongs to `changes[i]`; a vector that is no more has no values.
#[derive(Clone, Debug, Default)]
pub struct Amendments {
    /// As they are now. `ts_recv` and `offset` say when that was known.
    pub vectors: Vectors,
    /// One a vector.
    pub changes: Vec<Change>,
}

/// How much was amended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AmendedTotals {
    /// Late messages that took their place.
    pub messages: u64,
    /// Vectors given anew, or taken back.
    pub vectors: u64,
}

/// Where a message, or a mark, had its turn: time, rank at that time, and the rest of its [`ReorderKey`].
pub(crate) type Place = (i64, u8, InstrumentId, u8, u64, u64);

/// Ranks of what happens at one time: what came before any venue time was known, messages, marks.
pub(crate) const FIRST: u8 = 0;
pub(crate) const MESSAGE: u8 = 1;
pub(crate) const MARK: u8 = 2;

/// What had its turn.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// The message; `None` where a mark let time pass.
    pub held: Option<HeldMessage>,
    /// Newest receive time then.
    pub recv_ts_max: i64,
    /// Instruments known then.
    pub instruments: usize,
}

/// The engine before anything later than `reached` had its turn.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub reached: i64,
    pub bytes: Vec<u8>,
    /// Verdicts since on messages that never had a turn.
    pub judged: BTreeMap<(InstrumentId, u8), Counts>,
}

/// A vector that was given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    /// Its own time.
    pub at: i64,
    /// How far time had got when it came out.
    pub by: i64,
    pub instrument: u32,
    pub ts_recv: i64,
    pub digest: [u8; 32],
    pub revision: u32,
    /// Whether it is no more.
    pub withdrawn: bool,
}

/// What is kept so that late messages can take their places.
///
/// Invariants: `states` rise in time, and everything kept lies behind the first; `given` is in order of `by`; where there is
/// no state, nothing is kept. Which states there are follows from the first and from what is kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Amending {
    pub horizon_ns: i64,
    pub kept: BTreeMap<Place, Kept>,
    pub states: VecDeque<State>,
    pub given: VecDeque<Given>,
    /// Time of the first message that took its place and is not run yet.
    pub changed: Option<i64>,
    /// Messages that took their places and are not run yet.
    pub pending: u64,
    /// Whether the latest turn moved time on: a message that is none, such as a duplicate, does not.
    pub settled: bool,
    /// Turns since the newest state.
    pub turns: usize,
    pub totals: AmendedTotals,
    pub out: Amendments,
}

impl Amending {
    pub fn of(options: &Options) -> Self {
        Self {
            horizon_ns: options.amend_ns,
            settled: true,
            ..Self::default()
        }
    }

    /// From which time on a late message may take its place; `i64::MAX` for none.
    pub fn since(&self, watermark: i64) -> i64 {
        match self.states.front() {
            Some(first) if self.kept.len() < KEPT_MAX => watermark
                .saturating_sub(self.horizon_ns)
                .max(first.reached.saturating_add(1)),
            _ => i64::MAX,
        }
    }

    /// Whether a state is wanted between `reached` and what happens at `next`.
    pub(crate) fn wants_state(&self, reached: i64, next: i64) -> bool {
        let Some(newest) = self.states.back() else {
            return self.settled && next > reached;
        };
        let apart = (self.horizon_ns / STATES as i64).max(1);
        self.settled
            && next > reached
            && reached > newest.reached
            && (reached >= newest.reached.saturating_add(apart) || self.turns >= KEPT_MAX / STATES)
    }

    pub(crate) fn keep_state(&mut self, reached: i64, bytes: Vec<u8>) {
        self.turns = 0;
        self.states.push_back(State {
            reached,
            bytes,
            judged: BTreeMap::new(),
        });
    }

    /// Forgets what lies beyond the horizon, and beyond what may be kept.
    pub(crate) fn forget(&mut self, watermark: i64) {
        let since = watermark.saturating_sub(self.horizon_ns);
        let before = self.states.len();
        while self.states.get(1).is_some_and(|next| next.reached < since) {
            self.states.pop_front();
        }
        if self.states.len() < before {
            self.trim();
        }
        while self.kept.len() > KEPT_MAX || self.given.len() > KEPT_MAX {
            self.states.pop_front();
            self.trim();
        }
    }

    /// Forgets what lies before the first state; everything without one.
    pub(crate) fn trim(&mut self) {
        let Some(first) = self.states.front().map(|first| first.reached) else {
            return self.clear();
        };
        self.kept = self.kept.split_off(&after(first));
        let gone = self.given.partition_point(|given| given.by <= first);
        self.given.drain(..gone);
    }

    pub fn clear(&mut self) {
        self.kept.clear();
        self.states.clear();
        self.given.clear();
        (self.settled, self.turns) = (true, 0);
    }

    /// A message was judged that never has a turn: one that is refused, or a mark.
    pub(crate) fn judged(&mut self, message: &Message<'_>, admit: Admit) {
        let key = (message.instrument, message.kind as u8);
        for state in &mut self.states {
            let counts = state.judged.entry(key).or_default();
            counts.input += 1;
            match admit {
                Admit::Accept => counts.accepted += 1,
                Admit::Late => counts.late += 1,
                _ => counts.rejected += 1,
            }
        }
    }

    /// Notes the vectors of `out` from `row` on.
    pub(crate) fn note(&mut self, by: i64, out: &Vectors, row: usize) {
        if self.states.is_empty() {
            return;
        }
        for i in row..out.len() {
            let stamp = &out.stamps[i];
            self.given.push_back(Given {
                at: stamp.ts_event,
                by,
                instrument: stamp.instrument,
                ts_recv: stamp.ts_recv,
                digest: digest(out, i, stamp),
                revision: 0,
                withdrawn: false,
            });
        }
    }

    /// Compares what was given since the state at `reached` with what came out now, each with how far time had got.
    pub(crate) fn compare(
        &mut self,
        reached: i64,
        now: &Vectors,
        by: &[i64],
        recv_ts_max: i64,
        offset: u64,
    ) {
        let from = self.given.partition_point(|given| given.by <= reached);
        let mut old: HashMap<(i64, u32), VecDeque<Given>> = HashMap::new();
        for given in self.given.drain(from..) {
            let key = (given.at, given.instrument);
            old.entry(key).or_default().push_back(given);
        }
        for (i, &by) in by.iter().enumerate() {
            let stamp = &now.stamps[i];
            let before = old
                .get_mut(&(stamp.ts_event, stamp.instrument))
                .and_then(VecDeque::pop_front);
            let ts_recv = before.map_or(recv_ts_max, |given| given.ts_recv);
            let as_before = digest(now, i, &Stamp { ts_recv, ..*stamp });
            match before {
                Some(given) if !given.withdrawn && given.digest == as_before => {
                    self.given.push_back(Given { by, ..given });
                }
                _ => {
                    let stamp = Stamp {
                        ts_recv: recv_ts_max,
                        offset,
                        ..*stamp
                    };
                    let digest = digest(now, i, &stamp);
                    let change = Change {
                        revision: before.map_or(1, |given| given.revision + 1),
                        old: before
                            .filter(|given| !given.withdrawn)
                            .map(|given| given.digest),
                        new: Some(digest),
                    };
                    self.given.push_back(Given {
                        at: stamp.ts_event,
                        by,
                        instrument: stamp.instrument,
                        ts_recv: recv_ts_max,
                        digest,
                        revision: change.revision,
                        withdrawn: false,
                    });
                    self.out.vectors.push_row_of(now, i, stamp);
                    self.out.changes.push(change);
                }
            }
        }
        let mut gone: Vec<Given> = old.into_values().flatten().collect();
        gone.sort_by_key(|given| (given.by, given.at, given.instrument, given.revision));
        for mut given in gone {
            if !given.withdrawn {
                given.revision += 1;
                given.withdrawn = true;
                let stamp = Stamp {
                    ts_recv: recv_ts_max,
                    ..Stamp::of_row(given.instrument, given.at, offset)
                };
                self.out.vectors.push_missing(stamp, Reason::Missing.code());
                self.out.changes.push(Change {
                    revision: given.revision,
                    old: Some(given.digest),
                    new: None,
                });
            }
            self.given.push_back(given);
        }
        self.given.make_contiguous()[from..].sort_by_key(|given| given.by);
    }
}

/// The first place behind `time`.
pub(crate) fn after(time: i64) -> Place {
    (time.saturating_add(1), FIRST, InstrumentId::at(0), 0, 0, 0)
}

fn digest(vectors: &Vectors, i: usize, stamp: &Stamp) -> [u8; 32] {
    let name = &vectors.instruments[stamp.instrument as usize];
    let columns = vectors.values.iter().zip(&vectors.reasons);
    row_digest(
        name,
        stamp,
        columns.map(|(values, codes)| (values[i], codes[i])),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use signal_runtime::program_state::NEVER;

    fn keep(amending: &mut Amending, times: std::ops::Range<usize>) {
        for t in times {
            let place = (t as i64, MESSAGE, InstrumentId::at(0), 1, 0, 0);
            let kept = Kept {
                held: None,
                recv_ts_max: 0,
                instruments: 0,
            };
            amending.kept.insert(place, kept);
            amending.forget(t as i64);
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_is_forgotten_is_late() {
        let mut amending = Amending {
            horizon_ns: i64::MAX,
            settled: true,
            ..Amending::default()
        };
        amending.keep_state(NEVER, Vec::new());
        keep(&mut amending, 0..1_000);
        amending.keep_state(999, Vec::new());
        assert!(amending.since(999) < 0);
        keep(&mut amending, 1_000..KEPT_MAX);
        assert_eq!(amending.since(0), i64::MAX, "it is full");
        keep(&mut amending, KEPT_MAX..KEPT_MAX + 1);
        assert_eq!(amending.kept.len(), KEPT_MAX + 1 - 1_000);
        assert_eq!(amending.since(0), 1_000);
        // With one state left there is nothing to go back to.
        keep(&mut amending, KEPT_MAX + 1..KEPT_MAX + 1_001);
        assert!(amending.kept.is_empty() && amending.states.is_empty());
        assert_eq!(amending.since(0), i64::MAX);
    }

    #[test]
    fn what_lies_beyond_the_horizon_is_forgotten() {
        let mut amending = Amending {
            horizon_ns: 100,
            settled: true,
            ..Amending::default()
        };
        amending.keep_state(NEVER, Vec::new());
        keep(&mut amending, 0..50);
        amending.keep_state(49, Vec::new());
        keep(&mut amending, 50..150);
        assert_eq!((amending.states.len(), amending.kept.len()), (2, 150));
        keep(&mut amending, 150..151);
        assert_eq!((amending.states.len(), amending.kept.len()), (1, 101));
        assert_eq!(amending.since(150), 50);
    }
}
