//! What is kept for amendments, as bytes of a snapshot.

use crate::amend::{AmendedTotals, Amending, Given, Kept, State};
use crate::reorder::HeldMessage;
use signal_event::{InstrumentId, Kind, NO_INSTRUMENT, TapeFormat};
use signal_ingest::Counts;
use signal_kernels::state::{Exhausted, put_i64, put_u64, take, take_i64, take_u64};
use std::collections::BTreeMap;

impl Amending {
    /// Appends it; of the states only the first.
    pub fn save(&self, out: &mut Vec<u8>) {
        put_u64(out, self.totals.messages);
        put_u64(out, self.totals.vectors);
        put_i64(out, self.changed.unwrap_or(i64::MAX));
        put_u64(out, self.pending);
        out.push(self.settled.into());
        out.push((!self.states.is_empty()).into());
        if let Some(first) = self.states.front() {
            first.save(out);
        }
        put_u64(out, self.kept.len() as u64);
        for (&(t, rank, instrument, kind, sequence, arrival), kept) in &self.kept {
            put_i64(out, t);
            out.extend_from_slice(&[rank, kind]);
            for word in [u64::from(instrument.0), sequence, arrival] {
                put_u64(out, word);
            }
            put_i64(out, kept.recv_ts_max);
            put_u64(out, kept.instruments as u64);
            out.push(kept.held.is_some().into());
            if let Some(held) = &kept.held {
                held.save(out);
            }
        }
        put_u64(out, self.given.len() as u64);
        for given in &self.given {
            for t in [given.at, given.by, given.ts_recv] {
                put_i64(out, t);
            }
            put_u64(out, u64::from(given.instrument));
            put_u64(out, u64::from(given.revision));
            out.extend_from_slice(&given.digest);
            out.push(given.withdrawn.into());
        }
    }

    /// Reads what [`Amending::save`] wrote. Instruments have numbers below `instruments`.
    pub fn load(bytes: &mut &[u8], instruments: usize) -> Result<Self, Exhausted> {
        let mut amending = Self {
            totals: AmendedTotals {
                messages: take_u64(bytes)?,
                vectors: take_u64(bytes)?,
            },
            ..Self::default()
        };
        amending.changed = Some(take_i64(bytes)?).filter(|&t| t != i64::MAX);
        amending.pending = take_u64(bytes)?;
        amending.settled = take::<1>(bytes)? != [0];
        if take::<1>(bytes)? != [0] {
            amending.states.push_back(State::load(bytes, instruments)?);
        }
        for _ in 0..take_u64(bytes)? {
            let t = take_i64(bytes)?;
            let [rank, kind] = take(bytes)?;
            let instrument = number(take_u64(bytes)?, instruments)?;
            let (sequence, arrival) = (take_u64(bytes)?, take_u64(bytes)?);
            let recv_ts_max = take_i64(bytes)?;
            let known = take_u64(bytes)?;
            let held = match take::<1>(bytes)? {
                [0] => None,
                _ => Some(HeldMessage::load(bytes, TapeFormat::Two, instruments)?),
            };
            let place = (t, rank, instrument, kind, sequence, arrival);
            let kept = Kept {
                held,
                recv_ts_max,
                instruments: usize::try_from(known).map_err(|_| Exhausted)?,
            };
            amending.kept.insert(place, kept);
        }
        for _ in 0..take_u64(bytes)? {
            let [at, by, ts_recv] = [take_i64(bytes)?, take_i64(bytes)?, take_i64(bytes)?];
            let (instrument, revision) = (take_u64(bytes)?, take_u64(bytes)?);
            if instrument >= instruments as u64 {
                return Err(Exhausted);
            }
            amending.given.push_back(Given {
                at,
                by,
                ts_recv,
                instrument: instrument as u32,
                revision: u32::try_from(revision).map_err(|_| Exhausted)?,
                digest: take(bytes)?,
                withdrawn: take::<1>(bytes)? != [0],
            });
        }
        if amending.states.is_empty() && amending.changed.is_some() {
            return Err(Exhausted);
        }
        Ok(amending)
    }
}

impl State {
    fn save(&self, out: &mut Vec<u8>) {
        put_i64(out, self.reached);
        put_u64(out, self.bytes.len() as u64);
        out.extend_from_slice(&self.bytes);
        put_u64(out, self.judged.len() as u64);
        for (&(instrument, kind), counts) in &self.judged {
            put_u64(out, u64::from(instrument.0));
            out.push(kind);
            for count in [counts.accepted, counts.late, counts.rejected] {
                put_u64(out, count);
            }
        }
    }

    fn load(bytes: &mut &[u8], instruments: usize) -> Result<Self, Exhausted> {
        let reached = take_i64(bytes)?;
        let length = usize::try_from(take_u64(bytes)?).map_err(|_| Exhausted)?;
        let (state, rest) = bytes.split_at_checked(length).ok_or(Exhausted)?;
        *bytes = rest;
        let mut judged = BTreeMap::new();
        for _ in 0..take_u64(bytes)? {
            let instrument = number(take_u64(bytes)?, instruments)?;
            let [kind] = take(bytes)?;
            Kind::from_code(kind).ok_or(Exhausted)?;
            let (accepted, late, rejected) = (take_u64(bytes)?, take_u64(bytes)?, take_u64(bytes)?);
            let input = accepted
                .checked_add(late)
                .and_then(|sum| sum.checked_add(rejected))
                .ok_or(Exhausted)?;
            let counts = Counts {
                input,
                accepted,
                late,
                rejected,
                ..Counts::default()
            };
            judged.insert((instrument, kind), counts);
        }
        Ok(Self {
            reached,
            bytes: state.to_vec(),
            judged,
        })
    }
}

fn number(word: u64, instruments: usize) -> Result<InstrumentId, Exhausted> {
    let number = u32::try_from(word).map_err(|_| Exhausted)?;
    match number == NO_INSTRUMENT.0 || (number as usize) < instruments {
        true => Ok(InstrumentId(number)),
        false => Err(Exhausted),
    }
}
