//! Receive time: when an arriving message happens.

use crate::ahead::Released;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::instrument::Instrument;
use crate::progress::Progress;
use crate::reorder::HeldMessage;
use crate::schedule::Schedule;
use crate::vectors::Vectors;
use signal_event::Message;
use signal_features::Source;
use signal_ingest::{Admit, Judged, Moment, Release};
use signal_runtime::program_state::NEVER;

impl Engine {
    /// Judges a message on receive time and takes it, and what waited for it. `false` if something is left.
    #[inline]
    pub(crate) fn on_arrival(
        &mut self,
        message: &Message<'_>,
        progress: &mut Progress,
        room: usize,
        out: &mut Vectors,
    ) -> Result<bool, EngineError> {
        if matches!(progress, Progress::Unread) {
            let judged = self.sequencer.admit(message);
            let held = judged.release.map(|release| self.release(release));
            let then = self.judged(message, judged)?;
            if let Some(held) = held {
                *progress = Progress::Released(Box::new(Released { held, then }));
            } else if let Some((t, lost)) = then {
                if lost {
                    self.messages_lost(message);
                }
                *progress = Progress::At(t);
            } else {
                return Ok(true);
            }
        }
        if let Progress::Released(released) = progress {
            if !self.take_released(released, room, out) {
                return Ok(false);
            }
            let Some((t, lost)) = released.then else {
                return Ok(true);
            };
            if lost {
                self.messages_lost(message);
            }
            *progress = Progress::At(t);
        }
        let Progress::At(t) = *progress else {
            return Ok(true);
        };
        if !self.advance_to(t, room, out) {
            return Ok(false);
        }
        self.event(message, t, out);
        Ok(true)
    }

    /// When a message happens, and whether others before it are lost; `None` if it does not happen, or not yet.
    #[inline(always)]
    fn judged(
        &mut self,
        message: &Message<'_>,
        judged: Judged,
    ) -> Result<Option<(i64, bool)>, EngineError> {
        let lost = match judged.admit {
            Admit::Accept => Some(false),
            Admit::Gap { .. } => Some(true),
            _ => None,
        };
        match (judged.moment, lost) {
            (Moment::At(t), Some(lost)) if t <= message.ts_recv => Ok(Some((t, lost))),
            (Moment::At(_) | Moment::Anew(_), Some(_)) if self.options.refuse_late => {
                self.too_late(message, "ts_recv", message.ts_recv)?;
                Ok(None)
            }
            (Moment::At(t), Some(lost)) => Ok(Some((t, lost))),
            (Moment::Held, Some(lost)) => {
                self.ahead.0.push((lost, HeldMessage::of(message)));
                Ok(None)
            }
            // A message that is no event may be the one that shows where the clock stands.
            (Moment::Anew(t), lost) => {
                self.begin_anew();
                Ok(lost.map(|lost| (t, lost)))
            }
            (_, None) => Ok(None),
        }
    }

    /// What was held, with the times at which it happens.
    #[cold]
    fn release(&mut self, release: Release) -> Vec<(i64, bool, HeldMessage)> {
        let mut newest = NEVER;
        let mut held: Vec<_> = Vec::new();
        for (lost, message) in std::mem::take(&mut self.ahead.0) {
            newest = match release {
                Release::AsRead => newest.max(message.ts_recv()),
                Release::At(t) => t,
            };
            held.push((newest, lost, message));
        }
        held.reverse();
        held
    }

    #[cold]
    fn take_released(&mut self, released: &mut Released, room: usize, out: &mut Vectors) -> bool {
        while let Some((t, lost, held)) = released.held.last_mut() {
            if let Some(message) = held.message() {
                if std::mem::take(lost) {
                    self.messages_lost(&message);
                }
                if !self.advance_to(*t, room, out) {
                    return false;
                }
                self.event(&message, *t, out);
            }
            released.held.pop();
        }
        true
    }

    /// Time begins anew: windows, bars and the clock start afresh; books and outages, which are no matter of time, stay.
    #[cold]
    pub(crate) fn begin_anew(&mut self) {
        for instrument in &mut self.instruments {
            let (own, member) = (instrument.own, instrument.member);
            let fresh = Instrument::new(
                &instrument.id,
                instrument.scales,
                &self.plan,
                own,
                member,
                &self.built,
                &self.blanks,
            );
            let old = std::mem::replace(instrument, fresh);
            instrument.book = old.book;
            instrument.book.begin_anew();
            instrument.outages = old.outages;
        }
        self.sections.begin_anew();
        let clock = match self.plan.graph.on {
            Source::Clock(ns) => Some(ns),
            _ => None,
        };
        self.schedule = Schedule::new(self.built.grids(), clock);
        self.started = false;
        self.event_ts_released = NEVER;
        if let Some(amending) = &mut self.amending {
            amending.clear();
        }
    }
}
