//! One level of a book.

/// A price and what stands there, as mantissas in the instrument's scales.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// Price mantissa.
    pub price: i64,
    /// Quantity mantissa; above zero.
    pub qty: i64,
}
