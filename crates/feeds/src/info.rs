//! What is on a tape.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use signal_event::{
    BarField, Event, EventBatch, InstrumentId, Instruments, Kind, NO_RULE, TapeFormat, Timestamp,
};
use signal_ingest::{Counts, Recognised, Rejects, Sequencer};

use crate::united::United;
use crate::{Backwards, FeedError, Format, Reader, ReaderOptions, SourceRecord};

/// Lengths of bars that are told of one stream at most.
const LENGTHS_MAX: usize = 16;

/// One instrument's messages of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamInfo {
    /// Rows of all messages.
    pub rows: u64,
    /// Verdicts of the sequence rules. The gaps of book diffs are counted by their own rule: each names the one before.
    pub counts: Counts,
    /// `ts_recv` of the first message.
    pub first: Timestamp,
    /// `ts_recv` of the last message.
    pub last: Timestamp,
    /// The lengths of its bars in nanoseconds, the first that were seen.
    pub lengths: BTreeSet<i64>,
}

/// One of the files of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// Where it is.
    pub path: String,
    /// How it is written.
    pub format: Format,
    /// The format of its rows; a raw capture has none.
    pub tape_format: Option<TapeFormat>,
    /// What the frames of a raw capture are.
    pub recognised: Option<Recognised>,
    /// Its size.
    pub bytes: u64,
}

/// What is on a tape, or in the stream that several files make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TapeInfo {
    /// The files.
    pub files: Vec<FileInfo>,
    /// Rows.
    pub rows: u64,
    /// Messages.
    pub messages: u64,
    /// By instrument id (empty: none) and kind.
    pub streams: BTreeMap<(String, Kind), StreamInfo>,
    /// Raw files behind the tape.
    pub records: Vec<SourceRecord>,
    /// The first refused lines of raw captures, file by file.
    pub rejects: Vec<(PathBuf, Rejects)>,
    /// Lines of raw captures, the refused ones included.
    pub lines: u64,
    /// Where receive times go back.
    pub backwards: Backwards,
}

impl TapeInfo {
    /// Reads the files to their end.
    pub fn read(paths: &[PathBuf], options: &ReaderOptions) -> Result<TapeInfo, FeedError> {
        let mut reader = Reader::open(paths, options)?;
        let mut tally = Tally::default();
        while let Some(batch) = reader.next()? {
            tally.add(&batch);
        }
        let mut info = tally.info();
        let formats = reader.tape_formats().zip(reader.recognised());
        for ((path, format), (tape_format, recognised)) in reader.files().zip(formats) {
            let metadata = std::fs::metadata(path).map_err(FeedError::io(path, "read"))?;
            info.files.push(FileInfo {
                path: path.display().to_string(),
                format,
                tape_format,
                recognised: recognised.cloned(),
                bytes: metadata.len(),
            });
        }
        info.records = reader.records();
        info.lines = reader.lines();
        let rejects = reader.rejects();
        info.rejects = rejects
            .map(|(path, rejects)| (path.to_path_buf(), rejects.clone()))
            .collect();
        Ok(info)
    }

    fn rejects_json(&self) -> Value {
        let (mut counts, mut first) = (BTreeMap::<&str, u64>::new(), Vec::new());
        for (path, rejects) in &self.rejects {
            for (code, count) in &rejects.counts {
                *counts.entry(code.name()).or_default() += count;
            }
            first.extend(
                rejects
                    .first
                    .iter()
                    .map(|line| format!("{}:{line}", path.display())),
            );
        }
        let faults: u64 = self
            .rejects
            .iter()
            .map(|(_, rejects)| rejects.faults())
            .sum();
        json!({"counts": counts, "first": first, "faults": faults, "lines": self.lines})
    }

    /// The first and last `ts_recv` of the stream.
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        let first = self.streams.values().map(|s| s.first).min()?;
        let last = self.streams.values().map(|s| s.last).max()?;
        Some((first, last))
    }

    /// Everything as one JSON object.
    pub fn to_json(&self) -> Value {
        let streams: Vec<Value> = self
            .streams
            .iter()
            .map(|((instrument, kind), s)| {
                json!({
                    "instrument": instrument, "kind": kind.name(), "messages": s.counts.input - s.counts.conflated, "rows": s.rows,
                    "accepted": s.counts.accepted, "duplicate": s.counts.duplicate, "late": s.counts.late,
                    "rejected": s.counts.rejected, "conflated": s.counts.conflated, "gaps": s.counts.gaps, "missing": s.counts.missing,
                    "off_book": s.counts.off_book, "clock_steps": s.counts.clock_steps, "restarts": s.counts.restarts,
                    "ts_recv_first": s.first, "ts_recv_last": s.last, "lengths_ns": s.lengths,
                })
            })
            .collect();
        let files: Vec<Value> = self
            .files
            .iter()
            .map(|file| {
                let tape_format = file.tape_format.map(|format| format as u8);
                let mut json = json!({"path": file.path, "format": file.format.name(), "tape_format": tape_format, "bytes": file.bytes});
                if let Some(found) = &file.recognised {
                    json["framing"] = found.framing.name().into();
                    json["venue"] = found.venue.name().into();
                    json["reason"] = found.reason.as_str().into();
                }
                json
            })
            .collect();
        let span = self.span();
        json!({
            "files": files, "rows": self.rows, "messages": self.messages,
            "ts_recv_first": span.map(|s| s.0), "ts_recv_last": span.map(|s| s.1),
            "streams": streams,
            "backwards": {
                "count": self.backwards.count, "most_ns": self.backwards.most_ns, "first_message": self.backwards.first,
            },
            "rejects": self.rejects_json(),
            "sources": self.records.iter().map(SourceRecord::to_json).collect::<Vec<_>>(),
        })
    }
}

/// Counts a stream's messages as they come.
#[derive(Debug, Default)]
pub struct Tally {
    info: TapeInfo,
    sequencer: Sequencer,
    /// The last id of each instrument's diffs.
    diffs: BTreeMap<InstrumentId, u64>,
    instruments: Arc<Instruments>,
    united: United,
}

impl Tally {
    /// Counts the next messages of a stream, in which each batch may number its instruments anew.
    pub fn push(&mut self, batch: &EventBatch) -> Result<(), FeedError> {
        let batch = self.united.numbered(batch)?;
        self.add(&batch);
        Ok(())
    }

    /// What was counted so far.
    pub fn info(&self) -> TapeInfo {
        let mut info = self.info.clone();
        for ((instrument, kind), counts) in self.sequencer.counts() {
            let id = self.instruments.get(instrument);
            let id = id.map_or_else(String::new, |i| i.id.clone());
            let stream = info.streams.entry((id, kind)).or_default();
            let (gaps, missing) = (
                stream.counts.gaps + counts.gaps,
                stream.counts.missing.saturating_add(counts.missing),
            );
            stream.counts = Counts {
                gaps,
                missing,
                ..counts
            };
        }
        info
    }

    fn add(&mut self, batch: &EventBatch) {
        let info = &mut self.info;
        info.rows += batch.len() as u64;
        for message in batch.messages() {
            info.messages += 1;
            info.backwards.pass(message.ts_recv);
            let id = message
                .instrument()
                .map_or_else(String::new, |i| i.id.clone());
            let fresh = StreamInfo {
                first: message.ts_recv,
                ..StreamInfo::default()
            };
            let stream = info.streams.entry((id, message.kind)).or_insert(fresh);
            stream.rows += message.rows.len() as u64;
            stream.last = message.ts_recv;
            if let Event::Bar(bar) = message.event()
                && let Some(length) = bar.get(BarField::Length)
                && stream.lengths.len() < LENGTHS_MAX
            {
                stream.lengths.insert(length);
            }
            self.sequencer.admit(&message);
            if message.kind == Kind::BookDiff {
                let before = self.diffs.insert(message.instrument, message.sequence);
                // Without a rule there is no gap.
                let ruled = message.sequence_prev != NO_RULE;
                if ruled && before.is_some_and(|last| last < message.sequence_prev) {
                    stream.counts.gaps += 1;
                }
            }
        }
        self.instruments = Arc::clone(batch.instruments());
    }
}
