//! Deribit: `book`, `ticker`, `trades`.
//!
//! | frame | `sequence` | `sequence_prev` | `ts_event` |
//! |---|---|---|---|
//! | `book` | `change_id` | `prev_change_id`, in a snapshot no rule | `timestamp` |
//! | `trades` | `trade_seq` | `trade_seq - 1` | `timestamp` |
//! | `ticker` | none | no rule | `timestamp` |
//!
//! A ticker becomes a quote and the numbers that it tells besides. Volatilities are fractions; greeks are the venue's own: theta
//! a day, vega and rho a percent.

use signal_event::{Condition, Header, Kind, NO_RULE, ReferenceField, Row, Side, Timestamp};

use crate::decode::Listing;
use crate::json::{Cursor, Fault, Shapes, Unscaled, fault, need, object};
use crate::{Decode, Events, Outcome, Reject, RejectCode};

/// Decodes Deribit's frames.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    shapes: Shapes,
}

#[derive(Clone, Copy, Debug)]
enum Channel {
    Book,
    Ticker,
    Trades,
    Unused,
}

impl Decode for Decoder {
    const SIGNS: &'static [&'static [&'static str]] = &[&["\"jsonrpc\""]];

    fn frame(
        &mut self,
        ts_recv: Timestamp,
        frame: &[u8],
        events: &mut Events,
    ) -> Result<Outcome, Reject> {
        let mut c = Cursor::new(frame, self.shapes);
        if let Some(outcome) = self.laid_out(c, ts_recv, events) {
            return Ok(outcome);
        }
        events.undo();
        let (mut outcome, mut subscription) = (None, false);
        object!(c, {
            "jsonrpc" => c.skip()?,
            "method" => subscription = &*c.text()? == b"subscription",
            "params" => outcome = c.lend(|c| params(c, ts_recv, events))?,
        });
        c.end()?;
        self.shapes = c.shapes;
        if !subscription {
            events.undo_rows();
            return Ok(Outcome::UNUSED);
        }
        Ok(need(outcome, "channel and data")?)
    }
}

/// How a notice begins, up to the name of its channel.
const NOTICE: &[u8; 62] = br#"{"jsonrpc":"2.0","method":"subscription","params":{"channel":""#;

impl Decoder {
    /// Reads a notice that is laid out as the venue does it; `None` if it is not, or something is wrong.
    #[inline(always)]
    fn laid_out(
        &mut self,
        mut c: Cursor<'_>,
        ts_recv: Timestamp,
        events: &mut Events,
    ) -> Option<Outcome> {
        c.expect(NOTICE)?;
        let channel = if c.eat(b"ticker.") {
            Channel::Ticker
        } else if c.eat(b"book.") {
            Channel::Book
        } else if c.eat(b"trades.") {
            Channel::Trades
        } else {
            return None;
        };
        c.word()?;
        c.expect(b",\"data\":")?;
        let outcome = c.lend(|c| data(c, channel, ts_recv, events)).ok()?;
        c.expect(b"}}")?;
        self.shapes = c.shapes;
        c.rest.is_empty().then_some(outcome)
    }
}

/// Takes the parameters of a notice: the channel and what it sends; `None` if they are not there.
fn params(
    c: &mut Cursor<'_>,
    ts_recv: Timestamp,
    events: &mut Events,
) -> Result<Option<Outcome>, Fault> {
    let (mut channel, mut outcome, mut later) = (None, None, None);
    c.lend(|c| {
        object!(c, {
            "channel" => channel = Some(channel_of(&c.text()?)),
            "data" => match channel {
                Some(channel) => outcome = Some(c.lend(|c| data(c, channel, ts_recv, events))?),
                None => {
                    later = Some(*c);
                    c.skip()?;
                }
            },
        });
        Ok(())
    })?;
    if let (Some(channel), Some(mut c)) = (channel, later) {
        outcome = Some(data(&mut c, channel, ts_recv, events)?);
    }
    Ok(outcome)
}

fn channel_of(name: &[u8]) -> Channel {
    let kind = name.split(|&b| b == b'.').next();
    match kind.unwrap_or_default() {
        b"book" => Channel::Book,
        b"ticker" => Channel::Ticker,
        b"trades" => Channel::Trades,
        _ => Channel::Unused,
    }
}

fn data(
    c: &mut Cursor<'_>,
    channel: Channel,
    ts_recv: Timestamp,
    events: &mut Events,
) -> Result<Outcome, Fault> {
    match channel {
        Channel::Book => depth(c, ts_recv, events),
        Channel::Ticker => ticker(c, ts_recv, events),
        Channel::Trades => {
            let mut messages = 0;
            c.list(|c| {
                trade(c, ts_recv, events)?;
                messages += 1;
                Ok(())
            })?;
            Ok(Outcome::of(messages))
        }
        Channel::Unused => {
            c.skip()?;
            Ok(Outcome::UNUSED)
        }
    }
}

#[inline(always)]
fn instrument(c: &mut Cursor<'_>, events: &mut Events) -> Result<Listing, Fault> {
    let symbol = c.text()?;
    events.listing(0, &symbol, |symbol| format!("{symbol}.DERIBIT"))
}

fn depth(c: &mut Cursor<'_>, ts_recv: Timestamp, events: &mut Events) -> Result<Outcome, Fault> {
    let (mut update, mut ts_event, mut prev, mut listing, mut id) = (false, None, None, None, None);
    let (mut unheld, mut sides) = (None, 0);
    let mut later = [None, None];
    let mut take = |c: &mut Cursor<'_>, side, listing, events: &mut Events| {
        c.levels(&mut unheld, |c| levels(c, side, listing, events))
    };
    c.lend(|c| {
        object!(c, {
            "type" => update = match &*c.text()? {
                b"change" => true,
                b"snapshot" => false,
                other => {
                    let detail = format!("type {:?}", String::from_utf8_lossy(other));
                    return Err(fault(RejectCode::BadValue, detail));
                }
            },
            "timestamp" => ts_event = Some(c.ms()?),
            "prev_change_id" => prev = Some(c.unsigned()?),
            "instrument_name" => listing = Some(instrument(c, events)?),
            "change_id" => id = Some(c.unsigned()?),
            "bids" => {
                sides += 1;
                match listing {
                    Some(listing) => c.lend(|c| take(c, Side::Bid, listing, events))?,
                    None => {
                        later[0] = Some((Side::Bid, *c));
                        c.skip()?;
                    }
                }
            },
            "asks" => {
                sides += 1;
                match listing {
                    Some(listing) => c.lend(|c| take(c, Side::Ask, listing, events))?,
                    None => {
                        later[1] = Some((Side::Ask, *c));
                        c.skip()?;
                    }
                }
            },
        });
        Ok(())
    })?;
    let listing = need(listing, "instrument_name")?;
    for (side, mut c) in later.into_iter().flatten() {
        take(&mut c, side, listing, events)?;
    }
    if sides < 2 {
        return Err(fault(RejectCode::MissingKey, "no \"bids\" or no \"asks\""));
    }
    let (kind, sequence_prev) = match update {
        true => (Kind::BookDiff, need(prev, "prev_change_id")?),
        false => (Kind::BookSnapshot, NO_RULE),
    };
    let header = Header {
        ts_event: need(ts_event, "timestamp")?,
        sequence: need(id, "change_id")?,
        sequence_prev,
        ..listing.header(kind, ts_recv)
    };
    Ok(events.depth(header, unheld))
}

/// Takes the levels of a side: `["new" or "change" or "delete",price,amount]`; in grouped books `[price,amount]`.
fn levels(
    c: &mut Cursor<'_>,
    side: Side,
    listing: Listing,
    events: &mut Events,
) -> Result<(), Fault> {
    c.lend(|c| {
        c.list(|c| {
            c.mark(b'[')?;
            let mut deleted = false;
            if c.begins(b'"') {
                deleted = match &*c.text()? {
                    b"new" | b"change" => false,
                    b"delete" => true,
                    other => {
                        let detail = format!("change {:?}", String::from_utf8_lossy(other));
                        return Err(fault(RejectCode::BadValue, detail));
                    }
                };
                c.comma()?;
            }
            let price = c.number(listing.price_scale)?;
            c.comma()?;
            let qty = c.number(listing.qty_scale)?;
            c.rest_of_list()?;
            events.row(side, price, if deleted { 0 } else { qty });
            Ok(())
        })
    })
}

/// Fields of a ticker are those with codes below this.
const FIELDS: usize = 25;

/// Numbers about an instrument, as they stand in a ticker, each in the place of its field's code.
#[derive(Debug, Default)]
struct Numbers<'a> {
    told: [Option<Told<'a>>; FIELDS],
}

#[derive(Clone, Copy, Debug)]
enum Told<'a> {
    Price(Unscaled<'a>),
    Qty(Unscaled<'a>),
    /// Without unit.
    Pure(f64),
}

impl<'a> Numbers<'a> {
    #[inline(always)]
    fn price(&mut self, field: ReferenceField, c: &mut Cursor<'a>) -> Result<(), Fault> {
        self.told[usize::from(field.code())] = told(c)?.map(Told::Price);
        Ok(())
    }

    #[inline(always)]
    fn qty(&mut self, field: ReferenceField, c: &mut Cursor<'a>) -> Result<(), Fault> {
        self.told[usize::from(field.code())] = told(c)?.map(Told::Qty);
        Ok(())
    }

    /// A number without unit, which the venue gives in parts of which `parts` make one.
    #[inline(always)]
    fn pure(&mut self, field: ReferenceField, parts: f64, c: &mut Cursor<'a>) -> Result<(), Fault> {
        let number = c.float()?.map(|number| Told::Pure(number / parts));
        self.told[usize::from(field.code())] = number;
        Ok(())
    }

    /// Adds them as a message, if there are any; in one order, whatever the order of the keys.
    fn close(&self, header: Header, listing: Listing, events: &mut Events) -> Result<u32, Fault> {
        let mut any = false;
        for (field, told) in (0..).zip(&self.told) {
            let Some(told) = told else { continue };
            let row = Row {
                field,
                ..Row::default()
            };
            any = true;
            events.builder.push_more(match told {
                Told::Price(number) => Row {
                    price: number.price_number(listing)?,
                    ..row
                },
                Told::Qty(number) => Row {
                    qty: number.qty_number(listing)?,
                    ..row
                },
                Told::Pure(value) => Row {
                    value: *value,
                    ..row
                },
            });
        }
        if any {
            events.close(header);
        }
        Ok(u32::from(any))
    }
}

/// Takes a number; `None` if it is null.
#[inline(always)]
fn told<'a>(c: &mut Cursor<'a>) -> Result<Option<Unscaled<'a>>, Fault> {
    if c.begins(b'n') {
        c.skip()?;
        return Ok(None);
    }
    Unscaled::take(c).map(Some)
}

fn ticker(c: &mut Cursor<'_>, ts_recv: Timestamp, events: &mut Events) -> Result<Outcome, Fault> {
    let (mut listing, mut ts_event) = (None, None);
    let (mut bid, mut bid_qty, mut ask, mut ask_qty) = (None, None, None, None);
    let mut numbers = Numbers::default();
    c.lend(|c| {
        object!(c, {
            "underlying_price" => numbers.price(ReferenceField::UnderlyingPrice, c)?,
            "underlying_index" => c.skip()?,
            "timestamp" => ts_event = Some(c.ms()?),
            "stats" => stats(c, &mut numbers)?,
            "state" => c.skip()?,
            "settlement_price" => numbers.price(ReferenceField::Settlement, c)?,
            "open_interest" => numbers.qty(ReferenceField::OpenInterest, c)?,
            "min_price" => numbers.price(ReferenceField::PriceLimitLow, c)?,
            "max_price" => numbers.price(ReferenceField::PriceLimitHigh, c)?,
            "mark_price" => numbers.price(ReferenceField::MarkPrice, c)?,
            "mark_iv" => numbers.pure(ReferenceField::MarkIv, PERCENT, c)?,
            "last_price" => c.skip()?,
            "interest_rate" => numbers.pure(ReferenceField::InterestRate, 1.0, c)?,
            "instrument_name" => listing = Some(instrument(c, events)?),
            "index_price" => numbers.price(ReferenceField::IndexPrice, c)?,
            "greeks" => greeks(c, &mut numbers)?,
            "estimated_delivery_price" => c.skip()?,
            "current_funding" => numbers.pure(ReferenceField::FundingRate, 1.0, c)?,
            "bid_iv" => numbers.pure(ReferenceField::BidIv, PERCENT, c)?,
            "best_bid_price" => bid = told(c)?,
            "best_bid_amount" => bid_qty = told(c)?,
            "best_ask_price" => ask = told(c)?,
            "best_ask_amount" => ask_qty = told(c)?,
            "ask_iv" => numbers.pure(ReferenceField::AskIv, PERCENT, c)?,
        });
        Ok(())
    })?;
    let listing = need(listing, "instrument_name")?;
    let header = Header {
        ts_event: need(ts_event, "timestamp")?,
        ..listing.header(Kind::Quote, ts_recv)
    };
    let price = |told: Option<Unscaled<'_>>| told.map_or(Ok(0), |n| n.price_number(listing));
    let qty = |told: Option<Unscaled<'_>>| told.map_or(Ok(0), |n| n.qty_number(listing));
    let bid = (price(bid)?, qty(bid_qty)?);
    let ask = (price(ask)?, qty(ask_qty)?);
    events.quote(header, bid, ask);
    let header = Header {
        kind: Kind::Reference,
        ..header
    };
    Ok(Outcome::of(1 + numbers.close(header, listing, events)?))
}

/// The venue writes volatilities in percent.
const PERCENT: f64 = 100.0;

#[inline(always)]
fn stats<'a>(c: &mut Cursor<'a>, numbers: &mut Numbers<'a>) -> Result<(), Fault> {
    object!(c, {
        "volume" => numbers.qty(ReferenceField::Volume24h, c)?,
        "price_change" => c.skip()?,
        "low" => c.skip()?,
        "high" => c.skip()?,
    });
    Ok(())
}

#[inline(always)]
fn greeks<'a>(c: &mut Cursor<'a>, numbers: &mut Numbers<'a>) -> Result<(), Fault> {
    object!(c, {
        "vega" => numbers.pure(ReferenceField::Vega, 1.0, c)?,
        "theta" => numbers.pure(ReferenceField::Theta, 1.0, c)?,
        "rho" => numbers.pure(ReferenceField::Rho, 1.0, c)?,
        "gamma" => numbers.pure(ReferenceField::Gamma, 1.0, c)?,
        "delta" => numbers.pure(ReferenceField::Delta, 1.0, c)?,
    });
    Ok(())
}

fn trade(c: &mut Cursor<'_>, ts_recv: Timestamp, events: &mut Events) -> Result<(), Fault> {
    let (mut id, mut ts_event, mut listing) = (None, None, None);
    let (mut price, mut qty, mut aggressor) = (None, None, None);
    let mut condition = Condition::Ordinary;
    let here = *c;
    c.lend(|c| {
        object!(c, {
            "trade_seq" => id = Some(c.unsigned()?),
            "trade_id" => c.skip()?,
            "timestamp" => ts_event = Some(c.ms()?),
            "tick_direction" => c.skip()?,
            "price" => price = Some(Unscaled::take(c)?),
            "mark_price" => c.skip()?,
            "iv" => c.skip()?,
            "instrument_name" => listing = Some(instrument(c, events)?),
            "index_price" => c.skip()?,
            "direction" => aggressor = Some(match &*c.text()? {
                b"buy" => Side::Buy,
                b"sell" => Side::Sell,
                other => {
                    let detail = format!("direction {:?}", String::from_utf8_lossy(other));
                    return Err(fault(RejectCode::BadValue, detail));
                }
            }),
            "block_trade_id" => {
                condition = Condition::Block;
                c.skip()?;
            },
            "amount" => qty = Some(Unscaled::take(c)?),
        });
        Ok(())
    })?;
    let listing = need(listing, "instrument_name")?;
    let id = need(id, "trade_seq")?;
    let Some(sequence_prev) = id.checked_sub(1) else {
        return Err(here.refuse(RejectCode::BadValue, "trade_seq is 0"));
    };
    let header = Header {
        ts_event: need(ts_event, "timestamp")?,
        sequence: id,
        sequence_prev,
        ..listing.header(Kind::Trade, ts_recv)
    };
    let price = need(price, "price")?.price_number(listing)?;
    let qty = need(qty, "amount")?.qty_number(listing)?;
    let row = Row {
        side: need(aggressor, "direction")?,
        price,
        qty,
        condition,
        ..Row::default()
    };
    events.single(header, row);
    Ok(())
}
