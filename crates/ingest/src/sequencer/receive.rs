//! Receive time: the readings of a clock that may stand wrong.

use signal_event::Timestamp;

use super::{JUMP_MAX_NS, RUN};

/// A reading at most this far ahead of the newest moves time at once: 2 s.
const AHEAD_NS: i64 = 2_000_000_000;

/// As [`AHEAD_NS`] for messages without a venue time of their own, in a stream that has such times: a minute.
const AHEAD_BLIND_NS: i64 = 60_000_000_000;

/// A clock that stands back by no more than this is waited for: 10 s.
pub(super) const BEHIND_NS: i64 = 10_000_000_000;

/// When a message happens on the axis of receive time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Now, at this time.
    At(Timestamp),
    /// Now, at this time, which lies before the newest: time begins anew.
    Anew(Timestamp),
    /// Not yet: its reading lies far ahead, and the messages that follow show whether it is right.
    Held,
}

/// What became of the messages that were held, all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// Their readings were right: each happens at its own, or at the one before it if that is later.
    AsRead,
    /// Their readings were wrong: they happen at this time.
    At(Timestamp),
}

/// Several readings in a row that agree with each other and not with the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// The first reading ahead; the newest one behind.
    pub reading: Timestamp,
    /// The greatest reading.
    pub last: Timestamp,
    pub count: u64,
}

/// Where the clock stands.
///
/// Invariants: `newest` falls only when time begins anew; the counts of `ahead` and `behind` lie below [`RUN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReceiveClock {
    pub jump_max_ns: i64,
    pub newest: Option<Timestamp>,
    /// Receive time less venue time of the newest message that has both.
    pub delay: Option<i64>,
    pub ahead: Option<Run>,
    pub behind: Option<Run>,
}

impl Default for ReceiveClock {
    fn default() -> ReceiveClock {
        ReceiveClock {
            jump_max_ns: JUMP_MAX_NS,
            newest: None,
            delay: None,
            ahead: None,
            behind: None,
        }
    }
}

impl ReceiveClock {
    /// Reads the clock with the next message. `venue` is its venue time.
    #[inline]
    pub fn read(
        &mut self,
        reading: Timestamp,
        venue: Option<Timestamp>,
    ) -> (Option<Release>, Moment) {
        match self.newest {
            Some(newest)
                if self.ahead.is_none()
                    && reading >= newest
                    && reading.saturating_sub(newest) <= AHEAD_NS =>
            {
                (None, self.move_to(reading, venue))
            }
            None => (None, self.move_to(reading, venue)),
            Some(newest) => self.judge(newest, reading, venue),
        }
    }

    /// Reads the clock with a mark, which is the word of the one who keeps it; `None` where it lies before the newest.
    pub fn mark(&mut self, reading: Timestamp) -> Option<(Option<Release>, Moment)> {
        let newest = self.newest.unwrap_or(reading);
        if reading < newest {
            return None;
        }
        let mut release = None;
        if let Some(ahead) = self.ahead
            && reading >= ahead.reading.saturating_sub(AHEAD_NS)
        {
            release = Some(Release::AsRead);
            self.ahead = None;
            self.newest = Some(newest.max(ahead.last));
        }
        let newest = self.newest.unwrap_or(reading).max(reading);
        Some((release, self.move_to(newest, None)))
    }

    /// Reads the clock with a message that was seen before: it moves time nowhere but anew.
    #[cold]
    pub fn glance(&mut self, reading: Timestamp, venue: Option<Timestamp>) -> Moment {
        match self.newest {
            Some(newest) if self.ahead.is_none() && newest.saturating_sub(reading) > BEHIND_NS => {
                self.place(newest, reading, venue)
            }
            newest => Moment::At(newest.unwrap_or(reading)),
        }
    }

    #[cold]
    fn judge(
        &mut self,
        newest: Timestamp,
        reading: Timestamp,
        venue: Option<Timestamp>,
    ) -> (Option<Release>, Moment) {
        let Some(ahead) = self.ahead else {
            return (None, self.place(newest, reading, venue));
        };
        if reading < ahead.reading.saturating_sub(AHEAD_NS) {
            // The clock stands where it stood before: what is held was read wrong, and is known by now.
            self.ahead = None;
            let known = reading >= newest && !self.is_far(newest, reading, venue);
            let at = if known { reading } else { newest };
            self.newest = Some(at);
            return (Some(Release::At(at)), self.place(at, reading, venue));
        }
        let needed = if self.delay.is_none() { 2 } else { RUN };
        let count = ahead.count + 1;
        if count < needed && (venue.is_none() || self.is_far(newest, reading, venue)) {
            let last = ahead.last.max(reading);
            self.ahead = Some(Run {
                last,
                count,
                ..ahead
            });
            return (None, Moment::Held);
        }
        self.ahead = None;
        let at = newest.max(ahead.last);
        self.newest = Some(at);
        let moment = match reading >= at {
            true => self.move_to(reading, venue),
            false => self.place(at, reading, venue),
        };
        (Some(Release::AsRead), moment)
    }

    /// Where a message belongs that is read at `reading` while nothing is held.
    fn place(&mut self, newest: Timestamp, reading: Timestamp, venue: Option<Timestamp>) -> Moment {
        let run = |reading| Run {
            reading,
            last: reading,
            count: 1,
        };
        if reading >= newest {
            if !self.is_far(newest, reading, venue) {
                return self.move_to(reading, venue);
            }
            self.behind = None;
            self.ahead = Some(run(reading));
            return Moment::Held;
        }
        if newest.saturating_sub(reading) <= BEHIND_NS {
            self.behind = None;
            return Moment::At(newest);
        }
        let behind = match self.behind {
            Some(behind) if reading >= behind.reading.saturating_sub(BEHIND_NS) => Run {
                reading,
                last: behind.last.max(reading),
                count: behind.count + 1,
            },
            _ => run(reading),
        };
        if behind.count < RUN {
            self.behind = Some(behind);
            return Moment::At(newest);
        }
        self.delay = None;
        self.move_to(reading, venue);
        Moment::Anew(reading)
    }

    /// Whether a reading lies so far ahead that others must confirm it. Where the venue's time has moved along, nearer to
    /// the reading than to the newest, it was a silence and not the clock.
    fn is_far(&self, newest: Timestamp, reading: Timestamp, venue: Option<Timestamp>) -> bool {
        let jump = reading.saturating_sub(newest);
        match (venue, self.delay) {
            _ if jump <= AHEAD_NS => false,
            (Some(venue), Some(delay)) => {
                venue.saturating_add(delay).saturating_sub(newest) <= jump / 2
            }
            (None, Some(_)) => jump > AHEAD_BLIND_NS.min(self.jump_max_ns),
            (_, None) => jump > self.jump_max_ns,
        }
    }

    #[inline]
    fn move_to(&mut self, reading: Timestamp, venue: Option<Timestamp>) -> Moment {
        self.newest = Some(reading);
        self.behind = None;
        if let Some(venue) = venue {
            self.delay = Some(reading.saturating_sub(venue));
        }
        Moment::At(reading)
    }
}
