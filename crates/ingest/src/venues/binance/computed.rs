//! What the venue computes itself: mark prices of futures, and bars.
//!
//! Bars of spot and of USD-M look alike. A bar is of COIN-M, or of a dated future, if its symbol says so; of USD-M if it comes as
//! a `continuous_kline`; of spot if its stream has a zone, as only spot's have; else it is of the market that named the symbol before.
//! Where an instrument's trades come, its bars say nothing new: they are not used.

use signal_event::{BarField, Header, Kind, ReferenceField, Row, Timestamp};

use super::{FUTURES, Market, SPOT};
use crate::decode::{Listing, Prints};
use crate::json::{Fault, Object, fault};
use crate::{Events, Outcome, Reject, RejectCode};

/// `{"e":"markPriceUpdate","E":…,"s":"BTCUSDT","p":"mark","i":"index","P":"…","r":"funding","T":next funding}`. A dated future has
/// no funding.
pub(super) fn mark_price(
    ts_recv: Timestamp,
    data: &Object<'_>,
    events: &mut Events,
) -> Result<Outcome, Reject> {
    let ts_event = data.ms("E")?;
    let listing = Market::listing(true, &data.text("s")?, events)?;
    let mark = data.decimal("p", listing.price_scale)?;
    let index = match data.has("i") {
        true => Some(data.decimal("i", listing.price_scale)?),
        false => None,
    };
    let rate = match data.has("r") {
        true => data.text("r")?,
        false => b"".into(),
    };
    let mut rows = vec![Row::reference(ReferenceField::MarkPrice, mark)];
    rows.extend(index.map(|index| Row::reference(ReferenceField::IndexPrice, index)));
    if !rate.is_empty() {
        let number = std::str::from_utf8(&rate).ok();
        let number = number.and_then(|text| text.parse::<f64>().ok());
        let Some(number) = number.filter(|number| number.is_finite()) else {
            let detail = format!("r {:?} is no number", String::from_utf8_lossy(&rate));
            return Err(Reject::new(RejectCode::BadValue, detail));
        };
        rows.push(Row::pure(ReferenceField::FundingRate, number));
        if data.has("T") {
            rows.push(Row::reference(ReferenceField::NextFunding, data.ms("T")?));
        }
    }
    rows.into_iter()
        .for_each(|row| events.builder.push_more(row));
    events.close(Header {
        ts_event,
        ..listing.header(Kind::Reference, ts_recv)
    });
    Ok(Outcome::ONE)
}

/// A bar, once it has ended (`"x":true`). One without trades has no prices: the venue repeats the last.
pub(super) fn bar(
    ts_recv: Timestamp,
    stream: &[u8],
    data: &Object<'_>,
    events: &mut Events,
) -> Result<Outcome, Reject> {
    let bar = Object::within(data.get("k")?, "k")?;
    if !bar.truth("x")? {
        return Ok(Outcome::UNUSED);
    }
    let (begin, last) = (bar.ms("t")?, bar.unsigned("T")?);
    let end = last.checked_add(1).and_then(crate::json::ns_of_ms);
    let Some((end, length)) = end.and_then(|end| Some((end, end.checked_sub(begin)?))) else {
        let detail = format!("T {last} is no end");
        return Err(Reject::new(RejectCode::BadValue, detail));
    };
    if length <= 0 {
        let detail = format!("T {last} is before t");
        return Err(Reject::new(RejectCode::BadValue, detail));
    }
    let listing = listing(stream, data, events)?;
    if listing.prints != Prints::Unknown {
        return Ok(Outcome::UNUSED);
    }
    let mut rows = Vec::with_capacity(8);
    let trades = bar.unsigned("n")?;
    for (field, key) in [
        (BarField::Open, "o"),
        (BarField::High, "h"),
        (BarField::Low, "l"),
        (BarField::Close, "c"),
    ] {
        let price = bar.decimal(key, listing.price_scale)?;
        if trades > 0 {
            rows.push(Row::bar(field, price));
        }
    }
    for (field, key) in [(BarField::Volume, "v"), (BarField::BuyVolume, "V")] {
        rows.push(Row::bar(field, bar.decimal(key, listing.qty_scale)?));
    }
    let Ok(trades) = i64::try_from(trades) else {
        return Err(Reject::new(RejectCode::Overflow, format!("n {trades}")));
    };
    rows.push(Row::bar(BarField::Trades, trades));
    rows.push(Row::bar(BarField::Length, length));
    rows.into_iter()
        .for_each(|row| events.builder.push_more(row));
    events.close(Header {
        ts_event: end,
        ..listing.header(Kind::Bar, ts_recv)
    });
    Ok(Outcome::ONE)
}

/// Whose a bar is.
fn listing(stream: &[u8], data: &Object<'_>, events: &mut Events) -> Result<Listing, Fault> {
    if data.has("ps") {
        let (pair, contract) = (data.text("ps")?, data.text("ct")?);
        let symbol = match (&*contract, pair.ends_with(b"USD")) {
            (b"PERPETUAL", false) => pair.to_vec(),
            (b"PERPETUAL", true) => [&*pair, b"_PERP"].concat(),
            _ => {
                let contract = String::from_utf8_lossy(&contract);
                let detail = format!("ct {contract:?} names another instrument each quarter");
                return Err(fault(RejectCode::UnknownInstrument, detail));
            }
        };
        return Market::listing(true, &symbol, events);
    }
    let symbol = data.text("s")?;
    if symbol.contains(&b'_') {
        return Market::listing(true, &symbol, events);
    }
    if stream.iter().filter(|&&byte| byte == b'@').count() > 1 {
        return Market::listing(false, &symbol, events);
    }
    match (events.known(SPOT, &symbol), events.known(FUTURES, &symbol)) {
        (Some(listing), None) | (None, Some(listing)) => Ok(listing),
        _ => {
            let symbol = String::from_utf8_lossy(&symbol);
            let detail = format!(
                "a bar of {symbol:?} may be of spot or of USD-M: subscribe to \"{0}@kline_1m@+08:00\" on spot, to \
                 \"{0}_perpetual@continuousKline_1m\" on USD-M, or to trades or quotes beside it",
                symbol.to_lowercase()
            );
            Err(fault(RejectCode::UnknownInstrument, detail))
        }
    }
}
