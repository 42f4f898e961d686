//! Where values come from: streams of one instrument and the fields of their events.

use crate::bar_spec::BarSpec;
use crate::duration::duration;
use std::fmt;

/// Whose stream: the instrument that the graph runs for, or a named one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The instrument for which the vector is made.
    Own,
    /// Always this instrument.
    Named(String),
}

/// A kind of stream. The order is the order of evaluation when one moment brings several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Depth: snapshots and diffs, one event a message.
    Book,
    /// Best bid and ask.
    Quotes,
    /// Trades.
    Trades,
    /// Bars, stamped at their end.
    Bars(BarSpec),
    /// Multiples of this many nanoseconds since 1970 UTC.
    Clock(i64),
}

impl Source {
    /// Length in nanoseconds of bars of time.
    pub fn bars_ns(self) -> Option<i64> {
        match self {
            Self::Bars(spec) => spec.length_ns(),
            _ => None,
        }
    }

    /// What fills bars that end where they are full.
    pub fn filled(self) -> Option<BarSpec> {
        match self {
            Self::Bars(spec) if spec.length_ns().is_none() => Some(spec),
            _ => None,
        }
    }

    /// The length of the bars that fill others.
    pub fn filled_by(self) -> Option<i64> {
        self.filled().and_then(|spec| spec.of)
    }
}

/// A source of one instrument.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stream {
    /// Whose.
    pub scope: Scope,
    /// Which.
    pub source: Source,
}

/// One number of a stream's event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// Price of bid level 1, 2, …
    BidPrice(u8),
    /// Quantity of bid level 1, 2, …
    BidQty(u8),
    /// Price of ask level 1, 2, …
    AskPrice(u8),
    /// Quantity of ask level 1, 2, …
    AskQty(u8),
    /// Trade price.
    Price,
    /// Trade quantity.
    Qty,
    /// 1 if the buyer was the aggressor, -1 if the seller, 0 if unknown.
    Side,
    /// 1 at each trade.
    Count,
    /// First price of the bar.
    Open,
    /// Highest price of the bar.
    High,
    /// Lowest price of the bar.
    Low,
    /// Last price of the bar.
    Close,
    /// Sum of quantities.
    Volume,
    /// Volume-weighted mean price.
    Vwap,
    /// Number of trades.
    Trades,
    /// Sum of quantities bought by aggressors.
    BuyVolume,
}

/// Levels a side that a graph may read.
pub const LEVELS_MAX: u8 = 50;

/// A name and the field of each level that carries it.
type Levelled = (&'static str, fn(u8) -> Field);

impl Field {
    /// Field names without a level.
    pub const PLAIN: [(&'static str, Field); 12] = [
        ("price", Field::Price),
        ("qty", Field::Qty),
        ("side", Field::Side),
        ("count", Field::Count),
        ("open", Field::Open),
        ("high", Field::High),
        ("low", Field::Low),
        ("close", Field::Close),
        ("volume", Field::Volume),
        ("vwap", Field::Vwap),
        ("trades", Field::Trades),
        ("buy_volume", Field::BuyVolume),
    ];

    /// Field names that carry a level, as `bid_price_1`.
    const LEVELLED: [Levelled; 4] = [
        ("bid_price", Field::BidPrice),
        ("bid_qty", Field::BidQty),
        ("ask_price", Field::AskPrice),
        ("ask_qty", Field::AskQty),
    ];

    /// The field of this name, if there is one.
    pub fn parse(name: &str) -> Option<Self> {
        if let Some(&(_, field)) = Self::PLAIN.iter().find(|(plain, _)| *plain == name) {
            return Some(field);
        }
        let (stem, level) = name.rsplit_once('_')?;
        let level: u8 = level
            .parse()
            .ok()
            .filter(|level| (1..=LEVELS_MAX).contains(level))?;
        Self::LEVELLED
            .iter()
            .find(|(known, _)| *known == stem)
            .map(|(_, make)| make(level))
    }

    /// Whether events of `source` carry the field.
    pub fn belongs_to(self, source: Source) -> bool {
        match source {
            Source::Book => self.level().is_some(),
            Source::Quotes => self.level() == Some(1),
            Source::Trades => matches!(self, Self::Price | Self::Qty | Self::Side | Self::Count),
            Source::Bars(_) => {
                self.level().is_none()
                    && !matches!(self, Self::Price | Self::Qty | Self::Side | Self::Count)
            }
            Source::Clock(_) => false,
        }
    }

    /// The book level that the field reads.
    pub fn level(self) -> Option<u8> {
        match self {
            Self::BidPrice(level)
            | Self::BidQty(level)
            | Self::AskPrice(level)
            | Self::AskQty(level) => Some(level),
            _ => None,
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::BidPrice(level) => write!(f, "bid_price_{level}"),
            Self::BidQty(level) => write!(f, "bid_qty_{level}"),
            Self::AskPrice(level) => write!(f, "ask_price_{level}"),
            Self::AskQty(level) => write!(f, "ask_qty_{level}"),
            plain => {
                let name = Self::PLAIN
                    .iter()
                    .find(|(_, field)| *field == plain)
                    .map_or("?", |(name, _)| name);
                f.write_str(name)
            }
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Book => f.write_str("book"),
            Self::Quotes => f.write_str("quotes"),
            Self::Trades => f.write_str("trades"),
            Self::Bars(spec) => write!(f, "bars({spec})"),
            Self::Clock(ns) => write!(f, "every({})", duration(ns)),
        }
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scope {
            Scope::Own => write!(f, "{}", self.source),
            Scope::Named(instrument) => write!(f, "{instrument}:{}", self.source),
        }
    }
}
