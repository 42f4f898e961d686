//! Messages in, vectors out.

use crate::engine::Engine;
use crate::error::{EngineError, refuse};
use crate::fetch::Fetch;
use crate::progress::{Cursor, Progress};
use crate::vectors::Vectors;
use signal_event::{
    EventBatch, EventBatchBuilder, InstrumentId, Instruments, Kind, Message, NO_INSTRUMENT, Side,
};
use signal_runtime::program_state::NEVER;
use std::sync::Arc;

impl Engine {
    /// Takes whole messages in order of arrival and appends the vectors that they bring about.
    pub fn push(&mut self, batch: &EventBatch, out: &mut Vectors) -> Result<(), EngineError> {
        self.push_some(batch, &mut Cursor::default(), usize::MAX, out)
            .map(|_| ())
    }

    /// The same from `cursor` on, until `out` holds about `room` vectors: a clock over a long silence brings about more
    /// than a caller may want at once. `false` if something is left: call again with the same batch and cursor.
    pub fn push_some(
        &mut self,
        batch: &EventBatch,
        cursor: &mut Cursor,
        room: usize,
        out: &mut Vectors,
    ) -> Result<bool, EngineError> {
        let mapping = self.map(batch)?;
        out.instruments = Arc::clone(&self.names);
        let mut fetch = Fetch::new(self, cursor.row);
        while let Some(mut message) = batch.message(cursor.row) {
            fetch.step(self, batch, &mapping);
            if message.instrument != NO_INSTRUMENT {
                message.instrument = mapping[message.instrument.place()];
            } else if !matches!(message.kind, Kind::Mark | Kind::Status) {
                return refuse(
                    "INSTRUMENTS",
                    format!(
                        "message {} is a {} of no instrument",
                        self.messages + 1,
                        message.kind
                    ),
                );
            }
            if matches!(cursor.progress, Progress::Unread) {
                if message.kind == Kind::Bar {
                    self.check_bar(&message)?;
                }
                self.messages += 1;
            }
            let done = match self.reorder {
                Some(_) => self.in_turn(&message, &mut cursor.progress, room, out)?,
                None => self.on_arrival(&message, &mut cursor.progress, room, out)?,
            };
            if !done {
                return Ok(false);
            }
            cursor.progress = Progress::Unread;
            cursor.row = message.rows.end;
        }
        Ok(true)
    }

    pub(crate) fn too_late(
        &mut self,
        message: &Message<'_>,
        name: &str,
        t: i64,
    ) -> Result<(), EngineError> {
        if self.options.refuse_late {
            let reached = self.sequencer.watermark().unwrap_or(NEVER);
            return refuse(
                "LATE",
                format!(
                    "message {} has {name} {t}, before {reached} already read; late = \"refuse\" stops here: use \
                     late = \"drop\" to keep such messages aside",
                    self.messages
                ),
            );
        }
        self.late.push_message(message, message.instrument);
        Ok(())
    }

    /// The clock has reached `t`: fires what is due before it, as a mark on the tape does. Where the graph runs on venue
    /// time, that went on as far as the clock did since the message before.
    pub fn advance(&mut self, t: i64, out: &mut Vectors) -> Result<(), EngineError> {
        let mut builder = EventBatchBuilder::new();
        builder.push(signal_event::Header::mark(t), Side::None.code(), 0, 0);
        let mark = builder.finish(&Arc::new(Instruments::new()));
        self.push(&mark, out)
    }

    /// The engine's numbers for a batch's instruments.
    fn map(&mut self, batch: &EventBatch) -> Result<Arc<[InstrumentId]>, EngineError> {
        if let Some((table, mapping)) = &self.mapping
            && Arc::ptr_eq(table, batch.instruments())
        {
            return Ok(Arc::clone(mapping));
        }
        let table = Arc::clone(batch.instruments());
        let mut mapping = Vec::with_capacity(table.len());
        for instrument in table.iter() {
            let scales = [instrument.price_scale, instrument.qty_scale];
            mapping.push(InstrumentId::at(self.instrument(&instrument.id, scales)?));
        }
        let mapping: Arc<[InstrumentId]> = mapping.into();
        self.mapping = Some((table, Arc::clone(&mapping)));
        Ok(mapping)
    }
}
