//! How files are read.

use std::sync::Arc;

use signal_event::Instruments;
use signal_ingest::SourceSpec;

/// Rows of a batch, about, unless the caller says otherwise. A batch of a Parquet tape is a row group.
pub const BATCH_ROWS: usize = 65_536;

/// How files are read.
#[derive(Clone, Debug)]
pub struct ReaderOptions {
    /// Rows of a batch, about; more than none.
    pub batch_rows: usize,
    /// What is known of instruments: the scales of those of raw captures where they are not the default ones, and
    /// definitions.
    pub instruments: Arc<Instruments>,
    /// Whether every refused line of raw captures is kept with its bytes, for [`crate::Reader::take_rejects`].
    pub keep_rejects: bool,
    /// What is stated of raw captures; the rest is recognised.
    pub spec: SourceSpec,
}

impl Default for ReaderOptions {
    fn default() -> ReaderOptions {
        ReaderOptions {
            batch_rows: BATCH_ROWS,
            instruments: Arc::default(),
            keep_rejects: false,
            spec: SourceSpec::default(),
        }
    }
}
