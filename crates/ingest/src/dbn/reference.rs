//! Statistics, auctions and states of trading.

use ::dbn::{ImbalanceMsg, StatMsg, StatType, StatUpdateAction, StatusAction, StatusMsg};
use ::dbn::{UNDEF_ORDER_SIZE, UNDEF_STAT_QUANTITY, UNDEF_TIMESTAMP};
use signal_event::{Header, Kind, ReferenceField as Field, Row, Side, StatusCode, Unit};
use std::ffi::c_char;

use super::market::Market;
use super::symbols::Known;
use super::{of, price, side, time, unused};
use crate::RejectCode;
use crate::json::{Fault, fault};

/// `stat_flags` of a statistic that has none.
const NO_FLAGS: u8 = u8::MAX;

/// One part of a number of DBN's decimals of nine places.
const NANO: f64 = 1e9;

/// The rows of one message of reference data.
struct Told<'a> {
    known: &'a Known,
    rows: Vec<Row>,
}

impl Told<'_> {
    /// A price, if there is one. Of a field without unit it is a number of nine decimals.
    fn price(&mut self, field: Field, px: i64) -> Result<(), Fault> {
        if let Some(px) = price(px) {
            self.rows.push(match field.unit() {
                Unit::Pure => Row::pure(field, px as f64 / NANO),
                _ => Row::reference(field, self.known.price(px)?),
            });
        }
        Ok(())
    }

    /// A quantity of an auction, if there is one.
    fn size(&mut self, field: Field, size: u32, of: Side) -> Result<(), Fault> {
        if size != UNDEF_ORDER_SIZE {
            let qty = self.known.qty(size.into())?;
            self.rows.push(Row {
                side: of,
                ..Row::reference(field, qty)
            });
        }
        Ok(())
    }

    fn count(&mut self, field: Field, count: i64) {
        self.rows.push(Row::reference(field, count));
    }

    /// A time, if there is one.
    fn time(&mut self, field: Field, ns: u64) -> Result<(), Fault> {
        if ns != UNDEF_TIMESTAMP {
            self.rows
                .push(Row::reference(field, time(field.name(), ns)?));
        }
        Ok(())
    }

    /// The venue's one-letter code, if there is one.
    fn letter(&mut self, field: Field, letter: c_char) {
        if letter as u8 != b'~' {
            self.count(field, i64::from(letter as u8));
        }
    }

    /// Yes or no, if it is said.
    fn truth(&mut self, field: Field, letter: c_char) {
        match letter as u8 {
            b'Y' => self.count(field, 1),
            b'N' => self.count(field, 0),
            _ => {}
        }
    }
}

impl Market {
    /// A number that the venue publishes.
    pub(super) fn statistic(&mut self, record: &StatMsg) -> Result<(), Fault> {
        let (known, header) = self.at(&record.hd, record.ts_recv)?;
        if record.update_action == StatUpdateAction::Delete as u8 {
            return Err(unused("a statistic that is taken back"));
        }
        let Some(field) = StatType::try_from(record.stat_type).ok().and_then(field_of) else {
            let what = format!("{}: statistic {}", of(&record.hd), record.stat_type);
            return Err(fault(RejectCode::UnknownFrame, what));
        };
        let mut told = Told {
            known: &known,
            rows: Vec::new(),
        };
        let counts = field.unit() == Unit::Qty;
        told.price(
            if counts { Field::StatisticPrice } else { field },
            record.price,
        )?;
        if record.quantity != UNDEF_STAT_QUANTITY {
            let field = if counts { field } else { Field::StatisticQty };
            told.rows
                .push(Row::reference(field, known.qty(record.quantity)?));
        }
        if told.rows.is_empty() {
            return Err(unused("a statistic without a number"));
        }
        told.time(Field::StatisticTime, record.ts_ref)?;
        if record.stat_flags != NO_FLAGS {
            told.count(Field::StatisticFlags, record.stat_flags.into());
        }
        let rows = told.rows;
        self.refer(header, rows);
        Ok(())
    }

    /// The state of an auction.
    pub(super) fn imbalance(&mut self, record: &ImbalanceMsg) -> Result<(), Fault> {
        let (known, header) = self.at(&record.hd, record.ts_recv)?;
        let mut told = Told {
            known: &known,
            rows: Vec::new(),
        };
        for (field, px) in [
            (Field::AuctionReference, record.ref_price),
            (Field::AuctionContinuousPrice, record.cont_book_clr_price),
            (Field::AuctionCrossPrice, record.auct_interest_clr_price),
            (Field::AuctionShortSalePrice, record.ssr_filling_price),
            (Field::AuctionMatchPrice, record.ind_match_price),
            (Field::AuctionHigh, record.upper_collar),
            (Field::AuctionLow, record.lower_collar),
        ] {
            told.price(field, px)?;
        }
        let (of, unpaired) = (side(record.side), side(record.unpaired_side));
        told.size(Field::AuctionPairedQty, record.paired_qty, Side::None)?;
        told.size(Field::AuctionImbalanceQty, record.total_imbalance_qty, of)?;
        told.size(
            Field::AuctionMarketQty,
            record.market_imbalance_qty,
            Side::None,
        )?;
        told.size(Field::AuctionUnpairedQty, record.unpaired_qty, unpaired)?;
        told.time(Field::AuctionTime, record.auction_time)?;
        told.letter(Field::AuctionType, record.auction_type);
        told.count(Field::AuctionStatus, record.auction_status.into());
        told.count(Field::AuctionFreeze, record.freeze_status.into());
        told.count(Field::AuctionExtensions, record.num_extensions.into());
        told.letter(Field::AuctionVariation, record.significant_imbalance);
        let rows = told.rows;
        self.refer(header, rows);
        Ok(())
    }

    /// A state of trading: what the venue said, and a status where it says whether there is trading.
    pub(super) fn status(&mut self, record: &StatusMsg) -> Result<(), Fault> {
        let (known, header) = self.at(&record.hd, record.ts_recv)?;
        let mut told = Told {
            known: &known,
            rows: Vec::new(),
        };
        told.count(Field::TradingState, record.action.into());
        told.count(Field::TradingReason, record.reason.into());
        told.count(Field::TradingEvent, record.trading_event.into());
        told.truth(Field::IsTrading, record.is_trading);
        told.truth(Field::IsQuoting, record.is_quoting);
        told.truth(
            Field::IsShortSaleRestricted,
            record.is_short_sell_restricted,
        );
        let rows = told.rows;
        let trading = match (
            record.is_trading as u8,
            StatusAction::try_from(record.action),
        ) {
            (b'Y', _) => Some(StatusCode::Resumed),
            (b'N', _) => Some(StatusCode::Halted),
            (_, Ok(StatusAction::Trading)) => Some(StatusCode::Resumed),
            (
                _,
                Ok(
                    StatusAction::Halt
                    | StatusAction::Pause
                    | StatusAction::Suspend
                    | StatusAction::NotAvailableForTrading,
                ),
            ) => Some(StatusCode::Halted),
            _ => None,
        };
        self.refer(header, rows);
        if let Some(code) = trading {
            self.builder.status(header, code, None);
        }
        Ok(())
    }

    /// A message of reference data.
    pub(super) fn refer(&mut self, header: Header, rows: Vec<Row>) {
        for row in rows {
            self.builder.push_more(row);
        }
        self.builder.close(Header {
            kind: Kind::Reference,
            ..header
        });
    }
}

/// The field that holds a statistic's number: a price, or a quantity if it counts one.
fn field_of(kind: StatType) -> Option<Field> {
    Some(match kind {
        StatType::OpeningPrice => Field::Open,
        StatType::IndicativeOpeningPrice => Field::IndicativeOpen,
        StatType::SettlementPrice => Field::Settlement,
        StatType::TradingSessionLowPrice => Field::Low,
        StatType::TradingSessionHighPrice => Field::High,
        StatType::ClearedVolume => Field::ClearedVolume,
        StatType::LowestOffer => Field::LowestAsk,
        StatType::HighestBid => Field::HighestBid,
        StatType::OpenInterest => Field::OpenInterest,
        StatType::FixingPrice => Field::Fixing,
        StatType::ClosePrice => Field::Close,
        StatType::NetChange => Field::NetChange,
        StatType::Vwap => Field::Vwap,
        StatType::Volatility => Field::SettlementIv,
        StatType::Delta => Field::Delta,
        StatType::UncrossingPrice => Field::Uncrossing,
        StatType::UpperPriceLimit => Field::PriceLimitHigh,
        StatType::LowerPriceLimit => Field::PriceLimitLow,
        StatType::BlockVolume => Field::BlockVolume,
        StatType::IndicativeClosePrice => Field::IndicativeClose,
        StatType::MwcbLevel1 => Field::BreakerLevel1,
        StatType::MwcbLevel2 => Field::BreakerLevel2,
        StatType::MwcbLevel3 => Field::BreakerLevel3,
        StatType::AuctionCollarReferencePrice => Field::AuctionReference,
        StatType::AuctionCollarUpperPrice => Field::AuctionHigh,
        StatType::AuctionCollarLowerPrice => Field::AuctionLow,
        StatType::VenueSpecificVolume1 => Field::VenueVolume,
        StatType::VenueSpecificPrice1 => Field::VenuePrice,
        _ => return None,
    })
}
