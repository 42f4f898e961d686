//! With many instruments most state lies far from the processor when its event comes, and one piece leads to the next: a
//! state to its steps, a step to its window. So while one message is taken, the memory of the coming ones is asked for,
//! each piece some messages before it is needed, and always after the piece that says where it lies.
//!
//! Nothing is read or written: what comes out does not depend on it.

use crate::engine::Engine;
use crate::instrument::Instrument;
use signal_event::{EventBatch, InstrumentId, Kind, Message, NO_INSTRUMENT};
use signal_features::Source;
use signal_runtime::program_state::{ProgramState, Touched};

/// Below so many instruments all state stays near anyway.
const INSTRUMENTS_MIN: usize = 100;
const LINE: usize = 64;

/// Messages between one piece and the next that it leads to.
const GAP: usize = 2;
const STAGES: usize = 6;
const AHEAD: usize = GAP * STAGES;
/// A power of two above [`AHEAD`].
const RING: usize = 16;

/// What is known of the messages that come.
#[derive(Clone, Copy, Debug, Default)]
struct Coming {
    row: usize,
    instrument: usize,
    /// `None`: no stream of a graph reads it.
    source: Option<Source>,
}

/// A run through a batch, some messages ahead of the engine.
///
/// Invariant: `ring` holds the latest of `seen` messages, the newest at `(seen - 1) % RING`; `row` begins the next.
#[derive(Debug)]
pub(crate) struct Fetch {
    ring: [Coming; RING],
    seen: usize,
    row: usize,
    on: bool,
}

impl Fetch {
    /// A run that begins at `row`. It does nothing where there are few instruments.
    pub(crate) fn new(engine: &Engine, row: usize) -> Self {
        Self {
            ring: Default::default(),
            seen: 0,
            row,
            on: engine.instruments.len() >= INSTRUMENTS_MIN,
        }
    }

    /// The engine takes the next message: asks for what the coming ones need.
    #[inline(always)]
    pub(crate) fn step(&mut self, engine: &Engine, batch: &EventBatch, mapping: &[InstrumentId]) {
        if self.on {
            self.step_on(engine, batch, mapping);
        }
    }

    fn step_on(&mut self, engine: &Engine, batch: &EventBatch, mapping: &[InstrumentId]) {
        let missing = if self.seen == 0 { AHEAD } else { 1 };
        for _ in 0..missing {
            let mut coming = Coming::default();
            if let Some(message) = batch.message(self.row) {
                coming = Coming::of(&message, mapping);
                self.row = message.rows.end;
            }
            self.ring[self.seen % RING] = coming;
            self.seen += 1;
            for stage in 0..STAGES {
                let Some(at) = self.seen.checked_sub(1 + stage * GAP) else {
                    break;
                };
                self.ring[at % RING].ask(stage, engine, batch);
            }
        }
    }
}

impl Coming {
    fn of(message: &Message<'_>, mapping: &[InstrumentId]) -> Self {
        let source = match message.kind {
            Kind::Trade => Some(Source::Trades),
            Kind::Quote => Some(Source::Quotes),
            Kind::BookDiff | Kind::BookSnapshot | Kind::Order => Some(Source::Book),
            _ => None,
        };
        Self {
            row: message.rows.start,
            instrument: match message.instrument {
                NO_INSTRUMENT => 0,
                instrument => mapping[instrument.place()].place(),
            },
            source: source.filter(|_| message.instrument != NO_INSTRUMENT),
        }
    }

    #[inline(always)]
    fn ask(&self, stage: usize, engine: &Engine, batch: &EventBatch) {
        let (Some(source), Some(instrument)) =
            (self.source, engine.instruments.get(self.instrument))
        else {
            return;
        };
        if stage == 0 {
            engine
                .sequencer
                .places(InstrumentId::at(self.instrument), &mut ask);
            return whole(
                std::ptr::from_ref(instrument).cast(),
                size_of::<Instrument>(),
            );
        }
        if source == Source::Book {
            match stage {
                1 => instrument.book.places(&mut ask),
                2 => instrument.book.book().places(&mut ask),
                3 => {
                    if let Some(message) = batch.message(self.row) {
                        instrument.book.book().level_places(&message, &mut ask);
                    }
                }
                _ => {}
            }
        }
        if stage == 1 {
            ask(instrument.venue.as_ptr().cast());
            ask(instrument.recv_ts_max.as_ptr().cast());
            ask(instrument.runs.as_ptr().cast());
            return whole(
                instrument.program_states.as_ptr().cast(),
                size_of_val(instrument.program_states.as_slice()),
            );
        }
        for (state, program) in instrument.program_states.iter().zip(&engine.plan.programs) {
            let Some(state) = state else {
                continue;
            };
            if stage == 2 {
                whole(
                    std::ptr::from_ref(&**state).cast(),
                    size_of::<ProgramState>(),
                );
            } else if program.stream.source == source {
                let touched = match stage {
                    3 => Touched::Steps,
                    4 => Touched::States,
                    _ => Touched::Places,
                };
                state.places(touched, &mut whole);
            } else if stage == 3 {
                state.places(Touched::Results, &mut whole);
            }
        }
    }
}

/// Asks for the lines of so many bytes.
#[inline(always)]
fn whole(first: *const u8, bytes: usize) {
    for at in (0..bytes).step_by(LINE) {
        ask(first.wrapping_add(at));
    }
    if bytes > 0 {
        ask(first.wrapping_add(bytes - 1));
    }
}

/// Asks the processor for the cache line at a place.
#[inline(always)]
fn ask(place: *const u8) {
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code)]
    // SAFETY: a hint, which reads nothing and cannot fault, whatever the address.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(place.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}
