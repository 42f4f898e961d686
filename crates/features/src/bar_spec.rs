//! What makes a bar end, as a graph says it.

use crate::calendar::CalendarName;
use crate::duration::duration;
use std::fmt;

/// Bars of one kind: what is measured, and when a bar ends by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BarSpec {
    /// What is measured, and how much of it.
    pub measure: Measure,
    /// When a bar ends.
    pub rule: Rule,
    /// The calendar in whose sessions, weeks or months bars of time lie, from each opening on.
    pub session: Option<CalendarName>,
    /// The length in nanoseconds of the bars that fill it, each taken as one trade; `None` where trades do.
    pub of: Option<i64>,
}

/// What fills a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// Time, in nanoseconds: bars are stamped at their end.
    Time(i64),
    /// So many trades.
    Ticks(u32),
    /// So much quantity.
    Volume(Amount),
    /// So much price times quantity.
    Notional(Amount),
}

/// When bars that trades fill end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// At the trade that reaches the measure; of time, at its end.
    Fixed,
    /// At the measure itself: a trade is divided between the bars that it fills.
    Divided,
    /// Where buying less selling reaches what is expected from bars before.
    Imbalance {
        /// Bars that the means reach back over, as the span of an exponential mean.
        span: u32,
    },
    /// Where the larger of buying and selling reaches what is expected from bars before.
    Run {
        /// Bars that the means reach back over, as the span of an exponential mean.
        span: u32,
    },
}

/// A finite number above zero. They order as numbers do, because their bits do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(u64);

impl Amount {
    /// The smallest that bars may have.
    pub const LEAST: f64 = 1e-9;
    /// The largest that bars may have.
    pub const MOST: f64 = 1e18;

    /// The number, if bars may have it.
    pub fn new(x: f64) -> Option<Self> {
        (Self::LEAST..=Self::MOST)
            .contains(&x)
            .then(|| Self(x.to_bits()))
    }

    /// The number.
    pub fn get(self) -> f64 {
        f64::from_bits(self.0)
    }
}

impl BarSpec {
    /// Bars of this length in nanoseconds.
    pub const fn time(ns: i64) -> Self {
        Self {
            measure: Measure::Time(ns),
            rule: Rule::Fixed,
            session: None,
            of: None,
        }
    }

    /// The length of bars of time.
    pub fn length_ns(self) -> Option<i64> {
        match self.measure {
            Measure::Time(ns) => Some(ns),
            _ => None,
        }
    }
}

impl fmt::Display for BarSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.measure {
            Measure::Time(ns) => match self.session.as_ref().and_then(|name| name.unit()) {
                Some(unit) => return f.write_str(unit),
                None => f.write_str(&duration(ns))?,
            },
            Measure::Ticks(n) => write!(f, "ticks={n}")?,
            Measure::Volume(amount) => write!(f, "volume={}", amount.get())?,
            Measure::Notional(amount) => write!(f, "notional={}", amount.get())?,
        }
        match self.rule {
            Rule::Fixed => {}
            Rule::Divided => f.write_str(", split=divide")?,
            Rule::Imbalance { span } => write!(f, ", rule=imbalance, span={span}")?,
            Rule::Run { span } => write!(f, ", rule=run, span={span}")?,
        }
        if let Some(calendar) = self.session {
            write!(f, ", session={calendar}")?;
        }
        match self.of {
            Some(ns) => write!(f, ", of={}", duration(ns)),
            None => Ok(()),
        }
    }
}
