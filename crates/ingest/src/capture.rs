//! Chunks of a raw capture to messages: line splitting, line numbers and the count of refusals.

use std::sync::Arc;

use signal_event::{EventBatch, EventBatchBuilder, Instruments};

use crate::binance::{Decoded, Decoder};
use crate::{Reject, RejectCode, Rejects};

/// The longest line that is kept while its end has not come. A snapshot of 5,000 levels a side takes 0.4 MB.
pub const LINE_BYTES_MAX: usize = 16 << 20;

/// A raw capture in the making: feed it chunks of any size, take batches.
///
/// Invariants: `partial` holds the start of a line, without a line feed, at most [`LINE_BYTES_MAX`] bytes;
/// `lines == messages + rejects.total()`.
#[derive(Clone, Debug, Default)]
pub struct Capture {
    decoder: Decoder,
    builder: EventBatchBuilder,
    partial: Vec<u8>,
    /// The line in `partial` was too long; its rest is skipped.
    skipping: bool,
    lines: u64,
    messages: u64,
    rejects: Rejects,
}

impl Capture {
    /// A capture of which nothing has been read.
    pub fn new() -> Capture {
        Capture::default()
    }

    /// A capture whose decoder knows these instruments.
    pub fn with_instruments(instruments: Arc<Instruments>) -> Capture {
        Capture {
            decoder: Decoder::with_instruments(instruments),
            ..Capture::default()
        }
    }

    /// Decodes the whole lines that this chunk completes and keeps its unfinished one.
    pub fn push(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        loop {
            if self.partial.is_empty()
                && !self.skipping
                && let Some(behind) = self.decoder.scan_line(rest, &mut self.builder)
            {
                self.lines += 1;
                self.messages += 1;
                rest = behind;
                continue;
            }
            let Some(end) = memchr::memchr(b'\n', rest) else {
                break;
            };
            let line = &rest[..end];
            rest = &rest[end + 1..];
            if self.skipping {
                self.skipping = false;
            } else if self.partial.is_empty() {
                self.line(line);
            } else if self.keep(line) {
                let whole = std::mem::take(&mut self.partial);
                self.line(&whole);
                self.partial = whole;
                self.partial.clear();
            } else {
                self.skipping = false;
            }
        }
        if !self.skipping {
            self.keep(rest);
        }
    }

    /// The input has ended. A line without a line feed is decoded if it is whole, and refused as cut off if not.
    pub fn end(&mut self) {
        if self.partial.is_empty() {
            return;
        }
        let last = std::mem::take(&mut self.partial);
        self.lines += 1;
        match self.decoder.decode_line(&last, &mut self.builder) {
            Ok(_) => self.messages += 1,
            Err(reject) => {
                let detail = format!("the final line has no line feed and is not whole ({reject})");
                self.rejects.add(
                    self.lines,
                    Reject::new(RejectCode::Truncated, detail),
                    &last,
                );
            }
        }
    }

    /// A part of the input is lost here: counts one refusal for it, the unfinished line included. What follows begins a
    /// line.
    pub fn refuse_part(&mut self, code: RejectCode, detail: String) {
        self.partial = Vec::new();
        self.skipping = false;
        self.lines += 1;
        self.rejects.add(self.lines, Reject::new(code, detail), b"");
    }

    /// Rows that wait to be taken.
    pub fn rows(&self) -> usize {
        self.builder.len()
    }

    /// Takes the messages decoded so far.
    pub fn take(&mut self) -> EventBatch {
        let rows = self.builder.len();
        let batch = self.builder.finish(self.decoder.instruments());
        self.builder.reserve(rows);
        batch
    }

    /// The instruments so far.
    pub fn instruments(&self) -> &Arc<Instruments> {
        self.decoder.instruments()
    }

    /// Lines so far, the refused ones included.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Lines so far that became messages of their own.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Refusals so far.
    pub fn rejects(&self) -> &Rejects {
        &self.rejects
    }

    /// Refusals so far, to keep all of them or take those that were kept.
    pub fn rejects_mut(&mut self) -> &mut Rejects {
        &mut self.rejects
    }

    #[inline]
    fn line(&mut self, line: &[u8]) {
        self.lines += 1;
        match self.decoder.decode_line(line, &mut self.builder) {
            Ok(Decoded { unheld: None, .. }) => self.messages += 1,
            // The message says that there was one which cannot be held: the line counts as refused.
            Ok(Decoded {
                unheld: Some(reject),
                ..
            })
            | Err(reject) => self.rejects.add(self.lines, reject, line),
        }
    }

    /// Adds to the unfinished line; `false` if it became too long, which is counted.
    fn keep(&mut self, part: &[u8]) -> bool {
        if self.partial.len() + part.len() <= LINE_BYTES_MAX {
            self.partial.extend_from_slice(part);
            return true;
        }
        self.partial = Vec::new();
        self.skipping = true;
        self.lines += 1;
        let detail = format!("a line has more than {LINE_BYTES_MAX} bytes");
        self.rejects.add(
            self.lines,
            Reject::new(RejectCode::LineTooLong, detail),
            part,
        );
        false
    }
}
