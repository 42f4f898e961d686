//! Bars that are built from trades: which there are, and what happens at a trade that ends some.
//!
//! Bars of time end at moments of their own (`schedule.rs`). What trades fill ends at a trade, and is known at that trade's
//! moment to all that is evaluated at it: programs run in order of evaluation, those of bars once for each bar that ended.

use signal_event::Side;
use signal_features::{BarSpec, Measure, Plan, Rule, Source};
use signal_market::{Ending, Filling, Grid, Session};

/// Programs of bars that are built from trades.
#[derive(Clone, Debug, Default)]
pub struct Built {
    /// Those of bars of time, and where these lie.
    pub timed: Vec<(usize, Grid)>,
    /// Those of bars that trades fill.
    pub filled: Vec<(usize, Filling)>,
    /// Those of bars that finer bars fill; where trades make these, their programs are among the timed ones, too.
    pub gathered: Vec<(usize, Filling)>,
}

impl Built {
    /// The plan's, where no bars are `given`.
    pub fn of(plan: &Plan, given: bool) -> Self {
        let mut built = Self::default();
        for (p, program) in plan.programs.iter().enumerate() {
            let Source::Bars(spec) = program.stream.source else {
                continue;
            };
            match (filling(spec), spec.of) {
                (Ok(filling), Some(ns)) => {
                    built.gathered.push((p, filling));
                    if !given {
                        built.timed.push((p, Grid::Even(ns)));
                    }
                }
                (Ok(filling), None) if !given => built.filled.push((p, filling)),
                (Err(ns), _) if !given => built.timed.push((p, grid(plan, spec, ns))),
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
