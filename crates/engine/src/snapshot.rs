//! The engine as bytes: header, state, checksum. Restored into an engine of the same plan it goes on with the same bits.

use crate::ahead::Ahead;
use crate::amend::Amending;
use crate::engine::Engine;
use crate::error::{EngineError, broken, refuse};
use crate::gathered::Gathered;
use crate::joined::Parts;
use crate::options::Options;
use crate::reorder::ReorderBuffer;
use crate::rows::{RowState, put_cells, take_cells};
use signal_event::TapeFormat;
use signal_features::Plan;
use signal_ingest::Sequencer;
use signal_kernels::state::{Exhausted, put_i64, put_u64, take, take_i64, take_u64};
use signal_market::BookSync;
use signal_market::{FilledBars, TimeBars};
use signal_runtime::program_state::ProgramState;
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"SSTATE\x00\x04";

/// Snapshots with what late messages may change.
const MAGIC_WITH_AMENDING: &[u8; 8] = b"SSTATE\x00\x05";

/// Snapshots whose waiting messages have the rows of a tape of format 1.
const MAGIC_OF_FORMAT_1: &[u8; 8] = b"SSTATE\x00\x03";

impl Engine {
    /// The state as bytes, with the graph's digest and a checksum.
    pub fn snapshot(&self) -> Vec<u8> {
        self.saved(self.reorder.as_ref(), self.amending.as_deref())
    }

    /// The state of what had its turn, as bytes of a snapshot without the rest.
    pub(crate) fn turns(&self) -> Vec<u8> {
        let nothing = self.reorder.is_some().then(ReorderBuffer::default);
        self.saved(nothing.as_ref(), None)
    }

    fn saved(&self, waiting: Option<&ReorderBuffer>, amending: Option<&Amending>) -> Vec<u8> {
        let mut out = match amending {
            Some(_) => MAGIC_WITH_AMENDING,
            None => MAGIC,
        }
        .to_vec();
        out.extend_from_slice(self.plan.digest.as_bytes());
        put_u64(&mut out, self.messages);
        for t in [
            self.recv_ts_max,
            self.event_ts_released,
            self.schedule.rows(),
        ] {
            put_i64(&mut out, t);
        }
        self.rows.save(&mut out);
        out.push(self.started.into());
        let moments = self.schedule.moments();
        put_u64(&mut out, moments.len() as u64);
        moments
            .into_iter()
            .for_each(|moment| put_i64(&mut out, moment));
        self.sequencer.save(&mut out);
        for total in [self.books.superseded, self.books.gaps, self.books.crossed] {
            put_u64(&mut out, total);
        }
        put_u64(&mut out, self.instruments.len() as u64);
        for instrument in &self.instruments {
            put_u64(&mut out, instrument.id.len() as u64);
            out.extend_from_slice(instrument.id.as_bytes());
            out.extend_from_slice(&instrument.scales);
            out.push(instrument.own.into());
            out.push(instrument.seen.into());
            for outage in instrument.outages {
                out.extend_from_slice(&[outage.disconnected.into(), outage.halted.into()]);
            }
            put_i64(&mut out, instrument.bar_due);
            put_cells(&mut out, instrument.held.as_deref());
            instrument.book.save(&mut out);
            instrument
                .bars
                .iter()
                .for_each(|(_, bars)| bars.save(&mut out));
            instrument
                .filled
                .iter()
                .for_each(|(_, bars)| bars.save(&mut out));
            instrument
                .gathered
                .iter()
                .for_each(|(_, bars)| bars.save(&mut out));
            let times = instrument.venue.iter().chain(&instrument.recv_ts_max);
            times.for_each(|&t| put_i64(&mut out, t));
            let program_states = instrument.program_states.iter().zip(&instrument.runs);
            for ((state, _), program) in program_states
                .zip(&self.plan.programs)
                .filter(|((_, runs), _)| **runs)
            {
                match state {
                    Some(state) => state.save(&mut out),
                    None => ProgramState::new(&program.code).save(&mut out),
                }
            }
        }
        if let Some(waiting) = waiting {
            waiting.save(&mut out);
        }
        self.ahead.save(&mut out);
        if let Some(amending) = amending {
            amending.save(&mut out);
        }
        // Snapshots of before there were longer bars end here, and so do those that hold none.
        if self.sections.carry() || self.instruments.iter().any(|each| each.parts.is_some()) {
            for instrument in &self.instruments {
                out.push(instrument.parts.is_some().into());
                if let Some(parts) = &instrument.parts {
                    parts.save(&mut out);
                }
            }
        }
        self.sections.save(&mut out);
        let checksum = crc32fast::hash(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }

    /// An engine that goes on where the snapshot was taken. The plan must be the one that ran.
    pub fn restore(plan: Arc<Plan>, options: Options, bytes: &[u8]) -> Result<Self, EngineError> {
        let Some((body, checksum)) = bytes.split_last_chunk::<4>() else {
            return Err(broken("it is empty"));
        };
        let amends = body.starts_with(MAGIC_WITH_AMENDING);
        let newest = body
            .strip_prefix(MAGIC)
            .or_else(|| body.strip_prefix(MAGIC_WITH_AMENDING))
            .map(|rest| (rest, TapeFormat::Two));
        let older = || {
            let rest = body.strip_prefix(MAGIC_OF_FORMAT_1)?;
            Some((rest, TapeFormat::One))
        };
        let Some((mut rest, format)) = newest.or_else(older) else {
            return Err(broken(
                "it does not begin like one of this version or one before",
            ));
        };
        if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
            return Err(broken("its checksum does not match"));
        }
        let digest = take::<64>(&mut rest)?;
        if digest != plan.digest.as_bytes() {
            let seen = String::from_utf8_lossy(&digest).into_owned();
            return refuse(
                "SNAPSHOT_GRAPH",
                format!(
                    "the snapshot is of graph {seen}, this graph is {}: they are not the same",
                    plan.digest
                ),
            );
        }
        let mut engine = Engine::new(plan, options)?;
        engine.messages = take_u64(&mut rest)?;
        engine.recv_ts_max = take_i64(&mut rest)?;
        engine.event_ts_released = take_i64(&mut rest)?;
        engine.schedule.set_rows(take_i64(&mut rest)?);
        engine.rows = RowState::load(&mut rest)?;
        engine.started = take::<1>(&mut rest)? != [0];
        let moments = take_u64(&mut rest)?;
        if moments > 1 << 16 {
            return Err(Exhausted.into());
        }
        let moments = (0..moments)
            .map(|_| take_i64(&mut rest))
            .collect::<Result<Vec<_>, _>>()?;
        if !engine.schedule.set_moments(&moments) {
            return Err(broken("it was made with another source of bars"));
        }
        engine.sequencer = Sequencer::load(&mut rest).map_err(|error| broken(error.what))?;
        engine.books.superseded = take_u64(&mut rest)?;
        engine.books.gaps = take_u64(&mut rest)?;
        engine.books.crossed = take_u64(&mut rest)?;
        let instruments = take_u64(&mut rest)?;
        for _ in 0..instruments {
            engine.load_instrument(&mut rest, format)?;
        }
        let columns = engine.bar_layout().map_or(0, |layout| layout.columns());
        let held = engine
            .instruments
            .iter()
            .filter_map(|each| each.held.as_ref());
        if !engine.rows.fits(engine.instruments.len(), columns)
            || !held.into_iter().all(|cells| cells.len() == columns)
        {
            return Err(broken("it holds rows of another table"));
        }
        if engine.reorder.is_some() {
            engine.reorder = Some(ReorderBuffer::load(
                &mut rest,
                format,
                engine.instruments.len(),
            )?);
        }
        engine.ahead = Ahead::load(&mut rest, format, engine.instruments.len())?;
        let mut amending = None;
        if amends {
            let known = engine.instruments.len();
            amending = Some(Box::new(Amending::load(&mut rest, known)?));
        }
        if !rest.is_empty() {
            engine.load_parts(&mut rest)?;
            engine.sections.load(&mut rest)?;
        }
        if !rest.is_empty() {
            return Err(broken("it goes on after its end"));
        }
        // One of before, or of an engine that did not amend, begins to keep now.
        if let (Some(own), Some(mut saved)) = (&mut engine.amending, amending) {
            saved.horizon_ns = own.horizon_ns;
            *own = saved;
            engine.remake_states()?;
        }
        Ok(engine)
    }

    fn load_parts(&mut self, rest: &mut &[u8]) -> Result<(), EngineError> {
        let layout = self.bar_layout().cloned();
        for instrument in &mut self.instruments {
            if take::<1>(rest)? != [0] {
                let Some(layout) = &layout else {
                    return Err(broken("it goes on after its end"));
                };
                instrument.parts = Some(Box::new(Parts::load(layout, rest)?));
            }
        }
        Ok(())
    }

    fn load_instrument(&mut self, rest: &mut &[u8], format: TapeFormat) -> Result<(), EngineError> {
        let length = take_u64(rest)? as usize;
        let Some((id, after)) = rest.split_at_checked(length) else {
            return Err(Exhausted.into());
        };
        *rest = after;
        let Ok(id) = std::str::from_utf8(id) else {
            return Err(broken("an instrument's id is not text"));
        };
        let scales = take::<2>(rest)?;
        let before = self.instruments.len();
        let i = self.instrument(id, scales)?;
        if i != before {
            return Err(broken("an instrument stands twice in it"));
        }
        if rest
            .first()
            .is_some_and(|&own| (own != 0) != self.instruments[i].own)
        {
            let which = if self.instruments[i].own {
                "no vectors"
            } else {
                "vectors"
            };
            return refuse(
                "SNAPSHOT",
                format!(
                    "it made {which} for {id}, which the instruments now given do not: give those of the snapshot"
                ),
            );
        }
        let [own, seen] = take::<2>(rest)?;
        let instrument = &mut self.instruments[i];
        instrument.make_all();
        let runs = |p: usize| instrument.runs[p];
        let fillings = self.built.filled.iter().filter(|(p, _)| runs(*p));
        let fillings: Vec<_> = fillings.copied().collect();
        let gathered = self.built.gathered.iter().filter(|(p, _)| runs(*p));
        let gathered: Vec<_> = gathered.copied().collect();
        instrument.own = own != 0;
        instrument.seen = seen != 0;
        for outage in &mut instrument.outages {
            let [disconnected, halted] = take::<2>(rest)?;
            (outage.disconnected, outage.halted) = (disconnected != 0, halted != 0);
        }
        instrument.bar_due = take_i64(rest)?;
        instrument.held = take_cells(rest)?;
        *instrument.book = BookSync::load(rest, instrument.book.rule(), scales, format)
            .map_err(|error| broken(&error.to_string()))?;
        for (_, bars) in &mut instrument.bars {
            *bars = TimeBars::load(bars.grid().clone(), rest)
                .map_err(|error| broken(&error.to_string()))?;
        }
        for ((_, bars), (_, filling)) in instrument.filled.iter_mut().zip(fillings) {
            *bars = FilledBars::load(filling, rest).map_err(|error| broken(&error.to_string()))?;
        }
        for ((_, bars), (_, filling)) in instrument.gathered.iter_mut().zip(gathered) {
            *bars = Gathered::load(filling, rest)?;
        }
        for t in instrument
            .venue
            .iter_mut()
            .chain(&mut instrument.recv_ts_max)
        {
            *t = take_i64(rest)?;
        }
        for state in instrument.program_states.iter_mut().flatten() {
            state.load(rest)?;
        }
        if self.options.table.is_none() {
            instrument.drop_fresh();
        }
        Ok(())
    }
}
