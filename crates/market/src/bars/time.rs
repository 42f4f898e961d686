//! Bars that end at moments.

use signal_event::{Side, Timestamp};

use super::grid::Grid;
use super::{Bar, BarError};
use crate::LoadError;
use crate::load::{take_bool, take_i64};

/// Gathers trades into bars that lie on a grid of time: of equal length, or in sessions.
///
/// Observation begins at the first `observe` or trade; from then on every bar is made, also those without trades. Sums
/// run in order of arrival. A bar is closed by its end having come, never by the trade after it, and so is the time between
/// sessions: ask [`TimeBars::close`] before giving a trade, and before the feed changes.
///
/// Invariants: the open bar is a span of the grid, one between sessions too, which is no bar when it ends; a bar without
/// trades has no prices, and zero in every sum.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeBars {
    grid: Grid,
    open: Option<Bar>,
    connected: bool,
    /// Trades were lost since the newest one: bars up to the next trade's may have held them.
    losing: bool,
}

impl TimeBars {
    /// Bars on a grid.
    pub fn new(grid: Grid) -> Result<TimeBars, BarError> {
        Ok(TimeBars {
            grid: grid.checked()?,
            open: None,
            connected: true,
            losing: false,
        })
    }

    /// Observation has begun at `ts`, if it had not before. The first bar is partial unless it starts at `ts`.
    pub fn observe(&mut self, ts: Timestamp) {
        if self.open.is_none() {
            let mut bar = self.bar(ts);
            bar.partial = ts > bar.start;
            self.open = Some(bar);
        }
    }

    /// Where its bars lie.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// Whether observation has begun.
    #[inline]
    pub fn is_observed(&self) -> bool {
        self.open.is_some()
    }

    /// The empty bar that holds `ts`.
    fn bar(&self, ts: Timestamp) -> Bar {
        let span = self.grid.span(ts);
        let mut bar = Bar::empty(span.start, span.end);
        bar.gap = !self.connected || self.losing;
        bar
    }

    /// Closes the open bar if it ends at or before `at`, and opens the next. Call it until it gives `None`: after a
    /// silence several bars are due.
    #[inline]
    pub fn close(&mut self, at: Timestamp) -> Option<Bar> {
        loop {
            let bar = self
                .open
                .filter(|bar| bar.end <= at && bar.end < Timestamp::MAX)?;
            self.open = Some(self.bar(bar.end));
            if self.grid.span(bar.start).counts {
                return Some(bar);
            }
        }
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
        bar.add(price, qty, side);
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

    /// Appends the open bar and the state of the feed.
    pub fn save(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.grid.length().to_le_bytes());
        out.push(self.connected.into());
        out.push(self.losing.into());
        out.push(self.open.is_some().into());
        let Some(bar) = &self.open else { return };
        out.extend_from_slice(&bar.start.to_le_bytes());
        bar.save(out);
    }

    /// Takes saved bars on this grid from the front of `bytes`.
    pub fn load(grid: Grid, bytes: &mut &[u8]) -> Result<TimeBars, LoadError> {
        if take_i64(bytes)? != grid.length() {
            return Err(LoadError::Invalid("bars have another length"));
        }
        let mut bars =
            TimeBars::new(grid).map_err(|_| LoadError::Invalid("a bar has no length"))?;
        bars.connected = take_bool(bytes)?;
        bars.losing = take_bool(bytes)?;
        if !take_bool(bytes)? {
            return Ok(bars);
        }
        let start = take_i64(bytes)?;
        let mut bar = bars.bar(start);
        if bar.start != start {
            return Err(LoadError::Invalid("a bar starts where none does"));
        }
        bar.load(bytes)?;
        if (!bars.connected || bars.losing) && !bar.gap {
            return Err(LoadError::Invalid("a bar without a feed has no gap"));
        }
        bars.open = Some(bar);
        Ok(bars)
    }

    /// Panics with the broken invariant; for tests.
    pub fn check_invariants(&self) {
        let Some(bar) = &self.open else { return };
        let span = self.grid.span(bar.start);
        assert_eq!((bar.start, bar.end), (span.start, span.end), "on the grid");
        bar.check_invariants();
        assert!(self.connected || bar.gap, "a bar without a feed has a gap");
        assert!(
            !self.losing || bar.gap,
            "a bar that may have held lost trades has a gap"
        );
    }
}
