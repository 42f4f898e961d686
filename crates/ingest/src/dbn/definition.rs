//! What an instrument is.

use ::dbn::{InstrumentClass, InstrumentDefMsg, SecurityUpdateAction, UNDEF_PRICE};
use signal_event::{
    Decimal, Definition, InstrumentKind, OptionRight, OptionStyle, ReferenceField, Row, venue_of,
};

use super::market::Market;
use super::{of, price, time, told, unused};
use crate::RejectCode;
use crate::json::{Fault, fault};

/// Decimal places of DBN's prices and sizes of contracts.
const PLACES: u8 = 9;

impl Market {
    /// A definition, and the prices between which the venue takes orders.
    pub(super) fn define(&mut self, record: &InstrumentDefMsg) -> Result<(), Fault> {
        let refuse = |what: &str| {
            Err(fault(
                RejectCode::BadValue,
                format!("{}: {what}", of(&record.hd)),
            ))
        };
        let Ok(symbol) = record.raw_symbol() else {
            return refuse("its symbol is no text");
        };
        time("ts_recv", record.ts_recv)?;
        self.symbols.named(&record.hd, record.ts_recv, symbol)?;
        let (known, header) = self.at(&record.hd, record.ts_recv)?;
        if record.security_update_action as u8 == SecurityUpdateAction::Delete as u8 {
            return Err(unused("a definition that is taken back"));
        }
        let expiry =
            || Some(told(record.expiration)).filter(|expiry| *expiry != signal_event::NO_TIME);
        let kind = match record.instrument_class() {
            Ok(InstrumentClass::Stock) => InstrumentKind::Equity,
            Ok(InstrumentClass::Bond) => InstrumentKind::Bond,
            Ok(InstrumentClass::Index) => InstrumentKind::Index,
            Ok(InstrumentClass::FxSpot | InstrumentClass::CommoditySpot) => InstrumentKind::Spot,
            Ok(InstrumentClass::Future) => InstrumentKind::Future { expiry: expiry() },
            Ok(
                InstrumentClass::FutureSpread
                | InstrumentClass::OptionSpread
                | InstrumentClass::MixedSpread,
            ) => InstrumentKind::Spread,
            Ok(class @ (InstrumentClass::Call | InstrumentClass::Put)) => {
                let (Some(expiry), Some(strike)) = (expiry(), price(record.strike_price)) else {
                    return refuse("an option without expiry or strike price");
                };
                InstrumentKind::Option {
                    underlying: record.underlying().unwrap_or_default().to_string(),
                    strike: exact(strike),
                    expiry,
                    right: match class {
                        InstrumentClass::Call => OptionRight::Call,
                        _ => OptionRight::Put,
                    },
                    style: style(record),
                }
            }
            _ => return refuse("no class of instrument"),
        };
        let Some(id) = self
            .symbols
            .instruments()
            .get(known.id)
            .map(|one| one.id.clone())
        else {
            return refuse("it has no id");
        };
        let positive = |number: i64| (number != UNDEF_PRICE && number > 0).then(|| exact(number));
        let whole = |number: i32| {
            (number != i32::MAX && number > 0).then(|| Decimal {
                mantissa: number.into(),
                scale: 0,
            })
        };
        let currency = record.currency().unwrap_or_default();
        let definition = Definition {
            multiplier: positive(record.unit_of_measure_qty)
                .or_else(|| whole(record.contract_multiplier)),
            tick: positive(record.min_price_increment),
            lot: whole(record.min_lot_size),
            currency: (!currency.is_empty()).then(|| currency.to_string()),
            ..Definition::new(venue_of(&id), symbol, kind)
        };
        let mut limits = Vec::new();
        for (field, px) in [
            (ReferenceField::PriceLimitLow, record.low_limit_price),
            (ReferenceField::PriceLimitHigh, record.high_limit_price),
        ] {
            if let Some(px) = price(px) {
                limits.push(Row::reference(field, known.price(px)?));
            }
        }
        self.builder.define(header, &definition);
        self.symbols.learn(known.id, header.ts_recv, &definition);
        if !limits.is_empty() {
            self.refer(header, limits);
        }
        Ok(())
    }
}

/// A number of nine decimals with the fewest.
fn exact(mut mantissa: i64) -> Decimal {
    let mut scale = PLACES;
    while scale > 0 && mantissa % 10 == 0 {
        (mantissa, scale) = (mantissa / 10, scale - 1);
    }
    Decimal { mantissa, scale }
}

/// When an option may be exercised, as the third letter of its classification (CFI) says.
fn style(record: &InstrumentDefMsg) -> Option<OptionStyle> {
    match record.cfi().ok()?.as_bytes().get(2)? {
        b'E' => Some(OptionStyle::European),
        b'A' => Some(OptionStyle::American),
        _ => None,
    }
}
