//! OKX: `trades`, `tickers`, `bbo-tbt`, the channels of books, `mark-price`, `funding-rate`, `open-interest`.
//!
//! | frame | `sequence` | `sequence_prev` | `ts_event` |
//! |---|---|---|---|
//! | `books…` | `seqId`, if it is there | `prevSeqId`, in a snapshot no rule | `ts` |
//! | `trades` | `tradeId` | no rule: trades of one taker may come as one | `ts` |
//! | `tickers`, `bbo-tbt` | none | no rule | `ts` |
//! | `mark-price`, `funding-rate`, `open-interest` | none | no rule | `ts` |

use signal_event::{
    Header, Kind, NO_RULE, NO_SEQUENCE, NO_TIME, ReferenceField, Row, Side, Timestamp,
};

use crate::decode::Listing;
use crate::json::{Cursor, Fault, Shapes, fault, need, object, pairs};
use crate::{Decode, Events, Outcome, Reject, RejectCode};

/// Levels a side of the `books` channel; a snapshot with so many is cut off.
const LEVELS_MAX: usize = 400;

/// Decodes OKX's frames.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    shapes: Shapes,
}

/// What a channel sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channel {
    /// A snapshot, then diffs.
    Book,
    /// Nothing but snapshots, of this many levels.
    Snapshots(usize),
    Trades,
    Tickers,
    Reference,
    Unused,
}

impl Decode for Decoder {
    const SIGNS: &'static [&'static [&'static str]] = &[
        &["\"arg\"", "\"channel\"", "\"data\""],
        &["\"event\"", "\"arg\"", "\"channel\""],
    ];

    fn frame(
        &mut self,
        ts_recv: Timestamp,
        frame: &[u8],
        events: &mut Events,
    ) -> Result<Outcome, Reject> {
        let mut c = Cursor::new(frame, self.shapes);
        let (mut arg, mut update, mut later, mut outcome) = (None, None, None, None);
        let mut event = false;
        object!(c, {
            "event" => {
                event = true;
                c.skip()?;
            },
            "arg" => arg = Some(c.lend(|c| arg_of(c, events))?),
            "action" => update = Some(is_update(&mut c)?),
            // A book's action stands before its data; other channels have none.
            "data" => match arg {
                Some((channel, listing)) if channel != Channel::Book || update.is_some() => {
                    let taken = c.lend(|c| data(c, ts_recv, channel, listing, update, events));
                    outcome = Some(taken?);
                }
                _ => {
                    later = Some(c);
                    c.skip()?;
                }
            },
        });
        c.end()?;
        self.shapes = c.shapes;
        if event {
            events.abandon();
            return Ok(Outcome::UNUSED);
        }
        let Some((channel, listing)) = arg else {
            return Err(Reject::new(RejectCode::UnknownFrame, "no channel"));
        };
        if let Some(mut c) = later {
            outcome = Some(data(&mut c, ts_recv, channel, listing, update, events)?);
        }
        Ok(need(outcome, "data")?)
    }
}

fn arg_of(c: &mut Cursor<'_>, events: &mut Events) -> Result<(Channel, Option<Listing>), Fault> {
    let (mut channel, mut symbol) = (None, None);
    c.lend(|c| {
        object!(c, {
            "channel" => channel = Some(match &*c.text()? {
                b"books" | b"books-l2-tbt" | b"books50-l2-tbt" => Channel::Book,
                b"books5" => Channel::Snapshots(5),
                b"bbo-tbt" => Channel::Snapshots(1),
                b"trades" | b"trades-all" => Channel::Trades,
                b"tickers" => Channel::Tickers,
                b"mark-price" | b"funding-rate" | b"open-interest" => Channel::Reference,
                _ => Channel::Unused,
            }),
            "instId" => symbol = Some(c.text()?),
        });
        Ok(())
    })?;
    let channel = need(channel, "channel")?;
    let listing = match (channel, symbol) {
        (Channel::Unused, _) | (_, None) => None,
        (_, Some(symbol)) => Some(events.listing(0, &symbol, |symbol| format!("{symbol}.OKX"))?),
    };
    Ok((channel, listing))
}

#[inline(always)]
fn is_update(c: &mut Cursor<'_>) -> Result<bool, Fault> {
    match &*c.text()? {
        b"update" => Ok(true),
        b"snapshot" => Ok(false),
        other => {
            let detail = format!("action {:?}", String::from_utf8_lossy(other));
            Err(fault(RejectCode::BadValue, detail))
        }
    }
}

fn data(
    c: &mut Cursor<'_>,
    ts_recv: Timestamp,
    channel: Channel,
    listing: Option<Listing>,
    update: Option<bool>,
    events: &mut Events,
) -> Result<Outcome, Fault> {
    if channel == Channel::Unused {
        c.skip()?;
        return Ok(Outcome::UNUSED);
    }
    let listing = need(listing, "instId")?;
    let mut sum = Outcome::UNUSED;
    c.list(|c| {
        let one = match channel {
            Channel::Book => {
                let update = need(update, "action")?;
                depth(c, ts_recv, listing, update, LEVELS_MAX, events)?
            }
            Channel::Snapshots(levels) => depth(c, ts_recv, listing, false, levels, events)?,
            Channel::Trades => trade(c, ts_recv, listing, events)?,
            Channel::Tickers => quote(c, ts_recv, listing, events)?,
            Channel::Reference => reference(c, ts_recv, listing, events)?,
            Channel::Unused => Outcome::UNUSED,
        };
        sum.messages += one.messages;
        sum.unheld = sum.unheld.take().or(one.unheld);
        Ok(())
    })?;
    Ok(sum)
}

fn depth(
    c: &mut Cursor<'_>,
    ts_recv: Timestamp,
    listing: Listing,
    update: bool,
    levels_max: usize,
    events: &mut Events,
) -> Result<Outcome, Fault> {
    let (mut unheld, mut ts_event) = (None, None);
    let (mut sequence, mut prev) = (None, None);
    let (mut bids, mut asks) = (None, None);
    let most = if update { usize::MAX } else { levels_max };
    let mut take = |c: &mut Cursor<'_>, side| {
        c.levels(&mut unheld, |c| levels(c, side, listing, most, events))
    };
    let mut checksum = None;
    c.lend(|c| {
        object!(c, {
            "asks" => asks = Some(c.lend(|c| take(c, Side::Ask))?),
            "bids" => bids = Some(c.lend(|c| take(c, Side::Bid))?),
            "instId" => c.skip()?,
            "ts" => ts_event = Some(c.quoted_ms()?),
            "checksum" => checksum = Some(c.signed()?),
            "seqId" => sequence = Some(c.signed()?),
            "prevSeqId" => prev = Some(c.signed()?),
        });
        Ok(())
    })?;
    if let Some(checksum) = checksum {
        events.checksum(checksum)?;
    }
    need(bids, "bids")?;
    need(asks, "asks")?;
    let id = |id: i64| u64::try_from(id).ok();
    let (sequence, prev) = (sequence.and_then(id), prev.and_then(id));
    if update && sequence.is_some() && sequence == prev {
        // The book has not changed: the venue shows that it lives.
        events.abandon();
        return Ok(Outcome::UNUSED);
    }
    let (kind, sequence_prev) = match update {
        true => (Kind::BookDiff, prev.unwrap_or(NO_RULE)),
        false => (Kind::BookSnapshot, NO_RULE),
    };
    let header = Header {
        ts_event: need(ts_event, "ts")?,
        sequence: sequence.unwrap_or(NO_SEQUENCE),
        sequence_prev,
        ..listing.header(kind, ts_recv)
    };
    Ok(events.depth(header, unheld))
}

/// Takes the levels of a side: `["price","quantity","0","orders"]`, the best first.
fn levels(
    c: &mut Cursor<'_>,
    side: Side,
    listing: Listing,
    levels_max: usize,
    events: &mut Events,
) -> Result<(), Fault> {
    let mut count = 0;
    let rest = |c: &mut Cursor<'_>| {
        let behind = *c;
        // What stands third has no meaning any more: it is always 0. Orders are few.
        if !(c.eat(b",\"0\",\"") && c.few_digits_end(b"\"]")) {
            *c = behind;
            c.rest_of_list()?;
        }
        Ok(())
    };
    pairs(c, listing, rest, |price, qty| {
        events.row(side, price, qty);
        count += 1;
    })?;
    if count >= levels_max {
        events.cut();
    }
    Ok(())
}

fn trade(
    c: &mut Cursor<'_>,
    ts_recv: Timestamp,
    listing: Listing,
    events: &mut Events,
) -> Result<Outcome, Fault> {
    let (mut id, mut price, mut qty) = (None, None, None);
    let (mut aggressor, mut ts_event) = (None, None);
    c.lend(|c| {
        object!(c, {
            "instId" => c.skip()?,
            "tradeId" => id = Some(c.quoted_unsigned()?),
            "px" => price = Some(c.price(listing.price_scale)?),
            "sz" => qty = Some(c.qty(listing.qty_scale)?),
            "side" => aggressor = Some(match &*c.text()? {
                b"buy" => Side::Buy,
                b"sell" => Side::Sell,
                other => {
                    let detail = format!("side {:?}", String::from_utf8_lossy(other));
                    return Err(fault(RejectCode::BadValue, detail));
                }
            }),
            "ts" => ts_event = Some(c.quoted_ms()?),
        });
        Ok(())
    })?;
    let header = Header {
        ts_event: need(ts_event, "ts")?,
        sequence: need(id, "tradeId")?,
        ..listing.header(Kind::Trade, ts_recv)
    };
    let (price, qty) = (need(price, "px")?, need(qty, "sz")?);
    events.trade(header, need(aggressor, "side")?, price, qty);
    Ok(Outcome::ONE)
}

fn quote(
    c: &mut Cursor<'_>,
    ts_recv: Timestamp,
    listing: Listing,
    events: &mut Events,
) -> Result<Outcome, Fault> {
    let (mut bid, mut bid_qty, mut ask, mut ask_qty) = (None, None, None, None);
    let mut ts_event = None;
    c.lend(|c| {
        object!(c, {
            "instType" => c.skip()?,
            "instId" => c.skip()?,
            "last" => c.skip()?,
            "lastSz" => c.skip()?,
            "askPx" => ask = Some(c.price(listing.price_scale)?),
            "askSz" => ask_qty = Some(c.qty(listing.qty_scale)?),
            "bidPx" => bid = Some(c.price(listing.price_scale)?),
            "bidSz" => bid_qty = Some(c.qty(listing.qty_scale)?),
            "open24h" => c.skip()?,
            "high24h" => c.skip()?,
            "low24h" => c.skip()?,
            "sodUtc0" => c.skip()?,
            "sodUtc8" => c.skip()?,
            "volCcy24h" => c.skip()?,
            "vol24h" => c.skip()?,
            "ts" => ts_event = Some(c.quoted_ms()?),
        });
        Ok(())
    })?;
    let header = Header {
        ts_event: need(ts_event, "ts")?,
        ..listing.header(Kind::Quote, ts_recv)
    };
    let bid = (need(bid, "bidPx")?, need(bid_qty, "bidSz")?);
    let ask = (need(ask, "askPx")?, need(ask_qty, "askSz")?);
    events.quote(header, bid, ask);
    Ok(Outcome::ONE)
}

/// Takes what a channel tells of an instrument; an empty text tells nothing.
fn reference(
    c: &mut Cursor<'_>,
    ts_recv: Timestamp,
    listing: Listing,
    events: &mut Events,
) -> Result<Outcome, Fault> {
    use ReferenceField as Field;
    let (mut rows, mut ts_event) = (Vec::with_capacity(2), None);
    object!(c, {
        "instType" => c.skip()?,
        "instId" => c.skip()?,
        "markPx" => rows.push(Row::reference(Field::MarkPrice, c.price(listing.price_scale)?)),
        "oi" => rows.push(Row::reference(Field::OpenInterest, c.qty(listing.qty_scale)?)),
        "fundingRate" => {
            let here = *c;
            let text = c.text()?;
            let number = std::str::from_utf8(&text).ok();
            let number = number.and_then(|text| text.parse::<f64>().ok());
            match number.filter(|number| number.is_finite()) {
                Some(number) => rows.push(Row::pure(Field::FundingRate, number)),
                None if text.is_empty() => {}
                None => return Err(here.refuse(RejectCode::BadValue, "no number")),
            }
        },
        "fundingTime" => rows.push(Row::reference(Field::NextFunding, c.quoted_ms()?)),
        "ts" => ts_event = Some(c.quoted_ms()?),
    });
    if rows.is_empty() {
        return Ok(Outcome::UNUSED);
    }
    // One order, whatever the order of the keys.
    rows.sort_by_key(|row| row.field);
    rows.into_iter()
        .for_each(|row| events.builder.push_more(row));
    events.close(Header {
        ts_event: ts_event.unwrap_or(NO_TIME), // funding has had one since 2023
        ..listing.header(Kind::Reference, ts_recv)
    });
    Ok(Outcome::ONE)
}
