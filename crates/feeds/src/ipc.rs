//! Tapes as Arrow IPC, file or stream.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::ArrowError;
use signal_event::{
    EventBatch, EventError, INSTRUMENTS_KEY, Instruments, TAPE_VERSION_KEY, TapeFormat,
};

use crate::FeedError;
use crate::align::Align;
use crate::checksum::{CHECKSUMS_KEY, Checksums};
use crate::contained::contained;
use crate::sniff::Format;
use crate::source_record::{SOURCES_KEY, SourceRecord};

/// An Arrow IPC tape being read.
#[derive(Debug)]
pub(crate) struct IpcTape {
    path: PathBuf,
    batches: Batches,
    /// A second handle, since the reader's own must stay where it is.
    checksums: Option<(Checksums, File)>,
    batches_total: u64,
    batches_read: u64,
    bytes_total: u64,
    instruments: Arc<Instruments>,
    records: Vec<SourceRecord>,
    align: Align,
}

#[derive(Debug)]
enum Batches {
    File(FileReader<BufReader<File>>),
    Stream(StreamReader<BufReader<File>>),
}

impl IpcTape {
    pub(crate) fn open(path: &Path, file: File, format: Format) -> Result<IpcTape, FeedError> {
        let damaged = |e: ArrowError| FeedError::corrupt(path, "its schema or footer", e);
        let broken = |what: String| FeedError::corrupt(path, "its schema or footer", what);
        let bytes_total = file.metadata().map_err(FeedError::io(path, "read"))?.len();
        let (batches, batches_total, footer) = match format {
            Format::ArrowStream => {
                let opened = contained(|| StreamReader::try_new_buffered(file, None));
                let reader = opened.map_err(broken)?.map_err(damaged)?;
                (Batches::Stream(reader), 0, Default::default())
            }
            _ => {
                let opened = contained(|| FileReader::try_new_buffered(file, None));
                let reader = opened.map_err(broken)?.map_err(damaged)?;
                let (count, footer) = (
                    reader.num_batches() as u64,
                    reader.custom_metadata().clone(),
                );
                (Batches::File(reader), count, footer)
            }
        };
        let schema = batches.schema();
        // The footer is written last and knows all instruments; the schema knows those of the first batch.
        let find = |key: &str| {
            footer
                .get(key)
                .or_else(|| schema.metadata().get(key))
                .map(String::as_str)
        };
        let refuse = |error| FeedError::NotATape {
            path: path.to_path_buf(),
            error,
        };
        let format = TapeFormat::of(find(TAPE_VERSION_KEY)).map_err(refuse)?;
        let table = find(INSTRUMENTS_KEY).ok_or_else(|| EventError::Instruments {
            what: "no instrument table".into(),
        });
        let table = table.and_then(Instruments::from_json).map_err(refuse)?;
        let records = SourceRecord::list_of(find(SOURCES_KEY));
        let checksums = match Checksums::of(find(CHECKSUMS_KEY)) {
            Some(checksums) => Some((
                checksums,
                File::open(path).map_err(FeedError::io(path, "open"))?,
            )),
            None => None,
        };
        Ok(IpcTape {
            path: path.to_path_buf(),
            batches,
            checksums,
            batches_total,
            batches_read: 0,
            bytes_total,
            instruments: Arc::new(table),
            records,
            align: Align::new(format),
        })
    }

    /// The same with what else is known of its instruments.
    pub(crate) fn knowing(mut self, known: &Instruments) -> IpcTape {
        if !known.is_empty() {
            Arc::make_mut(&mut self.instruments).note(known);
        }
        self
    }

    pub(crate) fn next(&mut self) -> Result<Option<EventBatch>, FeedError> {
        loop {
            if let Some((checksums, file)) = &mut self.checksums {
                checksums.verify(self.batches_read as usize, &self.path, file)?;
            }
            let damaged = |path: &Path, read: u64, place: String, what: &dyn std::fmt::Display| {
                FeedError::corrupt(path, format!("batch {read} ({place})"), what)
            };
            let next = match contained(|| self.batches.next()) {
                Ok(next) => next,
                Err(what) => {
                    let place = self.align.place();
                    return Err(damaged(&self.path, self.batches_read, place, &what));
                }
            };
            match next {
                None => return self.align.end(&self.path).map(|()| None),
                Some(Err(error)) => {
                    let place = self.align.place();
                    return Err(damaged(&self.path, self.batches_read, place, &error));
                }
                Some(Ok(record_batch)) => {
                    self.batches_read += 1;
                    let batch = self
                        .align
                        .push(&self.path, record_batch, &self.instruments)?;
                    if !batch.is_empty() {
                        return Ok(Some(batch));
                    }
                }
            }
        }
    }

    pub(crate) fn tape_format(&self) -> TapeFormat {
        self.align.format()
    }

    pub(crate) fn instruments(&self) -> &Arc<Instruments> {
        &self.instruments
    }

    pub(crate) fn path(&self) -> &PathBuf {
        &self.path
    }

    pub(crate) fn format(&self) -> Format {
        match self.batches {
            Batches::File(_) => Format::ArrowFile,
            Batches::Stream(_) => Format::ArrowStream,
        }
    }

    pub(crate) fn bytes(&self) -> (u64, u64) {
        let read = (self.bytes_total * self.batches_read).checked_div(self.batches_total);
        (self.bytes_total, read.unwrap_or(0))
    }

    pub(crate) fn records(&self) -> &[SourceRecord] {
        &self.records
    }
}

impl Batches {
    fn schema(&self) -> arrow_schema::SchemaRef {
        match self {
            Batches::File(reader) => reader.schema(),
            Batches::Stream(reader) => reader.schema(),
        }
    }

    fn next(&mut self) -> Option<Result<RecordBatch, ArrowError>> {
        match self {
            Batches::File(reader) => reader.next(),
            Batches::Stream(reader) => reader.next(),
        }
    }
}
