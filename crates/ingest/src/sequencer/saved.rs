//! The sequencer as bytes.

use super::ids::Ids;
use super::receive::{ReceiveClock, Run};
use super::venue::VenueClock;
use super::{Counts, KINDS, RUN, Sequencer, Stream};
use signal_event::{InstrumentId, NO_INSTRUMENT};
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
pub(super) const SAVED_VERSION: u64 = 5;

/// The layout before messages could be left out: counts of ten words.
const VERSION_OF_TEN: u64 = 4;
const TEN: usize = 10;

/// The layout before orders, definitions and reference data were kinds: counts of this many kinds, instruments of 16 bits.
const VERSION_OF_SEVEN: u64 = 3;
const SEVEN: usize = 7;

/// Words of [`Counts`].
const COUNTS: usize = 11;

fn put(out: &mut Vec<u8>, word: u64) {
    out.extend_from_slice(&word.to_le_bytes());
}

fn put_maybe(out: &mut Vec<u8>, time: Option<i64>) {
    put(out, u64::from(time.is_some()));
    put(out, time.unwrap_or(0) as u64);
}

fn put_run(out: &mut Vec<u8>, run: Option<Run>) {
    let run = run.unwrap_or(Run {
        reading: 0,
        last: 0,
        count: 0,
    });
    [run.reading as u64, run.last as u64, run.count]
        .into_iter()
        .for_each(|word| put(out, word));
}

fn refuse<T>(what: &'static str) -> Result<T, SequencerError> {
    Err(SequencerError { what })
}

/// Words from the front of a slice.
struct Words<'a, 'b>(&'a mut &'b [u8]);

impl Words<'_, '_> {
    fn word(&mut self) -> Result<u64, SequencerError> {
        let Some((word, rest)) = self.0.split_first_chunk() else {
            return refuse("the saved state is cut short");
        };
        *self.0 = rest;
        Ok(u64::from_le_bytes(*word))
    }

    fn words<const N: usize>(&mut self) -> Result<[u64; N], SequencerError> {
        let mut words = [0; N];
        for word in &mut words {
            *word = self.word()?;
        }
        Ok(words)
    }

    fn maybe(&mut self) -> Result<Option<i64>, SequencerError> {
        match self.words::<2>()? {
            [0, 0] => Ok(None),
            [1, time] => Ok(Some(time as i64)),
            _ => refuse("a saved time is neither absent nor present"),
        }
    }

    fn run(&mut self) -> Result<Option<Run>, SequencerError> {
        let [reading, last, count] = self.words::<3>()?;
        if count >= RUN || count == 0 && (reading, last) != (0, 0) {
            return refuse("a saved run of times has an impossible length");
        }
        Ok((count > 0).then_some(Run {
            reading: reading as i64,
            last: last as i64,
            count,
        }))
    }

    fn ids(&mut self) -> Result<Ids, SequencerError> {
        let [last, event, old, rising] = self.words::<4>()?;
        Ok(Ids {
            last,
            event: event as i64,
            old,
            rising,
        })
    }
}

impl Sequencer {
    /// Appends the state: little-endian 64-bit words, about 980 bytes an instrument.
    pub fn save(&self, out: &mut Vec<u8>) {
        put(out, SAVED_VERSION);
        put(out, u64::from(self.venue));
        let receive = &self.receive_clock;
        put(out, receive.jump_max_ns as u64);
        put_maybe(out, receive.newest);
        put_maybe(out, receive.delay);
        put_run(out, receive.ahead);
        put_run(out, receive.behind);
        let venue = &self.venue_clock;
        put(out, venue.jump_max_ns as u64);
        put(out, venue.lateness_ns as u64);
        put_maybe(out, venue.newest);
        put(out, venue.heard as u64);
        put_run(out, venue.ahead);
        put_run(out, venue.behind);
        put(out, self.held.len() as u64);
        for (instrument, kind) in &self.held {
            put(out, u64::from(instrument.0) << 8 | u64::from(*kind));
        }
        put(out, self.streams.len() as u64);
        for stream in &self.streams {
            for ids in [&stream.trade, &stream.quote] {
                [ids.last, ids.event as u64, ids.old, ids.rising]
                    .into_iter()
                    .for_each(|word| put(out, word));
            }
            put(out, stream.diff.0);
            put(out, stream.diff.1);
            put(out, u64::from(stream.gap.is_some()));
            let gap = stream.gap.as_deref().copied().unwrap_or_default();
            gap.into_iter().for_each(|word| put(out, word));
        }
        for counts in self
            .streams
            .iter()
            .flat_map(|s| &s.counts)
            .chain(&self.unnamed)
        {
            counts.words().into_iter().for_each(|word| put(out, word));
        }
    }

    /// Reads what [`Sequencer::save`] wrote and moves `from` behind it. Anything else is refused; memory is bounded by
    /// the input.
    pub fn load(from: &mut &[u8]) -> Result<Sequencer, SequencerError> {
        let mut from = Words(from);
        let (kinds, counted) = match from.word()? {
            SAVED_VERSION => (KINDS, COUNTS),
            VERSION_OF_TEN => (KINDS, TEN),
            VERSION_OF_SEVEN => (SEVEN, TEN),
            _ => return refuse("the saved state has another version"),
        };
        let venue = from.word()? != 0;
        let receive_clock = ReceiveClock {
            jump_max_ns: from.word()? as i64,
            newest: from.maybe()?,
            delay: from.maybe()?,
            ahead: from.run()?,
            behind: from.run()?,
        };
        let venue_clock = VenueClock {
            jump_max_ns: from.word()? as i64,
            lateness_ns: (from.word()? as i64).max(0),
            newest: from.maybe()?,
            heard: from.word()? as i64,
            ahead: from.run()?,
            behind: from.run()?,
        };
        let count = from.word()?;
        if count != receive_clock.ahead.map_or(0, |ahead| ahead.count) {
            return refuse("the saved state holds another number of messages than it says");
        }
        let mut held = Vec::new();
        for _ in 0..count {
            let word = from.word()?;
            if word >> 40 != 0 || (word & 0xff) as usize >= kinds {
                return refuse("a held message is of no kind");
            }
            let instrument = match (word >> 8) as u32 {
                0xffff if kinds == SEVEN => NO_INSTRUMENT,
                number => InstrumentId(number),
            };
            held.push((instrument, word as u8));
        }
        let instruments = from.word()?;
        if instruments > u64::from(NO_INSTRUMENT.0) {
            return refuse("the saved state has too many instruments");
        }
        let mut streams = Vec::new();
        for _ in 0..instruments {
            let (trade, quote) = (from.ids()?, from.ids()?);
            let diff = (from.word()?, from.word()?);
            let gap = from.word()? != 0;
            let words = from.words::<3>()?;
            streams.push(Stream {
                trade,
                quote,
                diff,
                gap: gap.then(|| Box::new(words)),
                ..Stream::default()
            });
        }
        let mut unnamed = [Counts::default(); KINDS];
        for counts in streams
            .iter_mut()
            .map(|s| &mut s.counts)
            .chain([&mut unnamed])
            .flat_map(|counts| &mut counts[..kinds])
        {
            let mut words = [0; COUNTS];
            for word in &mut words[..counted] {
                *word = from.word()?;
            }
            *counts = Counts::of_words(words).ok_or(SequencerError {
                what: "saved counts do not balance",
            })?;
        }
        Ok(Sequencer {
            venue,
            receive_clock,
            venue_clock,
            held,
            streams,
            unnamed,
        })
    }
}

impl Counts {
    fn words(&self) -> [u64; COUNTS] {
        [
            self.input,
            self.accepted,
            self.duplicate,
            self.late,
            self.rejected,
            self.gaps,
            self.missing,
            self.off_book,
            self.clock_steps,
            self.restarts,
            self.conflated,
        ]
    }

    fn of_words(words: [u64; COUNTS]) -> Option<Counts> {
        let [
            input,
            accepted,
            duplicate,
            late,
            rejected,
            gaps,
            missing,
            off_book,
            clock_steps,
            restarts,
            conflated,
        ] = words;
        let sum = accepted
            .checked_add(duplicate)?
            .checked_add(late)?
            .checked_add(rejected)?
            .checked_add(conflated)?;
        (sum == input).then_some(Counts {
            input,
            accepted,
            duplicate,
            late,
            rejected,
            gaps,
            missing,
            off_book,
            clock_steps,
            restarts,
            conflated,
        })
    }
}
