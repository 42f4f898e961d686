//! Batches that number their instruments each in its own way, under one numbering.

use std::sync::Arc;

use signal_event::{EventBatch, EventBatchBuilder, InstrumentId, Instruments};

use crate::FeedError;

/// The instruments of all batches so far, and the numbers here of those of the newest.
#[derive(Debug, Default)]
pub(crate) struct United {
    all: Arc<Instruments>,
    newest: Option<Arc<Instruments>>,
    numbers: Vec<InstrumentId>,
    builder: EventBatchBuilder,
}

impl United {
    /// The same messages under the numbers that their instruments have here.
    pub(crate) fn numbered(&mut self, batch: &EventBatch) -> Result<EventBatch, FeedError> {
        let table = batch.instruments();
        if !self
            .newest
            .as_ref()
            .is_some_and(|newest| Arc::ptr_eq(newest, table))
        {
            self.numbers = Arc::make_mut(&mut self.all).unite(table, 0)?;
            self.newest = Some(table.clone());
        }
        self.builder.extend(batch, 0..batch.len(), &self.numbers);
        Ok(self.builder.finish(&self.all))
    }
}
