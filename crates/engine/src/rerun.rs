//! Runs again from the newest state before a late message that took its place.

use crate::amend::{
    AmendedTotals, Amending, Amendments, FIRST, Kept, MARK, MESSAGE, Place, State, after,
};
use crate::engine::Engine;
use crate::error::{EngineError, broken};
use crate::options::Options;
use crate::reorder::{HeldMessage, ReorderKey};
use crate::vectors::Vectors;
use signal_event::{Kind, Message, NO_INSTRUMENT};
use signal_ingest::Admit;
use signal_runtime::program_state::NEVER;
use std::sync::Arc;

impl Engine {
    /// What late events changed since the last call, in the order in which it was found out.
    pub fn take_amendments(&mut self) -> Amendments {
        match &mut self.amending {
            Some(amending) if !amending.out.changes.is_empty() => {
                let mut taken = std::mem::take(&mut amending.out);
                taken.vectors.instruments = Arc::clone(&self.names);
                taken
            }
            _ => Amendments {
                vectors: self.vectors(),
                changes: Vec::new(),
            },
        }
    }

    /// How much was amended.
    pub fn amended(&self) -> AmendedTotals {
        self.amending
            .as_ref()
            .map_or_else(AmendedTotals::default, |amending| amending.totals)
    }

    /// From which time on a late message may take its place.
    pub(crate) fn amends_since(&mut self) -> i64 {
        let Some(amending) = &self.amending else {
            return i64::MAX;
        };
        if amending.states.is_empty() && self.event_ts_released == NEVER {
            self.keep_state();
        }
        let watermark = self.sequencer.watermark().unwrap_or(NEVER);
        self.amending
            .as_ref()
            .map_or(i64::MAX, |amending| amending.since(watermark))
    }

    fn keep_state(&mut self) {
        let bytes = self.turns();
        let reached = self.event_ts_released;
        if let Some(amending) = &mut self.amending {
            amending.keep_state(reached, bytes);
        }
    }

    /// A late message takes its place.
    pub(crate) fn place(&mut self, message: &Message<'_>) {
        let turn = self
            .reorder
            .as_mut()
            .map(|waiting| waiting.turn(message.ts_event, message));
        let (recv_ts_max, instruments) = (self.recv_ts_max, self.instruments.len());
        if let (Some(amending), Some(turn)) = (&mut self.amending, turn) {
            let kept = Kept {
                held: Some(HeldMessage::of(message)),
                recv_ts_max,
                instruments,
            };
            amending.kept.insert(place_of(turn, turn.0), kept);
            let first = amending.changed.unwrap_or(i64::MAX).min(turn.0);
            amending.changed = Some(first);
            amending.pending += 1;
            amending.totals.messages += 1;
        }
    }

    /// Notes the verdict on a message that never has a turn.
    pub(crate) fn note_judged(&mut self, message: &Message<'_>, admit: Admit) {
        if let Some(amending) = &mut self.amending {
            amending.judged(message, admit);
        }
    }

    /// Notes, before it is judged, a message whose turn is at `time`. `early` says that it is taken before that.
    pub(crate) fn note_turn(
        &mut self,
        turn: ReorderKey,
        time: i64,
        held: &HeldMessage,
        early: bool,
    ) {
        if self.amending.is_some() {
            self.note_kept(place_of(turn, time), Some(held), early);
        }
    }

    /// Notes that a mark lets time pass to `time`.
    pub(crate) fn note_pass(&mut self, time: i64) {
        if self.amending.is_some() {
            self.note_kept((time, MARK, NO_INSTRUMENT, 0, 0, 0), None, false);
        }
    }

    fn note_kept(&mut self, place: Place, held: Option<&HeldMessage>, early: bool) {
        let reached = self.event_ts_released;
        let wants = |amending: &Amending| !early && amending.wants_state(reached, place.0);
        if self.amending.as_deref().is_some_and(wants) {
            self.keep_state();
        }
        let kept = Kept {
            held: held.cloned(),
            recv_ts_max: self.recv_ts_max,
            instruments: self.instruments.len(),
        };
        let watermark = self.sequencer.watermark().unwrap_or(NEVER);
        let Some(amending) = &mut self.amending else {
            return;
        };
        if early {
            amending.clear();
        }
        amending.settled = false;
        if !amending.states.is_empty() {
            amending.kept.insert(place, kept);
            amending.turns += 1;
            amending.forget(watermark);
        }
    }

    /// Notes that time has moved to the turn, and the vectors of `out` from `row` on.
    pub(crate) fn note_given(&mut self, out: &Vectors, row: usize, settled: bool) {
        let reached = self.event_ts_released;
        if let Some(amending) = &mut self.amending {
            amending.settled |= settled;
            amending.note(reached, out, row);
        }
    }

    /// Runs what late messages changed.
    pub(crate) fn amend(&mut self) -> Result<(), EngineError> {
        let Some(mut amending) = self.amending.take() else {
            return Ok(());
        };
        let Some(from) = amending.changed.take() else {
            self.amending = Some(amending);
            return Ok(());
        };
        let stale = |state: &State| state.reached >= from;
        while amending.states.len() > 1 && amending.states.back().is_some_and(stale) {
            amending.states.pop_back();
        }
        let reached = amending.states.back().map_or(NEVER, |state| state.reached);
        let (again, vectors, by) = self.run_again(&mut amending)?;
        amending.pending = 0;
        if amending.out.changes.is_empty() {
            amending.out.vectors = self.vectors();
        }
        let before = amending.out.changes.len();
        amending.compare(reached, &vectors, &by, self.recv_ts_max, self.messages);
        amending.totals.vectors += (amending.out.changes.len() - before) as u64;
        let was = std::mem::replace(self, again);
        self.messages = was.messages;
        self.recv_ts_max = was.recv_ts_max;
        self.reorder = was.reorder;
        self.late = was.late;
        self.notices = was.notices;
        self.mapping = was.mapping;
        self.options = was.options;
        self.names = was.names;
        self.amending = Some(amending);
        Ok(())
    }

    /// An engine that ran, from the newest state on, everything that is kept; its vectors, with how far time had got at each. The
    /// states behind the newest are made on the way.
    fn run_again(
        &self,
        amending: &mut Amending,
    ) -> Result<(Engine, Vectors, Vec<i64>), EngineError> {
        let options = Options {
            amend_ns: 0,
            ..self.options.clone()
        };
        let plan = Arc::clone(&self.plan);
        let Some(state) = amending.states.back() else {
            return Err(broken("it keeps no state to amend"));
        };
        let mut again = Engine::restore(plan, options, &state.bytes)?;
        again.sequencer.set_clocks(&self.sequencer);
        for (&(instrument, kind), counts) in &state.judged {
            if let Some(kind) = Kind::from_code(kind) {
                again.sequencer.add_counts(instrument, kind, counts);
            }
        }
        (amending.turns, amending.settled) = (0, true);
        let (mut out, mut by) = (again.vectors(), Vec::new());
        let kept = std::mem::take(&mut amending.kept);
        for (&place, each) in kept.range(after(state.reached)..) {
            again.know(&self.instruments[..each.instruments.min(self.instruments.len())])?;
            if amending.wants_state(again.event_ts_released, place.0) {
                amending.keep_state(again.event_ts_released, again.turns());
            }
            amending.turns += 1;
            again.recv_ts_max = each.recv_ts_max;
            amending.settled = again.run_kept(place.0, each, &mut out);
            by.resize(out.len(), again.event_ts_released);
        }
        amending.kept = kept;
        again.know(&self.instruments)?;
        out.instruments = Arc::clone(&self.names);
        Ok((again, out, by))
    }

    /// Makes the states behind the first, of which a snapshot holds no bytes.
    pub(crate) fn remake_states(&mut self) -> Result<(), EngineError> {
        let Some(mut amending) = self.amending.take() else {
            return Ok(());
        };
        if !amending.states.is_empty() {
            let settled = amending.settled;
            self.run_again(&mut amending)?;
            amending.settled = settled;
        }
        self.amending = Some(amending);
        Ok(())
    }

    /// One turn again. Whether it moved time on.
    fn run_kept(&mut self, time: i64, kept: &Kept, out: &mut Vectors) -> bool {
        self.event_ts_released = self.event_ts_released.max(time);
        let Some(held) = &kept.held else {
            return self.advance_to(self.event_ts_released, usize::MAX, out);
        };
        let Some(message) = held.message() else {
            return false;
        };
        match self.sequencer.follow(&message) {
            Admit::Accept => {}
            Admit::Gap { .. } => self.messages_lost(&message),
            _ => return false,
        }
        self.advance_to(self.event_ts_released, usize::MAX, out);
        self.event(&message, self.event_ts_released, out);
        true
    }
}

fn place_of(turn: ReorderKey, time: i64) -> Place {
    let (own, instrument, kind, sequence, arrival) = turn;
    let rank = if own == NEVER { FIRST } else { MESSAGE };
    (time, rank, instrument, kind, sequence, arrival)
}
