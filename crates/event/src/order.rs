//! Single orders of a book.

use crate::Side;
use crate::kind::codes;

codes! {
    /// What became of an order.
    OrderAction {
        /// It stands in the book now, with this side, price and quantity.
        Add = 1 "add",
        /// It has this price and quantity now.
        Change = 2 "change",
        /// This quantity of it left the book untraded; quantity 0: all of it.
        Cancel = 3 "cancel",
        /// This quantity of it was traded and left the book.
        Fill = 4 "fill",
        /// All orders of the side left the book; side none: of both. The id is 0.
        Clear = 5 "clear",
        /// It was traded, and says so only: what that does to the book is told by other rows or messages.
        Match = 6 "match",
    }
}

/// What became of one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// The venue's id. One that is no number is the exclusive or of its two 64-bit halves.
    pub id: u64,
    /// What became of it.
    pub action: OrderAction,
    /// Its side; none where the venue does not say.
    pub side: Side,
    /// Mantissa of its price; 0 where the venue does not say.
    pub price: i64,
    /// Mantissa of the quantity that the action tells.
    pub qty: i64,
}
