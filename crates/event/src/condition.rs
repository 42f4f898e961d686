//! What a print is, if not an ordinary trade.

use crate::kind::codes;

codes! {
    /// What kind of print a trade is.
    Condition {
        /// A trade of the order book.
        Ordinary = 0 "ordinary",
        /// No trade of the order book, and the venue does not say what.
        OffBook = 1 "off_book",
        /// A transfer of the insurance fund.
        InsuranceFund = 2 "insurance_fund",
        /// A settlement.
        Settlement = 3 "settlement",
        /// A block, or a trade negotiated elsewhere and reported here.
        Block = 4 "block",
        /// A trade of the order book below the round lot.
        OddLot = 5 "odd_lot",
        /// The trade of an auction or cross.
        Auction = 6 "auction",
        /// An earlier print is corrected or taken back.
        Correction = 7 "correction",
    }
}

impl Condition {
    /// Whether the order book itself traded. Prints off the book enter neither bars nor flow.
    pub const fn is_on_book(self) -> bool {
        matches!(
            self,
            Condition::Ordinary | Condition::OddLot | Condition::Auction
        )
    }
}
