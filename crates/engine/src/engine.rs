//! The engine: events in, vectors out.

use crate::error::{EngineError, refuse};
use crate::instrument::{Instrument, Loads, Numbers};
use crate::machine::NEVER;
use crate::registers::{Code, Registers, Slot, VALID, slot};
use crate::schedule::{Due, Schedule};
use crate::vectors::Vectors;
use crate::waiting::Waiting;
use signal_event::{
    EventBatch, EventBatchBuilder, InstrumentTable, Kind, Message, NO_INSTRUMENT, Reason, Side,
    StatusCode, decimal,
};
use signal_features::graph::Axis;
use signal_features::{Input, Plan, Scope, Source};
use signal_ingest::{Admit, Counts, JUMP_MAX_NS, Sequencer};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What an engine is told beside its plan.
#[derive(Clone, Debug)]
pub struct Options {
    /// Instruments that vectors are made for; none given means every instrument that has an event.
    pub instruments: Option<Vec<String>>,
    /// How far ahead of everything before it a message may claim to be, in nanoseconds.
    pub jump_max_ns: i64,
    /// How long after newer ones an event may come, in nanoseconds, for a graph on venue time.
    pub lateness_ns: i64,
    /// Whether a late message stops the engine instead of being kept aside.
    pub refuse_late: bool,
    /// Streams that arrive as rows of a table: bars that are not built from trades.
    pub given_bars: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            instruments: None,
            jump_max_ns: JUMP_MAX_NS,
            lateness_ns: 0,
            refuse_late: false,
            given_bars: false,
        }
    }
}

/// Runs a plan.
///
/// Invariants: axis time never falls; `counts().input == accepted + duplicate + late + rejected`; everything the engine
/// gives is a function of the plan, the options and the sequence of messages.
#[derive(Debug)]
pub struct Engine {
    pub(crate) plan: Arc<Plan>,
    pub(crate) options: Options,
    pub(crate) sequencer: Sequencer,
    pub(crate) schedule: Schedule,
    pub(crate) instruments: Vec<Instrument>,
    /// Instrument whose machine runs a named program.
    pub(crate) named: Vec<Option<usize>>,
    /// Programs of bars that are built from trades, with their lengths.
    pub(crate) built: Vec<(usize, i64)>,
    pub(crate) loads: Vec<Loads>,
    crosses: Vec<Vec<(usize, Input)>>,
    /// Registers of the plan's columns.
    pub(crate) columns: Box<[Slot]>,
    pub(crate) one: Vec<Registers>,
    pub(crate) block: Vec<Registers>,
    pub(crate) names: Arc<Vec<String>>,
    mapping: Option<(Arc<InstrumentTable>, Vec<u16>)>,
    pub(crate) messages: u64,
    /// For a graph on venue time: what waits for its turn.
    pub(crate) waiting: Option<Waiting>,
    /// Receive time of the message that is being read, on venue time.
    pub(crate) heard: i64,
    /// Venue time of the newest message that had its turn.
    pub(crate) reached: i64,
    /// Time of the newest row of a table.
    pub(crate) newest_row: i64,
    pub(crate) started: bool,
    pub(crate) simd: bool,
    pub(crate) late: EventBatchBuilder,
    pub(crate) books: BookTotals,
}

/// What became of the books, over all instruments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BookTotals {
    /// Depth messages older than the book they came to.
    pub superseded: u64,
    /// Breaks in the sequence.
    pub gaps: u64,
    /// Messages after which a joined book was crossed.
    pub crossed: u64,
}

impl Engine {
    /// An engine that has seen nothing.
    pub fn new(plan: Arc<Plan>, options: Options) -> Result<Self, EngineError> {
        let bars = plan.programs.iter().enumerate().filter_map(|(p, program)| {
            match program.stream.source {
                Source::Bars(ns) if !options.given_bars => Some((p, ns)),
                _ => None,
            }
        });
        let built: Vec<(usize, i64)> = bars.collect();
        let clock = match plan.graph.on {
            Source::Clock(ns) => Some(ns),
            _ => None,
        };
        let mut loads = vec![Loads::default(); plan.programs.len()];
        let mut crosses = vec![Vec::new(); plan.programs.len()];
        for (p, program) in plan.programs.iter().enumerate() {
            for (reg, input) in program.inputs.iter().enumerate() {
                match input {
                    Input::Field(field) => {
                        loads[p].fields.push((reg, *field));
                        loads[p].levels = loads[p].levels.max(field.level().map_or(0, usize::from));
                    }
                    cross => crosses[p].push((reg, cross.clone())),
                }
            }
        }
        let registers = |block: bool| {
            plan.programs
                .iter()
                .map(|program| {
                    Registers::new(
                        program.registers,
                        &program.consts,
                        program.inputs.len(),
                        block,
                    )
                })
                .collect()
        };
        #[cfg(target_arch = "x86_64")]
        let simd = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2");
        #[cfg(not(target_arch = "x86_64"))]
        let simd = false;
        Ok(Self {
            schedule: Schedule::new(built.clone(), clock),
            sequencer: match plan.graph.axis {
                Axis::Recv => Sequencer::new(options.jump_max_ns),
                Axis::Event => Sequencer::on_venue_time(options.jump_max_ns, options.lateness_ns),
            },
            instruments: Vec::new(),
            named: vec![None; plan.programs.len()],
            built,
            loads,
            crosses,
            columns: plan.columns.iter().map(|&reg| slot(reg)).collect(),
            one: registers(false),
            block: registers(true),
            names: Arc::default(),
            mapping: None,
            messages: 0,
            waiting: (plan.graph.axis == Axis::Event).then(Waiting::default),
            heard: NEVER,
            reached: NEVER,
            newest_row: NEVER,
            started: false,
            simd,
            late: EventBatchBuilder::new(),
            books: BookTotals::default(),
            plan,
            options,
        })
    }

    /// The plan that runs.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Vectors with this engine's columns and instruments, to push into.
    pub fn vectors(&self) -> Vectors {
        Vectors {
            instruments: Arc::clone(&self.names),
            ..Vectors::new(self.plan.columns.len())
        }
    }

    /// Messages read so far.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Takes whole messages in order of arrival and appends the vectors that they bring about.
    pub fn push(&mut self, batch: &EventBatch, out: &mut Vectors) -> Result<(), EngineError> {
        let mapping = self.map(batch)?;
        for mut message in batch.messages() {
            self.messages += 1;
            if message.instrument != NO_INSTRUMENT {
                message.instrument = mapping[usize::from(message.instrument)];
            }
            if self.waiting.is_some() {
                self.in_turn(&message, out)?;
                continue;
            }
            match self.sequencer.admit(&message) {
                Admit::Accept => self.event(&message, message.ts_recv, false, out),
                Admit::Gap { .. } => self.event(&message, message.ts_recv, true, out),
                Admit::Duplicate | Admit::Reject(_) => {}
                Admit::Late => self.too_late(&message, "ts_recv", message.ts_recv)?,
            }
        }
        out.instruments = Arc::clone(&self.names);
        Ok(())
    }

    pub(crate) fn too_late(
        &mut self,
        message: &Message<'_>,
        name: &str,
        t: i64,
    ) -> Result<(), EngineError> {
        if self.options.refuse_late {
            let reached = self.sequencer.watermark().unwrap_or(NEVER);
            return refuse(
                "LATE",
                format!(
                    "message {} has {name} {t}, before {reached} already read; late = \"refuse\" stops here: use \
                     late = \"drop\" to keep such messages aside",
                    self.messages
                ),
            );
        }
        self.late.push_message(message, message.instrument);
        Ok(())
    }

    /// The clock has reached `t`: fires what is due before it, as a mark on the tape does. Where the graph runs on venue
    /// time, only events tell how far that is.
    pub fn advance(&mut self, t: i64, out: &mut Vectors) -> Result<(), EngineError> {
        let mut builder = EventBatchBuilder::new();
        builder.push(signal_event::Header::mark(t), Side::None.code(), 0, 0);
        let mark = builder.finish(&Arc::new(InstrumentTable::new()));
        self.push(&mark, out)
    }

    /// Late messages that were kept aside since the last call.
    pub fn take_late(&mut self) -> Result<EventBatch, EngineError> {
        let table = self.instruments.iter().map(Instrument::described);
        match InstrumentTable::of(table) {
            Ok(table) => Ok(self.late.finish(&Arc::new(table))),
            Err(error) => refuse("INSTRUMENTS", error.to_string()),
        }
    }

    /// The books as they stand, as one snapshot message each: a stream that begins with them goes on from here.
    pub fn book_snapshots(&self) -> Result<EventBatch, EngineError> {
        let mut builder = EventBatchBuilder::new();
        let newest = match self.waiting {
            None => self.sequencer.newest().unwrap_or(0),
            Some(_) => self.heard,
        };
        for (i, instrument) in self.instruments.iter().enumerate() {
            let book = instrument.book.book();
            if instrument.book.state().reason() != Reason::Valid {
                continue;
            }
            let header = signal_event::Header {
                kind: Kind::BookSnapshot,
                instrument: i as u16,
                ts_recv: newest,
                ts_event: signal_event::NO_TIME,
                sequence: instrument.book.last(),
                sequence_prev: signal_event::NO_RULE,
            };
            for side in [Side::Bid, Side::Ask] {
                let mut levels = vec![signal_market::Level::default(); book.depth(side)];
                let count = book.top(side, &mut levels);
                levels[..count]
                    .iter()
                    .for_each(|level| builder.push_row(side.code(), level.price, level.qty));
            }
            builder.close(header);
        }
        match InstrumentTable::of(self.instruments.iter().map(Instrument::described)) {
            Ok(table) => Ok(builder.finish(&Arc::new(table))),
            Err(error) => refuse("INSTRUMENTS", error.to_string()),
        }
    }

    /// Verdicts on the messages, by instrument and kind; no instrument stands for marks.
    pub fn counts(&self) -> BTreeMap<(Option<String>, Kind), Counts> {
        let named = |i: u16| {
            self.instruments
                .get(usize::from(i))
                .map(|instrument| instrument.id.clone())
        };
        self.sequencer
            .counts()
            .into_iter()
            .map(|((i, kind), counts)| ((named(i), kind), counts))
            .collect()
    }

    /// Verdicts on all messages.
    pub fn total(&self) -> Counts {
        self.sequencer.total()
    }

    /// What became of the books.
    pub fn books(&self) -> BookTotals {
        self.books
    }

    /// Bytes of state that the engine holds for one instrument at most, without its order book.
    pub fn bytes(&self) -> usize {
        self.plan.bytes()
    }

    /// The engine's numbers for a batch's instruments.
    fn map(&mut self, batch: &EventBatch) -> Result<Vec<u16>, EngineError> {
        if let Some((table, mapping)) = &self.mapping
            && Arc::ptr_eq(table, batch.instruments())
        {
            return Ok(mapping.clone());
        }
        let table = Arc::clone(batch.instruments());
        let mut mapping = Vec::with_capacity(table.len());
        for instrument in table.iter() {
            mapping.push(self.instrument(
                &instrument.id,
                [instrument.price_scale, instrument.qty_scale],
            )? as u16);
        }
        self.mapping = Some((table, mapping.clone()));
        Ok(mapping)
    }

    /// The number of an instrument, which is new or has the same scales as before.
    pub(crate) fn instrument(&mut self, id: &str, scales: [u8; 2]) -> Result<usize, EngineError> {
        if let Some(i) = self.instruments.iter().position(|known| known.id == id) {
            return match self.instruments[i].scales {
                known if known == scales => Ok(i),
                known => refuse(
                    "SCALES",
                    format!(
                        "{id} had price and quantity scales {known:?} before and {scales:?} now: convert the tapes to one"
                    ),
                ),
            };
        }
        if self.instruments.len() >= usize::from(NO_INSTRUMENT) {
            return refuse(
                "INSTRUMENTS",
                format!("more than {NO_INSTRUMENT} instruments; the next is {id}"),
            );
        }
        let own = self
            .options
            .instruments
            .as_ref()
            .is_none_or(|wanted| wanted.iter().any(|name| name == id));
        let i = self.instruments.len();
        for (p, program) in self.plan.programs.iter().enumerate() {
            if program.stream.scope == Scope::Named(id.to_string()) {
                self.named[p] = Some(i);
            }
        }
        self.instruments
            .push(Instrument::new(id, scales, &self.plan, own, &self.built));
        self.names = Arc::new(
            self.instruments
                .iter()
                .map(|instrument| instrument.id.clone())
                .collect(),
        );
        Ok(i)
    }

    /// Time moves to `t`: everything due before it happens first.
    #[inline(always)]
    pub(crate) fn reach(&mut self, t: i64, out: &mut Vectors) {
        if !self.started {
            self.started = true;
            self.schedule.start(t);
        }
        if self.schedule.is_due(t) {
            self.run_due(t, out);
        }
    }

    fn run_due(&mut self, t: i64, out: &mut Vectors) {
        while let Some((moment, due)) = self.schedule.pop(t) {
            for i in 0..self.instruments.len() {
                match due {
                    Due::Tick if self.instruments[i].own && self.instruments[i].seen => {
                        self.run(i, self.plan.on, moment, moment, Numbers::None, out);
                    }
                    Due::Tick => {}
                    Due::Bars(p) => {
                        let closed = self.instruments[i]
                            .bars
                            .iter_mut()
                            .find(|(program, _)| *program == p);
                        let Some(bar) = closed.and_then(|(_, bars)| bars.close(moment)) else {
                            continue;
                        };
                        self.instruments[i].heard[p] = self.heard;
                        self.run(i, p, moment, moment, Numbers::Bar(&bar), out);
                    }
                }
            }
        }
    }

    /// One accepted message, at axis time `t`.
    pub(crate) fn event(&mut self, message: &Message<'_>, t: i64, gap: bool, out: &mut Vectors) {
        self.reach(t, out);
        if message.kind == Kind::Mark {
            return;
        }
        let i = usize::from(message.instrument);
        let instrument = &mut self.instruments[i];
        if !instrument.seen {
            instrument.seen = true;
            instrument
                .bars
                .iter_mut()
                .for_each(|(_, bars)| bars.observe(t));
        }
        match message.kind {
            Kind::BookDiff | Kind::BookSnapshot => {
                let change = instrument.book.apply(message);
                self.books.superseded += u64::from(change.superseded);
                self.books.gaps += u64::from(change.gap.is_some());
                self.books.crossed += u64::from(change.state == signal_market::BookState::Crossed);
                // A message older than a joined book is no event: it says nothing new.
                if change.applied || change.state.reason() != Reason::Valid {
                    self.run_all(i, Source::Book, message, t, Numbers::Book, out);
                }
            }
            Kind::Quote => {
                self.run_all(
                    i,
                    Source::Quotes,
                    message,
                    t,
                    Numbers::Message(message),
                    out,
                );
            }
            Kind::Trade => {
                let price = decimal::to_f64(message.prices()[0], instrument.scales[0]);
                let qty = instrument.qty(message.qtys()[0]);
                let side = Side::from_code(message.sides()[0]).unwrap_or(Side::None);
                for (_, bars) in &mut instrument.bars {
                    if gap {
                        bars.trades_lost();
                    }
                    // Bars that end at or before `t` are closed, so the open one holds it.
                    let held = bars.trade(t, price, qty, side);
                    debug_assert!(held.is_ok());
                }
                self.run_all(
                    i,
                    Source::Trades,
                    message,
                    t,
                    Numbers::Message(message),
                    out,
                );
            }
            Kind::Status => self.status(i, message, t, out),
            Kind::Bar | Kind::Mark => {}
        }
    }

    /// The feed or the venue changed state: every stream concerned has an event, invalid for that reason.
    fn status(&mut self, i: usize, message: &Message<'_>, t: i64, out: &mut Vectors) {
        let instrument = &mut self.instruments[i];
        instrument.book.apply(message);
        let code = u8::try_from(message.prices()[0])
            .ok()
            .and_then(StatusCode::from_code);
        instrument.outage = match code {
            Some(StatusCode::Disconnected) => Reason::Disconnected.code(),
            Some(StatusCode::Halted) => Reason::Halted.code(),
            Some(StatusCode::Connected | StatusCode::Resumed) | None => VALID,
        };
        for (_, bars) in &mut instrument.bars {
            match code {
                Some(StatusCode::Disconnected) => bars.disconnected(),
                Some(StatusCode::Connected) => bars.connected(),
                _ => {}
            }
        }
        if instrument.outage != VALID {
            for source in [Source::Book, Source::Quotes, Source::Trades] {
                self.run_all(i, source, message, t, Numbers::Message(message), out);
            }
        }
    }

    #[inline(always)]
    fn run_all(
        &mut self,
        i: usize,
        source: Source,
        message: &Message<'_>,
        t: i64,
        numbers: Numbers<'_>,
        out: &mut Vectors,
    ) {
        for p in 0..self.plan.programs.len() {
            if self.plan.programs[p].stream.source == source
                && self.instruments[i].machines[p].is_some()
            {
                let instrument = &mut self.instruments[i];
                instrument.venue[p] = instrument.venue[p].max(message.ts_event);
                instrument.heard[p] = instrument.heard[p].max(message.ts_recv);
                let ts_event = if self.waiting.is_some() {
                    t
                } else {
                    message.ts_event
                };
                self.run(i, p, t, ts_event, numbers, out);
            }
        }
    }

    /// Runs one program for one event and makes the vector if the graph wants one here.
    fn run(
        &mut self,
        i: usize,
        p: usize,
        t: i64,
        ts_event: i64,
        numbers: Numbers<'_>,
        out: &mut Vectors,
    ) {
        let Some(mut machine) = self.instruments[i].machines[p].take() else {
            return;
        };
        let valid = self.instruments[i].load(numbers, &self.loads[p], &mut self.one[p]);
        machine.note(t, valid);
        self.sample(i, p, t);
        machine.run_one(&mut self.one[p], t, self.simd);
        self.instruments[i].machines[p] = Some(machine);
        if p == self.plan.on && self.instruments[i].own {
            let stamp = self.stamp(i, t, ts_event);
            out.push_one(stamp, &self.one[p], &self.plan.columns);
        }
    }

    /// Loads what program `p` samples from others at `t`.
    #[inline(always)]
    pub(crate) fn sample(&mut self, i: usize, p: usize, t: i64) {
        for (reg, input) in &self.crosses[p] {
            let (value, code) = sampled(
                &self.plan,
                &self.named,
                &mut self.instruments,
                i,
                p,
                input,
                t,
            );
            self.one[p].set(*reg, value, code);
        }
    }
}

/// The value of another program as known at `t`.
#[inline(always)]
fn sampled(
    plan: &Plan,
    named: &[Option<usize>],
    instruments: &mut [Instrument],
    i: usize,
    at: usize,
    input: &Input,
    t: i64,
) -> (f64, Code) {
    let program = match input {
        Input::Field(_) => at,
        Input::Last { program, .. } | Input::Window { program, .. } | Input::Age { program } => {
            *program
        }
    };
    let owner = match plan.programs[program].stream.scope {
        Scope::Own => Some(i),
        Scope::Named(_) => named[program],
    };
    let machine = owner.and_then(|owner| instruments[owner].machines[program].as_mut());
    match (machine, input) {
        (Some(machine), Input::Last { export, .. }) => machine.slot(*export),
        (Some(machine), Input::Window { op, read, .. }) => machine.window(*op, *read, t),
        (Some(machine), Input::Age { .. }) if machine.newest() != NEVER => {
            ((t - machine.newest()) as f64, VALID)
        }
        // The program's own age while it runs.
        (None, Input::Age { .. }) if program == at => (0.0, VALID),
        _ => (f64::NAN, Reason::Warmup.code()),
    }
}
