//! Bars of equal length from trades.

use std::fmt;

use signal_event::{Side, Timestamp};

use crate::LoadError;
use crate::load::{take_bool, take_f64, take_i64, take_u64};

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

/// The trades of one span of time. A bar is stamped, and known, at its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// First moment of the bar.
    pub start: Timestamp,
    /// First moment after the bar; a trade at this moment belongs to the next one.
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
    /// Observation began after the bar did.
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

    /// Volume-weighted mean price: notional over volume. `None` if no quantity traded.
    pub fn vwap(&self) -> Option<f64> {
        (self.volume > 0.0).then(|| self.notional / self.volume)
    }
}

/// What bars refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarError {
    /// A bar's length must be above zero.
    Length(i64),
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

/// Gathers trades into bars that start at multiples of a length since 1970 UTC.
///
/// Observation begins at the first `observe` or trade; from then on every bar is made, also those without trades. Sums
/// run in order of arrival. A bar is closed by its end having come, never by the trade after it: ask
/// [`TimeBars::close`] before giving a trade.
///
/// Invariants: `len_ns` is above zero; the open bar lies between two neighbouring multiples of it, cut off at the ends
/// of time; a bar without trades has no prices, and zero in every sum.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeBars {
    len_ns: i64,
    open: Option<Bar>,
    connected: bool,
    /// Trades were lost since the newest one: bars up to the next trade's may have held them.
    losing: bool,
}

impl TimeBars {
    /// Bars of `len_ns` nanoseconds.
    pub fn new(len_ns: i64) -> Result<TimeBars, BarError> {
        if len_ns <= 0 {
            return Err(BarError::Length(len_ns));
        }
        Ok(TimeBars {
            len_ns,
            open: None,
            connected: true,
            losing: false,
        })
    }

    /// Observation has begun at `ts`, if it had not before. The first bar is partial unless it starts at `ts`.
    pub fn observe(&mut self, ts: Timestamp) {
        if self.open.is_none() {
            let start = ts.saturating_sub(ts.rem_euclid(self.len_ns));
            let mut bar = self.bar(start);
            bar.partial = ts > start;
            self.open = Some(bar);
        }
    }

    /// Whether observation has begun.
    #[inline]
    pub fn is_observed(&self) -> bool {
        self.open.is_some()
    }

    fn bar(&self, start: Timestamp) -> Bar {
        // Only a bar cut off at the beginning of time starts between multiples.
        let len_ns = self.len_ns - start.rem_euclid(self.len_ns);
        let mut bar = Bar::empty(start, start.saturating_add(len_ns));
        bar.gap = !self.connected || self.losing;
        bar
    }

    /// Closes the open bar if it ends at or before `at`, and opens the next. Call it until it gives `None`: after a
    /// silence several bars are due.
    #[inline]
    pub fn close(&mut self, at: Timestamp) -> Option<Bar> {
        let bar = self
            .open
            .filter(|bar| bar.end <= at && bar.end < Timestamp::MAX)?;
        self.open = Some(self.bar(bar.end));
        Some(bar)
    }

    /// Adds a trade to the open bar, which must hold `ts`. Price and quantity must be finite. `side` is the
    /// aggressor's.
    #[inline]
    pub fn trade(
        &mut self,
        ts: Timestamp,
        price: f64,
        qty: f64,
        side: Side,
    ) -> Result<(), BarError> {
        self.observe(ts);
        let Some(bar) = &mut self.open else {
            return Ok(());
        };
        if ts < bar.start || ts >= bar.end && bar.end < Timestamp::MAX {
            return Err(BarError::OutsideBar {
                ts,
                start: bar.start,
                end: bar.end,
            });
        }
        let prices = bar.prices.get_or_insert(BarPrices {
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
        bar.volume += qty;
        if side == Side::Buy {
            bar.buy_volume += qty;
        }
        bar.notional += price * qty;
        bar.trades += 1;
        self.losing = false;
        Ok(())
    }

    /// Trades were lost before the next one: nobody knows where they lie, so every bar from the open one to that of the
    /// next trade has a gap. Bars closed by now keep what was known of them.
    pub fn trades_lost(&mut self) {
        self.losing = true;
        self.trade_unknown();
    }

    /// A trade came that cannot be used: the open bar has a gap.
    pub fn trade_unknown(&mut self) {
        if let Some(bar) = &mut self.open {
            bar.gap = true;
        }
    }

    /// The feed is down: the open bar has a gap, and so has every bar until the feed is `connected`.
    pub fn disconnected(&mut self) {
        self.connected = false;
        self.trade_unknown();
    }

    /// The feed is up again: bars that start from now on can be whole.
    pub fn connected(&mut self) {
        self.connected = true;
    }

    /// Appends the length, the open bar and the state of the feed.
    pub fn save(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.len_ns.to_le_bytes());
        out.push(self.connected.into());
        out.push(self.losing.into());
        out.push(self.open.is_some().into());
        let Some(bar) = &self.open else { return };
        out.extend_from_slice(&bar.start.to_le_bytes());
        out.push(bar.partial.into());
        out.push(bar.gap.into());
        out.push(bar.prices.is_some().into());
        let Some(prices) = &bar.prices else { return };
        for value in [
            prices.open,
            prices.high,
            prices.low,
            prices.close,
            bar.volume,
            bar.buy_volume,
            bar.notional,
        ] {
            out.extend_from_slice(&value.to_le_bytes());
        }
        out.extend_from_slice(&bar.trades.to_le_bytes());
    }

    /// Takes saved bars from the front of `bytes`.
    pub fn load(bytes: &mut &[u8]) -> Result<TimeBars, LoadError> {
        let len_ns = take_i64(bytes)?;
        let mut bars =
            TimeBars::new(len_ns).map_err(|_| LoadError::Invalid("a bar has no length"))?;
        bars.connected = take_bool(bytes)?;
        bars.losing = take_bool(bytes)?;
        if !take_bool(bytes)? {
            return Ok(bars);
        }
        let start = take_i64(bytes)?;
        if start.rem_euclid(len_ns) != 0 && start != Timestamp::MIN {
            return Err(LoadError::Invalid(
                "a bar starts between multiples of its length",
            ));
        }
        let mut bar = bars.bar(start);
        bar.partial = take_bool(bytes)?;
        bar.gap = take_bool(bytes)?;
        if (!bars.connected || bars.losing) && !bar.gap {
            return Err(LoadError::Invalid("a bar without a feed has no gap"));
        }
        if take_bool(bytes)? {
            bar.prices = Some(BarPrices {
                open: take_f64(bytes)?,
                high: take_f64(bytes)?,
                low: take_f64(bytes)?,
                close: take_f64(bytes)?,
            });
            bar.volume = take_f64(bytes)?;
            bar.buy_volume = take_f64(bytes)?;
            bar.notional = take_f64(bytes)?;
            bar.trades = take_u64(bytes)?;
            if bar.trades == 0 {
                return Err(LoadError::Invalid("a bar without trades has prices"));
            }
        }
        bars.open = Some(bar);
        Ok(bars)
    }

    /// Panics with the broken invariant; for tests.
    pub fn check_invariants(&self) {
        assert!(self.len_ns > 0, "a bar has no length");
        let Some(bar) = &self.open else { return };
        assert!(
            bar.start == Timestamp::MIN || bar.start.rem_euclid(self.len_ns) == 0,
            "start is a multiple"
        );
        assert!(
            bar.end == Timestamp::MAX || bar.end.rem_euclid(self.len_ns) == 0,
            "end is a multiple"
        );
        assert_eq!(
            bar.prices.is_some(),
            bar.trades > 0,
            "prices exactly if something traded"
        );
        let sums = [bar.volume, bar.buy_volume, bar.notional];
        assert!(bar.trades > 0 || sums == [0.0; 3], "sums of an empty bar");
        assert!(self.connected || bar.gap, "a bar without a feed has a gap");
        assert!(
            !self.losing || bar.gap,
            "a bar that may have held lost trades has a gap"
        );
    }
}
