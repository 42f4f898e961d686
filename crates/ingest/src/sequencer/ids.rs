//! The venue's ids of one stream, which rise and may begin anew.

use signal_event::{NO_SEQUENCE, NO_TIME, Timestamp};

/// A venue time that is newer by more than this than any before tells that an old id is a new message: 1 s.
const NEWER_NS: i64 = 1_000_000_000;

/// Without venue time, so many messages in a row tell it whose ids rise among themselves: what a venue repeats to somebody
/// who comes back is shorter.
const RISING: u64 = 1_000;

/// Where an id stands to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rank {
    /// Above all before it; they ended with this one ([`NO_SEQUENCE`] if there is none).
    New(u64),
    /// Not above all before it, and yet new: ids have begun anew after this one.
    Anew(u64),
    /// Seen, or passed over.
    Old,
}

/// Invariant: `last` is the greatest id since ids began, `event` the newest venue time of any message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ids {
    pub last: u64,
    pub event: Timestamp,
    /// The latest of the old ids in a row that rise among themselves, and how many they are.
    pub old: u64,
    pub rising: u64,
}

impl Default for Ids {
    fn default() -> Ids {
        Ids {
            last: NO_SEQUENCE,
            event: NO_TIME,
            old: NO_SEQUENCE,
            rising: 0,
        }
    }
}

impl Ids {
    /// Ranks the next id and remembers it.
    #[inline]
    pub fn rank(&mut self, id: u64, event: Timestamp) -> Rank {
        let last = self.last;
        if id > last {
            self.last = id;
            self.event = self.event.max(event);
            self.rising = 0;
            return Rank::New(last);
        }
        self.rank_old(id, event)
    }

    #[cold]
    fn rank_old(&mut self, id: u64, event: Timestamp) -> Rank {
        let last = self.last;
        self.rising = if self.rising > 0 && id > self.old {
            self.rising + 1
        } else {
            1
        };
        self.old = id;
        let timed = event != NO_TIME && self.event != NO_TIME;
        let anew = match timed {
            true => event.saturating_sub(self.event) > NEWER_NS,
            false => self.rising >= RISING,
        };
        if !anew {
            return Rank::Old;
        }
        *self = Ids {
            last: id,
            event,
            ..Ids::default()
        };
        Rank::Anew(last)
    }
}
