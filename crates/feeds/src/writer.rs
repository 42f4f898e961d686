//! Tapes to disk.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_ipc::writer::FileWriter;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::file::metadata::KeyValue;
use serde_json::Value;
use signal_event::{
    EventBatch, EventBatchBuilder, INSTRUMENTS_KEY, InstrumentId, Instruments, TAPE_VERSION_KEY,
    TapeColumns, TapeFormat, to_record_batch_in,
};

use crate::checksum::{CHECKSUMS_KEY, SummedFile};
use crate::parquet::{GROUP_ROWS, properties};
use crate::source::Source;
use crate::source_record::SOURCES_KEY;
use crate::{Backwards, FeedError, ReaderOptions, SourceRecord};

/// Rows from which on a batch is written as it is; smaller ones are gathered to `GATHERED_ROWS`, bigger ones cut.
const BATCH_ROWS_MIN: usize = 16_384;
const GATHERED_ROWS: usize = 65_536;

/// Writes a tape: Parquet, or Arrow IPC where the path ends in `.arrow`. The file appears under its name when it is
/// finished; an unfinished one is removed.
///
/// A tape has the columns that its events need. Where a batch needs one that the tape does not have yet, what was written
/// so far is copied once into a wider file.
///
/// Invariants: the rows of a message stand in one row group or record batch, and so do the bytes of a checksum's part;
/// what is in `pending` comes after what is in `output`.
pub struct TapeWriter {
    path: PathBuf,
    partial: PathBuf,
    /// What was written before the tape was widened, while it is copied.
    narrow: PathBuf,
    form: Form,
    output: Option<Output>,
    /// The columns of `output`, once it has begun.
    columns: TapeColumns,
    instruments: Arc<Instruments>,
    /// The instruments of the latest batch and their numbers here.
    latest: Option<(Arc<Instruments>, Vec<InstrumentId>)>,
    pending: EventBatchBuilder,
    rows: u64,
    messages: u64,
    backwards: Backwards,
}

#[derive(Clone, Copy)]
enum Form {
    Parquet,
    Ipc,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TapeSummary {
    /// Rows.
    pub rows: u64,
    /// Messages.
    pub messages: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

impl TapeWriter {
    /// Begins a tape at `path`, whose extension is `.parquet` or `.arrow`.
    pub fn create(path: &Path) -> Result<TapeWriter, FeedError> {
        let extension = path
            .extension()
            .and_then(|e| e.to_str())
            .map(str::to_ascii_lowercase);
        let form = match extension.as_deref() {
            Some("parquet") => Form::Parquet,
            Some("arrow") => Form::Ipc,
            _ => {
                return Err(FeedError::UnknownExtension {
                    path: path.to_path_buf(),
                });
            }
        };
        let beside = |ending: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        };
        let partial = beside(".partial");
        let file = File::create(&partial).map_err(FeedError::io(&partial, "create"))?;
        Ok(TapeWriter {
            path: path.to_path_buf(),
            partial,
            narrow: beside(".narrow.partial"),
            form,
            output: Some(Output::Empty(SummedFile::new(file))),
            columns: TapeColumns::default(),
            instruments: Arc::default(),
            latest: None,
            pending: EventBatchBuilder::new(),
            rows: 0,
            messages: 0,
            backwards: Backwards::default(),
        })
    }

    /// Appends a batch. Its instruments join those of the tape.
    pub fn write(&mut self, batch: &EventBatch) -> Result<(), FeedError> {
        if batch.is_empty() {
            return Ok(());
        }
        let known = self
            .latest
            .as_ref()
            .is_some_and(|(table, _)| Arc::ptr_eq(table, batch.instruments()));
        if !known {
            let numbers = Arc::make_mut(&mut self.instruments).unite(batch.instruments(), 0)?;
            self.latest = Some((batch.instruments().clone(), numbers));
        }
        let map = self.latest.as_ref().map_or(&[][..], |(_, map)| map);
        if batch.defines() {
            Arc::make_mut(&mut self.instruments).learn(batch, map)?;
        }
        let renamed = map.iter().enumerate().any(|(from, to)| from != to.place());
        self.rows += batch.len() as u64;
        self.messages += batch.message_count() as u64;
        self.backwards.see(batch);
        let mut row = 0;
        while row < batch.len() {
            let end = batch.whole_rows_end(row, GATHERED_ROWS);
            if self.pending.is_empty() && end - row >= BATCH_ROWS_MIN && !renamed {
                self.write_out(&batch.slice_rows(row..end))?;
            } else {
                let map = self.latest.as_ref().map_or(&[][..], |(_, map)| map);
                self.pending.extend(batch, row..end, map);
                if self.pending.len() >= GATHERED_ROWS {
                    self.write_pending()?;
                }
            }
            row = end;
        }
        Ok(())
    }

    /// Where receive times of what was written go back.
    pub fn backwards(&self) -> Backwards {
        self.backwards
    }

    /// Completes the tape with the record of what it was made of, and gives it its name.
    pub fn finish(mut self, sources: &[SourceRecord]) -> Result<TapeSummary, FeedError> {
        self.write_pending()?;
        self.begin(TapeColumns::default())?;
        let path = &self.path;
        let metadata = self.metadata(sources);
        let file = match self.output.take() {
            Some(output) => output.finish(metadata).map_err(|e| failed(path, e))?,
            None => return Err(failed(path, "an earlier write failed")),
        };
        file.sync_all().map_err(FeedError::io(path, "write"))?;
        let bytes = file.metadata().map_err(FeedError::io(path, "read"))?.len();
        drop(file);
        std::fs::rename(&self.partial, path).map_err(FeedError::io(path, "rename"))?;
        Ok(TapeSummary {
            rows: self.rows,
            messages: self.messages,
            bytes,
        })
    }

    fn write_pending(&mut self) -> Result<(), FeedError> {
        let batch = self.pending.finish(&self.instruments);
        if batch.is_empty() {
            Ok(())
        } else {
            self.write_out(&batch)
        }
    }

    fn metadata(&self, sources: &[SourceRecord]) -> [(&'static str, String); 3] {
        let sources = sources.iter().map(SourceRecord::to_json).collect();
        [
            (TAPE_VERSION_KEY, TapeFormat::NEWEST.text().to_string()),
            (INSTRUMENTS_KEY, self.instruments.to_json().to_string()),
            (SOURCES_KEY, Value::Array(sources).to_string()),
        ]
    }

    fn write_out(&mut self, batch: &EventBatch) -> Result<(), FeedError> {
        let needed = TapeColumns::of(batch).numbering(self.instruments.len());
        self.begin(needed)?;
        if !self.columns.hold(needed) {
            self.widen(needed)?;
        }
        match &mut self.output {
            Some(output) => output.write(batch).map_err(|e| failed(&self.path, e)),
            None => Err(failed(&self.path, "an earlier write failed")),
        }
    }

    /// Begins the format, if that has not been done: an IPC file names the instruments first, as far as they are known.
    fn begin(&mut self, columns: TapeColumns) -> Result<(), FeedError> {
        if let Some(Output::Empty(_)) = &self.output
            && let Some(Output::Empty(file)) = self.output.take()
        {
            self.columns = columns;
            let output = Output::begin(file, self.form, columns, &self.instruments);
            self.output = Some(output.map_err(|e| failed(&self.path, e))?);
        }
        Ok(())
    }

    /// Copies what was written into a file that has these columns as well.
    #[cold]
    fn widen(&mut self, needed: TapeColumns) -> Result<(), FeedError> {
        let metadata = self.metadata(&[]);
        let path = &self.path;
        let Some(output) = self.output.take() else {
            return Err(failed(path, "an earlier write failed"));
        };
        drop(output.finish(metadata).map_err(|e| failed(path, e))?);
        let narrow = self.narrow.clone();
        std::fs::rename(&self.partial, &narrow).map_err(FeedError::io(path, "rename"))?;
        let file = File::create(&self.partial).map_err(FeedError::io(&self.partial, "create"))?;
        let mut written = Source::open(&narrow, &ReaderOptions::default())?;
        self.output = Some(Output::Empty(SummedFile::new(file)));
        self.begin(self.columns.with(needed))?;
        while let Some(batch) = written.next()? {
            if let Some(output) = &mut self.output {
                output.write(&batch).map_err(|e| failed(&self.path, e))?;
            }
        }
        std::fs::remove_file(&narrow).map_err(FeedError::io(&narrow, "remove"))
    }
}

impl Drop for TapeWriter {
    fn drop(&mut self) {
        // After `finish` the file has another name. Nobody is left to tell if this fails.
        drop(self.output.take());
        let _ = std::fs::remove_file(&self.partial);
        let _ = std::fs::remove_file(&self.narrow);
    }
}

enum Output {
    Empty(SummedFile),
    Parquet(Box<ArrowWriter<SummedFile>>, SchemaRef),
    Ipc(Box<FileWriter<SummedFile>>),
}

type OutputResult<T> = Result<T, Box<dyn std::error::Error>>;

impl Output {
    fn begin(
        file: SummedFile,
        form: Form,
        columns: TapeColumns,
        instruments: &Instruments,
    ) -> OutputResult<Output> {
        Ok(match form {
            Form::Parquet => {
                let options = ArrowWriterOptions::new()
                    .with_properties(properties())
                    .with_skip_arrow_metadata(true);
                let schema = columns.schema();
                let writer = ArrowWriter::try_new_with_options(file, schema.clone(), options)?;
                Output::Parquet(Box::new(writer), schema)
            }
            Form::Ipc => Output::Ipc(Box::new(FileWriter::try_new(
                file,
                &columns.schema_with(instruments),
            )?)),
        })
    }

    fn write(&mut self, batch: &EventBatch) -> OutputResult<()> {
        match self {
            Output::Empty(_) => {}
            Output::Parquet(writer, schema) => {
                writer.write(&to_record_batch_in(batch, schema.clone())?)?;
                if writer.in_progress_rows() >= GROUP_ROWS {
                    end_group(writer)?;
                }
            }
            Output::Ipc(writer) => {
                // The schema of a file is written once; the footer names the instruments that came later.
                writer.write(&to_record_batch_in(batch, writer.schema().clone())?)?;
                writer.flush()?;
                writer.get_mut().end_part();
            }
        }
        Ok(())
    }

    fn finish(self, metadata: [(&str, String); 3]) -> OutputResult<File> {
        let file = match self {
            Output::Empty(file) => file,
            Output::Parquet(mut writer, _) => {
                end_group(&mut writer)?;
                let sums = writer.inner().sums().to_json().to_string();
                for (key, value) in metadata.into_iter().chain([(CHECKSUMS_KEY, sums)]) {
                    writer.append_key_value_metadata(KeyValue::new(key.to_string(), value));
                }
                writer.into_inner()?
            }
            Output::Ipc(mut writer) => {
                let sums = writer.get_ref().sums().to_json().to_string();
                for (key, value) in metadata.into_iter().chain([(CHECKSUMS_KEY, sums)]) {
                    writer.write_metadata(key, value);
                }
                writer.into_inner()?
            }
        };
        Ok(file.into_file()?)
    }
}

fn end_group(writer: &mut ArrowWriter<SummedFile>) -> OutputResult<()> {
    writer.flush()?;
    writer.sync()?;
    writer.inner_mut().end_part();
    Ok(())
}

fn failed(path: &Path, error: impl std::fmt::Display) -> FeedError {
    FeedError::Io {
        path: path.to_path_buf(),
        doing: "write",
        error: std::io::Error::other(error.to_string()),
    }
}
