//! Record batches of any cut to batches of whole messages.

use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::UInt8Type;
use arrow_select::concat::concat_batches;
use signal_event::{EventBatch, InstrumentTable, flags, from_record_batch_with};

use crate::FeedError;

/// The most rows that one message may have: a book of a million levels is damage.
const MESSAGE_ROWS_MAX: usize = 1 << 20;

/// Keeps the rows of a message whose end has not come. Where batches end with messages, as in the tapes that we write,
/// nothing is copied.
#[derive(Debug, Default)]
pub(crate) struct Align {
    open: Option<RecordBatch>,
    rows: u64,
}

impl Align {
    /// The whole messages up to this record batch.
    pub(crate) fn push(
        &mut self,
        path: &Path,
        next: RecordBatch,
        instruments: &Arc<InstrumentTable>,
    ) -> Result<EventBatch, FeedError> {
        let joined = match self.open.take() {
            None => next,
            Some(open) => {
                let joined = concat_batches(&next.schema(), [&open, &next]);
                joined.map_err(|e| FeedError::corrupt(path, self.place(), e))?
            }
        };
        // A column of another type is refused below, by name.
        let ends = joined
            .column_by_name("flags")
            .and_then(|c| c.as_primitive_opt::<UInt8Type>());
        let whole = match ends {
            Some(ends) => ends
                .values()
                .iter()
                .rposition(|f| f & flags::LAST != 0)
                .map_or(0, |row| row + 1),
            None => joined.num_rows(),
        };
        if whole < joined.num_rows() {
            let open = joined.slice(whole, joined.num_rows() - whole);
            if open.num_rows() > MESSAGE_ROWS_MAX {
                return Err(FeedError::corrupt(
                    path,
                    self.place(),
                    format!("a message of more than {MESSAGE_ROWS_MAX} rows"),
                ));
            }
            self.open = Some(open);
        }
        let batch = from_record_batch_with(&joined.slice(0, whole), instruments.clone());
        let batch = batch.map_err(|e| match self.rows {
            0 => FeedError::NotATape {
                path: path.to_path_buf(),
                error: e,
            },
            _ => FeedError::corrupt(path, self.place(), e),
        })?;
        self.rows += whole as u64;
        Ok(batch)
    }

    /// There is no more: an open message is damage.
    pub(crate) fn end(&mut self, path: &Path) -> Result<(), FeedError> {
        match self.open.take() {
            None => Ok(()),
            Some(_) => Err(FeedError::corrupt(
                path,
                self.place(),
                "the final message is not closed",
            )),
        }
    }

    pub(crate) fn place(&self) -> String {
        format!("row {}", self.rows)
    }
}
