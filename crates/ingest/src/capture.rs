//! Chunks of a source to messages: framing, line numbers and the count of refusals.

use std::sync::Arc;

use signal_event::{EventBatch, Instruments, NO_TIME, Timestamp};

use crate::framing::{AGE_NS, Envelope, no_time, recognise, split_line};
use crate::venues::Decoder;
use crate::{
    ClockUnit, Events, Framing, Outcome, Recognised, Reject, RejectCode, Rejects, SourceSpec,
};

/// The longest line that is kept while its end has not come. A snapshot of 5,000 levels a side takes 0.4 MB.
pub const LINE_BYTES_MAX: usize = 16 << 20;

/// A source of frames in the making: feed it chunks of any size, take batches.
///
/// What is not stated of it is recognised from its first frames, which wait until then.
///
/// Invariants: `partial` holds the start of a line, without a line feed, at most [`LINE_BYTES_MAX`] bytes; `held` is empty
/// once there is a decoder; `inputs == used + rejects.total()`.
#[derive(Clone, Debug, Default)]
pub struct Capture {
    spec: SourceSpec,
    recognised: Option<Recognised>,
    decoder: Option<Decoder>,
    events: Events,
    /// What waits until it is known whose frames these are.
    held: Vec<u8>,
    partial: Vec<u8>,
    /// The line in `partial` was too long; its rest is skipped.
    skipping: bool,
    /// What the receive times count, once a line has shown it.
    unit: Option<ClockUnit>,
    lines: u64,
    inputs: u64,
    used: u64,
    rejects: Rejects,
}

impl Capture {
    /// A capture of which nothing has been read, and nothing is stated.
    pub fn new() -> Capture {
        Capture::default()
    }

    /// A capture of which this is stated, whose decoder knows these instruments.
    pub fn of(spec: SourceSpec, instruments: Arc<Instruments>) -> Capture {
        let mut capture = Capture {
            unit: spec.unit,
            spec,
            events: Events::new(instruments, Default::default()),
            ..Capture::default()
        };
        if spec.framing.is_some() && spec.venue.is_some() {
            capture.look(b"", true);
        }
        capture
    }

    /// Decodes the whole lines that this chunk completes and keeps its unfinished one.
    pub fn push(&mut self, chunk: &[u8]) {
        if self.decoder.is_some() {
            self.read(chunk);
            return;
        }
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(chunk);
        // Many lines that nobody knows are refused, each for itself; later ones may be known.
        if self.look(&held, false) && held.len() <= LINE_BYTES_MAX {
            self.held = held;
        } else {
            self.read(&held);
        }
    }

    /// The input has ended. A line without a line feed is decoded if it is whole, and refused as cut off if not.
    pub fn end(&mut self) {
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            self.look(&held, true);
            self.read(&held);
        }
        if self.partial.is_empty() {
            return;
        }
        let last = std::mem::take(&mut self.partial);
        self.lines += 1;
        match self.decode(&last) {
            Ok(Some(outcome)) => self.count(outcome, &last),
            Ok(None) => {}
            Err(reject) => {
                let detail = format!("the final line has no line feed and is not whole ({reject})");
                self.refuse(Reject::new(RejectCode::Truncated, detail), &last);
            }
        }
    }

    /// A part of the input is lost here: counts one refusal for it, the unfinished line included. What follows begins a
    /// line.
    pub fn refuse_part(&mut self, code: RejectCode, detail: String) {
        if !self.held.is_empty() {
            // Lines before the loss stay lines; the unfinished one is lost with the rest.
            let end = memchr::memrchr(b'\n', &self.held).map_or(0, |at| at + 1);
            self.held.truncate(end);
        }
        self.partial = Vec::new();
        self.skipping = false;
        self.lines += 1;
        self.refuse(Reject::new(code, detail), b"");
    }

    /// Decodes one frame that came by itself, and counts it. The source must be stated to be [`Framing::Bare`].
    pub fn frame(&mut self, ts_recv: Timestamp, frame: &[u8]) -> Result<Outcome, Reject> {
        self.lines += 1;
        let decoded = match &mut self.decoder {
            Some(decoder) => decoder.frame(ts_recv, frame, &mut self.events, |_| Ok(())),
            None => Err(nobodys()),
        };
        self.settle(decoded, frame)
    }

    /// Decodes a venue's answer to a request, and counts it as a frame: a snapshot of a book, a list of instruments.
    pub fn answer(
        &mut self,
        ts_recv: Timestamp,
        url: &str,
        body: &[u8],
    ) -> Result<Outcome, Reject> {
        self.lines += 1;
        let decoded = match &mut self.decoder {
            Some(decoder) => decoder.answer(ts_recv, url, body, &mut self.events),
            None => Err(nobodys()),
        };
        self.settle(decoded, body)
    }

    /// Rows that wait to be taken.
    pub fn rows(&self) -> usize {
        self.events.rows()
    }

    /// Takes the messages decoded so far.
    pub fn take(&mut self) -> EventBatch {
        self.events.take()
    }

    /// The instruments so far.
    pub fn instruments(&self) -> &Arc<Instruments> {
        self.events.instruments()
    }

    /// What the source is, once that is known.
    pub fn recognised(&self) -> Option<&Recognised> {
        self.recognised.as_ref()
    }

    /// What the receive times count, once that is known.
    pub fn unit(&self) -> Option<ClockUnit> {
        self.unit
    }

    /// Frames so far, the refused ones included.
    pub fn inputs(&self) -> u64 {
        self.inputs
    }

    /// Frames so far that became messages, one or several each.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// How refusals are kept.
    pub fn rejects_mut(&mut self) -> &mut Rejects {
        &mut self.rejects
    }

    /// Refusals so far, and frames that are not used.
    pub fn rejects(&self) -> &Rejects {
        &self.rejects
    }

    /// Looks what this is; whether it is not known, but more may tell.
    fn look(&mut self, head: &[u8], whole: bool) -> bool {
        match recognise(&self.spec, head, whole) {
            Ok(recognised) => {
                self.events.set_scales(recognised.venue.scales());
                self.decoder = Some(recognised.venue.decoder());
                self.recognised = Some(recognised);
                false
            }
            Err(unrecognised) => unrecognised.more_may_tell,
        }
    }

    fn read(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        loop {
            if self.partial.is_empty()
                && !self.skipping
                && let Some(behind) = self.fast_line(rest)
            {
                self.lines += 1;
                self.inputs += 1;
                self.used += 1;
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

    /// The line with which `text` begins, if it is whole, in lines, and laid out as the venue does.
    #[inline(always)]
    fn fast_line<'a>(&mut self, text: &'a [u8]) -> Option<&'a [u8]> {
        let decoder = self.decoder.as_mut()?;
        let (reading, frame) = split_line(text)?;
        let unit = self.unit.filter(|unit| unit.digits() == reading.digits)?;
        let ts_recv = reading.value.checked_mul(unit.ns())?;
        decoder.line(ts_recv, frame, &mut self.events)
    }

    fn line(&mut self, line: &[u8]) {
        self.lines += 1;
        match self.decode(line) {
            Ok(Some(outcome)) => self.count(outcome, line),
            Ok(None) => {}
            Err(reject) => self.refuse(reject, line),
        }
    }

    /// What a line became; `None` if it is no frame but a note of the recorder.
    fn decode(&mut self, line: &[u8]) -> Result<Option<Outcome>, Reject> {
        match self.recognised.as_ref().map(|found| found.framing) {
            Some(Framing::Recording) => self.envelope(line),
            _ => self.timed(line).map(Some),
        }
    }

    fn timed(&mut self, line: &[u8]) -> Result<Outcome, Reject> {
        let (reading, frame) = split_line(line).ok_or_else(|| no_time(line))?;
        let (unit, doubtful) = reading.unit(self.unit)?;
        let ts_recv = reading.ns(unit)?;
        let decoder = self.decoder.as_mut().ok_or_else(nobodys)?;
        let outcome = decoder.frame(ts_recv, frame, &mut self.events, |events| {
            let ts_event = events.ts_event();
            if doubtful && ts_event != NO_TIME && ts_recv.abs_diff(ts_event) >= AGE_NS {
                return Err(reading.no_time_of_our_days());
            }
            Ok(())
        })?;
        if outcome.messages > 0 {
            self.unit = Some(unit);
        }
        Ok(outcome)
    }

    fn envelope(&mut self, line: &[u8]) -> Result<Option<Outcome>, Reject> {
        let envelope = Envelope::parse(line)?;
        let decoder = self.decoder.as_mut().ok_or_else(nobodys)?;
        let missing = |key: &str| Reject::new(RejectCode::MissingKey, format!("no key {key:?}"));
        let data = || envelope.data.as_deref().ok_or_else(|| missing("data"));
        let ts_recv = || envelope.ts_recv.ok_or_else(|| missing("ts"));
        match &*envelope.kind {
            b"recv" => {
                let outcome = decoder.frame(ts_recv()?, data()?, &mut self.events, |_| Ok(()));
                outcome.map(Some)
            }
            b"http" => {
                let url = String::from_utf8_lossy(envelope.url.as_deref().unwrap_or_default());
                let outcome = decoder.answer(ts_recv()?, &url, data()?, &mut self.events);
                outcome.map(Some)
            }
            b"header" | b"connect" | b"send" => Ok(None),
            other => {
                let other = String::from_utf8_lossy(other);
                let detail = format!("an envelope of type {other:?}");
                Err(Reject::new(RejectCode::UnknownFrame, detail))
            }
        }
    }

    /// Counts what a frame became.
    fn count(&mut self, outcome: Outcome, text: &[u8]) {
        match outcome {
            // The message says that there was one which cannot be held: the frame counts as refused.
            Outcome {
                unheld: Some(reject),
                ..
            } => self.refuse(*reject, text),
            Outcome { messages: 0, .. } => {
                self.inputs += 1;
                self.rejects.add_unused();
            }
            Outcome { .. } => {
                self.inputs += 1;
                self.used += 1;
            }
        }
    }

    #[inline(always)]
    fn settle(&mut self, decoded: Result<Outcome, Reject>, text: &[u8]) -> Result<Outcome, Reject> {
        match &decoded {
            Ok(outcome) if outcome.is_used() => {
                self.inputs += 1;
                self.used += 1;
            }
            decoded => self.settle_other(decoded, text),
        }
        decoded
    }

    #[inline(never)]
    fn settle_other(&mut self, decoded: &Result<Outcome, Reject>, text: &[u8]) {
        match decoded {
            Ok(outcome) => self.count(outcome.clone(), text),
            Err(reject) => self.refuse(reject.clone(), text),
        }
    }

    fn refuse(&mut self, reject: Reject, text: &[u8]) {
        self.inputs += 1;
        self.rejects.add(self.lines, reject, text);
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
        self.refuse(Reject::new(RejectCode::LineTooLong, detail), part);
        false
    }
}

#[cold]
fn nobodys() -> Reject {
    let detail = "it is not known whose frames these are: state the venue";
    Reject::new(RejectCode::UnknownFrame, detail)
}
