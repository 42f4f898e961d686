//! Venue time: the newest, the watermark behind it, and times that cannot be right.

use signal_event::Timestamp;

use super::receive::{BEHIND_NS, Run};
use super::{Admit, RUN};
use crate::RejectCode;

/// Venue time may go ahead by this much at once without the receive clock having gone along: a minute.
const AHEAD_NS: i64 = 60_000_000_000;

/// Where venue time stands.
///
/// Invariant: `newest` falls only when time begins anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct VenueClock {
    pub jump_max_ns: i64,
    pub lateness_ns: i64,
    pub newest: Option<Timestamp>,
    /// Receive time of the latest message.
    pub heard: Timestamp,
    pub ahead: Option<Run>,
    pub behind: Option<Run>,
}

/// A message whose venue time is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timely {
    /// Time begins anew with it.
    pub anew: bool,
}

impl VenueClock {
    /// Judges a message by its venue time, and moves time on if that is good.
    pub fn read(&mut self, venue: Timestamp, received: Timestamp) -> Result<Timely, Admit> {
        let Some(newest) = self.newest else {
            self.newest = Some(venue);
            self.heard = received;
            return Ok(Timely { anew: false });
        };
        let passed = received.saturating_sub(self.heard);
        self.heard = received;
        let jump = venue.saturating_sub(newest);
        if venue < newest.saturating_sub(self.lateness_ns) {
            self.ahead = None;
            // Only a newest time that the receive clock has not reached can be wrong: else the message is late.
            let reached = received
                .saturating_add(self.lateness_ns)
                .saturating_add(BEHIND_NS);
            self.behind = (newest > reached).then(|| next(self.behind, venue));
            if self.behind.is_none_or(|run| run.count < RUN) {
                return Err(Admit::Late);
            }
            (self.behind, self.newest) = (None, Some(venue));
            return Ok(Timely { anew: true });
        }
        self.behind = None;
        if jump > AHEAD_NS.min(self.jump_max_ns) && passed < jump / 2 {
            let ahead = next(self.ahead, venue);
            if ahead.count < RUN {
                self.ahead = Some(ahead);
                return Err(Admit::Reject(RejectCode::Future));
            }
        }
        self.ahead = None;
        self.newest = Some(newest.max(venue));
        Ok(Timely { anew: false })
    }

    /// The receive clock stands at `received`, and nothing came: venue time went on as far as that did. Not where it is ahead
    /// of the receive clock already: it may be wrong.
    pub fn pass(&mut self, received: Timestamp) {
        let passed = received.saturating_sub(self.heard);
        if let Some(newest) = self.newest
            && passed > 0
        {
            self.heard = received;
            if newest <= received.saturating_add(BEHIND_NS) {
                self.newest = Some(newest.saturating_add(passed));
            }
        }
    }
}

/// The run with one more time; a new one where it does not go on from there.
fn next(run: Option<Run>, time: Timestamp) -> Run {
    match run {
        Some(run) if time >= run.reading.saturating_sub(BEHIND_NS) => Run {
            reading: time,
            last: run.last.max(time),
            count: run.count + 1,
        },
        _ => Run {
            reading: time,
            last: time,
            count: 1,
        },
    }
}
