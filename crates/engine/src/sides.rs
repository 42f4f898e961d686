//! Sides of a quote or a book that come as columns of a table: empty levels and crossed sides, as in a capture.

use crate::columns::Column;
use signal_features::{Field, Input};
use signal_runtime::Reason;
use signal_runtime::registers::{Code, Slot, VALID, slot};
use std::ops::Range;

/// Columns of one level of one side.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    price: Option<usize>,
    qty: Option<usize>,
}

/// Columns of a quote or a book, and the registers that their numbers go to.
///
/// A level is empty if it has no price, or if the table tells quantities and its is not above zero. A book tells nothing
/// while a side is empty; a quote's other side still holds. While the best bid is not below the best ask, nothing holds.
#[derive(Clone, Debug)]
pub(crate) struct Sides {
    /// Bids, then asks; level 1 first.
    levels: [Vec<Level>; 2],
    /// Register, side, number of the level from 0, and whether it takes a price.
    registers: Vec<(Slot, usize, usize, bool)>,
    /// Whether the rows are books, not quotes.
    book: bool,
    /// Columns of prices and of quantities, and those of the best prices if both sides have one.
    prices: Vec<usize>,
    qtys: Vec<usize>,
    best: Option<[usize; 2]>,
}

/// Side, number of the level from 0, and whether it is a price.
fn place(field: Field) -> Option<(usize, usize, bool)> {
    let (side, level, price) = match field {
        Field::BidPrice(level) => (0, level, true),
        Field::BidQty(level) => (0, level, false),
        Field::AskPrice(level) => (1, level, true),
        Field::AskQty(level) => (1, level, false),
        _ => return None,
    };
    Some((side, usize::from(level) - 1, price))
}

impl Sides {
    /// The sides among a table's fields, for a program with these inputs.
    pub fn new(fields: &[Field], inputs: &[Input], book: bool) -> Self {
        let mut levels: [Vec<Level>; 2] = Default::default();
        for (column, &field) in fields.iter().enumerate() {
            let Some((side, level, price)) = place(field) else {
                continue;
            };
            if levels[side].len() <= level {
                levels[side].resize(level + 1, Level::default());
            }
            let level = &mut levels[side][level];
            *(if price {
                &mut level.price
            } else {
                &mut level.qty
            }) = Some(column);
        }
        let registers = inputs
            .iter()
            .enumerate()
            .filter_map(|(reg, input)| match input {
                Input::Field(field) => {
                    place(*field).map(|(side, level, price)| (slot(reg), side, level, price))
                }
                _ => None,
            })
            .collect();
        let all = || levels.iter().flatten();
        let first = |side: usize| levels[side].first()?.price;
        Self {
            prices: all().filter_map(|level| level.price).collect(),
            qtys: all().filter_map(|level| level.qty).collect(),
            best: first(0).zip(first(1)).map(|(bid, ask)| [bid, ask]),
            levels,
            registers,
            book,
        }
    }

    /// Whether nothing of a row of numbers is empty or crossed. If not, [`Sides::check`] says what.
    #[inline(always)]
    pub fn is_plain(&self, row: &[f64]) -> bool {
        self.qtys.iter().all(|&qty| row[qty] > 0.0)
            && self.best.is_none_or(|[bid, ask]| row[bid] < row[ask])
    }

    /// The same of rows of columns.
    #[inline(always)]
    pub fn are_plain(&self, columns: &[Column<'_>], rows: Range<usize>) -> bool {
        let whole = |&column: &usize| columns[column].codes.is_none();
        let values = |column: usize| &columns[column].values[rows.clone()];
        let above_zero =
            |&qty: &usize| values(qty).iter().fold(true, |all, &qty| all & (qty > 0.0));
        self.prices.iter().chain(&self.qtys).all(whole)
            && self.qtys.iter().all(above_zero)
            && self.best.is_none_or(|[bid, ask]| {
                let sides = values(bid).iter().zip(values(ask));
                sides.fold(true, |all, (bid, ask)| all & (bid < ask))
            })
    }

    /// Tells `mark` which registers of a row are invalid, and why; `cell` gives the number in a column and its reason.
    /// Gives why the stream itself is invalid: its sides cross.
    #[inline]
    pub fn check(
        &self,
        cell: impl Fn(usize) -> (f64, Code),
        mut mark: impl FnMut(Slot, Code),
    ) -> Code {
        let empty = |side: usize, level: usize| {
            let Some(&Level { price, qty }) = self.levels[side].get(level) else {
                return false;
            };
            // What is not a number is told by its own reason.
            let missing = Reason::Missing.code();
            qty.map(&cell)
                .is_some_and(|(qty, code)| code == missing || (code == VALID && qty <= 0.0))
                || price.map(&cell).is_some_and(|(_, code)| code == missing)
        };
        let best = |side: usize| {
            let (price, code) = cell(self.levels[side].first()?.price?);
            (code == VALID).then_some(price)
        };
        let nobody = [empty(0, 0), empty(1, 0)];
        let crossed = nobody == [false; 2]
            && matches!((best(0), best(1)), (Some(bid), Some(ask)) if bid >= ask);
        for &(reg, side, level, price) in &self.registers {
            if crossed {
                mark(reg, Reason::Crossed.code());
            } else if self.book && nobody.contains(&true)
                || empty(side, level) && (self.book || price)
            {
                mark(reg, Reason::Empty.code());
            }
        }
        if crossed {
            Reason::Crossed.code()
        } else {
            VALID
        }
    }
}
