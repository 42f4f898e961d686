//! The levels of both sides.

use signal_event::{Message, Side};

use crate::ladder::Ladder;
use crate::level::Level;
use crate::load::{take_count, take_i64};
use crate::{LEVELS_MAX, LevelChange, LoadError};

/// Levels of a message whose places are named; a snapshot has many.
const LEVELS_ASKED: usize = 16;

/// An L2 order book: the quantity at each price, for both sides.
///
/// The book believes what it is told: it may be crossed, and it knows nothing of sequence. [`crate::BookSync`] does.
/// Setting a level near the best costs some nanoseconds, far from it about fifty.
///
/// Invariants: quantities are above zero; a side holds at most [`LEVELS_MAX`] levels.
#[derive(Clone, Debug)]
pub struct OrderBook {
    bids: Ladder,
    asks: Ladder,
}

impl Default for OrderBook {
    fn default() -> Self {
        Self::new()
    }
}

impl OrderBook {
    /// A book without levels.
    pub fn new() -> OrderBook {
        OrderBook {
            bids: Ladder::bids(),
            asks: Ladder::asks(),
        }
    }

    /// Sets the quantity at a price; zero (or less) removes the level. A row of side `None` has no level: nothing
    /// changes.
    #[inline]
    pub fn apply(&mut self, side: Side, price: i64, qty: i64) -> LevelChange {
        match side {
            Side::Bid => self.bids.set(price, qty),
            Side::Ask => self.asks.set(price, qty),
            Side::None => LevelChange::Unknown,
        }
    }

    /// Removes all levels.
    pub fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
    }

    /// Removes the levels of one side.
    pub fn clear_side(&mut self, side: Side) {
        match side {
            Side::Bid => self.bids.clear(),
            Side::Ask => self.asks.clear(),
            Side::None => {}
        }
    }

    /// The highest bid.
    #[inline]
    pub fn best_bid(&self) -> Option<Level> {
        self.bids.best()
    }

    /// The lowest ask.
    #[inline]
    pub fn best_ask(&self) -> Option<Level> {
        self.asks.best()
    }

    /// Fills `out` with the levels of a side from the best outwards; gives how many there were.
    pub fn top(&self, side: Side, out: &mut [Level]) -> usize {
        match side {
            Side::Bid => self.bids.top(out),
            Side::Ask => self.asks.top(out),
            Side::None => 0,
        }
    }

    /// Names the places that lead to the levels.
    #[inline]
    pub fn places(&self, touch: &mut impl FnMut(*const u8)) {
        self.bids.places(touch);
        self.asks.places(touch);
    }

    /// Names the places of the levels that a message sets, and of the best ones.
    #[inline]
    pub fn level_places(&self, message: &Message<'_>, touch: &mut impl FnMut(*const u8)) {
        let rows = message.sides().iter().zip(message.prices());
        for (side, price) in rows.take(LEVELS_ASKED) {
            match Side::from_code(*side) {
                Some(Side::Bid) => self.bids.level_place(*price, touch),
                Some(Side::Ask) => self.asks.level_place(*price, touch),
                _ => {}
            }
        }
        self.bids.best_places(touch);
        self.asks.best_places(touch);
    }

    /// How many levels a side holds.
    pub fn depth(&self, side: Side) -> usize {
        match side {
            Side::Bid => self.bids.len(),
            Side::Ask => self.asks.len(),
            Side::None => 0,
        }
    }

    /// The quantity at a price; zero if no level stands there.
    pub fn qty(&self, side: Side, price: i64) -> i64 {
        match side {
            Side::Bid => self.bids.qty(price),
            Side::Ask => self.asks.qty(price),
            Side::None => 0,
        }
    }

    /// The level of a side that lies farthest from the other.
    pub fn worst(&self, side: Side) -> Option<Level> {
        match side {
            Side::Bid => self.bids.worst(),
            Side::Ask => self.asks.worst(),
            Side::None => None,
        }
    }

    /// Removes the worst levels of both sides until neither has more than `most`; gives how many it removed.
    pub fn truncate(&mut self, most: usize) -> usize {
        self.bids.truncate(most) + self.asks.truncate(most)
    }

    /// Whether both sides are empty.
    pub fn is_empty(&self) -> bool {
        self.depth(Side::Bid) == 0 && self.depth(Side::Ask) == 0
    }

    /// Whether the best bid is at or above the best ask.
    #[inline]
    pub fn is_crossed(&self) -> bool {
        match (self.best_bid(), self.best_ask()) {
            (Some(bid), Some(ask)) => bid.price >= ask.price,
            _ => false,
        }
    }

    /// Appends the levels, best first. Equal books give equal bytes, whatever way they came about.
    pub fn save(&self, out: &mut Vec<u8>) {
        for side in [&self.bids, &self.asks] {
            out.extend_from_slice(&(side.len() as u64).to_le_bytes());
            for level in side.levels() {
                out.extend_from_slice(&level.price.to_le_bytes());
                out.extend_from_slice(&level.qty.to_le_bytes());
            }
        }
    }

    /// Takes a saved book from the front of `bytes`.
    pub fn load(bytes: &mut &[u8]) -> Result<OrderBook, LoadError> {
        let mut book = OrderBook::new();
        for side in [Side::Bid, Side::Ask] {
            let mut last = None;
            for _ in 0..take_count(bytes, LEVELS_MAX, 16)? {
                let (price, qty) = (take_i64(bytes)?, take_i64(bytes)?);
                let outwards = last.is_none_or(|last| {
                    if side == Side::Bid {
                        price < last
                    } else {
                        price > last
                    }
                });
                if !outwards {
                    return Err(LoadError::Invalid("levels are not in order"));
                }
                if qty <= 0 {
                    return Err(LoadError::Invalid("a level has no quantity"));
                }
                book.apply(side, price, qty);
                last = Some(price);
            }
        }
        Ok(book)
    }

    /// Panics with the broken invariant; for tests.
    pub fn check_invariants(&self) {
        self.bids.check_invariants();
        self.asks.check_invariants();
    }
}
