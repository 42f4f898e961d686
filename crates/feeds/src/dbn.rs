//! DBN from files, plain or compressed with zstd.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use signal_event::{EventBatch, Instruments};
use signal_ingest::{Dbn, KeptReject, RejectCode, Rejects};

use crate::capture::Counted;
use crate::sniff::Format;
use crate::source_record::{SourceRecord, file_name, named_counts};
use crate::{FeedError, ReaderOptions};

/// Bytes decoded at a time; small enough to stay in the second cache with what is decoded from them.
const PIECE_BYTES: usize = 64 << 10;

/// A file of DBN being read.
pub(crate) struct DbnFile {
    path: PathBuf,
    format: Format,
    input: Box<dyn Read + Send>,
    piece: Vec<u8>,
    dbn: Dbn,
    batch_rows: usize,
    ended: bool,
    bytes_total: u64,
    bytes_read: Arc<AtomicU64>,
}

impl DbnFile {
    pub(crate) fn open(
        path: &Path,
        file: File,
        format: Format,
        options: &ReaderOptions,
    ) -> Result<DbnFile, FeedError> {
        let io = |doing| FeedError::io(path, doing);
        let bytes_total = file.metadata().map_err(io("read"))?.len();
        let bytes_read = Arc::new(AtomicU64::new(0));
        let counted = Counted::new(file, bytes_read.clone());
        let input: Box<dyn Read + Send> = match format {
            Format::DbnZstd => Box::new(zstd::Decoder::new(counted).map_err(io("read"))?),
            _ => Box::new(counted),
        };
        let mut dbn = Dbn::new(options.instruments.clone());
        if options.keep_rejects {
            dbn.rejects_mut().keep_all();
        }
        Ok(DbnFile {
            path: path.to_path_buf(),
            format,
            input,
            piece: vec![0; PIECE_BYTES],
            dbn,
            batch_rows: options.batch_rows,
            ended: false,
            bytes_total,
            bytes_read,
        })
    }

    pub(crate) fn next(&mut self) -> Result<Option<EventBatch>, FeedError> {
        while !self.ended && self.dbn.rows() < self.batch_rows {
            self.read_once()?;
        }
        Ok(Some(self.dbn.take()).filter(|batch| !batch.is_empty()))
    }

    /// Reads and decodes what one read of the input gives. Damaged compression behind the header is a counted refusal, and the end.
    fn read_once(&mut self) -> Result<(), FeedError> {
        match self.input.read(&mut self.piece) {
            Ok(0) => {
                self.ended = true;
                let bytes = self.bytes_read.load(Ordering::Relaxed);
                self.must_have_begun(|| format!("it ends within its header, behind byte {bytes}"))?;
                self.dbn.end();
            }
            Ok(len) => self.dbn.push(&self.piece[..len]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if self.format == Format::DbnZstd && error.raw_os_error().is_none() => {
                let code = match error.kind() {
                    ErrorKind::UnexpectedEof => RejectCode::Truncated,
                    _ => RejectCode::Corrupt,
                };
                let at = self.bytes_read.load(Ordering::Relaxed);
                let detail = format!("the zstd data breaks off before byte {at}: {error}");
                self.ended = true;
                self.must_have_begun(|| detail.clone())?;
                self.dbn.refuse_part(code, detail);
            }
            Err(error) => return Err(FeedError::io(&self.path, "read")(error)),
        }
        Ok(())
    }

    /// Without its header a file says nothing: it is no tape from which a part is missing.
    fn must_have_begun(&self, found: impl Fn() -> String) -> Result<(), FeedError> {
        match self.dbn.has_begun() {
            true => Ok(()),
            false => Err(FeedError::Headless {
                path: self.path.clone(),
                found: found(),
            }),
        }
    }

    pub(crate) fn instruments(&self) -> &Arc<Instruments> {
        self.dbn.instruments()
    }

    pub(crate) fn path(&self) -> &PathBuf {
        &self.path
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    pub(crate) fn bytes(&self) -> (u64, u64) {
        (self.bytes_total, self.bytes_read.load(Ordering::Relaxed))
    }

    pub(crate) fn rejects(&self) -> &Rejects {
        self.dbn.rejects()
    }

    /// The refusals that were kept since the last call, where all are.
    pub(crate) fn take_rejects(&mut self) -> Vec<KeptReject> {
        self.dbn.rejects_mut().take_kept()
    }

    pub(crate) fn record(&self) -> SourceRecord {
        SourceRecord {
            name: file_name(&self.path),
            format: self.format.name().into(),
            inputs: self.dbn.inputs(),
            messages: self.dbn.used(),
            rejects: named_counts(self.dbn.rejects()),
        }
    }
}

impl std::fmt::Debug for DbnFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DbnFile")
            .field("path", &self.path)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}
