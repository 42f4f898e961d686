//! Files to batches, several of them merged in arrival order.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use signal_event::{EventBatch, Instruments, TapeFormat};
use signal_ingest::{KeptReject, Merge, MergeStep, Recognised, Rejects};

use crate::FeedError;
use crate::reader_options::ReaderOptions;
use crate::sniff::Format;
use crate::source::Source;
use crate::source_record::SourceRecord;

/// Reads captures and tapes as batches of whole messages in arrival order, in bounded memory: one batch a file, and one
/// merged.
pub struct Reader {
    sources: Vec<Source>,
    merge: Option<Merge>,
    batch_rows: usize,
    /// The first batch, read at the start so that its instruments are known.
    first: Option<EventBatch>,
    instruments: Arc<Instruments>,
}

impl Reader {
    /// Opens files, whose formats are found from their content, and reads the first batch.
    pub fn open(paths: &[PathBuf], options: &ReaderOptions) -> Result<Reader, FeedError> {
        if paths.is_empty() || options.batch_rows == 0 {
            let (option, what) = if paths.is_empty() {
                ("paths", "name a file")
            } else {
                ("batch_rows", "must be above 0")
            };
            return Err(FeedError::BadOption {
                option,
                what: what.into(),
            });
        }
        let sources = paths
            .iter()
            .map(|path| Source::open(path, options))
            .collect::<Result<Vec<_>, _>>()?;
        let merge = (sources.len() > 1).then(|| Merge::new(sources.len()));
        let mut reader = Reader {
            sources,
            merge,
            batch_rows: options.batch_rows,
            first: None,
            instruments: Arc::default(),
        };
        reader.first = reader.read()?;
        if reader.first.is_none() {
            reader.instruments = reader.sources[0].instruments().clone();
        }
        Ok(reader)
    }

    /// The next batch; `None` at the end.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<EventBatch>, FeedError> {
        match self.first.take() {
            Some(first) => Ok(Some(first)),
            None => self.read(),
        }
    }

    fn read(&mut self) -> Result<Option<EventBatch>, FeedError> {
        let sources = &mut self.sources;
        let batch = match &mut self.merge {
            None => sources[0].next()?,
            Some(merge) => {
                while let MergeStep::Wants(source) = merge.advance(self.batch_rows) {
                    match sources[source].next()? {
                        Some(batch) => merge.push(source, batch)?,
                        None => merge.set_aside(source),
                    }
                }
                Some(merge.take()).filter(|batch| !batch.is_empty())
            }
        };
        if let Some(batch) = &batch {
            self.instruments = batch.instruments().clone();
        }
        Ok(batch)
    }

    /// The instruments so far: those of the first batch from the start on, in a tape all.
    pub fn instruments(&self) -> &Arc<Instruments> {
        &self.instruments
    }

    /// The files and their formats.
    pub fn files(&self) -> impl Iterator<Item = (&Path, Format)> {
        self.sources
            .iter()
            .map(|source| (source.path().as_path(), source.format()))
    }

    /// The tape formats of the files, one each; a raw capture has none.
    pub fn tape_formats(&self) -> impl Iterator<Item = Option<TapeFormat>> {
        self.sources.iter().map(Source::tape_format)
    }

    /// What the frames of each file are, once that is known, and the reason; a tape has none.
    pub fn recognised(&self) -> impl Iterator<Item = Option<&Recognised>> {
        self.sources.iter().map(Source::recognised)
    }

    /// Bytes of all files.
    pub fn bytes_total(&self) -> u64 {
        self.sources.iter().map(|source| source.bytes().0).sum()
    }

    /// Bytes of them that have been read.
    pub fn bytes_read(&self) -> u64 {
        self.sources.iter().map(|source| source.bytes().1).sum()
    }

    /// Refusals so far, file by file; only raw captures have any.
    pub fn rejects(&self) -> impl Iterator<Item = (&Path, &Rejects)> {
        self.sources
            .iter()
            .filter_map(|source| Some((source.path().as_path(), source.rejects()?)))
    }

    /// The refused lines since the last call, file by file, where they are kept.
    pub fn take_rejects(&mut self) -> Vec<(PathBuf, KeptReject)> {
        let of = |source: &mut Source| {
            let path = source.path().clone();
            let kept = source.take_rejects().into_iter();
            kept.map(move |reject| (path.clone(), reject))
        };
        self.sources.iter_mut().flat_map(of).collect()
    }

    /// Frames of the raw captures among the files so far, the refused ones included.
    pub fn lines(&self) -> u64 {
        let captures = self
            .sources
            .iter()
            .filter(|source| source.rejects().is_some());
        let records = captures.flat_map(Source::records);
        records.map(|record| record.inputs).sum()
    }

    /// The raw files behind the stream and what became of their lines so far.
    pub fn records(&self) -> Vec<SourceRecord> {
        self.sources.iter().flat_map(Source::records).collect()
    }
}
