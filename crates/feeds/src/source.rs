//! One file of any format as a stream of batches.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use signal_event::{EventBatch, Instruments, TapeFormat};
use signal_ingest::{KeptReject, Recognised, RejectCode, Rejects};

use crate::capture::CaptureFile;
use crate::dbn::DbnFile;
use crate::ipc::IpcTape;
use crate::parquet::ParquetTape;
use crate::sniff::{self, Format};
use crate::{FeedError, ReaderOptions};

/// What went into a tape: one raw file and what became of its lines. `inputs == messages + rejects`, where frames that
/// are not used stand among the rejects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRecord {
    /// The file's name, without its folder.
    pub name: String,
    /// [`Format::name`].
    pub format: String,
    /// Frames, or messages of a tape.
    pub inputs: u64,
    /// Those that became messages, one or several each.
    pub messages: u64,
    /// Refusals by the name of their code.
    pub rejects: Vec<(String, u64)>,
}

impl SourceRecord {
    /// `{"name":…,"format":…,"inputs":…,"messages":…,"rejects":{…}}`
    pub fn to_json(&self) -> Value {
        let rejects: serde_json::Map<String, Value> = self
            .rejects
            .iter()
            .map(|(code, n)| (code.clone(), json!(n)))
            .collect();
        json!({"name": self.name, "format": self.format, "inputs": self.inputs, "messages": self.messages, "rejects": rejects})
    }

    fn from_json(value: &Value) -> Option<SourceRecord> {
        let rejects = value["rejects"].as_object()?.iter();
        Some(SourceRecord {
            name: value["name"].as_str()?.into(),
            format: value["format"].as_str()?.into(),
            inputs: value["inputs"].as_u64()?,
            messages: value["messages"].as_u64()?,
            rejects: rejects
                .map(|(code, n)| Some((code.clone(), n.as_u64()?)))
                .collect::<Option<_>>()?,
        })
    }

    /// The records in a tape's metadata; none where there are none.
    pub(crate) fn list_of(text: Option<&str>) -> Vec<SourceRecord> {
        let list = text.and_then(|text| serde_json::from_str::<Value>(text).ok());
        let list = list.as_ref().and_then(Value::as_array);
        list.map_or_else(Vec::new, |list| {
            list.iter().filter_map(SourceRecord::from_json).collect()
        })
    }
}

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

/// Refusals by name of code, as a [`SourceRecord`] holds them.
pub(crate) fn named_counts(rejects: &Rejects) -> Vec<(String, u64)> {
    rejects
        .counts
        .iter()
        .map(|(code, n): (&RejectCode, &u64)| (code.name().to_string(), *n))
        .collect()
}

/// The name of a file, for people.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}
