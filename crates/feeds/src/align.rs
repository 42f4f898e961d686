//! Record batches of any cut to batches of whole messages.

use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::UInt8Type;
use signal_event::{EventBatch, Instruments, TapeFormat, flags, from_record_batches_with};

use crate::FeedError;

/// The most rows that one message may have: a book of a million levels is damage.
const MESSAGE_ROWS_MAX: usize = 1 << 20;

/// Keeps the pieces of a message whose end has not come. Where batches end with messages, as in the tapes that we write,
/// nothing is copied.
///
/// Invariant: no row of `open` ends a message; it has `open_rows` rows.
#[derive(Debug)]
pub(crate) struct Align {
    format: TapeFormat,
    open: Vec<RecordBatch>,
    open_rows: usize,
    rows: u64,
}

impl Align {
    /// For a tape of this format.
    pub(crate) fn new(format: TapeFormat) -> Align {
        Align {
            format,
            open: Vec::new(),
            open_rows: 0,
            rows: 0,
        }
    }

    pub(crate) fn format(&self) -> TapeFormat {
        self.format
    }

    /// The whole messages up to this record batch.
    pub(crate) fn push(
        &mut self,
        path: &Path,
        next: RecordBatch,
        instruments: &Arc<Instruments>,
    ) -> Result<EventBatch, FeedError> {
        // A column of another type is refused below, by name.
        let ends = next
            .column_by_name("flags")
            .and_then(|c| c.as_primitive_opt::<UInt8Type>());
        let whole = match ends {
            Some(ends) => ends
                .values()
                .iter()
                .rposition(|f| f & flags::LAST != 0)
                .map_or(0, |row| row + 1),
            None => next.num_rows(),
        };
        let rest = next.slice(whole, next.num_rows() - whole);
        let mut pieces = Vec::new();
        if whole > 0 {
            pieces = std::mem::take(&mut self.open);
            self.open_rows = 0;
            pieces.push(next.slice(0, whole));
        }
        if rest.num_rows() > 0 {
            self.open_rows += rest.num_rows();
            self.open.push(rest);
        }
        if self.open_rows > MESSAGE_ROWS_MAX {
            let what = format!("a message of more than {MESSAGE_ROWS_MAX} rows");
            return Err(FeedError::corrupt(path, self.place(), what));
        }
        if pieces.is_empty() {
            return Ok(EventBatch::empty(instruments.clone()));
        }
        let batch = from_record_batches_with(&pieces, self.format, instruments.clone());
        let batch = batch.map_err(|error| match self.rows {
            0 => FeedError::NotATape {
                path: path.to_path_buf(),
                error,
            },
            _ => FeedError::corrupt(path, self.place(), error),
        })?;
        self.rows += batch.len() as u64;
        Ok(batch)
    }

    /// There is no more: an open message is damage.
    pub(crate) fn end(&mut self, path: &Path) -> Result<(), FeedError> {
        match self.open.is_empty() {
            true => Ok(()),
            false => Err(FeedError::corrupt(
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
