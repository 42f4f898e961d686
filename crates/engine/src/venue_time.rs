//! Venue time: messages wait for their turn, and time moves to it.

use crate::engine::Engine;
use crate::error::EngineError;
use crate::progress::Progress;
use crate::reorder::{HeldMessage, ReorderBuffer};
use crate::vectors::Vectors;
use signal_event::{Kind, Message};
use signal_ingest::{Admit, Arrival};
use signal_runtime::program_state::NEVER;

impl Engine {
    /// Keeps a message until its turn in venue time, and takes all whose turn has come. `false` if some are left.
    pub(crate) fn in_turn(
        &mut self,
        message: &Message<'_>,
        progress: &mut Progress,
        room: usize,
        out: &mut Vectors,
    ) -> Result<bool, EngineError> {
        if matches!(progress, Progress::Unread) {
            self.recv_ts_max = self.recv_ts_max.max(message.ts_recv);
            if message.kind == Kind::Mark {
                self.sequencer.pass(message);
                self.note_judged(message, Admit::Accept);
            } else if !self.arrive(message, out)? {
                return Ok(true);
            }
            self.amend_if_due(message.kind == Kind::Mark)?;
        }
        let Some(watermark) = self.sequencer.watermark() else {
            return Ok(true);
        };
        if !matches!(progress, Progress::Passing)
            && !self.take_turns(watermark, progress, room, out)
        {
            return Ok(false);
        }
        if message.kind != Kind::Mark {
            return Ok(true);
        }
        Ok(self.let_pass(watermark.saturating_sub(1), progress, room, out))
    }

    /// Judges a message by its time when it arrives. Whether it waits for its turn.
    fn arrive(&mut self, message: &Message<'_>, out: &mut Vectors) -> Result<bool, EngineError> {
        let amends_since = self.amends_since();
        match self.sequencer.arrive(message, amends_since) {
            Arrival::Refused(admit) => {
                self.note_judged(message, admit);
                if admit == Admit::Late {
                    self.too_late(message, "ts_event", message.ts_event)?;
                }
                return Ok(false);
            }
            Arrival::Amends => {
                self.place(message);
                return Ok(false);
            }
            Arrival::Anew => {
                self.amend()?;
                // What waits lies within the lateness, so little can be due on the way.
                self.take_turns(i64::MAX, &mut Progress::Admitted, usize::MAX, out);
                self.begin_anew();
            }
            Arrival::Waits => {}
        }
        let time = self.sequencer.venue_time(message).unwrap_or(NEVER);
        if let Some(waiting) = &mut self.reorder {
            waiting.hold(time, message);
        }
        Ok(true)
    }

    /// Late messages that took their places are run before the next turn, and when a mark comes.
    fn amend_if_due(&mut self, is_mark: bool) -> Result<(), EngineError> {
        if self.amending.is_none() {
            return Ok(());
        }
        let watermark = self.sequencer.watermark().unwrap_or(NEVER);
        let due = |waiting: &ReorderBuffer| waiting.is_due(watermark);
        if is_mark || self.reorder.as_ref().is_some_and(due) {
            self.amend()?;
        }
        Ok(())
    }

    /// A mark lets time pass up to and with `to`: nothing that is not late comes any more before what follows.
    fn let_pass(
        &mut self,
        to: i64,
        progress: &mut Progress,
        room: usize,
        out: &mut Vectors,
    ) -> bool {
        if !matches!(progress, Progress::Passing) {
            if !self.started || to <= self.event_ts_released {
                return true;
            }
            self.note_pass(to);
            self.event_ts_released = to;
            *progress = Progress::Passing;
        }
        let row = out.len();
        let done = self.advance_to(self.event_ts_released, room, out);
        self.note_given(out, row, done);
        done
    }

    /// Takes what waits up to the watermark. `false` if some is left.
    fn take_turns(
        &mut self,
        watermark: i64,
        progress: &mut Progress,
        room: usize,
        out: &mut Vectors,
    ) -> bool {
        loop {
            let (time, held) = match std::mem::replace(progress, Progress::Admitted) {
                Progress::Turn(turn) => *turn,
                _ => match self.next_turn(watermark) {
                    Some(turn) => turn,
                    None => return true,
                },
            };
            let row = out.len();
            let reached = self.advance_to(time, room, out);
            if reached && let Some(message) = held.message() {
                self.event(&message, time, out);
            }
            if self.amending.is_some() {
                self.note_given(out, row, reached);
            }
            if !reached {
                *progress = Progress::Turn(Box::new((time, held)));
                return false;
            }
        }
    }

    /// The next accepted message whose turn has come, and its time.
    fn next_turn(&mut self, watermark: i64) -> Option<(i64, HeldMessage)> {
        loop {
            let (turn, held) = self.reorder.as_mut()?.take(watermark)?;
            // What came before any venue time was known happens at the first; behind one that was taken early, at that.
            let time = if turn.0 == NEVER { watermark } else { turn.0 };
            let time = self.event_ts_released.max(time);
            if self.amending.is_some() {
                self.note_turn(turn, time, &held, time > watermark);
            }
            self.event_ts_released = time;
            let Some(message) = held.message() else {
                continue;
            };
            match self.sequencer.follow(&message) {
                Admit::Accept => {}
                Admit::Gap { .. } => self.messages_lost(&message),
                _ => continue,
            }
            return Some((self.event_ts_released, held));
        }
    }

    /// Messages that wait for their turn.
    pub fn waiting(&self) -> usize {
        let late = self
            .amending
            .as_ref()
            .map_or(0, |each| each.pending as usize);
        self.reorder.as_ref().map_or(0, ReorderBuffer::len)
            + self.ahead.len()
            + self.rows.waiting()
            + late
    }
}
