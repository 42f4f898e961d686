//! Coinbase Advanced Trade: `market_trades`, `ticker`, `level2`.
//!
//! | frame | `sequence` | `sequence_prev` | `ts_event` |
//! |---|---|---|---|
//! | `l2_data` | `sequence_num + 1` | that of the product's `l2_data` before, if no frame between is lost | the levels' |
//! | `market_trades` | `trade_id` | `trade_id - 1` | the trade's |
//! | `ticker` | none | no rule | the frame's |
//!
//! The venue numbers all frames of a connection from 0, whatever they hold. So a diff follows the one before it of its
//! product if the numbers between have all come; else it follows the lost frame, which no book has seen. The trades of
//! a `snapshot` were made before the connection: they are history, and no events.

use std::collections::HashMap;

use signal_event::{Header, InstrumentId, Kind, NO_RULE, Side, Timestamp};

use crate::decode::Listing;
use crate::json::{Cursor, Fault, Shapes, Text, Unscaled, fault, need, object};
use crate::{Decode, Events, Outcome, Reject, RejectCode};

/// Decodes Coinbase's frames.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    shapes: Shapes,
    numbers: Numbers,
    trades: Vec<Trade>,
}

/// The numbers of a connection's frames.
#[derive(Clone, Debug, Default)]
struct Numbers {
    /// Of the latest frame, plus one.
    latest: u64,
    /// Since this one no frame is lost.
    unbroken: u64,
    /// Of each product's latest depth message.
    depth: HashMap<InstrumentId, u64>,
}

impl Numbers {
    /// A frame has come with this number.
    fn next(&mut self, number: u64) {
        if number != self.latest + 1 {
            self.unbroken = number;
        }
        if number <= self.latest {
            // A new connection: what was known of books is of the one before.
            self.depth.clear();
        }
        self.latest = number;
    }

    /// The frame that came last is refused.
    fn lose(&mut self) {
        self.unbroken = self.latest + 1;
    }

    /// The number that this depth message of a product must follow.
    fn link(&mut self, product: InstrumentId, number: u64) -> u64 {
        let before = self.depth.insert(product, number);
        before
            .filter(|before| *before >= self.unbroken)
            .unwrap_or(number - 1)
    }
}

#[derive(Clone, Copy, Debug)]
struct Trade {
    listing: Listing,
    id: u64,
    price: i64,
    qty: i64,
    ts_event: Timestamp,
    aggressor: Side,
}

/// What is said of all events of a frame.
#[derive(Clone, Copy, Debug)]
struct Frame {
    ts_recv: Timestamp,
    timestamp: Timestamp,
    number: u64,
}

impl Decode for Decoder {
    const SIGNS: &'static [&'static [&'static str]] =
        &[&["\"channel\"", "\"sequence_num\"", "\"events\""]];

    fn frame(
        &mut self,
        ts_recv: Timestamp,
        frame: &[u8],
        events: &mut Events,
    ) -> Result<Outcome, Reject> {
        let outcome = self.decode(ts_recv, frame, events);
        if outcome.is_err() {
            self.numbers.lose();
        }
        Ok(outcome?)
    }
}

/// Takes the number of a frame, plus one: 0 means none.
#[inline(always)]
fn number_of(c: &mut Cursor<'_>) -> Result<u64, Fault> {
    let here = *c;
    let number = c.unsigned()?.checked_add(1);
    number.ok_or_else(|| here.refuse(RejectCode::Overflow, "no number of a frame"))
}

impl Decoder {
    fn decode(
        &mut self,
        ts_recv: Timestamp,
        frame: &[u8],
        events: &mut Events,
    ) -> Result<Outcome, Fault> {
        let mut c = Cursor::new(frame, self.shapes);
        let (mut channel, mut timestamp, mut number) = (None, None, None);
        let (mut outcome, mut later) = (None, None);
        object!(c, {
            "channel" => channel = Some(c.text()?),
            "timestamp" => timestamp = Some(c.rfc3339()?),
            "sequence_num" => number = Some(number_of(&mut c)?),
            "events" => match (&channel, timestamp, number) {
                (Some(channel), Some(timestamp), Some(number)) => {
                    let frame = Frame { ts_recv, timestamp, number };
                    outcome = Some(self.events(&mut c, channel, frame, events)?);
                }
                _ => {
                    later = Some(c);
                    c.skip()?;
                }
            },
        });
        c.end()?;
        self.shapes = c.shapes;
        let Some(channel) = channel else {
            return Err(fault(RejectCode::UnknownFrame, "no channel"));
        };
        let (timestamp, number) = (need(timestamp, "timestamp")?, need(number, "sequence_num")?);
        if let Some(mut c) = later {
            let frame = Frame {
                ts_recv,
                timestamp,
                number,
            };
            outcome = Some(self.events(&mut c, &channel, frame, events)?);
        }
        need(outcome, "events")
    }

    fn events(
        &mut self,
        c: &mut Cursor<'_>,
        channel: &[u8],
        frame: Frame,
        events: &mut Events,
    ) -> Result<Outcome, Fault> {
        self.numbers.next(frame.number);
        let mut sum = Outcome::UNUSED;
        c.list(|c| {
            let one = match channel {
                b"l2_data" => self.depth(c, frame, events)?,
                b"market_trades" => self.trades(c, frame, events)?,
                b"ticker" | b"ticker_batch" => tickers(c, frame, events)?,
                _ => {
                    c.skip()?;
                    Outcome::UNUSED
                }
            };
            sum.messages += one.messages;
            sum.unheld = sum.unheld.take().or(one.unheld);
            Ok(())
        })?;
        Ok(sum)
    }

    fn depth(
        &mut self,
        c: &mut Cursor<'_>,
        frame: Frame,
        events: &mut Events,
    ) -> Result<Outcome, Fault> {
        let (mut kind, mut listing, mut later) = (None, None, None);
        let (mut ts_event, mut unheld) = (None, None);
        object!(c, {
            "type" => kind = Some(c.text()?),
            "product_id" => listing = Some(product(c, events)?),
            "updates" => match listing {
                Some(listing) => ts_event = updates(c, listing, &mut unheld, events)?,
                None => {
                    later = Some(*c);
                    c.skip()?;
                }
            },
        });
        let listing = need(listing, "product_id")?;
        if let Some(mut c) = later {
            ts_event = updates(&mut c, listing, &mut unheld, events)?;
        }
        let link = self.numbers.link(listing.id, frame.number);
        let (kind, sequence_prev) = match &*need(kind, "type")? {
            b"snapshot" => (Kind::BookSnapshot, NO_RULE),
            b"update" => (Kind::BookDiff, link),
            other => return Err(unknown("type", other)),
        };
        let header = Header {
            ts_event: ts_event.unwrap_or(frame.timestamp),
            sequence: frame.number,
            sequence_prev,
            ..listing.header(kind, frame.ts_recv)
        };
        Ok(events.depth(header, unheld))
    }

    fn trades(
        &mut self,
        c: &mut Cursor<'_>,
        frame: Frame,
        events: &mut Events,
    ) -> Result<Outcome, Fault> {
        let mut history = false;
        self.trades.clear();
        object!(c, {
            "type" => history = match &*c.text()? {
                b"snapshot" => true,
                b"update" => false,
                other => return Err(unknown("type", other)),
            },
            "trades" => c.list(|c| {
                self.trades.push(trade(c, events)?);
                Ok(())
            })?,
        });
        if history {
            return Ok(Outcome::UNUSED);
        }
        // The newest stands first.
        for trade in self.trades.iter().rev() {
            let header = Header {
                ts_event: trade.ts_event,
                sequence: trade.id,
                sequence_prev: trade.id.wrapping_sub(1),
                ..trade.listing.header(Kind::Trade, frame.ts_recv)
            };
            events.trade(header, trade.aggressor, trade.price, trade.qty);
        }
        Ok(Outcome::of(self.trades.len() as u32))
    }
}

/// Takes the levels of a depth message, and gives when the latest changed.
fn updates<'a>(
    c: &mut Cursor<'a>,
    listing: Listing,
    unheld: &mut Option<Fault>,
    events: &mut Events,
) -> Result<Option<Timestamp>, Fault> {
    let mut latest = None;
    // All levels of a message have mostly one time.
    let mut last: Text<'a> = Text::Borrowed(b"");
    c.levels(unheld, |c| {
        c.list(|c| {
            let (mut side, mut price, mut qty) = (None, None, None);
            object!(c, {
                "side" => side = Some(side_of(c)?),
                "event_time" => {
                    let here = *c;
                    let text = c.text()?;
                    if text != last {
                        let time = { let mut c = here; c.rfc3339()? };
                        latest = latest.max(Some(time));
                        last = text;
                    }
                },
                "price_level" => price = Some(c.price(listing.price_scale)?),
                "new_quantity" => qty = Some(c.qty(listing.qty_scale)?),
            });
            let (price, qty) = (need(price, "price_level")?, need(qty, "new_quantity")?);
            events.row(need(side, "side")?, price, qty);
            Ok(())
        })
    })?;
    Ok(latest)
}

#[inline(always)]
fn side_of(c: &mut Cursor<'_>) -> Result<Side, Fault> {
    if c.eat(b"\"bid\"") {
        return Ok(Side::Bid);
    }
    if c.eat(b"\"offer\"") {
        return Ok(Side::Ask);
    }
    match &*c.text()? {
        b"bid" => Ok(Side::Bid),
        b"offer" => Ok(Side::Ask),
        other => Err(unknown("side", other)),
    }
}

fn trade(c: &mut Cursor<'_>, events: &mut Events) -> Result<Trade, Fault> {
    let (mut listing, mut id, mut price, mut qty) = (None, None, None, None);
    let (mut ts_event, mut aggressor) = (None, None);
    let here = *c;
    object!(c, {
        "product_id" => listing = Some(product(c, events)?),
        "trade_id" => id = Some(c.quoted_unsigned()?),
        "price" => price = Some(Unscaled::take(c)?),
        "size" => qty = Some(Unscaled::take(c)?),
        "time" => ts_event = Some(c.rfc3339()?),
        // The side of the maker's order.
        "side" => aggressor = Some(match &*c.text()? {
            b"BUY" => Side::Sell,
            b"SELL" => Side::Buy,
            other => return Err(unknown("side", other)),
        }),
    });
    let listing = need(listing, "product_id")?;
    let id = need(id, "trade_id")?;
    if id == 0 {
        return Err(here.refuse(RejectCode::BadValue, "trade_id is 0"));
    }
    Ok(Trade {
        listing,
        id,
        price: need(price, "price")?.price(listing)?,
        qty: need(qty, "size")?.qty(listing)?,
        ts_event: need(ts_event, "time")?,
        aggressor: need(aggressor, "side")?,
    })
}

fn tickers(c: &mut Cursor<'_>, frame: Frame, events: &mut Events) -> Result<Outcome, Fault> {
    let mut messages = 0;
    object!(c, {
        "type" => c.skip()?,
        "tickers" => c.list(|c| {
            quote(c, frame, events)?;
            messages += 1;
            Ok(())
        })?,
    });
    Ok(Outcome::of(messages))
}

fn quote(c: &mut Cursor<'_>, frame: Frame, events: &mut Events) -> Result<(), Fault> {
    let mut listing = None;
    let (mut bid, mut ask, mut bid_qty, mut ask_qty) = (None, None, None, None);
    object!(c, {
        "type" => c.skip()?,
        "product_id" => listing = Some(product(c, events)?),
        "price" => c.skip()?,
        "volume_24_h" => c.skip()?,
        "low_24_h" => c.skip()?,
        "high_24_h" => c.skip()?,
        "low_52_w" => c.skip()?,
        "high_52_w" => c.skip()?,
        "price_percent_chg_24_h" => c.skip()?,
        "best_bid" => bid = Some(Unscaled::take(c)?),
        "best_ask" => ask = Some(Unscaled::take(c)?),
        "best_bid_quantity" => bid_qty = Some(Unscaled::take(c)?),
        "best_ask_quantity" => ask_qty = Some(Unscaled::take(c)?),
    });
    let listing = need(listing, "product_id")?;
    let header = Header {
        ts_event: frame.timestamp,
        ..listing.header(Kind::Quote, frame.ts_recv)
    };
    let bid = need(bid, "best_bid")?.price(listing)?;
    let ask = need(ask, "best_ask")?.price(listing)?;
    let bid_qty = need(bid_qty, "best_bid_quantity")?.qty(listing)?;
    let ask_qty = need(ask_qty, "best_ask_quantity")?.qty(listing)?;
    events.quote(header, (bid, bid_qty), (ask, ask_qty));
    Ok(())
}

#[inline(always)]
fn product(c: &mut Cursor<'_>, events: &mut Events) -> Result<Listing, Fault> {
    let symbol = c.text()?;
    events.listing(0, &symbol, |symbol| format!("{symbol}.COINBASE"))
}

#[cold]
fn unknown(what: &str, value: &[u8]) -> Fault {
    let value = String::from_utf8_lossy(value);
    fault(RejectCode::BadValue, format!("{what} {value:?}"))
}
