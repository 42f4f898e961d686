//! Independent Reserve: single orders (`orderbook-BASE`), trades (`ticker-BASE-QUOTE`), and the REST answer with all orders.
//!
//! Orders of a currency stand in one book whatever they are paid in: a frame gives the price in each. They go to the pairs of
//! that currency that are known, because trades of them are subscribed or their orders were asked for; if none is, to all
//! that a price is given for. Ids of orders are GUIDs: theirs are the exclusive or of the two halves.
//!
//! | frame | `sequence` | `sequence_prev` | `ts_event` |
//! |---|---|---|---|
//! | `NewOrder`, `OrderChanged`, `OrderCanceled` | `Nonce` | `Nonce - 1` | `Time` |
//! | `Trade` | `Nonce` | `Nonce - 1` | `Time` |
//! | `GetAllOrders` | none | no rule | `CreatedTimestampUtc` |

use signal_event::{Header, Kind, Order, OrderAction, Row, Side, Timestamp};

use crate::decode::Listing;
use crate::json::digits::hexadecimal;
use crate::json::{Cursor, Fault, Object, Shapes, Unscaled, Value, fault, need, object};
use crate::{Decode, Events, Outcome, Reject, RejectCode};

/// Currencies that things are paid in.
const QUOTES: [&str; 4] = ["aud", "usd", "nzd", "sgd"];

/// Decodes Independent Reserve's frames.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    shapes: Shapes,
    pairs: Vec<Pair>,
    /// Whose orders the channels of books tell, as they have come; none once another pair is known.
    books: Vec<Book>,
    /// Where the channel of the frame before stands in `books`.
    latest: usize,
}

/// The pairs that the orders of a currency go to.
#[derive(Clone, Debug)]
struct Book {
    channel: Vec<u8>,
    /// One for each of [`QUOTES`].
    pairs: [Option<Listing>; 4],
    /// They are known, so that each has a price in a frame.
    known: bool,
}

/// A pair that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pair {
    base: String,
    /// A place in [`QUOTES`].
    quote: usize,
}

/// What stands in the data of a frame, whatever its event is.
#[derive(Debug, Default)]
struct Data<'a> {
    side: Option<Side>,
    id: Option<u64>,
    /// One for each of [`QUOTES`], or one in the currency of the channel.
    prices: [Option<Unscaled<'a>>; 4],
    price: Option<Unscaled<'a>>,
    volume: Option<Unscaled<'a>>,
    aggressor: Option<Side>,
}

impl Decode for Decoder {
    const SIGNS: &'static [&'static [&'static str]] = &[
        &["\"Channel\"", "\"Nonce\"", "\"Event\""],
        &["\"Time\"", "\"Event\":\"Heartbeat\""],
        &["\"Time\"", "\"Event\":\"Subscriptions\""],
    ];

    fn frame(
        &mut self,
        ts_recv: Timestamp,
        frame: &[u8],
        events: &mut Events,
    ) -> Result<Outcome, Reject> {
        let mut c = Cursor::new(frame, self.shapes);
        let (mut channel, mut nonce, mut time, mut event) = (None, None, None, None);
        let (mut data, mut has_data, mut listed) = (Data::default(), false, None);
        object!(c, {
            "Channel" => channel = Some(c.text()?),
            "Nonce" => nonce = Some(c.unsigned()?),
            "Data" => match c.begins(b'{') {
                true => {
                    has_data = true;
                    c.lend(|c| data_of(c, &mut data))?;
                }
                false => listed = Some(c.lend(|c| c.value())?),
            },
            "Time" => time = Some(c.ms()?),
            "Event" => event = Some(c.text()?),
        });
        c.end()?;
        self.shapes = c.shapes;
        let Some(event) = event else {
            return Err(Reject::new(RejectCode::UnknownFrame, "no event"));
        };
        let action = match &*event {
            b"NewOrder" => Some(OrderAction::Add),
            b"OrderChanged" => Some(OrderAction::Change),
            b"OrderCanceled" => Some(OrderAction::Cancel),
            b"Trade" => None,
            _ => {
                if let (b"Subscriptions", Some(listed)) = (&*event, listed) {
                    self.subscribed(listed);
                }
                return Ok(Outcome::UNUSED);
            }
        };
        let channel = need(channel, "Channel")?;
        need(has_data.then_some(()), "Data")?;
        let nonce = need(nonce, "Nonce")?;
        let Some(sequence_prev) = nonce.checked_sub(1) else {
            return Err(Reject::new(RejectCode::BadValue, "nonce 0"));
        };
        let ids = Ids {
            ts_recv,
            ts_event: need(time, "Time")?,
            sequence: nonce,
            sequence_prev,
        };
        match action {
            Some(action) => Ok(self.order(&channel, action, &data, ids, events)?),
            None => Ok(trade(&channel, &data, ids, events)?),
        }
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
        let asked = |key: &str| {
            let mut parts = query.split('&').filter_map(|part| part.split_once('='));
            parts.find_map(|(name, value)| (name == key).then_some(value))
        };
        let (base, quote) = (asked("primaryCurrencyCode"), asked("secondaryCurrencyCode"));
        match (base, quote.and_then(quote_of)) {
            (Some(base), Some(quote)) if path.ends_with("/GetAllOrders") => {
                let outcome = all_orders(ts_recv, base, quote, body, events)?;
                self.know(base, quote);
                Ok(outcome)
            }
            _ => Ok(Outcome::UNUSED),
        }
    }
}

/// Ids and times of a frame.
#[derive(Clone, Copy, Debug)]
struct Ids {
    ts_recv: Timestamp,
    ts_event: Timestamp,
    sequence: u64,
    sequence_prev: u64,
}

impl Ids {
    fn header(self, listing: Listing, kind: Kind) -> Header {
        Header {
            ts_event: self.ts_event,
            sequence: self.sequence,
            sequence_prev: self.sequence_prev,
            ..listing.header(kind, self.ts_recv)
        }
    }
}

impl Decoder {
    fn know(&mut self, base: &str, quote: usize) {
        let pair = Pair {
            base: base.to_ascii_lowercase(),
            quote,
        };
        if !self.pairs.contains(&pair) {
            self.pairs.push(pair);
            self.books.clear();
        }
    }

    /// Pairs whose trades are subscribed are those that are wanted.
    fn subscribed(&mut self, channels: Value<'_>) {
        for channel in channels.list().into_iter().flatten() {
            let name = channel.text().unwrap_or_default();
            if let Some((base, quote)) = std::str::from_utf8(&name).ok().and_then(ticker_pair) {
                self.know(base, quote);
            }
        }
    }

    fn order(
        &mut self,
        channel: &[u8],
        action: OrderAction,
        data: &Data<'_>,
        ids: Ids,
        events: &mut Events,
    ) -> Result<Outcome, Fault> {
        let known = self
            .books
            .get(self.latest)
            .filter(|book| book.channel == channel);
        if known.is_none() {
            self.latest = self.book(channel, events)?;
        }
        let Book { pairs, known, .. } = &self.books[self.latest];
        let id = need(data.id, "OrderGuid")?;
        let mut messages = 0;
        for (listing, price) in pairs.iter().zip(data.prices) {
            let Some(listing) = *listing else { continue };
            let price = match (action, price) {
                (OrderAction::Cancel, _) | (OrderAction::Change, None) => 0,
                (_, Some(price)) => price.price_number(listing)?,
                // Nobody may pay in this currency.
                (_, None) if !known => continue,
                (_, None) => return Err(fault(RejectCode::MissingKey, "no price in a currency")),
            };
            let qty = match action {
                OrderAction::Cancel => 0,
                _ => need(data.volume, "Volume")?.qty_number(listing)?,
            };
            // What has no volume left is gone.
            let action = match (action, qty) {
                (OrderAction::Change, 0) => OrderAction::Cancel,
                _ => action,
            };
            let order = Order {
                id,
                action,
                side: need(data.side, "OrderType")?,
                price,
                qty,
            };
            let header = ids.header(listing, Kind::Order);
            events.builder.push_single_order(header, order);
            messages += 1;
        }
        if events.has_newcomers() {
            // They are listed once the frame proves good.
            self.books.clear();
        }
        Ok(Outcome::of(messages))
    }

    /// Where the book of a channel stands; one that has not come before is added.
    #[inline(never)]
    fn book(&mut self, channel: &[u8], events: &mut Events) -> Result<usize, Fault> {
        let same = |book: &Book| book.channel == channel;
        if let Some(at) = self.books.iter().position(same) {
            return Ok(at);
        }
        let name = std::str::from_utf8(channel).unwrap_or_default();
        let Some(base) = name.strip_prefix("orderbook-") else {
            let detail = format!("an order on channel {name:?}");
            return Err(fault(RejectCode::UnknownFrame, detail));
        };
        let of_base = |pair: &&Pair| pair.base == base;
        let known = self.pairs.iter().any(|pair| pair.base == base);
        let mut pairs = [None; 4];
        for (quote, pair) in pairs.iter_mut().enumerate() {
            if !known || self.pairs.iter().filter(of_base).any(|p| p.quote == quote) {
                *pair = Some(listing(base, quote, events)?);
            }
        }
        self.books.push(Book {
            channel: channel.to_vec(),
            pairs,
            known,
        });
        Ok(self.books.len() - 1)
    }
}

fn trade(channel: &[u8], data: &Data<'_>, ids: Ids, events: &mut Events) -> Result<Outcome, Fault> {
    let channel = std::str::from_utf8(channel).unwrap_or_default();
    let Some((base, quote)) = ticker_pair(channel) else {
        let detail = format!("a trade on channel {channel:?}");
        return Err(fault(RejectCode::UnknownFrame, detail));
    };
    let listing = listing(base, quote, events)?;
    let price = need(data.price, "Price")?.price_number(listing)?;
    let qty = need(data.volume, "Volume")?.qty_number(listing)?;
    let aggressor = data.aggressor.unwrap_or(Side::None);
    events.trade(ids.header(listing, Kind::Trade), aggressor, price, qty);
    Ok(Outcome::ONE)
}

/// `ticker-eth-aud`
fn ticker_pair(channel: &str) -> Option<(&str, usize)> {
    let (base, quote) = channel.strip_prefix("ticker-")?.split_once('-')?;
    Some((base, quote_of(quote)?))
}

fn quote_of(code: &str) -> Option<usize> {
    QUOTES
        .iter()
        .position(|quote| quote.eq_ignore_ascii_case(code))
}

/// Symbols of so many bytes are put together without asking for memory.
const SYMBOL_BYTES: usize = 32;

fn listing(base: &str, quote: usize, events: &mut Events) -> Result<Listing, Fault> {
    let name = |symbol: &str| format!("{symbol}.INDEPENDENTRESERVE");
    let code = QUOTES[quote].as_bytes();
    let mut symbol = [b'-'; SYMBOL_BYTES];
    let len = base.len() + 1 + code.len();
    let Some(symbol) = symbol.get_mut(..len) else {
        let symbol = format!("{base}-{}", QUOTES[quote]).to_ascii_uppercase();
        return events.listing(0, symbol.as_bytes(), name);
    };
    symbol[..base.len()].copy_from_slice(base.as_bytes());
    symbol[base.len() + 1..].copy_from_slice(code);
    symbol.make_ascii_uppercase();
    events.listing(0, symbol, name)
}

fn data_of<'a>(c: &mut Cursor<'a>, data: &mut Data<'a>) -> Result<(), Fault> {
    c.lend(|c| {
        object!(c, {
            "OrderType" => data.side = Some(match &*c.text()? {
                b"LimitBid" => Side::Bid,
                b"LimitOffer" => Side::Ask,
                other => return Err(unknown("order type", other)),
            }),
            "OrderGuid" => data.id = Some(guid(c)?),
            "TradeGuid" => c.skip()?,
            "Pair" => c.skip()?,
            "TradeDate" => c.skip()?,
            "Price" => match c.begins(b'{') {
                true => prices(c, &mut data.prices)?,
                false => data.price = Some(Unscaled::take(c)?),
            },
            "Volume" => data.volume = Some(Unscaled::take(c)?),
            "BidGuid" => c.skip()?,
            "OfferGuid" => c.skip()?,
            "Side" => data.aggressor = Some(match &*c.text()? {
                b"Buy" => Side::Buy,
                b"Sell" => Side::Sell,
                other => return Err(unknown("side", other)),
            }),
        });
        Ok(())
    })
}

#[inline(always)]
fn prices<'a>(c: &mut Cursor<'a>, prices: &mut [Option<Unscaled<'a>>; 4]) -> Result<(), Fault> {
    object!(c, {
        "aud" => prices[0] = Some(Unscaled::take(c)?),
        "usd" => prices[1] = Some(Unscaled::take(c)?),
        "nzd" => prices[2] = Some(Unscaled::take(c)?),
        "sgd" => prices[3] = Some(Unscaled::take(c)?),
    });
    Ok(())
}

/// Takes a GUID: the exclusive or of its halves.
#[inline(always)]
fn guid(c: &mut Cursor<'_>) -> Result<u64, Fault> {
    let here = *c;
    if c.eat(b"\"")
        && let Some((text, rest)) = c.rest.split_first_chunk()
        && let Some(id) = guid_of(text)
    {
        c.rest = rest;
        if c.eat(b"\"") {
            return Ok(id);
        }
    }
    *c = here;
    c.lend(late_guid)
}

/// The number that a GUID stands for, which is not 0; hyphens are where they should be.
#[inline(always)]
fn guid_of(text: &[u8; 36]) -> Option<u64> {
    let eight = |from: usize| Some(u64::from(hexadecimal(text[from..].first_chunk()?)?));
    let fours = |from: usize| {
        let mut digits = [0; 8];
        digits[..4].copy_from_slice(&text[from..from + 4]);
        digits[4..].copy_from_slice(&text[from + 5..from + 9]);
        hexadecimal(&digits).map(u64::from)
    };
    if [8, 13, 18, 23].iter().any(|&at| text[at] != b'-') {
        return None;
    }
    let high = eight(0)? << 32 | fours(9)?;
    let low = fours(19)? << 32 | eight(28)?;
    Some(high ^ low).filter(|&id| id != 0)
}

/// A GUID that is written in another way.
#[cold]
#[inline(never)]
fn late_guid(c: &mut Cursor<'_>) -> Result<u64, Fault> {
    let here = *c;
    let text = c.text()?;
    let (mut halves, mut digits) = ([0u64; 2], 0);
    for &byte in text.iter().filter(|&&byte| byte != b'-') {
        match (byte as char).to_digit(16) {
            Some(digit) if digits < 32 => {
                let half = &mut halves[digits / 16];
                *half = *half << 4 | u64::from(digit);
                digits += 1;
            }
            _ => return Err(here.refuse(RejectCode::BadValue, "no GUID")),
        }
    }
    match (digits, halves[0] ^ halves[1]) {
        (32, id) if id != 0 => Ok(id),
        _ => Err(here.refuse(RejectCode::BadValue, "no GUID")),
    }
}

/// All orders of a pair, which replace what was known of them.
fn all_orders(
    ts_recv: Timestamp,
    base: &str,
    quote: usize,
    body: &[u8],
    events: &mut Events,
) -> Result<Outcome, Fault> {
    let answer = Object::parse(body, "answer")?;
    let listing = listing(base, quote, events)?;
    events.builder.push_more(Row {
        action: Some(OrderAction::Clear),
        ..Row::default()
    });
    for (key, side) in [("BuyOrders", Side::Bid), ("SellOrders", Side::Ask)] {
        answer.get(key)?.cursor().list(|c| {
            let (mut id, mut price, mut qty) = (None, None, None);
            object!(c, {
                "Guid" => id = Some(guid(c)?),
                "Price" => price = Some(c.number(listing.price_scale)?),
                "Volume" => qty = Some(c.number(listing.qty_scale)?),
            });
            events.builder.push_more(Row {
                side,
                price: need(price, "Price")?,
                qty: need(qty, "Volume")?,
                order_id: need(id, "Guid")?,
                action: Some(OrderAction::Add),
                ..Row::default()
            });
            Ok(())
        })?;
    }
    let header = Header {
        ts_event: answer.get("CreatedTimestampUtc")?.cursor().rfc3339()?,
        ..listing.header(Kind::Order, ts_recv)
    };
    events.close(header);
    Ok(Outcome::ONE)
}

#[cold]
fn unknown(what: &str, value: &[u8]) -> Fault {
    let value = String::from_utf8_lossy(value);
    fault(RejectCode::BadValue, format!("{what} {value:?}"))
}
