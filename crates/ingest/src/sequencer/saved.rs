//! The sequencer as bytes.

use super::{Counts, KINDS, Sequencer, Stream};
use signal_event::NO_INSTRUMENT;
use std::fmt;

/// A saved sequencer that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequencerError {
    /// What is wrong.
    pub what: &'static str,
}

impl fmt::Display for SequencerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SequencerState: {}; start from an earlier snapshot or from the tape's beginning",
            self.what
        )
    }
}

impl std::error::Error for SequencerError {}

/// The layout of [`Sequencer::save`].
pub(super) const SAVED_VERSION: u64 = 2;

impl Sequencer {
    /// Appends the state: little-endian 64-bit words, about 450 bytes an instrument.
    pub fn save(&self, out: &mut Vec<u8>) {
        let mut put = |word: u64| out.extend_from_slice(&word.to_le_bytes());
        put(SAVED_VERSION);
        put(self.jump_max_ns as u64);
        put(u64::from(self.venue));
        put(self.lateness_ns as u64);
        put(u64::from(self.newest.is_some()));
        put(self.newest.unwrap_or(0) as u64);
        put(self.streams.len() as u64);
        for stream in &self.streams {
            [stream.trade, stream.quote, stream.diff.0, stream.diff.1]
                .into_iter()
                .for_each(&mut put);
        }
        for counts in self
            .streams
            .iter()
            .flat_map(|s| &s.counts)
            .chain(&self.unnamed)
        {
            counts.words().into_iter().for_each(&mut put);
        }
    }

    /// Reads what [`Sequencer::save`] wrote and moves `from` behind it. Anything else is refused; memory is bounded by
    /// the input.
    pub fn load(from: &mut &[u8]) -> Result<Sequencer, SequencerError> {
        let mut take = || -> Result<u64, SequencerError> {
            let (word, rest) = from.split_first_chunk().ok_or(SequencerError {
                what: "the saved state is cut short",
            })?;
            *from = rest;
            Ok(u64::from_le_bytes(*word))
        };
        if take()? != SAVED_VERSION {
            return Err(SequencerError {
                what: "the saved state has another version",
            });
        }
        let jump_max_ns = take()? as i64;
        let (venue, lateness_ns) = (take()? != 0, take()? as i64);
        let newest = match (take()?, take()? as i64) {
            (0, 0) => None,
            (1, newest) => Some(newest),
            _ => {
                return Err(SequencerError {
                    what: "the saved time is neither absent nor present",
                });
            }
        };
        let instruments = take()?;
        if instruments > u64::from(NO_INSTRUMENT) {
            return Err(SequencerError {
                what: "the saved state has too many instruments",
            });
        }
        let mut streams = Vec::new();
        for _ in 0..instruments {
            let (trade, quote, diff) = (take()?, take()?, (take()?, take()?));
            streams.push(Stream {
                trade,
                quote,
                diff,
                ..Stream::default()
            });
        }
        let mut unnamed = [Counts::default(); KINDS];
        for counts in streams
            .iter_mut()
            .flat_map(|s| &mut s.counts)
            .chain(&mut unnamed)
        {
            let mut words = [0; 7];
            for word in &mut words {
                *word = take()?;
            }
            *counts = Counts::of_words(words).ok_or(SequencerError {
                what: "saved counts do not balance",
            })?;
        }
        Ok(Sequencer {
            jump_max_ns,
            venue,
            lateness_ns: lateness_ns.max(0),
            newest,
            streams,
            unnamed,
        })
    }
}

impl Counts {
    fn words(&self) -> [u64; 7] {
        [
            self.input,
            self.accepted,
            self.duplicate,
            self.late,
            self.rejected,
            self.gaps,
            self.missing,
        ]
    }

    fn of_words(
        [input, accepted, duplicate, late, rejected, gaps, missing]: [u64; 7],
    ) -> Option<Counts> {
        let sum = accepted
            .checked_add(duplicate)?
            .checked_add(late)?
            .checked_add(rejected)?;
        (sum == input).then_some(Counts {
            input,
            accepted,
            duplicate,
            late,
            rejected,
            gaps,
            missing,
        })
    }
}
