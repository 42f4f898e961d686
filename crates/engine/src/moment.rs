//! What happens at one moment: the streams that have an event, in order of evaluation, and what each samples.
//!
//! A message is a moment of its own, for all streams that it concerns. Bars that end together, of any length and
//! instrument, are one moment. Programs are numbered in order of evaluation, so each reads what is known then.

use crate::built::Fill;
use crate::engine::Engine;
use crate::instrument::{Instrument, Numbers, Outage, bar_cell};
use crate::layout::FIELDS_OF_BARS;
use crate::schedule::Due;
use crate::vectors::Vectors;
use signal_event::{Event, Kind, Message, Side, StatusCode, decimal, venue_of};
use signal_features::{Input, Plan, Scope, Source};
use signal_market::BookState;
use signal_runtime::Reason;
use signal_runtime::program_state::NEVER;
use signal_runtime::registers::{Code, VALID};

impl Engine {
    /// Time moves to `t`: everything due before it happens first. `false` if `out` holds `room` vectors before that: call
    /// again with room to go on.
    #[inline(always)]
    pub(crate) fn advance_to(&mut self, t: i64, room: usize, out: &mut Vectors) -> bool {
        if !self.started {
            self.started = true;
            self.schedule.start(t);
        }
        !self.schedule.is_due(t) || self.run_due(t, room, out)
    }

    fn run_due(&mut self, t: i64, room: usize, out: &mut Vectors) -> bool {
        while out.len() < room {
            let Some((moment, due)) = self.schedule.pop(t) else {
                return true;
            };
            match due {
                Due::Tick => {
                    for k in 0..self.ticking.len() {
                        let p = self.ticking[k];
                        for i in 0..self.instruments.len() {
                            if self.instruments[i].seen {
                                self.run(i, p, moment, moment, Numbers::None, out);
                            }
                        }
                        self.sections.take(p, moment, &self.instruments);
                    }
                }
                Due::Bars => self.end_bars(moment, out),
                Due::Rows => self.end_rows(moment, true, out),
            }
        }
        !self.schedule.is_due(t)
    }

    /// All bars that end at `moment`, program by program, so that a longer one is known to a shorter one and one
    /// instrument's to another's.
    fn end_bars(&mut self, moment: i64, out: &mut Vectors) {
        for k in 0..self.built.timed.len() {
            let p = self.built.timed[k].0;
            if !self.schedule.ends(k, moment) {
                continue;
            }
            for i in 0..self.instruments.len() {
                let bars = self.instruments[i].bars.iter_mut();
                let mut of_program = bars.filter(|(program, _)| *program == p);
                let Some(bar) = of_program.next().and_then(|(_, bars)| bars.close(moment)) else {
                    continue;
                };
                if self.reorder.is_some() {
                    self.instruments[i].recv_ts_max[p] = self.recv_ts_max;
                    self.instruments[i].venue[p] = moment;
                }
                if self.plan.programs[p].stream.source.filled_by().is_some() {
                    let part = FIELDS_OF_BARS.map(|(field, _)| bar_cell(&bar, field));
                    self.run_gathered(i, p, moment, &part, out);
                    continue;
                }
                self.run(i, p, moment, moment, Numbers::Bar(&bar), out);
            }
            self.sections.take(p, moment, &self.instruments);
        }
        self.schedule.pass(moment);
    }

    /// Notes, before time moves on to an accepted message, that others before it were lost: bars and windows that may
    /// have held them are not known.
    pub(crate) fn messages_lost(&mut self, message: &Message<'_>) {
        if message.kind != Kind::Trade {
            return;
        }
        let instrument = &mut self.instruments[message.instrument.place()];
        for (_, bars) in &mut instrument.bars {
            bars.trades_lost();
        }
        for (_, bars) in &mut instrument.filled {
            bars.trades_lost();
        }
        for (state, program) in instrument
            .program_states
            .iter_mut()
            .zip(&self.plan.programs)
        {
            if program.stream.source == Source::Trades
                && let Some(state) = state
            {
                state.lose();
            }
        }
    }

    /// One accepted message, at axis time `t`, which has been reached.
    pub(crate) fn event(&mut self, message: &Message<'_>, t: i64, out: &mut Vectors) {
        match message.kind {
            Kind::Status => return self.status(message, t, out),
            Kind::Bar => return self.bar(message, t, out),
            // No stream of a graph reads them yet.
            Kind::Mark | Kind::Definition | Kind::Reference => return,
            Kind::Trade | Kind::Quote | Kind::BookDiff | Kind::BookSnapshot | Kind::Order => {}
        }
        let i = message.instrument.place();
        let instrument = &mut self.instruments[i];
        instrument.observe(t);
        match message.kind {
            Kind::BookDiff | Kind::BookSnapshot | Kind::Order => {
                let change = instrument.book.apply(message);
                if let Some(what) = change.notice {
                    self.notices.tell(&instrument.id, message.ts_recv, what);
                }
                self.books.superseded += u64::from(change.superseded);
                self.books.gaps += u64::from(change.gap().is_some());
                self.books.crossed += u64::from(change.state == BookState::Crossed);
                // A message older than a joined book is no event: it says nothing new.
                if change.applied || change.state != BookState::Valid {
                    self.run_all(i, Source::Book, message, t, Numbers::Book, out);
                }
            }
            Kind::Quote => {
                self.run_all(i, Source::Quotes, message, t, Numbers::Quote(message), out);
            }
            Kind::Trade => {
                let price = decimal::to_f64(message.prices()[0], instrument.scales[0]);
                let qty = instrument.qty(message.qtys()[0]);
                let side = Side::from_code(message.sides()[0]).unwrap_or(Side::None);
                for (program, bars) in &mut instrument.bars {
                    if !bars.is_observed() {
                        continue; // somebody else gives them
                    }
                    if self.reorder.is_none() {
                        let [venue, recv_ts_max] =
                            [&mut instrument.venue, &mut instrument.recv_ts_max];
                        venue[*program] = venue[*program].max(message.ts_event);
                        recv_ts_max[*program] = recv_ts_max[*program].max(message.ts_recv);
                    }
                    // Bars that end at or before `t` are closed, so the open one holds it.
                    let held = bars.trade(t, price, qty, side);
                    debug_assert!(held.is_ok());
                }
                if instrument.filled.is_empty() {
                    self.run_all(i, Source::Trades, message, t, Numbers::Trade(message), out);
                } else {
                    let fill = Fill {
                        t,
                        received: message.ts_recv,
                        venue: message.ts_event,
                        price,
                        qty,
                        side,
                    };
                    self.filling_trade(i, message, fill, out);
                }
            }
            _ => {}
        }
    }

    /// The feed or the venue changed state, for one instrument, for those of its venue, or for all that are known.
    fn status(&mut self, message: &Message<'_>, t: i64, out: &mut Vectors) {
        let Event::Status {
            scope,
            stream: kind,
            code,
        } = message.event()
        else {
            return;
        };
        if code == StatusCode::Conflated {
            return; // it has been counted, and is no event: what replaces what was left out comes next
        }
        let named = message.instrument.place();
        let venue = match scope {
            signal_event::Scope::Venue => Some(venue_of(&self.instruments[named].id).to_string()),
            signal_event::Scope::Instrument | signal_event::Scope::All => None,
        };
        let concerns = |source: Source| match (source, kind) {
            (_, None) => true,
            (Source::Book, Some(kind)) => {
                matches!(kind, Kind::BookDiff | Kind::BookSnapshot | Kind::Order)
            }
            (Source::Quotes, Some(kind)) => kind == Kind::Quote,
            (Source::Trades, Some(kind)) => kind == Kind::Trade,
            _ => false,
        };
        for i in match scope {
            signal_event::Scope::Instrument => named..named + 1,
            signal_event::Scope::Venue | signal_event::Scope::All => 0..self.instruments.len(),
        } {
            if venue
                .as_deref()
                .is_some_and(|venue| venue_of(&self.instruments[i].id) != venue)
            {
                continue;
            }
            let instrument = &mut self.instruments[i];
            instrument.observe(t);
            instrument.book.apply(message);
            for source in [Source::Book, Source::Quotes, Source::Trades] {
                let Some(outage) = instrument.outage_mut(source).filter(|_| concerns(source))
                else {
                    continue;
                };
                match code {
                    StatusCode::Disconnected => outage.disconnected = true,
                    StatusCode::Connected => outage.disconnected = false,
                    StatusCode::Halted => outage.halted = true,
                    StatusCode::Resumed => outage.halted = false,
                    StatusCode::Conflated => {}
                }
            }
            if concerns(Source::Trades) {
                for (_, bars) in &mut instrument.bars {
                    match code {
                        StatusCode::Disconnected => bars.disconnected(),
                        StatusCode::Connected => bars.connected(),
                        StatusCode::Halted | StatusCode::Resumed | StatusCode::Conflated => {}
                    }
                }
                for (_, bars) in &mut instrument.filled {
                    match code {
                        StatusCode::Disconnected => bars.disconnected(),
                        StatusCode::Connected => bars.connected(),
                        StatusCode::Halted | StatusCode::Resumed | StatusCode::Conflated => {}
                    }
                }
            }
            // Every stream that is down or halted now has an event, invalid for that reason.
            for p in 0..self.plan.programs.len() {
                let source = self.plan.programs[p].stream.source;
                let outage = self.instruments[i].outage(source);
                let is_feed = !matches!(source, Source::Bars(_));
                if is_feed && concerns(source) && outage != VALID {
                    self.run_at(i, p, message, t, Numbers::Outage(outage), out);
                }
            }
        }
    }

    /// The programs of one stream of an instrument, for one message.
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
            if self.plan.programs[p].stream.source == source {
                self.run_at(i, p, message, t, numbers, out);
            }
        }
    }

    /// A program that runs for the instrument, at the times of a message.
    #[inline(always)]
    pub(crate) fn run_at(
        &mut self,
        i: usize,
        p: usize,
        message: &Message<'_>,
        t: i64,
        numbers: Numbers<'_>,
        out: &mut Vectors,
    ) {
        let instrument = &mut self.instruments[i];
        if !instrument.ready(p) {
            return;
        }
        instrument.venue[p] = instrument.venue[p].max(message.ts_event);
        instrument.recv_ts_max[p] = instrument.recv_ts_max[p].max(message.ts_recv);
        let ts_event = if self.reorder.is_some() {
            t
        } else {
            message.ts_event
        };
        self.run(i, p, t, ts_event, numbers, out);
    }

    /// Runs one program for one event and makes the vector if the graph wants one here.
    pub(crate) fn run(
        &mut self,
        i: usize,
        p: usize,
        t: i64,
        ts_event: i64,
        numbers: Numbers<'_>,
        out: &mut Vectors,
    ) {
        if !self.instruments[i].ready(p) {
            return;
        }
        let Some(mut state) = self.instruments[i].program_states[p].take() else {
            return;
        };
        let code = self.instruments[i].load(numbers, &self.loads[p], &mut self.scalar_regs[p]);
        state.note(t, code, &self.plan.programs[p].code);
        self.sample(i, p, t);
        state.run_one(&mut self.scalar_regs[p], t, self.simd);
        self.instruments[i].program_states[p] = Some(state);
        if p == self.plan.on && self.instruments[i].own {
            let stamp = self.stamp(i, t, ts_event);
            out.push_one(stamp, &self.scalar_regs[p], &self.plan.columns);
        }
    }

    /// Loads what program `p` samples from others at `t`.
    #[inline(always)]
    pub(crate) fn sample(&mut self, i: usize, p: usize, t: i64) {
        for (reg, input) in &self.crosses[p] {
            let (value, code) = match input {
                Input::Time(f) => self.time.value(*f, t),
                Input::Section { section, .. } => self.sections.result(*section, i),
                _ => sampled(
                    &self.plan,
                    &self.named,
                    &mut self.instruments,
                    i,
                    p,
                    input,
                    t,
                ),
            };
            self.scalar_regs[p].set(*reg, value, code);
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
    let program = input.program().unwrap_or(at);
    let owner = match plan.programs[program].stream.scope {
        Scope::Own => Some(i),
        Scope::Named(_) => named[program],
    };
    if let (Some(owner), Input::Window { .. }) = (owner, input)
        && program != at
    {
        instruments[owner].ready(program);
    }
    let state = owner.and_then(|owner| instruments[owner].program_states[program].as_mut());
    match (state, input) {
        (Some(state), Input::Last { export, .. }) => state.slot(*export),
        (Some(state), Input::Window { op, read, .. }) => state.window(*op, *read, t),
        (Some(state), Input::Age { .. }) if state.newest() != NEVER => {
            ((t - state.newest()) as f64, VALID)
        }
        // The program's own age while it runs.
        (None, Input::Age { .. }) if program == at => (0.0, VALID),
        _ => (f64::NAN, Reason::Warmup.code()),
    }
}

impl Outage {
    /// Why the stream's events are invalid; [`VALID`] if they are not.
    pub(crate) fn code(self) -> Code {
        match self {
            Self {
                disconnected: true, ..
            } => Reason::Disconnected.code(),
            Self { halted: true, .. } => Reason::Halted.code(),
            _ => VALID,
        }
    }
}
