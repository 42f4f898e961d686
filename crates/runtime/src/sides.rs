//! Sides of a quote or a book in a row of numbers: empty levels and crossed sides, as in a capture.

use crate::reason::Reason;
use crate::registers::{Code, Slot, VALID};

/// Columns of one level of one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// The column of its price.
    pub price: Option<usize>,
    /// The column of its quantity.
    pub qty: Option<usize>,
}

/// A register that takes a number of one level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LevelInput {
    /// The register.
    pub reg: Slot,
    /// 0 bids, 1 asks.
    pub side: usize,
    /// Number of the level, the best is 0.
    pub level: usize,
    /// Whether it takes the price.
    pub price: bool,
}

/// Columns of a quote or a book, and the registers that their numbers go to.
///
/// A level is empty if it has no price, or if the row tells quantities and its is not above zero. A book tells nothing
/// while a side is empty; a quote's other side still holds. While the best bid is not below the best ask, nothing holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sides {
    /// Bids, then asks; level 1 first.
    levels: [Vec<Level>; 2],
    inputs: Vec<LevelInput>,
    /// Whether the rows are books, not quotes.
    book: bool,
    /// Columns of prices and of quantities, and those of the best prices if both sides have one.
    prices: Vec<usize>,
    qtys: Vec<usize>,
    best: Option<[usize; 2]>,
}

impl Sides {
    /// Bids and asks, the best level first, and the registers that they feed.
    pub fn new(levels: [Vec<Level>; 2], inputs: Vec<LevelInput>, book: bool) -> Self {
        let all = || levels.iter().flatten();
        let first = |side: usize| levels[side].first()?.price;
        Self {
            prices: all().filter_map(|level| level.price).collect(),
            qtys: all().filter_map(|level| level.qty).collect(),
            best: first(0).zip(first(1)).map(|(bid, ask)| [bid, ask]),
            levels,
            inputs,
            book,
        }
    }

    /// Bids and asks, the best level first.
    pub fn levels(&self) -> &[Vec<Level>; 2] {
        &self.levels
    }

    /// The registers that they feed.
    pub fn inputs(&self) -> &[LevelInput] {
        &self.inputs
    }

    /// Whether the rows are books, not quotes.
    pub fn is_book(&self) -> bool {
        self.book
    }

    /// Columns of prices.
    pub fn prices(&self) -> &[usize] {
        &self.prices
    }

    /// Columns of quantities.
    pub fn qtys(&self) -> &[usize] {
        &self.qtys
    }

    /// Columns of the best bid and ask, if both have one.
    pub fn best(&self) -> Option<[usize; 2]> {
        self.best
    }

    /// Whether nothing of a row of numbers is empty or crossed. If not, [`Sides::check`] says what.
    #[inline(always)]
    pub fn is_plain(&self, row: &[f64]) -> bool {
        self.qtys.iter().all(|&qty| row[qty] > 0.0)
            && self.best.is_none_or(|[bid, ask]| row[bid] < row[ask])
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
        for &LevelInput {
            reg,
            side,
            level,
            price,
        } in &self.inputs
        {
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
