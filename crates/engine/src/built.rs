//! Bars that are built from trades: which there are, and what happens at a trade that ends some.
//!
//! Bars of time end at moments of their own (`schedule.rs`). What trades fill ends at a trade, and is known at that trade's
//! moment to all that is evaluated at it: programs run in order of evaluation, those of bars once for each bar that ended.

use crate::engine::Engine;
use crate::instrument::Numbers;
use crate::registers::{Code, VALID};
use crate::vectors::Vectors;
use signal_event::{Message, Side};
use signal_features::{BarSpec, Measure, Plan, Rule, Source};
use signal_market::{Bar, Ending, Filling, Grid, Session};

/// Programs of bars that are built from trades.
#[derive(Clone, Debug, Default)]
pub struct Built {
    /// Those of bars of time, and where these lie.
    pub timed: Vec<(usize, Grid)>,
    /// Those of bars that trades fill.
    pub filled: Vec<(usize, Filling)>,
}

impl Built {
    /// The plan's, where no bars are `given`.
    pub fn of(plan: &Plan, given: bool) -> Self {
        let mut built = Self::default();
        for (p, program) in plan.programs.iter().enumerate() {
            match program.stream.source {
                Source::Bars(spec) if !given => match filling(spec) {
                    Ok(filling) => built.filled.push((p, filling)),
                    Err(ns) => built.timed.push((p, grid(plan, spec, ns))),
                },
                _ => {}
            }
        }
        built
    }

    /// Where bars of time lie.
    pub fn grids(&self) -> impl Iterator<Item = Grid> + '_ {
        self.timed.iter().map(|(_, grid)| grid.clone())
    }

    /// How long after the end of a bar of program `p` the next one ends, if one is known to.
    pub fn pace(&self, p: usize, end: i64) -> Option<i64> {
        let (_, grid) = self.timed.iter().find(|(program, _)| *program == p)?;
        match grid.next_end(end) {
            i64::MAX => None,
            next => Some(next.saturating_sub(end)),
        }
    }
}

/// Where bars of time of a source lie; `None` for what is none.
pub(crate) fn grid_of(plan: &Plan, source: Source) -> Option<Grid> {
    match source {
        Source::Bars(spec) => spec.length_ns().map(|ns| grid(plan, spec, ns)),
        _ => None,
    }
}

/// Where bars of this length lie.
fn grid(plan: &Plan, spec: BarSpec, ns: i64) -> Grid {
    let calendar = spec.session.and_then(|name| plan.graph.calendar(name));
    match calendar {
        None => Grid::Even(ns),
        Some(calendar) => {
            let sessions = calendar.sessions();
            let sessions = sessions.map(|(open, close)| Session { open, close });
            Grid::Sessions(ns, sessions.collect())
        }
    }
}

/// What fills bars; the length of those of time.
fn filling(spec: BarSpec) -> Result<Filling, i64> {
    let (measure, amount) = match spec.measure {
        Measure::Time(ns) => return Err(ns),
        Measure::Ticks(n) => (signal_market::Measure::Trades, f64::from(n)),
        Measure::Volume(amount) => (signal_market::Measure::Volume, amount.get()),
        Measure::Notional(amount) => (signal_market::Measure::Notional, amount.get()),
    };
    let ending = match spec.rule {
        Rule::Fixed => Ending::Whole,
        Rule::Divided => Ending::Divided,
        Rule::Imbalance { span } => Ending::Imbalance { span },
        Rule::Run { span } => Ending::Run { span },
    };
    Ok(Filling {
        measure,
        amount,
        ending,
    })
}

/// A trade that may fill bars.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fill {
    /// Its axis time.
    pub t: i64,
    /// When it was received.
    pub received: i64,
    /// The venue's time of it.
    pub venue: i64,
    pub price: f64,
    pub qty: f64,
    pub side: Side,
}

impl Engine {
    /// Adds a trade to the bars that it may fill; those that it ends wait in `ended`.
    pub(crate) fn fill(&mut self, i: usize, fill: Fill) {
        self.ended.clear();
        let instrument = &mut self.instruments[i];
        let [venue, heard] = [&mut instrument.venue, &mut instrument.heard];
        for (p, bars) in &mut instrument.filled {
            venue[*p] = venue[*p].max(fill.venue);
            heard[*p] = heard[*p].max(fill.received);
            let ended = |bar: Bar| self.ended.push((*p, bar));
            bars.trade(fill.t, fill.price, fill.qty, fill.side, ended);
        }
    }

    /// Runs program `p` for each of its bars that ended.
    pub(crate) fn run_ended(
        &mut self,
        i: usize,
        p: usize,
        t: i64,
        ts_event: i64,
        out: &mut Vectors,
    ) {
        for k in 0..self.ended.len() {
            let (program, bar) = self.ended[k];
            if program == p {
                self.run(i, p, t, ts_event, Numbers::Bar(&bar), out);
            }
        }
    }

    /// A trade of an instrument with bars that trades fill: it and the bars that it ends are one moment.
    pub(crate) fn filling_trade(
        &mut self,
        i: usize,
        message: &Message<'_>,
        fill: Fill,
        out: &mut Vectors,
    ) {
        self.fill(i, fill);
        let ts_event = if self.waiting.is_some() {
            fill.t
        } else {
            message.ts_event
        };
        for p in 0..self.plan.programs.len() {
            match self.plan.programs[p].stream.source {
                Source::Trades => {
                    self.run_at(i, p, message, fill.t, Numbers::Trade(message), out);
                }
                source if source.filled().is_some() => {
                    self.run_ended(i, p, fill.t, ts_event, out);
                }
                _ => {}
            }
        }
    }

    /// Runs those programs of bars that trades fill, from the `next` on, that come before `program`.
    pub(crate) fn run_filled(
        &mut self,
        next: &mut usize,
        program: usize,
        i: usize,
        t: i64,
        out: &mut Vectors,
    ) {
        while let Some(&(p, _)) = self.built.filled.get(*next)
            && p < program
        {
            *next += 1;
            self.run_ended(i, p, t, t, out);
        }
    }

    /// A row of a table of trades: what fills bars, or marks them where the row says neither price nor quantity.
    pub(crate) fn fill_from_row(
        &mut self,
        i: usize,
        [t, received]: [i64; 2],
        [price, qty]: [(f64, Code); 2],
        side: Side,
    ) {
        if price.1 != VALID || qty.1 != VALID {
            self.ended.clear();
            let filled = &mut self.instruments[i].filled;
            return filled.iter_mut().for_each(|(_, bars)| bars.trades_lost());
        }
        let fill = Fill {
            t,
            received,
            venue: t,
            price: price.0,
            qty: qty.0,
            side,
        };
        self.fill(i, fill);
    }
}
