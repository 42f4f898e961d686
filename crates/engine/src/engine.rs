//! The engine: events in, vectors out.

use crate::ahead::Ahead;
use crate::amend::Amending;
use crate::built::Built;
use crate::error::{EngineError, refuse};
use crate::grouping::Grouping;
use crate::instrument::{Instrument, Loads};
use crate::layout::Layout;
use crate::notice::{Notice, Notices};
use crate::options::Options;
use crate::reorder::ReorderBuffer;
use crate::rows::RowState;
use crate::schedule::Schedule;
use crate::sections::Sections;
use crate::time_inputs::TimeInputs;
use crate::vectors::Vectors;
use signal_event::{
    EventBatch, EventBatchBuilder, InstrumentId, Instruments, Kind, NO_INSTRUMENT, OrderAction,
    Row, Side,
};
use signal_features::graph::Axis;
use signal_features::{Input, Plan, Scope, Source};
use signal_ingest::{Counts, Sequencer};
use signal_market::{Bar, BookState};
use signal_runtime::program_state::{NEVER, ProgramState, Scratch};
use signal_runtime::registers::{Registers, Slot, slot};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Runs a plan.
///
/// Invariants: axis time never falls; `counts().input == accepted + duplicate + late + rejected + conflated`; everything the engine
/// gives is a function of the plan, the options and the sequence of messages.
#[derive(Debug)]
pub struct Engine {
    pub(crate) plan: Arc<Plan>,
    pub(crate) options: Options,
    pub(crate) sequencer: Sequencer,
    pub(crate) schedule: Schedule,
    pub(crate) instruments: Vec<Instrument>,
    /// A state of each program that has seen nothing: those of instruments are copies, which share what does not change.
    pub(crate) blanks: Arc<[ProgramState]>,
    /// Instrument whose state runs a named program.
    pub(crate) named: Vec<Option<usize>>,
    /// Programs of bars that are built from trades.
    pub(crate) built: Built,
    /// Bars that the trade which is being taken ended, with their programs.
    pub(crate) ended: Vec<(usize, Bar)>,
    /// How bars are read that come as messages.
    pub(crate) given: Option<Arc<Layout>>,
    pub(crate) loads: Vec<Loads>,
    pub(crate) crosses: Vec<Vec<(usize, Input)>>,
    /// Values across instruments.
    pub(crate) sections: Sections,
    /// Programs that run at each tick of the graph's clock.
    pub(crate) ticking: Box<[usize]>,
    /// What functions of time need.
    pub(crate) time: TimeInputs,
    /// Registers of the plan's columns.
    pub(crate) columns: Box<[Slot]>,
    pub(crate) scalar_regs: Vec<Registers>,
    pub(crate) batch_regs: Vec<Registers>,
    /// Of blocks, whatever their instrument.
    pub(crate) scratch: Box<Scratch>,
    pub(crate) names: Arc<Vec<String>>,
    /// Number of each instrument by its id.
    pub(crate) numbers: HashMap<String, usize>,
    /// The latest batch's instruments, and our numbers of them.
    pub(crate) mapping: Option<(Arc<Instruments>, Arc<[InstrumentId]>)>,
    pub(crate) messages: u64,
    /// For a graph on venue time: what waits for its turn.
    pub(crate) reorder: Option<ReorderBuffer>,
    /// The same, where late messages take their places.
    pub(crate) amending: Option<Box<Amending>>,
    /// On receive time: messages whose readings lie so far ahead that the next must confirm them.
    pub(crate) ahead: Ahead,
    /// Receive time of the message that is being read, on venue time.
    pub(crate) recv_ts_max: i64,
    /// Venue time of the newest message that had its turn.
    pub(crate) event_ts_released: i64,
    /// Rows of a table.
    pub(crate) rows: RowState,
    pub(crate) grouping: Grouping,
    pub(crate) started: bool,
    pub(crate) simd: bool,
    pub(crate) late: EventBatchBuilder,
    pub(crate) books: BookTotals,
    pub(crate) notices: Notices,
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
    /// Checksums of venues that their books met.
    pub checksums: u64,
    /// Checksums that they did not meet.
    pub mismatches: u64,
    /// Cancels, fills and changes of orders that a book did not hold.
    pub orphans: u64,
    /// New orders that a book held already.
    pub repeated: u64,
}

impl Engine {
    /// An engine that has seen nothing.
    pub fn new(plan: Arc<Plan>, options: Options) -> Result<Self, EngineError> {
        let given = options
            .table
            .as_ref()
            .is_some_and(|table| table.holds_bars());
        let built = Built::of(&plan, given);
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
                        program.code.registers,
                        &program.code.consts,
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
        let messages_give = options.table.is_none();
        Ok(Self {
            given: messages_give
                .then(|| Layout::of_messages(&plan))
                .flatten()
                .map(Arc::new),
            schedule: Schedule::new(built.grids(), clock),
            sequencer: match plan.graph.axis {
                Axis::Recv => Sequencer::new(options.jump_max_ns),
                Axis::Event => Sequencer::on_venue_time(options.jump_max_ns, options.lateness_ns),
            },
            instruments: Vec::new(),
            blanks: (plan.programs.iter())
                .map(|program| ProgramState::new(&program.code))
                .collect(),
            named: vec![None; plan.programs.len()],
            built,
            ended: Vec::new(),
            loads,
            crosses,
            sections: Sections::of(&plan),
            ticking: ticking(&plan),
            time: TimeInputs::of(&plan),
            columns: plan.columns.iter().map(|&reg| slot(reg)).collect(),
            scalar_regs: registers(false),
            batch_regs: registers(true),
            scratch: Box::default(),
            names: Arc::default(),
            numbers: HashMap::new(),
            mapping: None,
            messages: 0,
            reorder: (plan.graph.axis == Axis::Event).then(ReorderBuffer::default),
            amending: (plan.graph.axis == Axis::Event && options.amend_ns > 0 && messages_give)
                .then(|| Box::new(Amending::of(&options))),
            ahead: Ahead::default(),
            recv_ts_max: NEVER,
            event_ts_released: NEVER,
            rows: RowState::default(),
            grouping: Grouping::default(),
            started: false,
            simd,
            late: EventBatchBuilder::new(),
            books: BookTotals::default(),
            notices: Notices::default(),
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

    /// The same engine, before its first message, for a tape whose first `messages` messages are not read: offsets count on
    /// from there.
    pub fn starting_after(mut self, messages: u64) -> Self {
        self.messages = messages;
        self
    }

    /// Late messages that were kept aside since the last call.
    pub fn take_late(&mut self) -> Result<EventBatch, EngineError> {
        let table = self.instruments.iter().map(Instrument::described);
        match Instruments::of(table) {
            Ok(table) => Ok(self.late.finish(&Arc::new(table))),
            Err(error) => refuse("INSTRUMENTS", error.to_string()),
        }
    }

    /// The books as they stand, as one snapshot message each: a stream that begins with them goes on from here.
    pub fn book_snapshots(&self) -> Result<EventBatch, EngineError> {
        let mut builder = EventBatchBuilder::new();
        let newest = match self.reorder {
            None => self.sequencer.newest().unwrap_or(0),
            Some(_) => self.recv_ts_max,
        };
        for (i, instrument) in self.instruments.iter().enumerate() {
            let book = instrument.book.book();
            if instrument.book.state() != BookState::Valid {
                continue;
            }
            let header = signal_event::Header {
                kind: match instrument.book.orders() {
                    Some(_) => Kind::Order,
                    None => Kind::BookSnapshot,
                },
                instrument: InstrumentId::at(i),
                ts_recv: newest,
                ts_event: signal_event::NO_TIME,
                sequence: instrument.book.last(),
                sequence_prev: signal_event::NO_RULE,
            };
            if let Some(orders) = instrument.book.orders() {
                builder.push_more(Row {
                    action: Some(OrderAction::Clear),
                    ..Row::default()
                });
                for order in orders {
                    builder.push_more(Row::order(order));
                }
                builder.close(header);
                continue;
            }
            for side in [Side::Bid, Side::Ask] {
                let mut levels = vec![signal_market::Level::default(); book.depth(side)];
                let count = instrument.book.top(side, &mut levels);
                for level in &levels[..count] {
                    builder.push_row(side.code(), level.price, level.qty);
                }
                if let Some(worst) = instrument.book.cut(side) {
                    // The level itself may be gone; up to there the side is known.
                    if count == 0 || levels[count - 1].price != worst {
                        builder.push_row(side.code(), worst, 0);
                    }
                    builder.mark_row(signal_event::flags::CUT);
                }
            }
            builder.close(header);
        }
        match Instruments::of(self.instruments.iter().map(Instrument::described)) {
            Ok(table) => Ok(builder.finish(&Arc::new(table))),
            Err(error) => refuse("INSTRUMENTS", error.to_string()),
        }
    }

    /// Verdicts on the messages, by instrument and kind; no instrument stands for marks.
    pub fn counts(&self) -> BTreeMap<(Option<String>, Kind), Counts> {
        let named = |i: InstrumentId| {
            self.instruments
                .get(i.place())
                .map(|instrument| instrument.id.clone())
        };
        self.sequencer
            .counts()
            .into_iter()
            .map(|((i, kind), counts)| ((named(i), kind), counts))
            .collect()
    }

    /// Verdicts on all messages and rows.
    pub fn total(&self) -> Counts {
        let mut total = self.sequencer.total();
        total.add(&self.rows.counts);
        total
    }

    /// What became of the books.
    pub fn books(&self) -> BookTotals {
        let mut totals = self.books;
        for instrument in &self.instruments {
            let counts = instrument.book.counts();
            totals.checksums += counts.checksums;
            totals.mismatches += counts.mismatches;
            totals.orphans += counts.orphans;
            totals.repeated += counts.repeated;
        }
        totals
    }

    /// What messages since the last call showed to be wrong with their feeds.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.notices.take()
    }

    /// Bytes of state that the engine holds for one instrument at most, without its order book.
    pub fn bytes(&self) -> usize {
        self.plan.bytes()
    }

    /// Has numbers for these instruments, which are the first ones.
    pub(crate) fn know(&mut self, instruments: &[Instrument]) -> Result<(), EngineError> {
        for each in instruments.iter().skip(self.instruments.len()) {
            self.instrument(&each.id, each.scales)?;
        }
        Ok(())
    }

    /// The number of an instrument, which is new or has the same scales as before.
    pub(crate) fn instrument(&mut self, id: &str, scales: [u8; 2]) -> Result<usize, EngineError> {
        if let Some(&i) = self.numbers.get(id) {
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
        if self.instruments.len() >= NO_INSTRUMENT.place() {
            return refuse(
                "INSTRUMENTS",
                format!(
                    "more than {} instruments; the next is {id}",
                    NO_INSTRUMENT.0
                ),
            );
        }
        let own = self
            .options
            .instruments
            .as_ref()
            .is_none_or(|wanted| wanted.contains(id));
        let i = self.instruments.len();
        for (p, program) in self.plan.programs.iter().enumerate() {
            if matches!(&program.stream.scope, Scope::Named(name) if name == id) {
                self.named[p] = Some(i);
            }
        }
        let member = self.plan.graph.universes.iter();
        let member = { member }.any(|universe| !universe.memberships(id).is_empty());
        self.sections.add(&self.plan, id, &self.instruments);
        let mut fresh = Instrument::new(
            id,
            scales,
            &self.plan,
            own,
            member,
            &self.built,
            &self.blanks,
        );
        // Rows of tables go straight to their program_states.
        if self.options.table.is_some() {
            fresh.make_all();
        }
        self.instruments.push(fresh);
        self.numbers.insert(id.to_string(), i);
        Arc::make_mut(&mut self.names).push(id.to_string());
        Ok(i)
    }
}

/// Programs of the clock of a graph that has one, in order of evaluation.
fn ticking(plan: &Plan) -> Box<[usize]> {
    let programs = plan.programs.iter().enumerate();
    let of_clock =
        programs.filter(|(_, program)| matches!(program.stream.source, Source::Clock(_)));
    of_clock.map(|(p, _)| p).collect()
}
