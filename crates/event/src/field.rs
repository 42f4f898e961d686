//! Fields of bars and of reference data, and which column holds the number of each.

use crate::kind::codes;

/// What a field's number counts, which says the column that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A mantissa in the instrument's price scale, in `price`.
    Price,
    /// A mantissa in the instrument's quantity scale, in `qty`.
    Qty,
    /// A whole number, in `count`.
    Count,
    /// A number without unit, in `value`.
    Pure,
}

codes! {
    /// Which field of a bar a row holds. A field without a value has no row.
    BarField {
        /// First price.
        Open = 1 "open",
        /// Highest price.
        High = 2 "high",
        /// Lowest price.
        Low = 3 "low",
        /// Last price.
        Close = 4 "close",
        /// Traded quantity.
        Volume = 5 "volume",
        /// Quantity bought by aggressors.
        BuyVolume = 6 "buy_volume",
        /// Number of trades.
        Trades = 7 "trades",
        /// Volume-weighted mean price.
        Vwap = 8 "vwap",
        /// Nanoseconds from the opening to the end. A bar that comes as a message says it.
        Length = 9 "length_ns",
    }
}

impl BarField {
    /// What the field's number counts.
    pub const fn unit(self) -> Unit {
        match self {
            BarField::Volume | BarField::BuyVolume => Unit::Qty,
            BarField::Trades | BarField::Length => Unit::Count,
            BarField::Open | BarField::High | BarField::Low | BarField::Close | BarField::Vwap => {
                Unit::Price
            }
        }
    }
}

codes! {
    /// Which number about an instrument a row of reference data holds.
    ReferenceField {
        /// The price at which positions are marked.
        MarkPrice = 1 "mark_price",
        /// The price of the underlying index.
        IndexPrice = 2 "index_price",
        /// The settlement price.
        Settlement = 3 "settlement",
        /// Open positions.
        OpenInterest = 4 "open_interest",
        /// Quantity traded in the last 24 hours.
        Volume24h = 5 "volume_24h",
        /// Funding rate of a perpetual, for its next payment, as a fraction.
        FundingRate = 6 "funding_rate",
        /// Implied volatility of the best bid, per year, as a fraction.
        BidIv = 7 "bid_iv",
        /// Implied volatility of the best ask.
        AskIv = 8 "ask_iv",
        /// Implied volatility of the mark price.
        MarkIv = 9 "mark_iv",
        /// Change of the price with the underlying.
        Delta = 10 "delta",
        /// Change of delta with the underlying.
        Gamma = 11 "gamma",
        /// Change of the price with volatility.
        Vega = 12 "vega",
        /// Change of the price with time.
        Theta = 13 "theta",
        /// Change of the price with the interest rate.
        Rho = 14 "rho",
        /// When funding is paid next: nanoseconds since 1970 UTC.
        NextFunding = 15 "next_funding_ns",
        /// First price of the session.
        Open = 16 "open",
        /// Highest price of the session.
        High = 17 "high",
        /// Lowest price of the session.
        Low = 18 "low",
        /// Last price of the session, as the venue publishes it.
        Close = 19 "close",
        /// Quantity traded in the session.
        Volume = 20 "volume",
        /// Interest rate, per year, as a fraction.
        InterestRate = 21 "interest_rate",
        /// Price of the underlying that the venue computes an option's numbers with.
        UnderlyingPrice = 22 "underlying_price",
        /// The lowest price at which the venue takes orders.
        PriceLimitLow = 23 "price_limit_low",
        /// The highest price at which the venue takes orders.
        PriceLimitHigh = 24 "price_limit_high",
    }
}

impl ReferenceField {
    /// What the field's number counts.
    pub const fn unit(self) -> Unit {
        use ReferenceField::*;
        match self {
            MarkPrice | IndexPrice | Settlement | Open | High | Low | Close | UnderlyingPrice
            | PriceLimitLow | PriceLimitHigh => Unit::Price,
            OpenInterest | Volume24h | Volume => Unit::Qty,
            NextFunding => Unit::Count,
            FundingRate | BidIv | AskIv | MarkIv | Delta | Gamma | Vega | Theta | Rho
            | InterestRate => Unit::Pure,
        }
    }
}
