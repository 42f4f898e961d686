//! Messages that wait for their turn, where events are put into the order of venue time.

use signal_event::{
    EventBatch, InstrumentId, Message, NO_INSTRUMENT, TapeFormat, load_message, save_message,
};
use signal_kernels::state::{Exhausted, put_i64, put_u64, take_i64, take_u64};
use signal_runtime::program_state::NEVER;
use std::collections::BTreeMap;

/// Messages that wait at most. Beyond, the oldest is taken before its turn.
pub const WAITING_MAX: usize = 1 << 16;

/// One message with the engine's number of its instrument.
#[derive(Clone, Debug)]
pub struct HeldMessage {
    batch: EventBatch,
    instrument: InstrumentId,
}

impl HeldMessage {
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

impl HeldMessage {
    /// Appends the message.
    pub fn save(&self, out: &mut Vec<u8>) {
        if let Some(message) = self.message() {
            save_message(&message, out);
        }
    }

    /// Reads what [`HeldMessage::save`] wrote, or one before it in the older format. Instruments have numbers below `instruments`.
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
pub(crate) type ReorderKey = (i64, InstrumentId, u8, u64, u64);

/// Messages of good time in the order of their turns. They are judged by their ids when it comes.
#[derive(Clone, Debug, Default)]
pub struct ReorderBuffer {
    held: BTreeMap<ReorderKey, HeldMessage>,
    arrivals: u64,
}

impl ReorderBuffer {
    /// Number of messages.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// The turn of a message of `t` that arrives now.
    pub(crate) fn turn(&mut self, t: i64, message: &Message<'_>) -> ReorderKey {
        self.arrivals += 1;
        let (kind, arrival) = (message.kind as u8, self.arrivals - 1);
        (t, message.instrument, kind, message.sequence, arrival)
    }

    /// Keeps a message of `t` until its time has come.
    pub fn hold(&mut self, t: i64, message: &Message<'_>) {
        let turn = self.turn(t, message);
        self.held.insert(turn, HeldMessage::of(message));
    }

    /// Whether a message has its turn at `watermark`.
    pub fn is_due(&self, watermark: i64) -> bool {
        let first = self.held.first_key_value();
        first.is_some_and(|(&(t, ..), _)| t <= watermark) || self.held.len() > WAITING_MAX
    }

    /// Takes the first message if its time is at or before `watermark`, or if too many wait.
    pub(crate) fn take(&mut self, watermark: i64) -> Option<(ReorderKey, HeldMessage)> {
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

    /// Reads what [`ReorderBuffer::save`] wrote. Instruments have numbers below `instruments`.
    pub fn load(
        bytes: &mut &[u8],
        format: TapeFormat,
        instruments: usize,
    ) -> Result<Self, Exhausted> {
        let (arrivals, count) = (take_u64(bytes)?, take_u64(bytes)?);
        let mut held = BTreeMap::new();
        for _ in 0..count {
            let (t, arrival) = (take_i64(bytes)?, take_u64(bytes)?);
            let message = HeldMessage::load(bytes, format, instruments)?;
            let header = message.message().ok_or(Exhausted)?.header();
            let kind = header.kind as u8;
            let turn = (t, message.instrument, kind, header.sequence, arrival);
            held.insert(turn, message);
        }
        Ok(Self { held, arrivals })
    }
}
