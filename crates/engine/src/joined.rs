//! Bars that are made of shorter ones: five minutes of rows, or of messages, of one minute.
//!
//! A longer bar ends with the shorter one that ends at its end, and is known at that moment. Its parts must follow each other
//! from its start on: if the first is missing because observation began later it is `WARMUP`, if another is missing `GAP`.
//! Without its last part there is none, and its stream begins anew, as after lost messages.
//!
//! Bars in sessions are made of the rows that lie within them, the first at the opening and the last at the close. What lies
//! between sessions is in none.

use crate::layout::Layout;
use signal_features::Field;
use signal_kernels::state::{Exhausted, put_f64, put_i64, put_u64, take, take_f64, take_i64};
use signal_market::Grid;
use signal_runtime::Reason;
use signal_runtime::program_state::NEVER;
use signal_runtime::registers::{Code, VALID};

/// A number, and why there is none.
pub(crate) type Cell = (f64, Code);

/// Parts of longer bars, of one instrument.
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    /// Length of the newest part.
    pub ns: i64,
    /// A longer bar for each fed program of the layout, whether it needs one or not.
    pub(crate) joined: Vec<Joined>,
}

/// A longer bar under construction. Invariant: parts up to `seen` are in it, all of them if it has no fault.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Joined {
    /// Its end; [`NEVER`] before the first part.
    end: i64,
    /// End of its newest part.
    seen: i64,
    /// Why it is invalid.
    pub(crate) fault: Code,
    /// Whether the one before it ended without its last part.
    pub(crate) after_loss: bool,
    /// One a column of the layout; a vwap's holds the money.
    cells: Vec<Cell>,
    /// Quantity that the money was paid for.
    weight: f64,
}

impl Joined {
    pub(crate) fn new() -> Self {
        Self {
            end: NEVER,
            seen: NEVER,
            fault: VALID,
            after_loss: false,
            cells: Vec::new(),
            weight: 0.0,
        }
    }

    /// Adds a part of length `ns` that ends at `t` to the bar that holds it, if one does.
    pub(crate) fn add(
        &mut self,
        fields: &[Field],
        of: &Grid,
        t: i64,
        ns: i64,
        cells: &impl Fn(usize) -> Cell,
    ) {
        let Some((start, end)) = of.bar(t.saturating_sub(1)) else {
            return;
        };
        let begins = t.saturating_sub(ns);
        let expected = if self.end == end {
            self.seen
        } else {
            self.begin(fields, end);
            start
        };
        if begins != expected {
            self.fault = match self.seen {
                NEVER if begins > expected => Reason::Warmup.code(),
                _ => Reason::Gap.code(),
            };
        }
        self.seen = t;
        let volume = fields.iter().position(|field| *field == Field::Volume);
        let volume = volume.map(cells);
        for (column, field) in fields.iter().enumerate() {
            let cell = match cells(column) {
                // Prices of a bar without trades are not unknown; there are none.
                (_, code)
                    if code == Reason::Missing.code()
                        && is_price(*field)
                        && volume == Some((0.0, VALID)) =>
                {
                    (0.0, Reason::Empty.code())
                }
                cell => cell,
            };
            merge(
                &mut self.cells[column],
                &mut self.weight,
                *field,
                cell,
                volume,
            );
        }
    }

    /// Begins the bar that ends at `end`.
    fn begin(&mut self, fields: &[Field], end: i64) {
        self.after_loss = self.end != self.seen;
        (self.end, self.fault, self.weight) = (end, VALID, 0.0);
        self.cells.clear();
        self.cells.extend(fields.iter().copied().map(held_in));
    }

    /// Whether it has ended with a part that ended at `t`.
    pub(crate) fn ends(&self, t: i64) -> bool {
        self.end != NEVER && self.seen == self.end && self.seen == t
    }

    /// What a column holds.
    pub(crate) fn cell(&self, column: usize, field: Field) -> Cell {
        match (field, self.cells[column]) {
            _ if self.fault != VALID => (0.0, self.fault),
            (Field::Vwap, (money, VALID)) if self.weight > 0.0 => (money / self.weight, VALID),
            (Field::Vwap, (_, VALID)) => (0.0, Reason::Empty.code()),
            (_, cell) => cell,
        }
    }
}

/// What a field of a bar holds before its first part.
pub(crate) fn held_in(field: Field) -> Cell {
    let price = is_price(field);
    (0.0, if price { Reason::Empty.code() } else { VALID })
}

/// Adds what a part has in a field to what the bar holds; of a vwap that is the money, and its quantity goes to `weight`.
pub(crate) fn merge(
    held: &mut Cell,
    weight: &mut f64,
    field: Field,
    part: Cell,
    volume: Option<Cell>,
) {
    let empty = Reason::Empty.code();
    if held.1 != VALID && held.1 != empty || part.1 == empty {
        return; // not known, or nothing new
    }
    if part.1 != VALID {
        *held = (0.0, part.1);
        return;
    }
    let first = held.1 == empty;
    *held = match field {
        Field::Vwap => match volume {
            Some((qty, VALID)) => {
                *weight += qty;
                (held.0 + part.0 * qty, VALID)
            }
            other => (0.0, other.map_or(Reason::Missing.code(), |(_, code)| code)),
        },
        Field::Open if !first => *held,
        Field::High if !first && held.0 >= part.0 => *held,
        Field::Low if !first && held.0 <= part.0 => *held,
        Field::Open | Field::High | Field::Low | Field::Close => part,
        _ => (held.0 + part.0, VALID),
    };
}

fn is_price(field: Field) -> bool {
    matches!(
        field,
        Field::Open | Field::High | Field::Low | Field::Close | Field::Vwap
    )
}

impl Parts {
    /// Appends the parts.
    pub fn save(&self, out: &mut Vec<u8>) {
        put_i64(out, self.ns);
        put_u64(out, self.joined.len() as u64);
        for joined in &self.joined {
            put_i64(out, joined.end);
            put_i64(out, joined.seen);
            out.extend_from_slice(&[joined.fault, joined.after_loss.into()]);
            put_f64(out, joined.weight);
            put_u64(out, joined.cells.len() as u64);
            for &(value, code) in &joined.cells {
                put_f64(out, value);
                out.push(code);
            }
        }
    }

    /// Takes what [`Parts::save`] wrote, for this layout, from the front of `bytes`.
    pub fn load(layout: &Layout, bytes: &mut &[u8]) -> Result<Self, Exhausted> {
        let ns = take_i64(bytes)?;
        if ns <= 0 || take_i64(bytes)? != layout.fed.len() as i64 {
            return Err(Exhausted);
        }
        let mut joined = Vec::with_capacity(layout.fed.len());
        for _ in 0..layout.fed.len() {
            let (end, seen) = (take_i64(bytes)?, take_i64(bytes)?);
            let [fault, after_loss] = take(bytes)?;
            let weight = take_f64(bytes)?;
            let columns = take_i64(bytes)?;
            if columns != 0 && columns != layout.columns() as i64
                || (end == NEVER) != (columns == 0)
            {
                return Err(Exhausted);
            }
            let cells = (0..columns).map(|_| Ok((take_f64(bytes)?, take::<1>(bytes)?[0])));
            joined.push(Joined {
                end,
                seen,
                fault,
                after_loss: after_loss != 0,
                weight,
                cells: cells.collect::<Result<_, Exhausted>>()?,
            });
        }
        Ok(Self { ns, joined })
    }
}
