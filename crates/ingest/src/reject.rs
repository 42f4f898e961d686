//! Why a piece of input became no event, and how often.

use std::collections::BTreeMap;
use std::fmt;

/// The closed set of reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RejectCode {
    /// The line does not begin with a receive time and a space, or that is in another unit than those before.
    BadTimestamp,
    /// What follows is no JSON.
    BadJson,
    /// An object names a key twice, so its meaning depends on the reader.
    DuplicateKey,
    /// Well-formed, but no frame that we know.
    UnknownFrame,
    /// A frame without one of its keys.
    MissingKey,
    /// A value of another type or form than the key calls for.
    BadValue,
    /// A price or quantity with more decimal places than the instrument's scale.
    Precision,
    /// A price, quantity, id or time that does not fit into 64 bits.
    Overflow,
    /// A price or quantity below zero.
    Negative,
    /// A snapshot that names no symbol, where not exactly one is known.
    UnknownInstrument,
    /// A line longer than the bound.
    LineTooLong,
    /// The file ends within a line or within its compression.
    Truncated,
    /// The compressed or columnar data is damaged.
    Corrupt,
    /// A time too far ahead of everything before it.
    Future,
    /// A frame of another of the venue's streams, or its answer to a request: nothing is wrong with it.
    UnusedFrame,
    /// No venue time, where events are put into the order of venue time.
    NoVenueTime,
}

impl RejectCode {
    /// Every code.
    pub const ALL: [RejectCode; 16] = [
        RejectCode::BadTimestamp,
        RejectCode::BadJson,
        RejectCode::DuplicateKey,
        RejectCode::UnknownFrame,
        RejectCode::MissingKey,
        RejectCode::BadValue,
        RejectCode::Precision,
        RejectCode::Overflow,
        RejectCode::Negative,
        RejectCode::UnknownInstrument,
        RejectCode::LineTooLong,
        RejectCode::Truncated,
        RejectCode::Corrupt,
        RejectCode::Future,
        RejectCode::UnusedFrame,
        RejectCode::NoVenueTime,
    ];

    /// Whether it says that something is broken: not of frames that nobody uses, nor of an end that was cut off, which a
    /// recording has that still grows.
    pub const fn is_fault(self) -> bool {
        !matches!(self, RejectCode::UnusedFrame | RejectCode::Truncated)
    }

    /// The code as it is written in counts, logs and tapes.
    pub const fn name(self) -> &'static str {
        match self {
            RejectCode::BadTimestamp => "BAD_TIMESTAMP",
            RejectCode::BadJson => "BAD_JSON",
            RejectCode::DuplicateKey => "DUPLICATE_KEY",
            RejectCode::UnknownFrame => "UNKNOWN_FRAME",
            RejectCode::MissingKey => "MISSING_KEY",
            RejectCode::BadValue => "BAD_VALUE",
            RejectCode::Precision => "PRECISION",
            RejectCode::Overflow => "OVERFLOW",
            RejectCode::Negative => "NEGATIVE",
            RejectCode::UnknownInstrument => "UNKNOWN_INSTRUMENT",
            RejectCode::LineTooLong => "LINE_TOO_LONG",
            RejectCode::Truncated => "TRUNCATED",
            RejectCode::Corrupt => "CORRUPT",
            RejectCode::Future => "FUTURE",
            RejectCode::UnusedFrame => "UNUSED_FRAME",
            RejectCode::NoVenueTime => "NO_VENUE_TIME",
        }
    }
}

impl fmt::Display for RejectCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One refusal: the code, and what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Why.
    pub code: RejectCode,
    /// What was seen and where within the input.
    pub detail: String,
}

impl Reject {
    pub(crate) fn new(code: RejectCode, detail: impl Into<String>) -> Reject {
        Reject {
            code,
            detail: detail.into(),
        }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Reject {}

impl From<Box<Reject>> for Reject {
    fn from(reject: Box<Reject>) -> Reject {
        *reject
    }
}

/// How many refusals are kept with their details; the rest are counted.
pub const FIRST_REJECTS: usize = 20;

/// So many of each reason are kept in any case: one damaged block does not drown in lines of garbage.
pub const FIRST_OF_A_REASON: usize = 3;

/// A refusal with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedLine {
    /// Line of the file, from 1; in a tape the row.
    pub line: u64,
    /// Why.
    pub reject: Reject,
    /// How the line begins, at most [`TEXT_CHARS`]; empty where there is no line.
    pub text: String,
}

impl fmt::Display for RejectedLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}", self.line, self.reject)?;
        match self.text.as_str() {
            "" => Ok(()),
            text => write!(f, "  in: {text}"),
        }
    }
}

/// Characters of a refused line that are kept.
pub const TEXT_CHARS: usize = 60;

/// Refusals by code, and the first of them in full.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejects {
    /// Number of refusals under each code that occurred.
    pub counts: BTreeMap<RejectCode, u64>,
    /// The first [`FIRST_REJECTS`], and the first [`FIRST_OF_A_REASON`] of each reason.
    pub first: Vec<RejectedLine>,
    /// All since they were taken the last time, with their bytes; `None` where nobody asked for that.
    kept: Option<Vec<KeptReject>>,
}

/// A refusal with everything that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptReject {
    /// Line of the file, from 1.
    pub line: u64,
    /// Why.
    pub reject: Reject,
    /// The line or frame.
    pub bytes: Vec<u8>,
}

impl Rejects {
    /// Counts one; `text` is the line. Those of frames that nobody uses are not kept.
    pub fn add(&mut self, line: u64, reject: Reject, text: &[u8]) {
        *self.counts.entry(reject.code).or_default() += 1;
        if let Some(kept) = &mut self.kept
            && reject.code != RejectCode::UnusedFrame
        {
            kept.push(KeptReject {
                line,
                reject: reject.clone(),
                bytes: text.to_vec(),
            });
        }
        if reject.code != RejectCode::UnusedFrame && self.has_room(reject.code) {
            let start = String::from_utf8_lossy(&text[..text.len().min(4 * TEXT_CHARS)]);
            // What has a zero byte is no text.
            let is_text = !start.contains('\0');
            let text = start
                .chars()
                .take(if is_text { TEXT_CHARS } else { 0 })
                .collect();
            self.first.push(RejectedLine { line, reject, text });
        }
    }

    /// Counts a frame that nobody uses.
    pub(crate) fn add_unused(&mut self) {
        *self.counts.entry(RejectCode::UnusedFrame).or_default() += 1;
    }

    /// Adds those of a later part of the same input.
    pub fn append(&mut self, later: Rejects) {
        for (code, count) in later.counts {
            *self.counts.entry(code).or_default() += count;
        }
        for line in later.first {
            if self.has_room(line.reject.code) {
                self.first.push(line);
            }
        }
    }

    fn has_room(&self, code: RejectCode) -> bool {
        let of_it = |line: &&RejectedLine| line.reject.code == code;
        self.first.len() < FIRST_REJECTS
            || self.first.iter().filter(of_it).count() < FIRST_OF_A_REASON
    }

    /// Keeps every refusal with its bytes from now on, but those of frames that nobody uses: take them now and then.
    pub fn keep_all(&mut self) {
        self.kept.get_or_insert_default();
    }

    /// The refusals that were kept since the last call.
    pub fn take_kept(&mut self) -> Vec<KeptReject> {
        self.kept.as_mut().map_or_else(Vec::new, std::mem::take)
    }

    /// Refusals that say that something is broken.
    pub fn faults(&self) -> u64 {
        let faults = self.counts.iter().filter(|(code, _)| code.is_fault());
        faults.map(|(_, count)| count).sum()
    }

    /// All refusals.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reject(code: RejectCode) -> Reject {
        Reject::new(code, "seen")
    }

    #[test]
    fn damage_is_kept_though_garbage_came_first() {
        let mut rejects = Rejects::default();
        for line in 1..=1_000 {
            rejects.add(line, reject(RejectCode::BadTimestamp), b"garbage");
        }
        for line in 1_001..=1_010 {
            rejects.add(line, reject(RejectCode::Corrupt), b"");
        }
        let mut whole = Rejects::default();
        whole.append(rejects.clone());
        assert_eq!(whole, rejects);
        let kept = |code| {
            rejects
                .first
                .iter()
                .filter(|line| line.reject.code == code)
                .count()
        };
        assert_eq!(kept(RejectCode::BadTimestamp), FIRST_REJECTS);
        assert_eq!(kept(RejectCode::Corrupt), FIRST_OF_A_REASON);
        assert_eq!(rejects.total(), 1_010);
        for _ in 0..10 {
            rejects.append(whole.clone());
        }
        assert!(rejects.first.len() <= FIRST_REJECTS + FIRST_OF_A_REASON * RejectCode::ALL.len());
    }
}
