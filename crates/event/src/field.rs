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
        /// Price of the last trade, told at some later moment.
        LastPrice = 25 "last_price",
        /// Quantity of that trade.
        LastQty = 26 "last_qty",
        /// Where the session would open.
        IndicativeOpen = 27 "indicative_open",
        /// Where the session would close.
        IndicativeClose = 28 "indicative_close",
        /// Highest bid of the session.
        HighestBid = 29 "highest_bid",
        /// Lowest ask of the session.
        LowestAsk = 30 "lowest_ask",
        /// Mean price of a fixing period.
        Fixing = 31 "fixing",
        /// Price less the close of the session before.
        NetChange = 32 "net_change",
        /// Volume-weighted mean price of the session.
        Vwap = 33 "vwap",
        /// Price of an auction that neither opens nor closes the session.
        Uncrossing = 34 "uncrossing",
        /// Quantity cleared on the day before.
        ClearedVolume = 35 "cleared_volume",
        /// Quantity of blocks cleared on the day before.
        BlockVolume = 36 "block_volume",
        /// Implied volatility of the settlement price.
        SettlementIv = 37 "settlement_iv",
        /// Index level of the first market-wide halt.
        BreakerLevel1 = 38 "breaker_level_1",
        /// Index level of the second market-wide halt.
        BreakerLevel2 = 39 "breaker_level_2",
        /// Index level of the third market-wide halt.
        BreakerLevel3 = 40 "breaker_level_3",
        /// A quantity of the venue's own kind.
        VenueVolume = 41 "venue_volume",
        /// A price of the venue's own kind.
        VenuePrice = 42 "venue_price",
        /// The price that comes with a statistic of quantities.
        StatisticPrice = 43 "statistic_price",
        /// The quantity that comes with a statistic of prices.
        StatisticQty = 44 "statistic_qty",
        /// The time of which a statistic speaks: nanoseconds since 1970 UTC.
        StatisticTime = 45 "statistic_time_ns",
        /// The venue's flags of a statistic.
        StatisticFlags = 46 "statistic_flags",
        /// Price at which an auction's quantities are counted.
        AuctionReference = 47 "auction_reference",
        /// Highest price at which an auction may clear.
        AuctionHigh = 48 "auction_high",
        /// Lowest price at which an auction may clear.
        AuctionLow = 49 "auction_low",
        /// Where orders of the auction and of the book would clear.
        AuctionContinuousPrice = 50 "auction_continuous_price",
        /// Where orders of the auction alone would clear.
        AuctionCrossPrice = 51 "auction_cross_price",
        /// Price of short sales where they are restricted.
        AuctionShortSalePrice = 52 "auction_short_sale_price",
        /// Where most would trade.
        AuctionMatchPrice = 53 "auction_match_price",
        /// Quantity that finds the other side.
        AuctionPairedQty = 54 "auction_paired_qty",
        /// Quantity that does not; the row's side has it.
        AuctionImbalanceQty = 55 "auction_imbalance_qty",
        /// Quantity of market orders that does not.
        AuctionMarketQty = 56 "auction_market_qty",
        /// Quantity at the reference price or better that does not; the row's side has it.
        AuctionUnpairedQty = 57 "auction_unpaired_qty",
        /// When the auction is to be: nanoseconds since 1970 UTC.
        AuctionTime = 58 "auction_time_ns",
        /// The venue's letter for the kind of auction, as its ASCII code.
        AuctionType = 59 "auction_type",
        /// The venue's code of the auction's state.
        AuctionStatus = 60 "auction_status",
        /// The venue's code of its freeze.
        AuctionFreeze = 61 "auction_freeze",
        /// How often a halt was extended.
        AuctionExtensions = 62 "auction_extensions",
        /// The venue's letter for how far prices vary, as its ASCII code.
        AuctionVariation = 63 "auction_variation",
        /// The venue's code of the state of trading.
        TradingState = 64 "trading_state",
        /// The venue's code of the reason for it.
        TradingReason = 65 "trading_reason",
        /// The venue's code of what it means for trading.
        TradingEvent = 66 "trading_event",
        /// 1 if there is trading, 0 if not.
        IsTrading = 67 "is_trading",
        /// 1 if there are quotes, 0 if not.
        IsQuoting = 68 "is_quoting",
        /// 1 if short sales are restricted, 0 if not.
        IsShortSaleRestricted = 69 "is_short_sale_restricted",
    }
}

impl ReferenceField {
    /// What the field's number counts.
    pub const fn unit(self) -> Unit {
        use ReferenceField::*;
        match self {
            MarkPrice
            | IndexPrice
            | Settlement
            | Open
            | High
            | Low
            | Close
            | UnderlyingPrice
            | PriceLimitLow
            | PriceLimitHigh
            | LastPrice
            | IndicativeOpen
            | IndicativeClose
            | HighestBid
            | LowestAsk
            | Fixing
            | NetChange
            | Vwap
            | Uncrossing
            | BreakerLevel1
            | BreakerLevel2
            | BreakerLevel3
            | VenuePrice
            | StatisticPrice
            | AuctionReference
            | AuctionHigh
            | AuctionLow
            | AuctionContinuousPrice
            | AuctionCrossPrice
            | AuctionShortSalePrice
            | AuctionMatchPrice => Unit::Price,
            OpenInterest | Volume24h | Volume | LastQty | ClearedVolume | BlockVolume
            | VenueVolume | StatisticQty | AuctionPairedQty | AuctionImbalanceQty
            | AuctionMarketQty | AuctionUnpairedQty => Unit::Qty,
            NextFunding
            | StatisticTime
            | StatisticFlags
            | AuctionTime
            | AuctionType
            | AuctionStatus
            | AuctionFreeze
            | AuctionExtensions
            | AuctionVariation
            | TradingState
            | TradingReason
            | TradingEvent
            | IsTrading
            | IsQuoting
            | IsShortSaleRestricted => Unit::Count,
            FundingRate | BidIv | AskIv | MarkIv | Delta | Gamma | Vega | Theta | Rho
            | InterestRate | SettlementIv => Unit::Pure,
        }
    }
}
