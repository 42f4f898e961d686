//! One file of any format as a stream of batches.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use signal_event::{EventBatch, Instruments, TapeFormat};
use signal_ingest::{KeptReject, Recognised, Rejects};

use crate::capture::CaptureFile;
use crate::dbn::DbnFile;
use crate::ipc::IpcTape;
use crate::parquet::ParquetTape;
use crate::sniff::{self, Format};
use crate::source_record::SourceRecord;
use crate::{FeedError, ReaderOptions};

#[derive(Debug)]
pub(crate) enum Source {
    Capture(Box<CaptureFile>),
    Dbn(Box<DbnFile>),
    Parquet(Box<ParquetTape>),
    Ipc(Box<IpcTape>),
}

impl Source {
    pub(crate) fn open(path: &Path, options: &ReaderOptions) -> Result<Source, FeedError> {
        let mut file = File::open(path).map_err(FeedError::io(path, "open"))?;
        let found = sniff::found(path, &mut file)?;
        found.check(path, &options.spec)?;
        let format = found.format;
        Ok(match format {
            Format::Capture | Format::CaptureGzip | Format::CaptureZstd => {
                Source::Capture(Box::new(CaptureFile::open(path, file, format, options)?))
            }
            Format::Dbn | Format::DbnZstd => {
                Source::Dbn(Box::new(DbnFile::open(path, file, format, options)?))
            }
            Format::Parquet => {
                let tape = ParquetTape::open(path, file)?;
                Source::Parquet(Box::new(tape.knowing(&options.instruments)))
            }
            Format::ArrowFile | Format::ArrowStream => {
                let tape = IpcTape::open(path, file, format)?;
                Source::Ipc(Box::new(tape.knowing(&options.instruments)))
            }
        })
    }

    pub(crate) fn next(&mut self) -> Result<Option<EventBatch>, FeedError> {
        match self {
            Source::Capture(source) => source.next(),
            Source::Dbn(source) => source.next(),
            Source::Parquet(source) => source.next(),
            Source::Ipc(source) => source.next(),
        }
    }

    pub(crate) fn instruments(&self) -> &Arc<Instruments> {
        match self {
            Source::Capture(source) => source.instruments(),
            Source::Dbn(source) => source.instruments(),
            Source::Parquet(source) => source.instruments(),
            Source::Ipc(source) => source.instruments(),
        }
    }

    pub(crate) fn path(&self) -> &PathBuf {
        match self {
            Source::Capture(source) => source.path(),
            Source::Dbn(source) => source.path(),
            Source::Parquet(source) => source.path(),
            Source::Ipc(source) => source.path(),
        }
    }

    pub(crate) fn format(&self) -> Format {
        match self {
            Source::Capture(source) => source.format(),
            Source::Dbn(source) => source.format(),
            Source::Parquet(_) => Format::Parquet,
            Source::Ipc(source) => source.format(),
        }
    }

    /// The format of a tape; a raw capture has none.
    pub(crate) fn tape_format(&self) -> Option<TapeFormat> {
        match self {
            Source::Capture(_) | Source::Dbn(_) => None,
            Source::Parquet(source) => Some(source.tape_format()),
            Source::Ipc(source) => Some(source.tape_format()),
        }
    }

    /// Bytes of the file, and how many of them have been read.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        match self {
            Source::Capture(source) => source.bytes(),
            Source::Dbn(source) => source.bytes(),
            Source::Parquet(source) => source.bytes(),
            Source::Ipc(source) => source.bytes(),
        }
    }

    /// What the frames of a capture are.
    pub(crate) fn recognised(&self) -> Option<&Recognised> {
        match self {
            Source::Capture(source) => source.recognised(),
            Source::Dbn(_) | Source::Parquet(_) | Source::Ipc(_) => None,
        }
    }

    /// Refusals of this reading; a tape has none, its damage is an error.
    pub(crate) fn rejects(&self) -> Option<&Rejects> {
        match self {
            Source::Capture(source) => Some(source.rejects()),
            Source::Dbn(source) => Some(source.rejects()),
            Source::Parquet(_) | Source::Ipc(_) => None,
        }
    }

    /// The refusals that were kept since the last call.
    pub(crate) fn take_rejects(&mut self) -> Vec<KeptReject> {
        match self {
            Source::Capture(source) => source.take_rejects(),
            Source::Dbn(source) => source.take_rejects(),
            Source::Parquet(_) | Source::Ipc(_) => Vec::new(),
        }
    }

    /// The raw files behind this one, as far as they have been read.
    pub(crate) fn records(&self) -> Vec<SourceRecord> {
        match self {
            Source::Capture(source) => vec![source.record()],
            Source::Dbn(source) => vec![source.record()],
            Source::Parquet(source) => source.records().to_vec(),
            Source::Ipc(source) => source.records().to_vec(),
        }
    }
}
