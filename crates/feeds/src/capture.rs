//! Raw captures from files, compressed or not, and from pipes.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use signal_event::{EventBatch, Instruments};
use signal_ingest::{Capture, KeptReject, Recognised, RejectCode, Rejects};

use crate::members::{Members, Piece, Torn};
use crate::sniff::Format;
use crate::source_record::{SourceRecord, file_name, named_counts};
use crate::{FeedError, ReaderOptions};

/// Bytes decoded at a time; small enough to stay in the second cache with what is decoded from them.
const CHUNK_BYTES: usize = 64 << 10;

/// A raw capture being read.
pub(crate) struct CaptureFile {
    path: PathBuf,
    format: Format,
    input: Input,
    chunk: Vec<u8>,
    capture: Capture,
    batch_rows: usize,
    ended: bool,
    bytes_total: u64,
    bytes_read: Arc<AtomicU64>,
}

/// Where the bytes come from.
enum Input {
    Plain(Box<dyn Read + Send>),
    Gzip(Box<Members>),
    Zstd(Box<dyn Read + Send>),
}

/// What one read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Some bytes.
    Read,
    /// None: the end, for now or for good.
    Nothing,
}

impl CaptureFile {
    pub(crate) fn open(
        path: &Path,
        file: File,
        format: Format,
        options: &ReaderOptions,
    ) -> Result<CaptureFile, FeedError> {
        let bytes_total = file.metadata().map_err(FeedError::io(path, "read"))?.len();
        let bytes_read = Arc::new(AtomicU64::new(0));
        let input = match format {
            Format::CaptureGzip => Input::Gzip(Box::new(Members::new(file))),
            Format::CaptureZstd => {
                let counted = Counted {
                    inner: file,
                    bytes: bytes_read.clone(),
                };
                let decoder = zstd::stream::read::Decoder::new(counted);
                Input::Zstd(Box::new(decoder.map_err(FeedError::io(path, "read"))?))
            }
            _ => Input::Plain(Box::new(Counted {
                inner: file,
                bytes: bytes_read.clone(),
            })),
        };
        Ok(CaptureFile {
            bytes_total,
            bytes_read,
            ..CaptureFile::of(path, format, input, options)?
        })
    }

    /// A capture from any input, such as standard input; `path` only names it.
    pub(crate) fn of_input(
        path: &Path,
        format: Format,
        input: Box<dyn Read + Send>,
        options: &ReaderOptions,
    ) -> Result<CaptureFile, FeedError> {
        CaptureFile::of(path, format, Input::Plain(input), options)
    }

    fn of(
        path: &Path,
        format: Format,
        input: Input,
        options: &ReaderOptions,
    ) -> Result<CaptureFile, FeedError> {
        let mut capture = Capture::of(options.spec, options.instruments.clone());
        if options.keep_rejects {
            capture.rejects_mut().keep_all();
        }
        Ok(CaptureFile {
            path: path.to_path_buf(),
            format,
            input,
            chunk: vec![0; CHUNK_BYTES],
            capture,
            batch_rows: options.batch_rows,
            ended: false,
            bytes_total: 0,
            bytes_read: Arc::default(),
        })
    }

    pub(crate) fn next(&mut self) -> Result<Option<EventBatch>, FeedError> {
        while !self.ended && self.capture.rows() < self.batch_rows {
            if self.read_once()? == Progress::Nothing {
                self.end();
            }
        }
        Ok(Some(self.take()).filter(|batch| !batch.is_empty()))
    }

    /// Reads and decodes what one read of the input gives. Damaged compression is a counted refusal; reading goes on with
    /// the next member, if there is one.
    pub(crate) fn read_once(&mut self) -> Result<Progress, FeedError> {
        if self.ended {
            return Ok(Progress::Nothing);
        }
        let read = match &mut self.input {
            Input::Plain(input) => input.read(&mut self.chunk).map(Piece::Bytes),
            Input::Gzip(members) => {
                let piece = members.read(&mut self.chunk);
                self.bytes_read.store(members.position(), Ordering::Relaxed);
                piece
            }
            Input::Zstd(input) => match input.read(&mut self.chunk) {
                Err(error) if error.kind() != ErrorKind::Interrupted => {
                    self.broken(&error);
                    return Ok(Progress::Nothing);
                }
                read => read.map(Piece::Bytes),
            },
        };
        match read {
            Ok(Piece::Bytes(0)) => Ok(Progress::Nothing),
            Ok(Piece::Bytes(len)) => {
                self.capture.push(&self.chunk[..len]);
                Ok(Progress::Read)
            }
            Ok(Piece::Torn(torn)) => {
                self.torn(&torn);
                Ok(match torn.next {
                    Some(_) => Progress::Read,
                    None => Progress::Nothing,
                })
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(Progress::Read),
            Err(error) => Err(FeedError::io(&self.path, "read")(error)),
        }
    }

    /// The zstd data breaks off: what follows cannot be found.
    fn broken(&mut self, error: &std::io::Error) {
        let code = match error.kind() {
            ErrorKind::UnexpectedEof => RejectCode::Truncated,
            _ => RejectCode::Corrupt,
        };
        let at = self.bytes_read.load(Ordering::Relaxed);
        let detail = format!("the zstd data breaks off before byte {at}: {error}");
        self.capture.refuse_part(code, detail);
        self.end();
    }

    fn torn(&mut self, torn: &Torn) {
        let Torn { at, error, next } = torn;
        let (code, then) = match (next, error.kind()) {
            (Some(next), _) => (
                RejectCode::Corrupt,
                format!("it goes on with the member that begins at byte {next}"),
            ),
            (None, ErrorKind::UnexpectedEof) => (RejectCode::Truncated, "nothing follows".into()),
            (None, _) => (RejectCode::Corrupt, "no member follows".into()),
        };
        let detail = format!("the gzip data breaks off before byte {at}: {error}; {then}");
        self.capture.refuse_part(code, detail);
        self.ended = next.is_none();
    }

    /// Goes on with a copy of the file, at the place that was reached.
    pub(crate) fn go_on_in(&mut self, mut copy: File) -> Result<(), FeedError> {
        let reached = SeekFrom::Start(self.bytes_read.load(Ordering::Relaxed));
        copy.seek(reached)
            .map_err(FeedError::io(&self.path, "read"))?;
        self.input = Input::Plain(Box::new(Counted {
            inner: copy,
            bytes: self.bytes_read.clone(),
        }));
        Ok(())
    }

    /// Decides on the unfinished last line: there is no more.
    pub(crate) fn end(&mut self) {
        if !self.ended {
            self.capture.end();
            self.ended = true;
        }
    }

    /// The messages decoded so far and not taken yet.
    pub(crate) fn take(&mut self) -> EventBatch {
        self.capture.take()
    }

    pub(crate) fn instruments(&self) -> &Arc<Instruments> {
        self.capture.instruments()
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

    /// What the frames are, once that is known.
    pub(crate) fn recognised(&self) -> Option<&Recognised> {
        self.capture.recognised()
    }

    pub(crate) fn rejects(&self) -> &Rejects {
        self.capture.rejects()
    }

    /// The refusals that were kept since the last call, where all are.
    pub(crate) fn take_rejects(&mut self) -> Vec<KeptReject> {
        self.capture.rejects_mut().take_kept()
    }

    pub(crate) fn record(&self) -> SourceRecord {
        SourceRecord {
            name: file_name(&self.path),
            format: self.format.name().into(),
            inputs: self.capture.inputs(),
            messages: self.capture.used(),
            rejects: named_counts(self.capture.rejects()),
        }
    }
}

impl std::fmt::Debug for CaptureFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CaptureFile")
            .field("path", &self.path)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

/// Counts the bytes that pass.
pub(crate) struct Counted {
    inner: File,
    bytes: Arc<AtomicU64>,
}

impl Counted {
    pub(crate) fn new(inner: File, bytes: Arc<AtomicU64>) -> Counted {
        Counted { inner, bytes }
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = self.inner.read(buffer)?;
        self.bytes.fetch_add(len as u64, Ordering::Relaxed);
        Ok(len)
    }
}
