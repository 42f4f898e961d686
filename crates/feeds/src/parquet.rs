//! Tapes as Parquet: reading, and how they are laid out.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use signal_event::{
    EventBatch, EventError, INSTRUMENTS_KEY, Instruments, TAPE_VERSION_KEY, TapeFormat,
};

use crate::FeedError;
use crate::align::Align;
use crate::checksum::{CHECKSUMS_KEY, Checksums};
use crate::contained::contained;
use crate::source_record::{SOURCES_KEY, SourceRecord};

/// Rows of a row group, about: a group ends with a message. Also the most rows that one batch is read in, so that
/// memory is bounded in the tapes of others.
pub(crate) const GROUP_ROWS: usize = 131_072;

/// A Parquet tape being read.
#[derive(Debug)]
pub(crate) struct ParquetTape {
    path: PathBuf,
    file: File,
    checksums: Option<Checksums>,
    metadata: ArrowReaderMetadata,
    instruments: Arc<Instruments>,
    records: Vec<SourceRecord>,
    group: usize,
    reader: Option<ParquetRecordBatchReader>,
    align: Align,
    bytes_total: u64,
    bytes_read: u64,
}

impl ParquetTape {
    pub(crate) fn open(path: &Path, mut file: File) -> Result<ParquetTape, FeedError> {
        let footer = |e: ParquetError| FeedError::corrupt(path, "its footer", e);
        // The Arrow schema comes from the Parquet types; a schema that a writer embedded could only say otherwise.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let broken = |what: String| FeedError::corrupt(path, "its footer", what);
        let loaded = contained(|| ArrowReaderMetadata::load(&file, options));
        let metadata = loaded.map_err(broken)?.map_err(footer)?;
        let pairs = metadata.metadata().file_metadata().key_value_metadata();
        let find = |key: &str| pairs?.iter().find(|pair| pair.key == key)?.value.as_deref();
        let refuse = |error| FeedError::NotATape {
            path: path.to_path_buf(),
            error,
        };
        let format = match find(TAPE_VERSION_KEY) {
            Some(text) => TapeFormat::read(text).map_err(refuse)?,
            None => {
                return Err(refuse(EventError::Instruments {
                    what: "no tape's metadata".into(),
                }));
            }
        };
        let table = find(INSTRUMENTS_KEY).ok_or_else(|| EventError::Instruments {
            what: "no instrument table".into(),
        });
        let table = table.and_then(Instruments::from_json).map_err(refuse)?;
        let records = SourceRecord::list_of(find(SOURCES_KEY));
        let bytes_total = file.metadata().map_err(FeedError::io(path, "read"))?.len();
        // Another program may have copied our metadata into its own file: then the groups do not end where ours did.
        let groups_end = groups_end(&mut file, bytes_total).map_err(FeedError::io(path, "read"))?;
        check_places(metadata.metadata(), groups_end).map_err(broken)?;
        let checksums = Checksums::of(find(CHECKSUMS_KEY)).filter(|sums| sums.end() == groups_end);
        Ok(ParquetTape {
            checksums,
            path: path.to_path_buf(),
            file,
            metadata,
            instruments: Arc::new(table),
            records,
            group: 0,
            reader: None,
            align: Align::new(format),
            bytes_total,
            bytes_read: 0,
        })
    }

    /// The same with what else is known of its instruments.
    pub(crate) fn knowing(mut self, known: &Instruments) -> ParquetTape {
        if !known.is_empty() {
            Arc::make_mut(&mut self.instruments).note(known);
        }
        self
    }

    pub(crate) fn next(&mut self) -> Result<Option<EventBatch>, FeedError> {
        loop {
            let Some(reader) = &mut self.reader else {
                if self.group == self.metadata.metadata().num_row_groups() {
                    self.bytes_read = self.bytes_total;
                    return self.align.end(&self.path).map(|()| None);
                }
                self.reader = Some(self.open_group()?);
                continue;
            };
            let next = match contained(|| reader.next()) {
                Ok(next) => next,
                Err(what) => return Err(self.corrupt(what)),
            };
            match next {
                None => {
                    self.reader = None;
                    self.bytes_read += self
                        .metadata
                        .metadata()
                        .row_group(self.group)
                        .compressed_size()
                        .max(0) as u64;
                    self.group += 1;
                }
                Some(Err(error)) => return Err(self.corrupt(error)),
                Some(Ok(record_batch)) => {
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

    fn open_group(&mut self) -> Result<ParquetRecordBatchReader, FeedError> {
        if let Some(checksums) = &self.checksums {
            checksums.verify(self.group, &self.path, &mut self.file)?;
        }
        let file = self
            .file
            .try_clone()
            .map_err(FeedError::io(&self.path, "read"))?;
        let rows = self
            .metadata
            .metadata()
            .row_group(self.group)
            .num_rows()
            .max(1) as usize;
        let builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
                .with_row_groups(vec![self.group])
                .with_batch_size(rows.min(2 * GROUP_ROWS));
        let built = contained(|| builder.build());
        let reader = built.map_err(|what| self.corrupt(what))?;
        reader.map_err(|error| self.corrupt(error))
    }

    fn corrupt(&self, error: impl std::fmt::Display) -> FeedError {
        FeedError::corrupt(
            &self.path,
            format!("row group {} ({})", self.group, self.align.place()),
            error,
        )
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

    pub(crate) fn bytes(&self) -> (u64, u64) {
        (self.bytes_total, self.bytes_read)
    }

    pub(crate) fn records(&self) -> &[SourceRecord] {
        &self.records
    }
}

/// Refuses a footer that says that columns lie where there are none: reading them would panic.
fn check_places(metadata: &ParquetMetaData, end: u64) -> Result<(), String> {
    for (number, group) in metadata.row_groups().iter().enumerate() {
        let lies_within = |column: &ColumnChunkMetaData| {
            let begin = column
                .dictionary_page_offset()
                .unwrap_or(column.data_page_offset());
            let bounds = (
                u64::try_from(begin),
                u64::try_from(column.compressed_size()),
            );
            matches!(bounds, (Ok(begin), Ok(size)) if begin.saturating_add(size) <= end)
        };
        if group.num_rows() < 0 || !group.columns().iter().all(lies_within) {
            return Err(format!("row group {number} does not lie within the file"));
        }
    }
    Ok(())
}

/// Where the row groups end and the footer begins: the file ends with the footer's length and four letters.
fn groups_end(file: &mut File, bytes: u64) -> std::io::Result<u64> {
    let mut tail = [0; 8];
    file.seek(SeekFrom::End(-8))?;
    file.read_exact(&mut tail)?;
    let [a, b, c, d, ..] = tail;
    Ok(bytes.saturating_sub(8 + u64::from(u32::from_le_bytes([a, b, c, d]))))
}

/// How a tape is written.
pub(crate) fn properties() -> WriterProperties {
    let zstd = ZstdLevel::try_new(1).unwrap_or_default();
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(zstd))
        .set_dictionary_enabled(true)
        .set_dictionary_page_size_limit(4 << 20)
        .set_max_row_group_row_count(None)
        .set_offset_index_disabled(true)
        .set_data_page_row_count_limit(GROUP_ROWS * 2)
        .set_data_page_size_limit(1 << 20)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_column_statistics_enabled(ColumnPath::from("ts_recv"), EnabledStatistics::Chunk)
        .set_encoding(Encoding::DELTA_BINARY_PACKED)
        // What is no whole number has no differences.
        .set_column_encoding(ColumnPath::from("value"), Encoding::PLAIN)
        .set_column_encoding(ColumnPath::from("definition"), Encoding::PLAIN)
        .build()
}
