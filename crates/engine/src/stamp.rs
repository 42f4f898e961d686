//! When and from what a vector was made.

use crate::engine::Engine;
use crate::vectors::Stamp;
use signal_features::{Scope, Source};
use signal_runtime::program_state::NEVER;

impl Engine {
    /// How long after a bar of program `p`, which ended then, the next one is due; 0 for what has no pace.
    fn pace(&self, p: usize, ended: i64) -> i64 {
        match self.plan.programs[p].stream.source {
            Source::Bars(spec) if spec.session.is_some() && ended != NEVER => {
                self.built.pace(p, ended)
            }
            source => source.bars_ns().or(source.filled_by()),
        }
        .unwrap_or(0)
    }

    /// When and from what the vector of instrument `i` is made now, at axis time `t`.
    pub(crate) fn stamp(&self, i: usize, t: i64, ts_event: i64) -> Stamp {
        // On venue time, what we knew when follows from when each stream was heard.
        let by_venue = self.reorder.is_some();
        let now = if by_venue { self.recv_ts_max } else { t };
        let (mut age_recv, mut data_window_end) = (0, NEVER);
        let (mut venue_newest, mut venue_oldest) = (NEVER, i64::MAX);
        for (p, program) in self.plan.programs.iter().enumerate() {
            let owner = match program.stream.scope {
                Scope::Own => Some(i),
                Scope::Named(_) => self.named[p],
            };
            if let Source::Clock(_) = program.stream.source {
                continue;
            }
            let filled = program.stream.source.filled().is_some();
            let newest = match owner {
                Some(owner) if by_venue => self.instruments[owner].recv_ts_max[p],
                Some(owner) => self.instruments[owner].program_states[p]
                    .as_ref()
                    .map_or(NEVER, |state| state.newest()),
                None => NEVER,
            };
            data_window_end = data_window_end.max(newest);
            // Bars that trades fill are as old as the newest trade that counts for one, whenever the last one ended.
            let newest = match owner {
                Some(owner) if filled => newest.max(self.instruments[owner].recv_ts_max[p]),
                _ => newest,
            };
            let ended = match owner {
                Some(owner) if by_venue => self.instruments[owner].venue[p],
                _ => newest,
            };
            let pace = self.pace(p, ended);
            age_recv = age_recv.max(if newest == NEVER {
                i64::MAX
            } else {
                now.saturating_sub(newest + pace)
            });
            let Some(owner) = owner.map(|owner| &self.instruments[owner]) else {
                continue;
            };
            let venue = owner.venue[p];
            if venue == NEVER || newest == NEVER {
                continue;
            }
            // Bars that were cut on receive time close by our clock: their venue time is that less their trades' delay.
            let venue = match program.stream.source {
                Source::Bars(_) if !by_venue && !filled => {
                    newest.saturating_sub(owner.recv_ts_max[p].saturating_sub(venue))
                }
                _ => venue,
            };
            venue_newest = venue_newest.max(venue);
            // A bar is new until the next one is due.
            let since = pace.min(now.saturating_sub(newest));
            venue_oldest = venue_oldest.min(venue.saturating_add(since));
        }
        // The venue's clock may stand before ours: then the newest event is now.
        let age_event = if venue_newest == NEVER {
            0
        } else {
            let now = now.max(venue_newest);
            now.saturating_sub(venue_oldest).max(0)
        };
        Stamp {
            instrument: i as u32,
            ts_event,
            ts_recv: now,
            offset: self.messages,
            data_window_end: if data_window_end == NEVER {
                now
            } else {
                data_window_end
            },
            age_recv,
            age_event,
        }
    }
}
