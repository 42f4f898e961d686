//! What the engine holds for one instrument.

use crate::built::Built;
use crate::gathered::{Gathered, Made};
use crate::joined::Parts;
use signal_event::{BookRule, Message, Side, decimal};
use signal_features::{Field, Plan, Scope, Source};
use signal_market::{Bar, FilledBars, TimeBars};
use signal_market::{BookState, BookSync, Level};
use signal_runtime::Reason;
use signal_runtime::program_state::{NEVER, ProgramState};
use signal_runtime::registers::{Code, Registers, VALID};
use std::sync::Arc;

/// Book, bars under construction, and the state of each program that runs for the instrument.
///
/// Invariants: `runs[p]` for the plan's own programs if `own` or a member of a universe, and for programs named after this instrument; `program_states[p]`
/// exists if so, from the first event that the program has on: one that has seen nothing is as good as none;
/// `venue[p]` is the newest venue time of the stream of program `p`, `recv_ts_max[p]` its newest receive time; for bars that
/// trades fill, and those cut on receive time, both are those of the newest trade.
#[derive(Debug)]
pub struct Instrument {
    pub id: String,
    pub scales: [u8; 2],
    /// Whether vectors are made for it.
    pub own: bool,
    /// Whether it is a member of a universe at any time.
    pub member: bool,
    /// Whether it has had an event.
    pub seen: bool,
    pub book: Box<BookSync>,
    /// Bars of time from trades, by program.
    pub bars: Vec<(usize, TimeBars)>,
    /// Bars that trades fill, by program.
    pub filled: Vec<(usize, FilledBars)>,
    /// Bars that finer bars fill, by program.
    pub gathered: Vec<(usize, Gathered)>,
    /// Programs that run for it.
    pub runs: Box<[bool]>,
    pub program_states: Vec<Option<Box<ProgramState>>>,
    pub venue: Vec<i64>,
    pub recv_ts_max: Vec<i64>,
    /// What is wrong with the feeds of its book, quotes and trades.
    pub outages: [Outage; 3],
    /// When the next bar that comes as a row of a table ends; [`NEVER`] if none is awaited.
    pub bar_due: i64,
    /// The row of that bar, if it came and waits for the others of its moment.
    pub held: Option<Box<[(f64, Code)]>>,
    /// Longer bars that are made of those that come.
    pub parts: Option<Box<Parts>>,
    /// A state of each program that has seen nothing, to copy.
    blanks: Arc<[ProgramState]>,
}

/// What a status message said of one stream, until another takes it back. A feed that is connected again says nothing
/// about a halt, nor the other way round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outage {
    /// The feed is down.
    pub disconnected: bool,
    /// The venue has stopped trading.
    pub halted: bool,
}

/// The event whose numbers a program loads.
#[derive(Clone, Copy, Debug)]
pub enum Numbers<'a> {
    /// The book of the instrument as it stands.
    Book,
    /// A quote.
    Quote(&'a Message<'a>),
    /// A trade.
    Trade(&'a Message<'a>),
    /// None, for this reason: the feed is down or the venue has stopped.
    Outage(Code),
    /// A closed bar.
    Bar(&'a Bar),
    /// A bar that finer ones have filled.
    Made(&'a Made),
    /// Nothing of its own: the graph's clock.
    None,
}

/// Where a program's own numbers go.
#[derive(Clone, Debug, Default)]
pub struct Loads {
    /// Register and field.
    pub fields: Vec<(usize, Field)>,
    /// Deepest book level read.
    pub levels: usize,
}

impl Instrument {
    pub fn new(
        id: &str,
        scales: [u8; 2],
        plan: &Plan,
        own: bool,
        member: bool,
        built: &Built,
        blanks: &Arc<[ProgramState]>,
    ) -> Self {
        let programs = plan.programs.iter();
        let runs: Box<[bool]> = programs
            .map(|program| match &program.stream.scope {
                Scope::Own => own || member,
                Scope::Named(named) => named == id,
            })
            .collect();
        let timed = built.timed.iter().filter(|(program, _)| runs[*program]);
        let bars = timed
            .filter_map(|(program, grid)| Some((*program, TimeBars::new(grid.clone()).ok()?)))
            .collect();
        let filled = built.filled.iter().filter(|(program, _)| runs[*program]);
        let filled = filled
            .filter_map(|&(program, filling)| Some((program, FilledBars::new(filling).ok()?)))
            .collect();
        let gathered = built.gathered.iter().filter(|(program, _)| runs[*program]);
        let gathered = gathered
            .filter_map(|&(program, filling)| Some((program, Gathered::new(filling)?)))
            .collect();
        Self {
            id: id.to_string(),
            scales,
            own,
            member,
            seen: false,
            book: Box::new(BookSync::with_rule(rule(id), scales)),
            bars,
            filled,
            gathered,
            venue: vec![NEVER; runs.len()],
            recv_ts_max: vec![NEVER; runs.len()],
            program_states: runs.iter().map(|_| None).collect(),
            runs,
            outages: [Outage::default(); 3],
            bar_due: NEVER,
            held: None,
            parts: None,
            blanks: Arc::clone(blanks),
        }
    }

    /// Whether a program runs for the instrument; then its state is there.
    #[inline(always)]
    pub fn ready(&mut self, p: usize) -> bool {
        self.program_states[p].is_some() || self.make(p)
    }

    #[cold]
    fn make(&mut self, p: usize) -> bool {
        if self.runs[p] {
            self.program_states[p] = Some(Box::new(self.blanks[p].clone()));
        }
        self.runs[p]
    }

    /// Makes the program_states of all programs that run for the instrument.
    pub fn make_all(&mut self) {
        for p in 0..self.runs.len() {
            self.ready(p);
        }
    }

    /// Drops program_states that have seen nothing.
    pub fn drop_fresh(&mut self) {
        for state in &mut self.program_states {
            if state.as_ref().is_some_and(|state| state.newest() == NEVER) {
                *state = None;
            }
        }
    }

    /// The instrument as tapes describe it.
    pub fn described(&self) -> signal_event::Instrument {
        signal_event::Instrument {
            id: self.id.clone(),
            price_scale: self.scales[0],
            qty_scale: self.scales[1],
        }
    }

    /// Observation of the instrument has begun at `t`, if it had not before.
    #[inline(always)]
    pub fn observe(&mut self, t: i64) {
        if !self.seen {
            self.seen = true;
            self.bars.iter_mut().for_each(|(_, bars)| bars.observe(t));
        }
    }

    /// What is wrong with a feed.
    pub fn outage_mut(&mut self, source: Source) -> Option<&mut Outage> {
        self.outages.get_mut(feed(source)?)
    }

    /// Why events of a stream are invalid whatever they say. Bars come from trades.
    #[inline(always)]
    pub fn outage(&self, source: Source) -> Code {
        feed(source).map_or(VALID, |feed| self.outages[feed].code())
    }

    /// Loads the numbers of an event into the first registers; gives why the stream itself is invalid, if it is.
    #[inline(always)]
    pub fn load(&self, numbers: Numbers<'_>, loads: &Loads, regs: &mut Registers) -> Code {
        let outage = match numbers {
            Numbers::Book => self.outages[0].code(),
            Numbers::Quote(_) => self.outages[1].code(),
            Numbers::Trade(_) | Numbers::Bar(_) | Numbers::Made(_) => self.outages[2].code(),
            Numbers::Outage(code) => code,
            Numbers::None => VALID,
        };
        if outage != VALID {
            return invalid(loads, regs, outage);
        }
        match numbers {
            Numbers::Book => self.load_book(loads, regs),
            Numbers::Quote(message) if crossed(message.prices(), message.qtys()) => {
                invalid(loads, regs, Reason::Crossed.code())
            }
            Numbers::Quote(message) | Numbers::Trade(message) => {
                self.load_message(message, loads, regs);
                VALID
            }
            Numbers::Bar(bar) => {
                let fields = loads.fields.iter();
                fields.for_each(|&(reg, field)| {
                    let (value, code) = bar_cell(bar, field);
                    regs.set(reg, value, code);
                });
                bar_fault(bar)
            }
            Numbers::Made(bar) => {
                let fields = loads.fields.iter();
                fields.for_each(|&(reg, field)| {
                    let (value, code) = bar.cell(field);
                    regs.set(reg, value, code);
                });
                bar.fault
            }
            Numbers::Outage(_) | Numbers::None => VALID,
        }
    }

    fn load_book(&self, loads: &Loads, regs: &mut Registers) -> Code {
        let reason = reason(self.book.state());
        if reason != Reason::Valid {
            return invalid(loads, regs, reason.code());
        }
        let mut bids = [Level::default(); signal_features::stream::LEVELS_MAX as usize];
        let mut asks = bids;
        let bid_count = self.book.top(Side::Bid, &mut bids[..loads.levels]);
        let ask_count = self.book.top(Side::Ask, &mut asks[..loads.levels]);
        // What a side does not have: nothing stands there, or nobody knows what does.
        let missing = |side| match self.book.cut(side) {
            None => Reason::Empty.code(),
            Some(_) => Reason::Depth.code(),
        };
        let mut absent = [missing(Side::Bid), missing(Side::Ask)];
        // While a side is empty the book says nothing, on either side.
        let (bids, asks) = match (bid_count, ask_count) {
            (0, _) | (_, 0) => {
                absent = [absent[usize::from(bid_count > 0)]; 2];
                (&bids[..0], &asks[..0])
            }
            _ => (&bids[..bid_count], &asks[..ask_count]),
        };
        for &(reg, field) in &loads.fields {
            let (found, absent) = match field {
                Field::BidPrice(level) => (
                    bids.get(usize::from(level) - 1)
                        .map(|found| self.price(found.price)),
                    absent[0],
                ),
                Field::AskPrice(level) => (
                    asks.get(usize::from(level) - 1)
                        .map(|found| self.price(found.price)),
                    absent[1],
                ),
                Field::BidQty(level) => (
                    bids.get(usize::from(level) - 1)
                        .map(|found| self.qty(found.qty)),
                    absent[0],
                ),
                Field::AskQty(level) => (
                    asks.get(usize::from(level) - 1)
                        .map(|found| self.qty(found.qty)),
                    absent[1],
                ),
                _ => (None, Reason::Empty.code()),
            };
            match found {
                Some(value) => regs.set(reg, value, VALID),
                None => regs.set(reg, 0.0, absent),
            }
        }
        VALID
    }

    fn load_message(&self, message: &Message<'_>, loads: &Loads, regs: &mut Registers) {
        let (prices, qtys, sides) = (message.prices(), message.qtys(), message.sides());
        for &(reg, field) in &loads.fields {
            let row = match field {
                Field::AskPrice(_) | Field::AskQty(_) => 1.min(prices.len() - 1),
                _ => 0,
            };
            let value = match field {
                Field::Price | Field::BidPrice(_) | Field::AskPrice(_) => self.price(prices[row]),
                Field::Qty | Field::BidQty(_) | Field::AskQty(_) => self.qty(qtys[row]),
                Field::Side => match sides[row] {
                    side if side == Side::Bid.code() => 1.0,
                    side if side == Side::Ask.code() => -1.0,
                    _ => 0.0,
                },
                _ => 1.0,
            };
            // A quote without quantity on a side has no price there.
            let priced = !matches!(field, Field::BidPrice(_) | Field::AskPrice(_)) || qtys[row] > 0;
            regs.set(
                reg,
                value,
                if priced { VALID } else { Reason::Empty.code() },
            );
        }
    }

    #[inline(always)]
    fn price(&self, mantissa: i64) -> f64 {
        decimal::to_f64(mantissa, self.scales[0])
    }

    #[inline(always)]
    pub fn qty(&self, mantissa: i64) -> f64 {
        decimal::to_f64(mantissa, self.scales[1])
    }
}

/// Why values of a book are invalid; [`Reason::Valid`] if they are not.
fn reason(state: BookState) -> Reason {
    match state {
        BookState::Building => Reason::Building,
        BookState::Valid => Reason::Valid,
        BookState::Gap => Reason::Gap,
        BookState::Crossed => Reason::Crossed,
        BookState::Checksum => Reason::Checksum,
        BookState::Overflow => Reason::Overflow,
    }
}

/// How the messages of an instrument's venue become its book.
fn rule(id: &str) -> BookRule {
    signal_ingest::Venue::of_instrument(id).map_or(BookRule::RANGE, signal_ingest::Venue::rule)
}

/// Whether a quote has both sides and its bid is not below its ask.
fn crossed(prices: &[i64], qtys: &[i64]) -> bool {
    matches!((prices, qtys), ([bid, ask], [bids, asks]) if *bids > 0 && *asks > 0 && bid >= ask)
}

/// Why a bar is invalid throughout.
fn bar_fault(bar: &Bar) -> Code {
    match bar {
        Bar { gap: true, .. } => Reason::Gap.code(),
        Bar { partial: true, .. } => Reason::Warmup.code(),
        _ => VALID,
    }
}

/// What a bar has in a field.
pub(crate) fn bar_cell(bar: &Bar, field: Field) -> (f64, Code) {
    let found = match field {
        Field::Volume => Some(bar.volume),
        Field::BuyVolume => Some(bar.buy_volume),
        Field::Trades => Some(bar.trades as f64),
        Field::Vwap => bar.vwap(),
        _ => bar.prices.map(|prices| match field {
            Field::Open => prices.open,
            Field::High => prices.high,
            Field::Low => prices.low,
            _ => prices.close,
        }),
    };
    match (bar_fault(bar), found) {
        (VALID, Some(value)) => (value, VALID),
        (VALID, None) => (0.0, Reason::Empty.code()),
        (fault, _) => (0.0, fault),
    }
}

/// Every number of an event is invalid, for this reason.
fn invalid(loads: &Loads, regs: &mut Registers, code: Code) -> Code {
    loads
        .fields
        .iter()
        .for_each(|&(reg, _)| regs.set(reg, 0.0, code));
    code
}

/// Place of a stream's feed in [`Instrument::outages`].
#[inline(always)]
fn feed(source: Source) -> Option<usize> {
    match source {
        Source::Book => Some(0),
        Source::Quotes => Some(1),
        Source::Trades | Source::Bars(_) => Some(2),
        Source::Clock(_) => None,
    }
}
