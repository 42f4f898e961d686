//! The general way: any layout of the same frames, by key. Decides what a frame means and why it is refused.

use signal_event::{Condition, Header, Kind, NO_RULE, NO_TIME, Row, Side, Timestamp};

use super::{Market, aggressor, computed};
use crate::decode::{Listing, Only, Prints, unheld};
use crate::json::{Cursor, Fault, Object, Shapes, decimal_of, fault, object};
use crate::{Events, Outcome, Reject, RejectCode};

/// Event types of the venue's other streams.
const UNUSED: [&str; 16] = [
    "indexPrice_kline",
    "markPrice_kline",
    "indexPriceUpdate",
    "forceOrder",
    "avgPrice",
    "24hrTicker",
    "24hrMiniTicker",
    "1hTicker",
    "4hTicker",
    "1dTicker",
    "compositeIndex",
    "contractInfo",
    "assetIndexUpdate",
    "outboundAccountPosition",
    "tradingSession",
    "serverShutdown",
];

/// Parses one frame and adds its message.
#[cold]
pub(super) fn frame(
    ts_recv: Timestamp,
    text: &[u8],
    events: &mut Events,
) -> Result<Outcome, Reject> {
    if is_unused(text)? {
        return Ok(Outcome::UNUSED);
    }
    let outer = Object::parse(text, "frame")?;
    let mut stream = b"".into();
    let data = match outer.find("data") {
        Some(data) if outer.has("stream") && data.is_list() => return Ok(Outcome::UNUSED),
        Some(data) if outer.has("stream") => {
            stream = outer.text("stream")?;
            Object::within(data, "data")?
        }
        _ => outer,
    };
    let event = if data.has("e") {
        Some(data.text("e")?)
    } else {
        None
    };
    match event.as_deref() {
        Some(b"depthUpdate") => diff(ts_recv, &data, events),
        Some(b"trade") => trade(ts_recv, &data, events),
        Some(b"aggTrade") => aggregate(ts_recv, &data, events),
        Some(b"markPriceUpdate") => computed::mark_price(ts_recv, &data, events),
        Some(b"kline" | b"continuous_kline") => computed::bar(ts_recv, &stream, &data, events),
        Some(b"bookTicker") => quote(ts_recv, &data, events),
        None if data.has("lastUpdateId") => snapshot(ts_recv, &data, None, events),
        None if data.has("u") && data.has("B") => quote(ts_recv, &data, events),
        Some(event) if UNUSED.iter().any(|unused| unused.as_bytes() == event) => {
            Ok(Outcome::UNUSED)
        }
        None if data.has("result") && data.has("id") => Ok(Outcome::UNUSED),
        other => {
            let what = other.map_or("a frame without an event type".into(), |e| {
                format!("event type {:?}", String::from_utf8_lossy(e))
            });
            let detail = format!(
                "{what} is none of depthUpdate, bookTicker, trade, aggTrade or a depth snapshot"
            );
            Err(Reject::new(RejectCode::UnknownFrame, detail))
        }
    }
}

/// Whether it is of a stream that is not used, or a bar that has not ended, in the wrapper: told without taking it apart, as
/// there are many.
fn is_unused(text: &[u8]) -> Result<bool, Fault> {
    let mut c = Cursor::new(text, Shapes::default());
    let (mut stream, mut unused) = (false, false);
    if !c.begins(b'{') {
        return Ok(false);
    }
    object!(c, {
        "stream" => {
            stream = true;
            c.skip()?;
        },
        "data" => match c.begins(b'{') {
            true => unused = c.lend(is_unused_data)?,
            false => c.skip()?,
        },
    });
    c.end()?;
    Ok(stream && unused)
}

fn is_unused_data(c: &mut Cursor<'_>) -> Result<bool, Fault> {
    let (mut unused, mut bar, mut unfinished) = (false, false, false);
    object!(c, {
        "e" => match c.begins(b'"') {
            true => {
                let event = c.text()?;
                unused = UNUSED.iter().any(|unused| unused.as_bytes() == &*event);
                bar = matches!(&*event, b"kline" | b"continuous_kline");
            }
            false => c.skip()?,
        },
        "k" => match c.begins(b'{') {
            true => unfinished = c.lend(is_unfinished)?,
            false => c.skip()?,
        },
    });
    Ok(unused || (bar && unfinished))
}

fn is_unfinished(c: &mut Cursor<'_>) -> Result<bool, Fault> {
    let mut unfinished = false;
    object!(c, {
        "x" => {
            unfinished = c.begins(b'f');
            c.skip()?;
        },
    });
    Ok(unfinished)
}

/// The venue's answer to a request for a book.
#[cold]
pub(super) fn depth_answer(
    ts_recv: Timestamp,
    symbol: &str,
    body: &[u8],
    events: &mut Events,
) -> Result<Outcome, Reject> {
    snapshot(
        ts_recv,
        &Object::parse(body, "answer")?,
        Some(symbol),
        events,
    )
}

fn diff(ts_recv: Timestamp, data: &Object<'_>, events: &mut Events) -> Result<Outcome, Reject> {
    let event = data.ms("E")?;
    let futures = data.has("T") || data.has("pu");
    let ts_event = if futures { data.ms("T")? } else { event };
    let listing = listing(data, futures, events)?;
    let (first, sequence) = (data.unsigned("U")?, data.unsigned("u")?);
    let sequence_prev = if futures {
        data.unsigned("pu")?
    } else {
        first.wrapping_sub(1)
    };
    if first > sequence || sequence_prev == NO_RULE {
        return Err(Reject::new(
            RejectCode::BadValue,
            format!("U {first} and u {sequence} are no range of update ids"),
        ));
    }
    let taken = sides(data, ["b", "a"], listing, events);
    let header = Header {
        ts_event,
        sequence,
        sequence_prev,
        ..listing.header(Kind::BookDiff, ts_recv)
    };
    Ok(events.depth(header, unheld(taken)?))
}

fn trade(ts_recv: Timestamp, data: &Object<'_>, events: &mut Events) -> Result<Outcome, Reject> {
    data.ms("E")?;
    let ts_event = data.ms("T")?;
    // Only spot's frame has `M` (once "ignore"), only the futures' has `X`, the kind of trade.
    let futures = data.has("X");
    if !futures {
        data.truth("M")?;
    }
    let condition = match futures {
        true => condition(&data.text("X")?),
        false => Condition::Ordinary,
    };
    let listing = listing(data, futures, events)?;
    let sequence = data.unsigned("t")?;
    let Some(sequence_prev) = sequence.checked_sub(1) else {
        return Err(Reject::new(RejectCode::BadValue, "trade id t is 0"));
    };
    let price = data.decimal("p", listing.price_scale)?;
    let qty = data.decimal("q", listing.qty_scale)?;
    let header = Header {
        ts_event,
        sequence,
        sequence_prev,
        ..listing.header(Kind::Trade, ts_recv)
    };
    let row = Row {
        side: aggressor(data.truth("m")?, condition.is_on_book()),
        price,
        qty,
        condition,
        ..Row::default()
    };
    if !events.claims(listing, Prints::Each) {
        return Ok(Outcome::UNUSED);
    }
    events.single(header, row);
    Ok(Outcome::ONE)
}

/// Trades of one order at one price. Only spot's frame has `M`.
fn aggregate(
    ts_recv: Timestamp,
    data: &Object<'_>,
    events: &mut Events,
) -> Result<Outcome, Reject> {
    data.ms("E")?;
    let ts_event = data.ms("T")?;
    let listing = listing(data, !data.has("M"), events)?;
    let sequence = data.unsigned("a")?;
    let Some(sequence_prev) = sequence.checked_sub(1) else {
        return Err(Reject::new(RejectCode::BadValue, "trade id a is 0"));
    };
    let price = data.decimal("p", listing.price_scale)?;
    let qty = data.decimal("q", listing.qty_scale)?;
    let side = aggressor(data.truth("m")?, true);
    if !events.claims(listing, Prints::Aggregates) {
        return Ok(Outcome::UNUSED);
    }
    let header = Header {
        ts_event,
        sequence,
        sequence_prev,
        ..listing.header(Kind::Trade, ts_recv)
    };
    events.trade(header, side, price, qty);
    Ok(Outcome::ONE)
}

/// What the futures' kind of trade says.
fn condition(kind: &[u8]) -> Condition {
    match kind {
        b"MARKET" => Condition::Ordinary,
        b"INSURANCE_FUND" => Condition::InsuranceFund,
        b"SETTLEMENT" => Condition::Settlement,
        _ => Condition::OffBook,
    }
}

fn quote(ts_recv: Timestamp, data: &Object<'_>, events: &mut Events) -> Result<Outcome, Reject> {
    let sequence = data.unsigned("u")?;
    let futures = data.has("e");
    let mut ts_event = NO_TIME;
    if futures {
        ts_event = data.ms("T")?;
        data.ms("E")?;
    }
    let listing = listing(data, futures, events)?;
    let price = |key: &str| data.decimal(key, listing.price_scale);
    let qty = |key: &str| data.decimal(key, listing.qty_scale);
    let header = Header {
        ts_event,
        sequence,
        ..listing.header(Kind::Quote, ts_recv)
    };
    events.quote(header, (price("b")?, qty("B")?), (price("a")?, qty("A")?));
    Ok(Outcome::ONE)
}

/// `asked` is the symbol of the request that this answers.
fn snapshot(
    ts_recv: Timestamp,
    data: &Object<'_>,
    asked: Option<&str>,
    events: &mut Events,
) -> Result<Outcome, Reject> {
    let sequence = data.unsigned("lastUpdateId")?;
    let futures = data.has("T");
    let mut ts_event = NO_TIME;
    if futures {
        data.ms("E")?;
        ts_event = data.ms("T")?;
    }
    let named = match (data.has("symbol"), asked) {
        (true, _) => Some(data.text("symbol")?),
        (false, asked) => asked.map(|symbol| symbol.as_bytes().into()),
    };
    let listing = match named {
        Some(symbol) => Market::listing(futures, &symbol, events)?,
        None => only(if futures { Market::UsdM } else { Market::Spot }, events)?,
    };
    let taken = sides(data, ["bids", "asks"], listing, events);
    let header = Header {
        ts_event,
        sequence,
        ..listing.header(Kind::BookSnapshot, ts_recv)
    };
    Ok(events.depth(header, unheld(taken)?))
}

fn listing(data: &Object<'_>, futures: bool, events: &mut Events) -> Result<Listing, Fault> {
    Market::listing(futures, &data.text("s")?, events)
}

/// The only instrument of a market: whose a snapshot without a symbol is.
fn only(market: Market, events: &Events) -> Result<Listing, Fault> {
    let refuse = |detail| Err(fault(RejectCode::UnknownInstrument, detail));
    match market.only(events) {
        Only::One(listing) => Ok(listing),
        Only::None => refuse(format!(
            "a {market:?} snapshot names no symbol and no frame before it did; record the stream first"
        )),
        Only::Several => refuse(format!(
            "a {market:?} snapshot names no symbol and the capture holds several; record one a file"
        )),
    }
}

/// Adds the levels of both sides.
fn sides(
    data: &Object<'_>,
    [bids, asks]: [&str; 2],
    listing: Listing,
    events: &mut Events,
) -> Result<(), Fault> {
    levels(data, bids, Side::Bid, listing, events)?;
    levels(data, asks, Side::Ask, listing, events)
}

fn levels(
    data: &Object<'_>,
    key: &str,
    side: Side,
    listing: Listing,
    events: &mut Events,
) -> Result<(), Fault> {
    let refuse = || {
        let detail = format!("{key:?} is no list of [price, quantity] pairs");
        fault(RejectCode::BadValue, detail)
    };
    for level in data.get(key)?.list().ok_or_else(refuse)? {
        let pair = level.list().ok_or_else(refuse)?;
        let [price, qty] = pair.as_slice() else {
            return Err(refuse());
        };
        events.row(
            side,
            decimal_of(*price, key, listing.price_scale)?,
            decimal_of(*qty, key, listing.qty_scale)?,
        );
    }
    Ok(())
}
