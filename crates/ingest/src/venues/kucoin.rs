//! KuCoin spot: `/market/level2`, `/market/ticker`, `/market/match`, and the REST answer with a whole book.
//!
//! | frame | `sequence` | `sequence_prev` | `ts_event` |
//! |---|---|---|---|
//! | `trade.l2update` | `sequenceEnd` | `sequenceStart - 1` | none |
//! | `trade.ticker` | `sequence` | no rule | `time` |
//! | `trade.l3match` | `sequence` | no rule: it counts all changes of the book | `time` |
//! | `orderbook/level2` | `sequence` | no rule | `time` |
//!
//! Old orders have prices and quantities far from those of today: places are found by the price of a symbol's first frame, so
//! that both can be held. A change of price 0 fills the numbers of the book's changes: it is no
//! level, and before the first frame with a price nothing. Who has no account is answered with the best levels only
//! (`level2_20`, `level2_100`): beyond them the book is unknown.

use signal_event::{Header, Kind, NO_TIME, Side, Timestamp};

use crate::decode::Listing;
use crate::json::{Cursor, Fault, Object, Shapes, Text, Unscaled, fault, need, object, pairs};
use crate::{Decode, Events, Outcome, Reject, RejectCode};

/// Decodes KuCoin's frames.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    shapes: Shapes,
}

/// What stands in the data of a frame, whatever its subject is.
#[derive(Debug, Default)]
struct Data<'a> {
    symbol: Option<Text<'a>>,
    listing: Option<Listing>,
    start: Option<u64>,
    end: Option<u64>,
    /// Levels are rows of the open message; `later` are those that came before the symbol.
    has_changes: bool,
    later: Option<Cursor<'a>>,
    unheld: Option<Fault>,
    sequence: Option<u64>,
    time: Option<Cursor<'a>>,
    price: Option<Unscaled<'a>>,
    size: Option<Unscaled<'a>>,
    buy: Option<bool>,
    bid: Option<Unscaled<'a>>,
    bid_qty: Option<Unscaled<'a>>,
    ask: Option<Unscaled<'a>>,
    ask_qty: Option<Unscaled<'a>>,
}

impl Decode for Decoder {
    const SIGNS: &'static [&'static [&'static str]] = &[&["\"subject\"", "\"topic\"", "\"data\""]];

    fn frame(
        &mut self,
        ts_recv: Timestamp,
        frame: &[u8],
        events: &mut Events,
    ) -> Result<Outcome, Reject> {
        let mut c = Cursor::new(frame, self.shapes);
        let (mut data, mut has_data) = (Data::default(), false);
        let (mut subject, mut topic, mut kind) = (None, None, None);
        object!(c, {
            "data" => match c.begins(b'{') {
                true => {
                    has_data = true;
                    c.lend(|c| data_of(c, &mut data, events))?;
                }
                false => {
                    has_data = true;
                    c.skip()?;
                }
            },
            "subject" => subject = Some(c.text()?),
            "topic" => topic = Some(c.text()?),
            "type" => kind = Some(c.text()?),
        });
        c.end()?;
        self.shapes = c.shapes;
        let (Some(kind), subject) = (kind, subject.as_deref().unwrap_or_default()) else {
            return Err(Reject::new(RejectCode::UnknownFrame, "no type"));
        };
        if &*kind != b"message" {
            return Ok(Outcome::UNUSED);
        }
        need(has_data.then_some(()), "data")?;
        if subject != b"trade.l2update" {
            // Changes that do not belong there.
            events.abandon();
        }
        Ok(match subject {
            b"trade.l2update" => depth(ts_recv, &mut data, events)?,
            b"trade.ticker" => quote(ts_recv, &data, &need(topic, "topic")?, events)?,
            b"trade.l3match" => trade(ts_recv, &data, events)?,
            _ => Outcome::UNUSED,
        })
    }

    fn answer(
        &mut self,
        ts_recv: Timestamp,
        url: &str,
        body: &[u8],
        events: &mut Events,
    ) -> Result<Outcome, Reject> {
        let Some((path, query)) = url.split_once('?') else {
            return Ok(Outcome::UNUSED);
        };
        let symbol = query
            .split('&')
            .find_map(|part| part.strip_prefix("symbol="));
        let most = match path.rsplit_once("/orderbook/") {
            Some((_, "level2")) => usize::MAX,
            Some((_, "level2_100")) => 100,
            Some((_, "level2_20")) => 20,
            _ => return Ok(Outcome::UNUSED),
        };
        match symbol {
            Some(symbol) => Ok(snapshot(ts_recv, symbol, most, body, events)?),
            None => Ok(Outcome::UNUSED),
        }
    }
}

/// The listing of a symbol; `price` is one of those in its first frame.
fn listing(symbol: &[u8], price: Cursor<'_>, events: &mut Events) -> Result<Listing, Fault> {
    match events.known(0, symbol) {
        Some(listing) => Ok(listing),
        None => {
            let scales = scales(price)?;
            events.newcomer(0, symbol, scales, |symbol| format!("{symbol}.KUCOIN"))
        }
    }
}

/// Decimal places of prices and quantities by the size of a price: what is dear is traded in small parts.
fn scales(mut price: Cursor<'_>) -> Result<(u8, u8), Fault> {
    let here = price;
    let text = price.text()?;
    let number: Option<f64> = std::str::from_utf8(&text)
        .ok()
        .and_then(|text| text.parse().ok());
    match number {
        Some(price) if price >= 100.0 => Ok((10, 11)),
        Some(price) if price >= 1.0 => Ok((10, 10)),
        Some(price) if price >= 1e-3 => Ok((10, 9)),
        Some(price) if price >= 1e-6 => Ok((12, 8)),
        Some(_) => Ok((14, 8)),
        None => Err(here.refuse(RejectCode::BadValue, "no price")),
    }
}

/// The first price that is not 0 of the changes with which `c` begins.
fn first_price(mut c: Cursor<'_>) -> Result<Option<Cursor<'_>>, Fault> {
    let mut first = None;
    object!(c, {
        "asks" => first = first.or(first_of_side(&mut c)?),
        "bids" => first = first.or(first_of_side(&mut c)?),
    });
    Ok(first)
}

fn first_of_side<'a>(c: &mut Cursor<'a>) -> Result<Option<Cursor<'a>>, Fault> {
    let mut first = None;
    c.list(|c| {
        c.mark(b'[')?;
        let here = *c;
        if &*c.text()? != b"0" {
            first = first.or(Some(here));
        }
        c.rest_of_list()
    })?;
    Ok(first)
}

fn data_of<'a>(c: &mut Cursor<'a>, data: &mut Data<'a>, events: &mut Events) -> Result<(), Fault> {
    c.lend(|c| {
        object!(c, {
            "sequenceStart" => data.start = Some(c.unsigned()?),
            "symbol" => {
                let symbol = c.text()?;
                data.listing = events.known(0, &symbol);
                data.symbol = Some(symbol);
            },
            "changes" => {
                data.has_changes = true;
                match data.listing {
                    Some(listing) => c.lend(|c| changes(c, listing, &mut data.unheld, events))?,
                    None => {
                        data.later = Some(*c);
                        c.skip()?;
                    }
                }
            },
            "sequenceEnd" => data.end = Some(c.unsigned()?),
            "sequence" => data.sequence = Some(sequence(c)?),
            "bestAsk" => data.ask = Some(Unscaled::take(c)?),
            "side" => data.buy = Some(is_buy(c)?),
            "size" => data.size = Some(Unscaled::take(c)?),
            "bestBidSize" => data.bid_qty = Some(Unscaled::take(c)?),
            "price" => data.price = Some(Unscaled::take(c)?),
            "takerOrderId" => c.skip()?,
            "time" => {
                data.time = Some(*c);
                c.skip()?;
            },
            "bestAskSize" => data.ask_qty = Some(Unscaled::take(c)?),
            "bestBid" => data.bid = Some(Unscaled::take(c)?),
            "type" => c.skip()?,
            "makerOrderId" => c.skip()?,
            "tradeId" => c.skip()?,
        });
        Ok(())
    })
}

/// Takes a number that some frames write within a string.
#[inline(always)]
fn sequence(c: &mut Cursor<'_>) -> Result<u64, Fault> {
    match c.begins(b'"') {
        true => c.quoted_unsigned(),
        false => c.unsigned(),
    }
}

#[inline(always)]
fn is_buy(c: &mut Cursor<'_>) -> Result<bool, Fault> {
    match &*c.text()? {
        b"buy" => Ok(true),
        b"sell" => Ok(false),
        other => {
            let detail = format!("side {:?}", String::from_utf8_lossy(other));
            Err(fault(RejectCode::BadValue, detail))
        }
    }
}

/// Takes the changed levels of both sides.
fn changes(
    c: &mut Cursor<'_>,
    listing: Listing,
    unheld: &mut Option<Fault>,
    events: &mut Events,
) -> Result<(), Fault> {
    let mut take = |c: &mut Cursor<'_>, side| {
        c.levels(unheld, |c| levels(c, side, listing, events).map(|_| ()))
    };
    c.lend(|c| {
        object!(c, {
            "asks" => c.lend(|c| take(c, Side::Ask))?,
            "bids" => c.lend(|c| take(c, Side::Bid))?,
        });
        Ok(())
    })
}

/// Takes the levels of a side, and gives how many they are.
fn levels(
    c: &mut Cursor<'_>,
    side: Side,
    listing: Listing,
    events: &mut Events,
) -> Result<usize, Fault> {
    let mut count = 0;
    pairs(c, listing, Cursor::rest_of_list, |price, qty| {
        if price != 0 {
            events.row(side, price, qty);
            count += 1;
        }
    })?;
    Ok(count)
}

fn depth(ts_recv: Timestamp, data: &mut Data<'_>, events: &mut Events) -> Result<Outcome, Fault> {
    let symbol = need(data.symbol.as_deref(), "symbol")?;
    let listing = match (data.listing, data.later) {
        (Some(listing), _) => listing,
        (None, None) => return Err(fault(RejectCode::MissingKey, "no key \"changes\"")),
        (None, Some(c)) => match first_price(c)? {
            Some(price) => listing(symbol, price, events)?,
            None => return Ok(Outcome::UNUSED),
        },
    };
    let mut unheld = data.unheld.take();
    if let Some(mut c) = data.later {
        changes(&mut c, listing, &mut unheld, events)?;
    } else if !data.has_changes {
        return Err(fault(RejectCode::MissingKey, "no key \"changes\""));
    }
    let (start, end) = (
        need(data.start, "sequenceStart")?,
        need(data.end, "sequenceEnd")?,
    );
    if start == 0 || start > end {
        let detail = format!("sequenceStart {start} and sequenceEnd {end} are no range");
        return Err(fault(RejectCode::BadValue, detail));
    }
    let header = Header {
        sequence: end,
        sequence_prev: start - 1,
        ..listing.header(Kind::BookDiff, ts_recv)
    };
    Ok(events.depth(header, unheld))
}

fn quote(
    ts_recv: Timestamp,
    data: &Data<'_>,
    topic: &[u8],
    events: &mut Events,
) -> Result<Outcome, Fault> {
    let symbol = topic
        .iter()
        .position(|&b| b == b':')
        .map(|at| &topic[at + 1..]);
    let symbol = need(symbol, "topic with a symbol")?;
    if symbol == b"all" {
        return Ok(Outcome::UNUSED);
    }
    let best = need(data.bid, "bestBid")?;
    let listing = listing(symbol, best.place(), events)?;
    let header = Header {
        ts_event: match data.time {
            Some(mut time) => time.ms()?,
            None => NO_TIME,
        },
        sequence: need(data.sequence, "sequence")?,
        ..listing.header(Kind::Quote, ts_recv)
    };
    let bid = best.price(listing)?;
    let bid_qty = need(data.bid_qty, "bestBidSize")?.qty(listing)?;
    let ask = need(data.ask, "bestAsk")?.price(listing)?;
    let ask_qty = need(data.ask_qty, "bestAskSize")?.qty(listing)?;
    events.quote(header, (bid, bid_qty), (ask, ask_qty));
    Ok(Outcome::ONE)
}

fn trade(ts_recv: Timestamp, data: &Data<'_>, events: &mut Events) -> Result<Outcome, Fault> {
    let price = need(data.price, "price")?;
    let symbol = need(data.symbol.as_deref(), "symbol")?;
    let listing = listing(symbol, price.place(), events)?;
    let ns = need(data.time, "time")?.quoted_unsigned()?;
    let ts_event = i64::try_from(ns)
        .map_err(|_| fault(RejectCode::Overflow, format!("time {ns} ns do not fit")))?;
    let header = Header {
        ts_event,
        sequence: need(data.sequence, "sequence")?,
        ..listing.header(Kind::Trade, ts_recv)
    };
    let aggressor = match need(data.buy, "side")? {
        true => Side::Buy,
        false => Side::Sell,
    };
    let price = price.price(listing)?;
    let qty = need(data.size, "size")?.qty(listing)?;
    events.trade(header, aggressor, price, qty);
    Ok(Outcome::ONE)
}

/// The answer with a whole book: `{"code":"200000","data":{"time":…,"sequence":"…","bids":[…],"asks":[…]}}`.
fn snapshot(
    ts_recv: Timestamp,
    symbol: &str,
    most: usize,
    body: &[u8],
    events: &mut Events,
) -> Result<Outcome, Fault> {
    let answer = Object::parse(body, "answer")?;
    let data = Object::within(answer.get("data")?, "data")?;
    let mut first = None;
    for key in ["bids", "asks"] {
        first = first.or(first_of_side(&mut data.get(key)?.cursor())?);
    }
    let listing = match (events.known(0, symbol.as_bytes()), first) {
        (Some(listing), _) => listing,
        (None, Some(price)) => listing(symbol.as_bytes(), price, events)?,
        (None, None) => return Ok(Outcome::UNUSED),
    };
    let mut unheld = None;
    for (key, side) in [("bids", Side::Bid), ("asks", Side::Ask)] {
        let mut c = data.get(key)?.cursor();
        let mut count = 0;
        c.levels(&mut unheld, |c| {
            count = levels(c, side, listing, events)?;
            Ok(())
        })?;
        if count >= most {
            events.cut();
        }
    }
    let header = Header {
        ts_event: data.ms("time")?,
        sequence: sequence(&mut data.get("sequence")?.cursor())?,
        ..listing.header(Kind::BookSnapshot, ts_recv)
    };
    Ok(events.depth(header, unheld))
}
