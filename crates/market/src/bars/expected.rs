//! What a bar is expected to hold, from those before it.

use signal_event::Side;

use crate::LoadError;
use crate::load::{take, take_bool, take_f64, take_u8, take_u64};

/// Which side traded: the aggressor, or where the venue does not say, the one to which the price moved last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sides {
    price: Option<f64>,
    moved: Side,
}

impl Default for Sides {
    fn default() -> Self {
        Sides {
            price: None,
            moved: Side::None,
        }
    }
}

impl Sides {
    /// The side of a trade.
    pub fn of(&mut self, price: f64, aggressor: Side) -> Side {
        match self.price.replace(price) {
            Some(before) if price > before => self.moved = Side::Buy,
            Some(before) if price < before => self.moved = Side::Sell,
            _ => {}
        }
        match aggressor {
            Side::None => self.moved,
            known => known,
        }
    }

    pub fn save(&self, out: &mut Vec<u8>) {
        out.push(self.price.is_some().into());
        out.extend_from_slice(&self.price.unwrap_or(0.0).to_le_bytes());
        out.push(self.moved.code());
    }

    pub fn load(bytes: &mut &[u8]) -> Result<Sides, LoadError> {
        let known = take_bool(bytes)?;
        let price = take_f64(bytes)?;
        let moved = Side::from_code(take_u8(bytes)?)
            .ok_or(LoadError::Invalid("a side that no trade has"))?;
        Ok(Sides {
            price: known.then_some(price),
            moved,
        })
    }
}

/// What the sides of a bar did: how often, and how much. Trades of no known side are in neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flow {
    buys: u64,
    bought: i128,
    sells: u64,
    sold: i128,
}

impl Flow {
    pub fn add(&mut self, side: Side, amount: i128) {
        match side {
            Side::Buy => {
                self.buys += 1;
                self.bought = self.bought.saturating_add(amount);
            }
            Side::Sell => {
                self.sells += 1;
                self.sold = self.sold.saturating_add(amount);
            }
            Side::None => {}
        }
    }

    /// Bought less sold, without its sign.
    pub fn imbalance(&self) -> f64 {
        (self.bought - self.sold).abs() as f64
    }

    /// The larger of bought and sold.
    pub fn run(&self) -> f64 {
        self.bought.max(self.sold) as f64
    }

    pub fn save(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.buys.to_le_bytes());
        out.extend_from_slice(&self.bought.to_le_bytes());
        out.extend_from_slice(&self.sells.to_le_bytes());
        out.extend_from_slice(&self.sold.to_le_bytes());
    }

    pub fn load(bytes: &mut &[u8]) -> Result<Flow, LoadError> {
        let flow = Flow {
            buys: take_u64(bytes)?,
            bought: i128::from_le_bytes(take(bytes)?),
            sells: take_u64(bytes)?,
            sold: i128::from_le_bytes(take(bytes)?),
        };
        match flow {
            Flow {
                bought: 0..,
                sold: 0..,
                ..
            } => Ok(flow),
            _ => Err(LoadError::Invalid("an amount below zero was traded")),
        }
    }
}

/// Exponentially weighted means over the bars before, of factor 2 / (span + 1). They begin with the first bar's numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Expected {
    /// Trades of a bar: E₀[T].
    trades: f64,
    /// Bought less sold, a trade: E₀[bv].
    signed: f64,
    /// Share of buys among the trades: P[b = 1].
    buys: f64,
    /// Mean amount of a buy: E₀[v | b = 1]. Over bars that had one; 0 before the first.
    buy: f64,
    /// Mean amount of a sell: E₀[v | b = −1].
    sell: f64,
}

impl Expected {
    /// What one bar leads to expect.
    pub fn of(flow: &Flow, trades: u64) -> Expected {
        let mean = |amount: i128, n: u64| {
            if n == 0 {
                0.0
            } else {
                amount as f64 / n as f64
            }
        };
        Expected {
            trades: trades as f64,
            signed: mean(flow.bought - flow.sold, trades),
            buys: flow.buys as f64 / trades as f64,
            buy: mean(flow.bought, flow.buys),
            sell: mean(flow.sold, flow.sells),
        }
    }

    /// Takes one more bar into the means.
    pub fn update(&mut self, flow: &Flow, trades: u64, span: u32) {
        let factor = 2.0 / (f64::from(span) + 1.0);
        let seen = Expected::of(flow, trades);
        let step = |mean: &mut f64, seen: f64| *mean += factor * (seen - *mean);
        step(&mut self.trades, seen.trades);
        step(&mut self.signed, seen.signed);
        step(&mut self.buys, seen.buys);
        for (mean, seen, n) in [
            (&mut self.buy, seen.buy, flow.buys),
            (&mut self.sell, seen.sell, flow.sells),
        ] {
            if n > 0 && *mean == 0.0 {
                *mean = seen;
            } else if n > 0 {
                step(mean, seen);
            }
        }
    }

    /// The imbalance at which a bar ends: E₀[T] · |E₀[bv]|.
    pub fn imbalance(&self) -> f64 {
        self.trades * self.signed.abs()
    }

    /// The run at which a bar ends: E₀[T] · max(P·E₀[v | b = 1], (1 − P)·E₀[v | b = −1]).
    pub fn run(&self) -> f64 {
        let bought = self.buys * self.buy;
        let sold = (1.0 - self.buys) * self.sell;
        self.trades * bought.max(sold)
    }

    pub fn save(&self, out: &mut Vec<u8>) {
        for mean in [self.trades, self.signed, self.buys, self.buy, self.sell] {
            out.extend_from_slice(&mean.to_le_bytes());
        }
    }

    pub fn load(bytes: &mut &[u8]) -> Result<Expected, LoadError> {
        let mut next = || match take_f64(bytes)? {
            mean if mean.is_finite() => Ok(mean),
            _ => Err(LoadError::Invalid("a mean is no number")),
        };
        Ok(Expected {
            trades: next()?,
            signed: next()?,
            buys: next()?,
            buy: next()?,
            sell: next()?,
        })
    }
}
