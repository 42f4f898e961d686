//! What is in a Kafka message, and how it becomes events.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use arrow_schema::ArrowError;
use signal_event::{EventBatch, EventBatchBuilder, Instruments, Timestamp, from_record_batches};
use signal_ingest::{Capture, Reject, RejectCode, SourceSpec, Venue};
use signal_kafka::Record;

use super::packed::Unpacker;
use crate::FeedError;
use crate::contained::contained;

/// What a topic's messages hold: stated, never guessed from one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// A frame as the venue sent it. When it was received is in the header `ts_recv` (nanoseconds UTC, in digits), else the
    /// message's own time says it.
    Frame,
    /// A line of a capture, `<ns> <frame>`.
    Line,
    /// One event in our own encoding (see [`super::pack`]); the key is the instrument.
    Event,
    /// An Arrow IPC stream with the columns of a tape: as many events as it holds.
    Arrow,
}

impl Payload {
    /// Every payload.
    pub const ALL: [Payload; 4] = [
        Payload::Frame,
        Payload::Line,
        Payload::Event,
        Payload::Arrow,
    ];

    /// The name in settings and counts.
    pub const fn name(self) -> &'static str {
        match self {
            Payload::Frame => "frame",
            Payload::Line => "line",
            Payload::Event => "event",
            Payload::Arrow => "arrow",
        }
    }

    /// The payload of a name.
    pub fn parse(name: &str) -> Result<Payload, FeedError> {
        let known = Payload::ALL.into_iter().find(|known| known.name() == name);
        known.ok_or_else(|| FeedError::BadOption {
            option: "payload",
            what: format!("\"{name}\" is none of frame, line, event, arrow"),
        })
    }
}

/// Decodes messages into a builder; names the instruments as they appear, for all partitions of the topic.
#[derive(Debug)]
pub(crate) struct Payloads {
    form: Payload,
    /// Of frames and lines: it has the messages and names the instruments itself.
    capture: Capture,
    builder: EventBatchBuilder,
    unpacker: Unpacker,
    instruments: Arc<Instruments>,
}

impl Payloads {
    /// `venue` is whose frames they are.
    pub(crate) fn new(form: Payload, venue: Option<Venue>) -> Result<Payloads, FeedError> {
        let capture = match (form, venue) {
            (Payload::Frame | Payload::Line, Some(venue)) => {
                Capture::of(SourceSpec::bare(venue), Arc::default())
            }
            (Payload::Frame | Payload::Line, None) => {
                return Err(FeedError::BadOption {
                    option: "venue",
                    what: format!("a \"{}\" is of a venue: name it", form.name()),
                });
            }
            (Payload::Event | Payload::Arrow, _) => Capture::new(),
        };
        Ok(Payloads {
            form,
            capture,
            builder: EventBatchBuilder::new(),
            unpacker: Unpacker::default(),
            instruments: Arc::default(),
        })
    }

    const fn is_framed(&self) -> bool {
        matches!(self.form, Payload::Frame | Payload::Line)
    }

    /// The instruments so far.
    pub(crate) fn instruments(&self) -> &Arc<Instruments> {
        if self.is_framed() {
            self.capture.instruments()
        } else {
            &self.instruments
        }
    }

    /// Rows of whole messages so far.
    pub(crate) fn rows(&self) -> usize {
        if self.is_framed() {
            self.capture.rows()
        } else {
            self.builder.len()
        }
    }

    /// Takes the messages so far.
    pub(crate) fn take(&mut self) -> EventBatch {
        if self.is_framed() {
            return self.capture.take();
        }
        let rows = self.builder.len();
        let batch = self.builder.finish(&self.instruments);
        self.builder.reserve(rows);
        batch
    }

    /// Adds the events of a message; one that is refused adds nothing.
    #[inline]
    pub(crate) fn add(&mut self, record: &Record<'_>) -> Result<(), Reject> {
        match self.form {
            Payload::Event => self.unpacker.add(
                record.key(),
                record.payload(),
                &mut self.builder,
                &mut self.instruments,
            ),
            Payload::Arrow => self.add_arrow(record.payload()),
            Payload::Frame => self.add_frame(received(record)?, record.payload()),
            Payload::Line => {
                let (ts_recv, frame) = line(record.payload())?;
                self.add_frame(ts_recv, frame)
            }
        }
    }

    fn add_frame(&mut self, ts_recv: Timestamp, frame: &[u8]) -> Result<(), Reject> {
        let outcome = self.capture.frame(ts_recv, frame)?;
        match outcome.unheld {
            Some(reject) => Err(*reject),
            None if outcome.messages == 0 => Err(Reject {
                code: RejectCode::UnusedFrame,
                detail: "an answer, or a stream that nobody uses".into(),
            }),
            None => Ok(()),
        }
    }

    fn add_arrow(&mut self, bytes: &[u8]) -> Result<(), Reject> {
        let refused = |what: String| Reject {
            code: RejectCode::Corrupt,
            detail: what,
        };
        let pieces = || -> Result<Vec<RecordBatch>, ArrowError> {
            StreamReader::try_new(bytes, None)?.collect()
        };
        let pieces = contained(pieces).map_err(refused)?;
        let pieces = pieces.map_err(|error| refused(error.to_string()))?;
        let batch = from_record_batches(&pieces).map_err(|error| refused(error.to_string()))?;
        let mut table = (*self.instruments).clone();
        let renamed = table.unite(batch.instruments(), 0);
        let renamed = renamed.map_err(|error| refused(error.to_string()))?;
        if table != *self.instruments {
            self.instruments = Arc::new(table);
        }
        self.builder.extend(&batch, 0..batch.len(), &renamed);
        Ok(())
    }
}

/// The receive time and the frame of a line.
fn line(text: &[u8]) -> Result<(Timestamp, &[u8]), Reject> {
    let (digits, frame) = match text.iter().position(|byte| *byte == b' ') {
        Some(at) => (&text[..at], text[at + 1..].trim_ascii_end()),
        None => (text, &text[..0]),
    };
    Ok((nanoseconds(digits, "the line begins with")?, frame))
}

/// When a frame was received, as its header says, else as the message does.
fn received(record: &Record<'_>) -> Result<Timestamp, Reject> {
    if let Some(header) = record.header(c"ts_recv") {
        return nanoseconds(header, "header ts_recv is");
    }
    let ms = record.timestamp_ms().filter(|ms| *ms > 0);
    let ns = ms.and_then(|ms| ms.checked_mul(1_000_000));
    ns.ok_or_else(|| Reject {
        code: RejectCode::BadTimestamp,
        detail: "neither a header ts_recv nor a time of the message".into(),
    })
}

fn nanoseconds(digits: &[u8], place: &str) -> Result<Timestamp, Reject> {
    let text = std::str::from_utf8(digits).ok();
    let ns = text.and_then(|text| text.parse().ok()).filter(|ns| *ns > 0);
    ns.ok_or_else(|| Reject {
        code: RejectCode::BadTimestamp,
        detail: format!(
            "{place} {:?}",
            String::from_utf8_lossy(&digits[..digits.len().min(40)])
        ),
    })
}
