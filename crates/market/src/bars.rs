//! Bars of trades: what a bar holds. [`TimeBars`] end at moments, [`FilledBars`] at the trade that fills them.

use std::fmt;

use signal_event::{Side, Timestamp};

use crate::LoadError;
use crate::load::{take_bool, take_f64, take_u64};

mod expected;
mod filled;
mod grid;
mod time;

pub use filled::{ENDED_MAX, Ending, FilledBars, Filling, Measure, PER_UNIT, units};
pub use grid::{Grid, Session};
pub use time::TimeBars;

/// Prices of a bar in which something traded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BarPrices {
    /// First price.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
}

/// The trades of one span. A bar is stamped, and known, at its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// First moment of the bar; of a filled bar the time of its first trade.
    pub start: Timestamp,
    /// First moment after the bar; a trade at this moment belongs to the next one. Of a filled bar the time of its last
    /// trade.
    pub end: Timestamp,
    /// The prices; `None` if nothing traded.
    pub prices: Option<BarPrices>,
    /// Quantity traded.
    pub volume: f64,
    /// Quantity that aggressors bought. Trades of unknown side count in `volume` only.
    pub buy_volume: f64,
    /// Sum of price times quantity.
    pub notional: f64,
    /// Number of trades.
    pub trades: u64,
    /// Observation began after the bar did; or the bar sets what later ones are expected to be.
    pub partial: bool,
    /// Trades were lost, or the feed was down, during the bar.
    pub gap: bool,
}

impl Bar {
    fn empty(start: Timestamp, end: Timestamp) -> Bar {
        Bar {
            start,
            end,
            prices: None,
            volume: 0.0,
            buy_volume: 0.0,
            notional: 0.0,
            trades: 0,
            partial: false,
            gap: false,
        }
    }

    /// Adds a trade, or the part of one that the bar has room for.
    #[inline]
    fn add(&mut self, price: f64, qty: f64, side: Side) {
        let prices = self.prices.get_or_insert(BarPrices {
            open: price,
            high: price,
            low: price,
            close: price,
        });
        if price > prices.high {
            prices.high = price;
        }
        if price < prices.low {
            prices.low = price;
        }
        prices.close = price;
        self.volume += qty;
        if side == Side::Buy {
            self.buy_volume += qty;
        }
        self.notional += price * qty;
        self.trades += 1;
    }

    /// Appends what is not told by the bar's place in time.
    fn save(&self, out: &mut Vec<u8>) {
        out.push(self.partial.into());
        out.push(self.gap.into());
        out.push(self.prices.is_some().into());
        let Some(prices) = &self.prices else { return };
        for value in [
            prices.open,
            prices.high,
            prices.low,
            prices.close,
            self.volume,
            self.buy_volume,
            self.notional,
        ] {
            out.extend_from_slice(&value.to_le_bytes());
        }
        out.extend_from_slice(&self.trades.to_le_bytes());
    }

    /// Takes the same into an empty bar.
    fn load(&mut self, bytes: &mut &[u8]) -> Result<(), LoadError> {
        self.partial = take_bool(bytes)?;
        self.gap = take_bool(bytes)?;
        if take_bool(bytes)? {
            self.prices = Some(BarPrices {
                open: take_f64(bytes)?,
                high: take_f64(bytes)?,
                low: take_f64(bytes)?,
                close: take_f64(bytes)?,
            });
            self.volume = take_f64(bytes)?;
            self.buy_volume = take_f64(bytes)?;
            self.notional = take_f64(bytes)?;
            self.trades = take_u64(bytes)?;
            if self.trades == 0 {
                return Err(LoadError::Invalid("a bar without trades has prices"));
            }
        }
        Ok(())
    }

    /// Panics with the broken invariant; for tests.
    fn check_invariants(&self) {
        assert_eq!(
            self.prices.is_some(),
            self.trades > 0,
            "prices exactly if something traded"
        );
        let sums = [self.volume, self.buy_volume, self.notional];
        assert!(self.trades > 0 || sums == [0.0; 3], "sums of an empty bar");
    }

    /// Volume-weighted mean price: notional over volume. `None` if no quantity traded.
    pub fn vwap(&self) -> Option<f64> {
        (self.volume > 0.0).then(|| self.notional / self.volume)
    }
}

/// What bars refuse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BarError {
    /// A bar's length must be above zero.
    Length(i64),
    /// Sessions must be in order, and none empty.
    Sessions,
    /// What fills a bar must be above zero, and of a size that sums can hold.
    Amount(f64),
    /// The span of a mean of earlier bars must be above zero.
    Span,
    /// The trade lies outside the open bar: close the bars that are due first, and keep trades in order.
    OutsideBar {
        /// Time of the trade.
        ts: Timestamp,
        /// Start of the open bar.
        start: Timestamp,
        /// End of the open bar.
        end: Timestamp,
    },
}

impl fmt::Display for BarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BarError::Length(len_ns) => write!(
                f,
                "a bar of {len_ns} ns has no length; it must be above zero"
            ),
            BarError::Amount(amount) => write!(
                f,
                "no bar is filled by {amount}; it must be from {} to {}",
                filled::LEAST,
                filled::MOST
            ),
            BarError::Sessions => write!(f, "sessions overlap, are not in order, or one is empty"),
            BarError::Span => write!(f, "a mean over 0 bars; the span must be above zero"),
            BarError::OutsideBar { ts, start, end } => {
                write!(
                    f,
                    "a trade at {ts} is outside the open bar from {start} to before {end}"
                )?;
                write!(
                    f,
                    "; close the bars that are due first, and keep trades in order"
                )
            }
        }
    }
}

impl std::error::Error for BarError {}
