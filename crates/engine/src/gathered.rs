//! Bars that finer bars fill: so many trades, so much quantity or money, counted bar by bar of a length of time.
//!
//! A finer bar is taken as one trade of its quantity. With [`Ending::Whole`] the one that reaches the measure is in the bar
//! with all it holds; with [`Ending::Divided`] its sums are divided between the bars that it fills, and each of them has its
//! prices. A longer bar ends with the finer one that fills it, and is known at that moment.
//!
//! The finer bars are rows of a table, messages, or made of trades first: what fills is the same.

use crate::joined::{Cell, held_in, merge};
use crate::layout::FIELDS_OF_BARS;
use signal_features::Field;
use signal_kernels::state::{Exhausted, put_f64, put_u64, take, take_f64, take_i64, take_u64};
use signal_market::{ENDED_MAX, Ending, Filling, Measure, PER_UNIT, units};
use signal_runtime::Reason;
use signal_runtime::registers::{Code, VALID};

/// The numbers of a bar, in the order of [`FIELDS_OF_BARS`].
pub(crate) type Cells = [Cell; FIELDS_OF_BARS.len()];

/// A bar that finer ones make. A vwap's cell holds the money, `weight` the quantity that it was paid for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Made {
    cells: Cells,
    weight: f64,
    /// Why it is invalid.
    pub fault: Code,
}

/// Bars under construction, of one program. What fills them is counted in whole numbers, as of bars that trades fill.
///
/// Invariant: the open bar holds a part and is not full; `filled` is 0 without one.
#[derive(Clone, Debug, PartialEq)]
pub struct Gathered {
    filling: Filling,
    full: i128,
    filled: i128,
    open: Option<Made>,
    /// A part since the newest one was not known.
    losing: bool,
    /// Bars that the newest part has ended.
    ended: Vec<Made>,
}

impl Made {
    fn new(fault: Code) -> Self {
        let empty = FIELDS_OF_BARS.map(|(field, _)| held_in(field));
        Self {
            cells: empty,
            weight: 0.0,
            fault,
        }
    }

    /// What a field holds.
    pub fn cell(&self, field: Field) -> Cell {
        if self.fault != VALID {
            return (0.0, self.fault);
        }
        match (field, self.cells[place(field)]) {
            (Field::Vwap, (money, VALID)) if self.weight > 0.0 => (money / self.weight, VALID),
            (Field::Vwap, (_, VALID)) => (0.0, Reason::Empty.code()),
            (_, cell) => cell,
        }
    }

    fn add(&mut self, part: &Cells) {
        let volume = Some(part[place(Field::Volume)]);
        for ((held, (field, _)), cell) in self.cells.iter_mut().zip(FIELDS_OF_BARS).zip(part) {
            merge(held, &mut self.weight, field, *cell, volume);
        }
    }
}

/// Where a field of bars stands.
fn place(field: Field) -> usize {
    let found = FIELDS_OF_BARS.iter().position(|(each, _)| *each == field);
    found.unwrap_or_default()
}

impl Gathered {
    /// Bars that are filled so; `None` if none are.
    pub fn new(filling: Filling) -> Option<Self> {
        Some(Self {
            filling,
            full: filling.full().ok()?,
            filled: 0,
            open: None,
            losing: false,
            ended: Vec::new(),
        })
    }

    /// Adds a finer bar; the bars that it ends are those that [`Gathered::take_ended`] gives.
    pub fn add(&mut self, part: &Cells) {
        let amount = match self.amount(part) {
            Ok(amount) => amount,
            Err(code) if code == Reason::Empty.code() => return,
            // A bar whose beginning was not seen: observation begins behind it.
            Err(code) if code == Reason::Warmup.code() && self.open.is_none() => return,
            Err(_) => return self.lose(),
        };
        let mut left = amount;
        loop {
            let room = self.full - self.filled;
            let divides = self.filling.ending == Ending::Divided
                && left > room
                && self.ended.len() + 1 < ENDED_MAX;
            let now = if divides { room } else { left };
            let losing = std::mem::take(&mut self.losing);
            let fault = if losing { Reason::Gap.code() } else { VALID };
            let open = self.open.get_or_insert_with(|| Made::new(fault));
            if now == amount {
                open.add(part);
            } else {
                open.add(&share(part, now, amount, self.filling.measure));
            }
            self.filled = self.filled.saturating_add(now);
            left -= now;
            if self.filled >= self.full {
                self.filled = 0;
                self.ended.extend(self.open.take());
            }
            if left == 0 {
                return;
            }
        }
    }

    /// How much of the measure a finer bar holds, or why that is not known: `EMPTY` if nothing was traded in it.
    fn amount(&self, part: &Cells) -> Result<i128, Code> {
        let of = |field: Field| match part[place(field)] {
            (value, VALID) => Ok(value),
            (_, code) => Err(code),
        };
        let empty = Reason::Empty.code();
        let counted = match self.filling.measure {
            Measure::Trades => Field::Trades,
            Measure::Volume | Measure::Notional => Field::Volume,
        };
        let count = of(counted)?;
        if count == 0.0 {
            return Err(empty);
        }
        Ok(match self.filling.measure {
            Measure::Trades => count.abs().round() as i128,
            Measure::Volume => units(count),
            // A price that is not there beside a quantity is not known.
            Measure::Notional => match of(Field::Vwap) {
                Ok(vwap) => units(vwap * count),
                Err(code) if code == empty => return Err(Reason::Missing.code()),
                Err(code) => return Err(code),
            },
        })
    }

    /// A finer bar is not known: the bar that is open, or opens next, may have held it.
    fn lose(&mut self) {
        match &mut self.open {
            Some(open) => open.fault = Reason::Gap.code(),
            None => self.losing = true,
        }
    }

    /// The bars that the newest part has ended, in order.
    pub fn take_ended(&mut self) -> Vec<Made> {
        std::mem::take(&mut self.ended)
    }

    /// Appends the open bar.
    pub fn save(&self, out: &mut Vec<u8>) {
        out.push(self.losing.into());
        out.push(self.open.is_some().into());
        let Some(open) = &self.open else { return };
        put_u64(out, (self.filled >> 64) as u64);
        put_u64(out, self.filled as u64);
        out.push(open.fault);
        put_f64(out, open.weight);
        for (value, code) in open.cells {
            put_f64(out, value);
            out.push(code);
        }
    }

    /// Takes what [`Gathered::save`] wrote of bars that are filled so, from the front of `bytes`.
    pub fn load(filling: Filling, bytes: &mut &[u8]) -> Result<Self, Exhausted> {
        let mut bars = Self::new(filling).ok_or(Exhausted)?;
        let [losing, open] = take(bytes)?;
        bars.losing = losing != 0;
        if open == 0 {
            return Ok(bars);
        }
        let [high, low] = [take_i64(bytes)?, take_u64(bytes)? as i64];
        bars.filled = (i128::from(high) << 64) | i128::from(low as u64);
        let [fault] = take(bytes)?;
        let mut made = Made::new(fault);
        made.weight = take_f64(bytes)?;
        for cell in &mut made.cells {
            *cell = (take_f64(bytes)?, take::<1>(bytes)?[0]);
        }
        bars.open = Some(made);
        match (0..bars.full).contains(&bars.filled) {
            true => Ok(bars),
            false => Err(Exhausted),
        }
    }
}

/// The part of a finer bar that one of the bars holds which it fills: its prices, and that share of its sums.
fn share(part: &Cells, now: i128, amount: i128, measure: Measure) -> Cells {
    let of = now as f64 / amount as f64;
    let mut cells = *part;
    for ((value, _), (field, _)) in cells.iter_mut().zip(FIELDS_OF_BARS) {
        *value = match field {
            Field::Volume if measure == Measure::Volume => now as f64 / PER_UNIT,
            Field::Volume | Field::BuyVolume | Field::Trades => *value * of,
            _ => *value,
        };
    }
    cells
}
