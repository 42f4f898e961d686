//! Bars that end at the trade that fills them: so many trades, so much quantity or money, or more of one side than expected.

use signal_event::{Side, Timestamp};

use super::expected::{Expected, Flow, Sides};
use super::{Bar, BarError};
use crate::LoadError;
use crate::load::{take, take_bool, take_i64};

/// What fills a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Trades, one each.
    Trades,
    /// Their quantity.
    Volume,
    /// Price times quantity, without its sign.
    Notional,
}

/// When a bar is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// At the trade that reaches the amount; what is beyond it stays in the bar.
    Whole,
    /// At the amount: the trade is divided between the bars that it fills.
    Divided,
    /// Where buying less selling reaches what bars before had, in either direction (López de Prado 2018, 2.3.2.1).
    Imbalance {
        /// Span of the means over bars before.
        span: u32,
    },
    /// Where the larger of buying and selling reaches what bars before had (López de Prado 2018, 2.3.2.3).
    Run {
        /// Span of the means over bars before.
        span: u32,
    },
}

/// What fills bars, how much of it, and when they are full.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Filling {
    /// What fills them.
    pub measure: Measure,
    /// How much of it; of bars that end by what is expected, how much the first one holds.
    pub amount: f64,
    /// When they are full.
    pub ending: Ending,
}

/// Bars that one divided trade ends at most; what is left of it then stays in the last of them.
pub const ENDED_MAX: usize = 1_000;
/// Bounds of an amount.
pub(super) const LEAST: f64 = 1e-9;
pub(super) const MOST: f64 = 1e18;
/// A bar that ends by what is expected holds at least one part in so many of the amount, and at most so many times it.
const STRETCH: i128 = 8;
/// Quantities and money are counted in this part of their unit, so that ten times 0.1 is 1.
pub const PER_UNIT: f64 = 1e9;

/// Gathers trades into bars that end at the trade that fills them. What they count is whole: trades, or billionths of a
/// quantity or of money.
///
/// A bar begins with its first trade, so none begins before it was observed. Sums run in order of arrival. Trades that
/// were lost may have filled the open bar: it is marked, and goes on until later ones fill it.
///
/// Invariants: the open bar has a trade and is not full; `filled` and the flow are those of the open bar, zero without one.
#[derive(Clone, Debug, PartialEq)]
pub struct FilledBars {
    filling: Filling,
    /// How much fills a bar.
    full: i128,
    open: Option<Bar>,
    filled: i128,
    flow: Flow,
    sides: Sides,
    expected: Option<Expected>,
    connected: bool,
    /// Trades were lost since the newest one.
    losing: bool,
}

impl Filling {
    /// What fills a bar, counted: trades, or billionths of a quantity or of money.
    pub fn full(&self) -> Result<i128, BarError> {
        let full = match self.measure {
            Measure::Trades => self.amount as i128,
            Measure::Volume | Measure::Notional => units(self.amount),
        };
        if !(LEAST..=MOST).contains(&self.amount) || full < 1 {
            return Err(BarError::Amount(self.amount));
        }
        Ok(full)
    }
}

impl FilledBars {
    /// Bars that are filled so.
    pub fn new(filling: Filling) -> Result<FilledBars, BarError> {
        let full = filling.full()?;
        if let Ending::Imbalance { span: 0 } | Ending::Run { span: 0 } = filling.ending {
            return Err(BarError::Span);
        }
        Ok(FilledBars {
            filling,
            full,
            open: None,
            filled: 0,
            flow: Flow::default(),
            sides: Sides::default(),
            expected: None,
            connected: true,
            losing: false,
        })
    }

    /// Adds a trade and gives each bar that it ends to `ended`, in order. Price and quantity must be finite, times in
    /// order. `side` is the aggressor's.
    #[inline]
    pub fn trade(
        &mut self,
        ts: Timestamp,
        price: f64,
        qty: f64,
        side: Side,
        mut ended: impl FnMut(Bar),
    ) {
        let amount = match self.filling.measure {
            Measure::Trades => 1,
            Measure::Volume => units(qty),
            Measure::Notional => units(price * qty),
        };
        match self.filling.ending {
            Ending::Divided => self.divide(ts, price, qty, side, amount, &mut ended),
            Ending::Whole => {
                self.add(ts, price, qty, side, amount);
                if self.filled >= self.full {
                    self.end(&mut ended);
                }
            }
            Ending::Imbalance { span } | Ending::Run { span } => {
                self.add(ts, price, qty, side, amount);
                self.flow.add(self.sides.of(price, side), amount);
                if self.is_expected_end() {
                    self.end_expected(span, &mut ended);
                }
            }
        }
        self.losing = false;
    }

    fn add(&mut self, ts: Timestamp, price: f64, qty: f64, side: Side, amount: i128) {
        let bar = self.open.get_or_insert_with(|| Bar {
            gap: !self.connected || self.losing,
            ..Bar::empty(ts, ts)
        });
        bar.end = ts;
        bar.add(price, qty, side);
        self.filled = self.filled.saturating_add(amount);
    }

    /// Fills bars with a trade until nothing of it is left.
    fn divide(
        &mut self,
        ts: Timestamp,
        price: f64,
        qty: f64,
        side: Side,
        amount: i128,
        ended: &mut impl FnMut(Bar),
    ) {
        let (mut left, mut bars) = (amount, 0);
        loop {
            let room = self.full - self.filled;
            bars += usize::from(left >= room);
            let part = if left < room || bars == ENDED_MAX {
                left
            } else {
                room
            };
            let part_qty = match self.filling.measure {
                _ if part == amount => qty,
                Measure::Volume => part as f64 / PER_UNIT,
                Measure::Trades | Measure::Notional => qty * (part as f64 / amount as f64),
            };
            self.add(ts, price, part_qty, side, part);
            left -= part;
            if self.filled >= self.full {
                self.end(ended);
            }
            if left == 0 {
                return;
            }
        }
    }

    fn end(&mut self, ended: &mut impl FnMut(Bar)) {
        self.filled = 0;
        if let Some(bar) = self.open.take() {
            ended(bar);
        }
    }

    /// Whether the open bar is full by what was expected of it; without an expectation, by the amount.
    fn is_expected_end(&self) -> bool {
        let Some(expected) = &self.expected else {
            return self.filled >= self.full;
        };
        let reached = match self.filling.ending {
            Ending::Run { .. } => self.flow.run() >= expected.run(),
            _ => self.flow.imbalance() >= expected.imbalance(),
        };
        let most = self.full.saturating_mul(STRETCH);
        self.filled >= most || reached && self.filled.saturating_mul(STRETCH) >= self.full
    }

    /// Ends the bar, from which later ones are expected to be like it. Of one that lost trades nobody knows how it was.
    fn end_expected(&mut self, span: u32, ended: &mut impl FnMut(Bar)) {
        let flow = std::mem::take(&mut self.flow);
        if let Some(bar) = &mut self.open {
            bar.partial = self.expected.is_none();
            if !bar.gap {
                match &mut self.expected {
                    Some(expected) => expected.update(&flow, bar.trades, span),
                    none => *none = Some(Expected::of(&flow, bar.trades)),
                }
            }
        }
        self.end(ended);
    }

    /// Trades were lost before the next one: the bar that is open, or opens with it, has a gap.
    pub fn trades_lost(&mut self) {
        self.losing = true;
        self.sides = Sides::default();
        self.mark();
    }

    fn mark(&mut self) {
        if let Some(bar) = &mut self.open {
            bar.gap = true;
        }
    }

    /// The feed is down: the open bar has a gap, and so has every bar that opens until the feed is `connected`.
    pub fn disconnected(&mut self) {
        self.connected = false;
        self.mark();
    }

    /// The feed is up again: bars that open from now on can be whole.
    pub fn connected(&mut self) {
        self.connected = true;
    }

    /// Appends the open bar, what was learned of those before, and the state of the feed.
    pub fn save(&self, out: &mut Vec<u8>) {
        out.push(self.connected.into());
        out.push(self.losing.into());
        self.sides.save(out);
        out.push(self.expected.is_some().into());
        if let Some(expected) = &self.expected {
            expected.save(out);
        }
        out.push(self.open.is_some().into());
        let Some(bar) = &self.open else { return };
        out.extend_from_slice(&bar.start.to_le_bytes());
        out.extend_from_slice(&bar.end.to_le_bytes());
        bar.save(out);
        out.extend_from_slice(&self.filled.to_le_bytes());
        self.flow.save(out);
    }

    /// Takes saved bars, which are filled so, from the front of `bytes`.
    pub fn load(filling: Filling, bytes: &mut &[u8]) -> Result<FilledBars, LoadError> {
        let mut bars =
            FilledBars::new(filling).map_err(|_| LoadError::Invalid("no bar is filled so"))?;
        bars.connected = take_bool(bytes)?;
        bars.losing = take_bool(bytes)?;
        bars.sides = Sides::load(bytes)?;
        if take_bool(bytes)? {
            bars.expected = Some(Expected::load(bytes)?);
        }
        if !take_bool(bytes)? {
            return Ok(bars);
        }
        let mut bar = Bar::empty(take_i64(bytes)?, take_i64(bytes)?);
        bar.load(bytes)?;
        let unknown = !bars.connected || bars.losing;
        if bar.trades == 0 || bar.end < bar.start || unknown && !bar.gap {
            return Err(LoadError::Invalid(
                "an open bar has no trade, ends before it starts, or has no gap without a feed",
            ));
        }
        bars.open = Some(bar);
        bars.filled = i128::from_le_bytes(take(bytes)?);
        bars.flow = Flow::load(bytes)?;
        if bars.filled < 0 || bars.is_full() {
            return Err(LoadError::Invalid("an open bar is full"));
        }
        Ok(bars)
    }

    fn is_full(&self) -> bool {
        match self.filling.ending {
            Ending::Whole | Ending::Divided => self.filled >= self.full,
            Ending::Imbalance { .. } | Ending::Run { .. } => self.is_expected_end(),
        }
    }

    /// Panics with the broken invariant; for tests.
    pub fn check_invariants(&self) {
        let Some(bar) = &self.open else {
            assert!(self.filled == 0 && self.flow == Flow::default());
            return;
        };
        bar.check_invariants();
        assert!(bar.trades > 0, "a bar begins with a trade");
        assert!(bar.start <= bar.end, "a bar ends before it starts");
        assert!(self.filled >= 0 && !self.is_full(), "the open bar is full");
        assert!(
            self.connected && !self.losing || bar.gap,
            "a bar that may have held lost trades has a gap"
        );
    }
}

/// A quantity or money in billionths.
pub fn units(x: f64) -> i128 {
    (x.abs() * PER_UNIT).round() as i128
}
