//! Messages that wait for their turn, where events are put into the order of venue time.

use crate::engine::{Engine, Progress};
use crate::error::EngineError;
use crate::machine::NEVER;
use crate::vectors::Vectors;
use signal_event::{
    EventBatch, InstrumentId, Kind, Message, NO_INSTRUMENT, TapeFormat, load_message, save_message,
};
use signal_ingest::{Admit, Arrival};
use signal_kernels::state::{Exhausted, put_i64, put_u64, take_i64, take_u64};
use std::collections::BTreeMap;

/// Messages that wait at most. Beyond, the oldest is taken before its turn.
pub const WAITING_MAX: usize = 1 << 16;

/// One message with the engine's number of its instrument.
#[derive(Clone, Debug)]
pub struct Held {
    batch: EventBatch,
    instrument: InstrumentId,
}

impl Held {
    /// A message, which shares the rows of its batch.
    pub fn of(message: &Message<'_>) -> Self {
        Self {
            batch: message.batch.slice_rows(message.rows.clone()),
            instrument: message.instrument,
        }
    }

    /// Its receive time.
    pub fn ts_recv(&self) -> i64 {
        self.batch.ts_recv().first().copied().unwrap_or(NEVER)
    }

    /// The message.
    pub fn message(&self) -> Option<Message<'_>> {
        let message = self.batch.messages().next()?;
        Some(Message {
            instrument: self.instrument,
            ..message
        })
    }
}

impl Held {
    /// Appends the message.
    pub fn save(&self, out: &mut Vec<u8>) {
        if let Some(message) = self.message() {
            save_message(&message, out);
        }
    }

    /// Reads what [`Held::save`] wrote, or one before it in the older format. Instruments have numbers below `instruments`.
    pub fn load(
        bytes: &mut &[u8],
        format: TapeFormat,
        instruments: usize,
    ) -> Result<Self, Exhausted> {
        let (batch, instrument) = load_message(bytes, format).map_err(|_| Exhausted)?;
        if instrument.place() >= instruments && instrument != NO_INSTRUMENT {
            return Err(Exhausted);
        }
        Ok(Self { batch, instrument })
    }
}

/// Venue time, instrument, kind, id, arrival: events of one time come in an order that does not depend on how they
/// arrived, as far as they have ids.
pub(crate) type Turn = (i64, InstrumentId, u8, u64, u64);

/// Messages of good time in the order of their turns. They are judged by their ids when it comes.
#[derive(Clone, Debug, Default)]
pub struct Waiting {
    held: BTreeMap<Turn, Held>,
    arrivals: u64,
}

impl Waiting {
    /// Number of messages.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// The turn of a message of `t` that arrives now.
    pub(crate) fn turn(&mut self, t: i64, message: &Message<'_>) -> Turn {
        self.arrivals += 1;
        let (kind, arrival) = (message.kind as u8, self.arrivals - 1);
        (t, message.instrument, kind, message.sequence, arrival)
    }

    /// Keeps a message of `t` until its time has come.
    pub fn hold(&mut self, t: i64, message: &Message<'_>) {
        let turn = self.turn(t, message);
        self.held.insert(turn, Held::of(message));
    }

    /// Whether a message has its turn at `watermark`.
    pub fn is_due(&self, watermark: i64) -> bool {
        let first = self.held.first_key_value();
        first.is_some_and(|(&(t, ..), _)| t <= watermark) || self.held.len() > WAITING_MAX
    }

    /// Takes the first message if its time is at or before `watermark`, or if too many wait.
    pub(crate) fn take(&mut self, watermark: i64) -> Option<(Turn, Held)> {
        self.is_due(watermark)
            .then(|| self.held.pop_first())
            .flatten()
    }

    /// Appends the messages.
    pub fn save(&self, out: &mut Vec<u8>) {
        put_u64(out, self.arrivals);
        put_u64(out, self.held.len() as u64);
        for (&(t, .., arrival), held) in &self.held {
            put_i64(out, t);
            put_u64(out, arrival);
            held.save(out);
        }
    }

    /// Reads what [`Waiting::save`] wrote. Instruments have numbers below `instruments`.
    pub fn load(
        bytes: &mut &[u8],
        format: TapeFormat,
        instruments: usize,
    ) -> Result<Self, Exhausted> {
        let (arrivals, count) = (take_u64(bytes)?, take_u64(bytes)?);
        let mut held = BTreeMap::new();
        for _ in 0..count {
            let (t, arrival) = (take_i64(bytes)?, take_u64(bytes)?);
            let message = Held::load(bytes, format, instruments)?;
            let header = message.message().ok_or(Exhausted)?.header();
            let kind = header.kind as u8;
            let turn = (t, message.instrument, kind, header.sequence, arrival);
            held.insert(turn, message);
        }
        Ok(Self { held, arrivals })
    }
}

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
            self.heard = self.heard.max(message.ts_recv);
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
        if let Some(waiting) = &mut self.waiting {
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
        let due = |waiting: &Waiting| waiting.is_due(watermark);
        if is_mark || self.waiting.as_ref().is_some_and(due) {
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
            if !self.started || to <= self.reached {
                return true;
            }
            self.note_pass(to);
            self.reached = to;
            *progress = Progress::Passing;
        }
        let row = out.len();
        let done = self.reach(self.reached, room, out);
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
            let reached = self.reach(time, room, out);
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
    fn next_turn(&mut self, watermark: i64) -> Option<(i64, Held)> {
        loop {
            let (turn, held) = self.waiting.as_mut()?.take(watermark)?;
            // What came before any venue time was known happens at the first; behind one that was taken early, at that.
            let time = if turn.0 == NEVER { watermark } else { turn.0 };
            let time = self.reached.max(time);
            if self.amending.is_some() {
                self.note_turn(turn, time, &held, time > watermark);
            }
            self.reached = time;
            let Some(message) = held.message() else {
                continue;
            };
            match self.sequencer.follow(&message) {
                Admit::Accept => {}
                Admit::Gap { .. } => self.messages_lost(&message),
                _ => continue,
            }
            return Some((self.reached, held));
        }
    }

    /// Messages that wait for their turn.
    pub fn waiting(&self) -> usize {
        let late = self
            .amending
            .as_ref()
            .map_or(0, |each| each.pending as usize);
        self.waiting.as_ref().map_or(0, Waiting::len)
            + self.ahead.len()
            + self.rows.waiting()
            + late
    }
}
