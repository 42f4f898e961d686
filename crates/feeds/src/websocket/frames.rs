//! Frames to messages, in the order of their receive times.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use signal_event::{EventBatch, Instruments, Timestamp};
use signal_ingest::{Capture, RejectCode, Rejects, SourceSpec, Venue};

use super::options::WebSocketOptions;
use crate::SourceRecord;
use crate::source_record::named_counts;

/// Bytes that are held while a book is awaited; beyond them what is held is given in the order in which it came.
const HELD_BYTES_MAX: usize = 64 << 20;

/// Decodes what a session brings.
///
/// Where a relay stamps frames and books, they come on ways of their own and are put into the order of their stamps: while
/// a book is awaited frames are held, and a book until a frame of its time or later has come.
pub(super) struct Frames {
    /// The address, which names this feed in counts and refusals.
    name: PathBuf,
    capture: Capture,
    stamped: bool,
    venue: Venue,
    held: Vec<(Timestamp, Held)>,
    held_bytes: usize,
    /// Stamp of the newest book among those held.
    held_book: Option<Timestamp>,
    /// Receive time of the newest frame; what follows is never before it.
    newest: Timestamp,
}

/// What is held: a frame, or the answer to a request.
#[derive(Debug)]
enum Held {
    Frame(Vec<u8>),
    Book(String, Vec<u8>),
}

impl Frames {
    pub(super) fn new(address: &str, options: &WebSocketOptions) -> Frames {
        let venue = options.script.decoder;
        Frames {
            name: PathBuf::from(address),
            capture: Capture::of(SourceSpec::bare(venue), options.instruments.clone()),
            stamped: options.stamped,
            venue,
            held: Vec::new(),
            held_bytes: 0,
            held_book: None,
            newest: 0,
        }
    }

    /// Begins with instruments that are known, behind a receive time.
    pub(super) fn know(&mut self, instruments: Instruments, newest: u64) {
        self.capture = Capture::of(SourceSpec::bare(self.venue), Arc::new(instruments));
        self.newest = i64::try_from(newest).unwrap_or(0);
    }

    /// A frame; `waiting`: a book is awaited.
    pub(super) fn frame(&mut self, ts_recv: Timestamp, data: &[u8], waiting: bool) {
        if !self.stamped {
            let ts_recv = self.moment(ts_recv);
            return self.decode(ts_recv, data);
        }
        let (stamp, data) = self.stamp(data);
        self.newest = self.newest.max(stamp);
        if !waiting && self.held.is_empty() {
            return self.decode(stamp, data);
        }
        self.hold(stamp, Held::Frame(data.to_vec()), data.len());
        self.settle(waiting);
    }

    /// A book by HTTP, and the URL that it came from.
    pub(super) fn book(&mut self, ts_recv: Timestamp, url: String, body: &[u8]) {
        if !self.stamped {
            let ts_recv = self.moment(ts_recv);
            return self.answer(ts_recv, &url, body);
        }
        let (stamp, body) = self.stamp(body);
        self.held_book = self.held_book.max(Some(stamp));
        self.hold(stamp, Held::Book(url, body.to_vec()), body.len());
    }

    /// Gives what is held if nothing is awaited that could come before it.
    pub(super) fn settle(&mut self, waiting: bool) {
        let early = self.held_book.is_some_and(|book| self.newest < book);
        if self.held.is_empty() || ((waiting || early) && self.held_bytes < HELD_BYTES_MAX) {
            return;
        }
        let mut held = std::mem::take(&mut self.held);
        if self.held_bytes < HELD_BYTES_MAX {
            held.sort_by_key(|(ts_recv, _)| *ts_recv);
        }
        self.held_bytes = 0;
        self.held_book = None;
        for (ts_recv, held) in held {
            match held {
                Held::Frame(data) => self.decode(ts_recv, &data),
                Held::Book(url, body) => self.answer(ts_recv, &url, &body),
            }
        }
    }

    /// The connection is lost: what is held is given, since nothing more comes.
    pub(super) fn release(&mut self) {
        self.newest = self.newest.max(self.held_book.unwrap_or(0));
        self.settle(false);
    }

    /// A frame that was too long to be taken.
    pub(super) fn too_long(&mut self, bytes_max: usize) {
        let detail =
            format!("a frame has more than {bytes_max} bytes; its connection was given up");
        self.capture.refuse_part(RejectCode::LineTooLong, detail);
    }

    /// A moment of our clock, not before what was given.
    pub(super) fn moment(&mut self, ts_recv: Timestamp) -> Timestamp {
        if !self.stamped {
            self.newest = self.newest.max(ts_recv);
        }
        self.newest
    }

    /// A moment after which everything comes that is still to come; `None` where stamps are another's.
    pub(super) fn watermark(&mut self, now: Timestamp) -> Option<Timestamp> {
        Some(self.moment(now) - 1).filter(|_| !self.stamped)
    }

    pub(super) fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    pub(super) fn take(&mut self) -> EventBatch {
        self.capture.take()
    }

    pub(super) fn rows(&self) -> usize {
        self.capture.rows()
    }

    pub(super) fn newest(&self) -> Timestamp {
        self.newest
    }

    pub(super) fn instruments(&self) -> &Arc<Instruments> {
        self.capture.instruments()
    }

    pub(super) fn name(&self) -> &Path {
        &self.name
    }

    pub(super) fn rejects(&self) -> &Rejects {
        self.capture.rejects()
    }

    pub(super) fn record(&self) -> SourceRecord {
        SourceRecord {
            name: self.name.display().to_string(),
            format: "websocket".into(),
            inputs: self.capture.inputs(),
            messages: self.capture.used(),
            rejects: named_counts(self.capture.rejects()),
        }
    }

    fn hold(&mut self, ts_recv: Timestamp, what: Held, bytes: usize) {
        self.held_bytes += bytes;
        self.held.push((ts_recv, what));
    }

    fn decode(&mut self, ts_recv: Timestamp, data: &[u8]) {
        // What it became, or why it was refused, is counted.
        let _ = self.capture.frame(ts_recv, data);
    }

    fn answer(&mut self, ts_recv: Timestamp, url: &str, body: &[u8]) {
        let _ = self.capture.answer(ts_recv, url, body);
    }

    /// The receive time of a relay's frame, and the frame; without one the newest that is known, and all of it, which no
    /// decoder takes.
    fn stamp<'a>(&self, data: &'a [u8]) -> (Timestamp, &'a [u8]) {
        let (stamp, data) = split_stamp(data);
        (stamp.unwrap_or(self.newest), data)
    }
}

/// The receive time with which a relay's frame begins, and the frame; all of it where there is none.
pub(super) fn split_stamp(data: &[u8]) -> (Option<Timestamp>, &[u8]) {
    let end = memchr::memchr(b' ', &data[..data.len().min(20)]);
    let digits = end.and_then(|end| std::str::from_utf8(&data[..end]).ok());
    match (digits.and_then(|digits| digits.parse().ok()), end) {
        (Some(stamp), Some(end)) => (Some(stamp), &data[end + 1..]),
        _ => (None, data),
    }
}
