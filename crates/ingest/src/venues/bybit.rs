//! Bybit, version 5: `orderbook`, `publicTrade`. Spot and the derivatives of a category have connections of their own, whose
//! frames look alike: one source holds one category.
//!
//! | frame | `sequence` | `sequence_prev` | `ts_event` |
//! |---|---|---|---|
//! | `orderbook` | `u` | `u - 1`, in a snapshot no rule | `cts`, where it is not there `ts` |
//! | `orderbook.1` | none: it counts apart | no rule | the same |
//! | `tickers` | none | no rule | `ts` |
//! | `publicTrade` | none: ids are UUIDs | no rule | `T` |
//!
//! A snapshot may come at any time, after a restart of the service with `u` 1: it replaces the book. A book of one level is a
//! best quote. Tickers, of derivatives, tell reference data: those that changed.

use std::collections::HashMap;

use signal_event::{
    Condition, Header, InstrumentId, Kind, NO_RULE, ReferenceField, Row, Side, Timestamp,
};

use crate::decode::Listing;
use crate::json::{Cursor, Fault, Shapes, Unscaled, fault, need, object, pairs};
use crate::{Decode, Events, Outcome, Reject, RejectCode};

/// Decodes Bybit's frames.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    shapes: Shapes,
    /// The best bid and ask, as books of one level have told them; (0, 0) where a side is empty.
    best: HashMap<InstrumentId, [(i64, i64); 2]>,
    changes: Vec<(Side, i64, i64)>,
}

/// What a topic sends.
#[derive(Clone, Copy, Debug)]
enum Topic {
    /// A book of this many levels a side.
    Book(usize),
    Best,
    Trades,
    Tickers,
    Unused,
}

/// A book's message, but for the times and the type that stand outside of it.
#[derive(Debug)]
struct Depth {
    listing: Listing,
    id: u64,
    unheld: Option<Fault>,
}

impl Decode for Decoder {
    const SIGNS: &'static [&'static [&'static str]] = &[
        &["\"topic\":\"orderbook.", "\"data\""],
        &["\"topic\":\"publicTrade.", "\"data\""],
        &["\"topic\":\"tickers.", "\"cs\""],
    ];

    fn frame(
        &mut self,
        ts_recv: Timestamp,
        frame: &[u8],
        events: &mut Events,
    ) -> Result<Outcome, Reject> {
        let mut c = Cursor::new(frame, self.shapes);
        let (mut topic, mut snapshot, mut ts, mut cts) = (None, None, None, None);
        let (mut depth, mut trades, mut later, mut answer) = (None, None, None, false);
        let mut outside = None;
        object!(c, {
            "topic" => topic = Some(topic_of(&c.text()?)),
            "type" => snapshot = Some(&*c.text()? == b"snapshot"),
            "ts" => ts = Some(c.ms()?),
            "data" => match (topic, snapshot) {
                (Some(Topic::Book(levels)), Some(snapshot)) => {
                    let most = if snapshot { levels } else { usize::MAX };
                    depth = Some(depth_of(&mut c, most, events)?);
                }
                (Some(Topic::Trades), _) => trades = Some(trades_of(&mut c, ts_recv, events)?),
                // Their time stands behind them.
                (Some(Topic::Best | Topic::Tickers), Some(_)) => {
                    outside = Some(c);
                    c.skip()?;
                }
                _ => {
                    later = Some(c);
                    c.skip()?;
                }
            },
            "cts" => cts = Some(c.ms()?),
            "op" => {
                answer = true;
                c.skip()?;
            },
        });
        c.end()?;
        self.shapes = c.shapes;
        let topic = match topic {
            Some(topic) if !answer => topic,
            Some(_) => return Err(Reject::new(RejectCode::UnknownFrame, "a topic and an op")),
            None if answer => return Ok(Outcome::UNUSED),
            None => return Err(Reject::new(RejectCode::UnknownFrame, "no topic")),
        };
        match topic {
            Topic::Book(levels) => {
                let snapshot = need(snapshot, "type")?;
                let most = if snapshot { levels } else { usize::MAX };
                if let Some(mut c) = later {
                    depth = Some(depth_of(&mut c, most, events)?);
                }
                let Depth {
                    listing,
                    id,
                    unheld,
                } = need(depth, "data")?;
                let (kind, sequence_prev) = match snapshot {
                    true => (Kind::BookSnapshot, NO_RULE),
                    false => (Kind::BookDiff, id.wrapping_sub(1)),
                };
                let header = Header {
                    ts_event: need(cts.or(ts), "ts")?,
                    sequence: id,
                    sequence_prev,
                    ..listing.header(kind, ts_recv)
                };
                Ok(events.depth(header, unheld))
            }
            Topic::Best => {
                let mut c = need(outside.or(later), "data")?;
                let snapshot = need(snapshot, "type")?;
                let ts_event = need(cts.or(ts), "ts")?;
                Ok(self.quote(&mut c, ts_recv, ts_event, snapshot, events)?)
            }
            Topic::Tickers => {
                let mut c = need(outside.or(later), "data")?;
                Ok(reference(&mut c, ts_recv, need(ts, "ts")?, events)?)
            }
            Topic::Trades => {
                if let Some(mut c) = later {
                    trades = Some(trades_of(&mut c, ts_recv, events)?);
                }
                Ok(Outcome::of(need(trades, "data")?))
            }
            Topic::Unused => Ok(Outcome::UNUSED),
        }
    }
}

impl Decoder {
    /// Takes a book of one level: what it was is forgotten in a snapshot, and changed in a diff.
    fn quote(
        &mut self,
        c: &mut Cursor<'_>,
        ts_recv: Timestamp,
        ts_event: Timestamp,
        snapshot: bool,
        events: &mut Events,
    ) -> Result<Outcome, Fault> {
        let mut symbol = None;
        let mut sides = [None, None];
        object!(c, {
            "s" => symbol = Some(listing(c, events)?),
            "b" => {
                sides[0] = Some((Side::Bid, *c));
                c.skip()?;
            },
            "a" => {
                sides[1] = Some((Side::Ask, *c));
                c.skip()?;
            },
        });
        let listing = need(symbol, "s")?;
        self.changes.clear();
        for side in sides {
            let (side, mut c) = need(side, "b or a")?;
            pairs(&mut c, listing, Cursor::rest_of_list, |price, qty| {
                self.changes.push((side, price, qty));
            })?;
        }
        let known = self.best.get(&listing.id).copied();
        let mut best = known.filter(|_| !snapshot).unwrap_or_default();
        // What is gone first: the level that takes its place may stand before it.
        self.changes.sort_by_key(|(_, _, qty)| *qty != 0);
        for &(side, price, qty) in &self.changes {
            let place = &mut best[usize::from(side == Side::Ask)];
            match qty {
                0 if place.0 == price => *place = (0, 0),
                0 => {}
                _ => *place = (price, qty),
            }
        }
        if !snapshot && known.is_none() {
            return Ok(Outcome::UNUSED); // it changes what has not come
        }
        self.best.insert(listing.id, best);
        let header = Header {
            ts_event,
            ..listing.header(Kind::Quote, ts_recv)
        };
        events.quote(header, best[0], best[1]);
        Ok(Outcome::ONE)
    }
}

/// Takes what a ticker tells of an instrument; volatilities and greeks of options are the venue's own.
fn reference(
    c: &mut Cursor<'_>,
    ts_recv: Timestamp,
    ts_event: Timestamp,
    events: &mut Events,
) -> Result<Outcome, Fault> {
    use ReferenceField as Field;
    let mut symbol = None;
    let (mut prices, mut qtys, mut pure) = (Vec::new(), Vec::new(), Vec::new());
    object!(c, {
        "symbol" => symbol = Some(listing(c, events)?),
        "markPrice" => told(c, Field::MarkPrice, &mut prices)?,
        "indexPrice" => told(c, Field::IndexPrice, &mut prices)?,
        "underlyingPrice" => told(c, Field::UnderlyingPrice, &mut prices)?,
        "openInterest" => told(c, Field::OpenInterest, &mut qtys)?,
        "volume24h" => told(c, Field::Volume24h, &mut qtys)?,
        "fundingRate" => told(c, Field::FundingRate, &mut pure)?,
        "markPriceIv" => told(c, Field::MarkIv, &mut pure)?,
        "bidIv" => told(c, Field::BidIv, &mut pure)?,
        "askIv" => told(c, Field::AskIv, &mut pure)?,
        "delta" => told(c, Field::Delta, &mut pure)?,
        "gamma" => told(c, Field::Gamma, &mut pure)?,
        "vega" => told(c, Field::Vega, &mut pure)?,
        "theta" => told(c, Field::Theta, &mut pure)?,
    });
    let listing = need(symbol, "symbol")?;
    let mut rows = Vec::new();
    for (field, number) in prices {
        rows.push(Row::reference(field, number.price(listing)?));
    }
    for (field, number) in qtys {
        rows.push(Row::reference(field, number.qty(listing)?));
    }
    for (field, number) in pure {
        let text = number.place().text()?;
        let number = std::str::from_utf8(&text)
            .ok()
            .and_then(|text| text.parse().ok());
        rows.push(Row::pure(
            field,
            need(number.filter(|x: &f64| x.is_finite()), "number")?,
        ));
    }
    if rows.is_empty() {
        return Ok(Outcome::UNUSED);
    }
    // One order, whatever the order of the keys.
    rows.sort_by_key(|row| row.field);
    rows.into_iter()
        .for_each(|row| events.builder.push_more(row));
    events.close(Header {
        ts_event,
        ..listing.header(Kind::Reference, ts_recv)
    });
    Ok(Outcome::ONE)
}

/// Takes a number within a string; an empty one tells nothing.
fn told<'a>(
    c: &mut Cursor<'a>,
    field: ReferenceField,
    out: &mut Vec<(ReferenceField, Unscaled<'a>)>,
) -> Result<(), Fault> {
    if c.begins(b'"') && c.eat(b"\"\"") {
        return Ok(());
    }
    out.push((field, Unscaled::take(c)?));
    Ok(())
}

/// `orderbook.50.BTCUSDT`, `publicTrade.BTCUSDT`.
fn topic_of(name: &[u8]) -> Topic {
    let mut parts = name.split(|&b| b == b'.');
    match parts.next() {
        Some(b"orderbook") if name.starts_with(b"orderbook.1.") => Topic::Best,
        Some(b"tickers") => Topic::Tickers,
        Some(b"orderbook") => {
            let levels = parts.next().and_then(|text| std::str::from_utf8(text).ok());
            Topic::Book(
                levels
                    .and_then(|text| text.parse().ok())
                    .unwrap_or(usize::MAX),
            )
        }
        Some(b"publicTrade") => Topic::Trades,
        _ => Topic::Unused,
    }
}

fn listing(c: &mut Cursor<'_>, events: &mut Events) -> Result<Listing, Fault> {
    let symbol = c.text()?;
    events.listing(0, &symbol, |symbol| format!("{symbol}.BYBIT"))
}

fn depth_of(c: &mut Cursor<'_>, most: usize, events: &mut Events) -> Result<Depth, Fault> {
    let (mut symbol, mut id, mut unheld, mut sides) = (None, None, None, 0);
    let mut later = [None, None];
    object!(c, {
        "s" => symbol = Some(listing(c, events)?),
        "b" => {
            sides += 1;
            match symbol {
                Some(l) => c.levels(&mut unheld, |c| levels(c, Side::Bid, l, most, events))?,
                None => {
                    later[0] = Some((Side::Bid, *c));
                    c.skip()?;
                }
            }
        },
        "a" => {
            sides += 1;
            match symbol {
                Some(l) => c.levels(&mut unheld, |c| levels(c, Side::Ask, l, most, events))?,
                None => {
                    later[1] = Some((Side::Ask, *c));
                    c.skip()?;
                }
            }
        },
        "u" => id = Some(c.unsigned()?),
        "seq" => c.skip()?,
    });
    let listing = need(symbol, "s")?;
    for (side, mut c) in later.into_iter().flatten() {
        c.levels(&mut unheld, |c| levels(c, side, listing, most, events))?;
    }
    let id = need(id, "u")?;
    if sides < 2 || id == 0 {
        let detail = "a book without \"b\", \"a\" or an update id";
        return Err(fault(RejectCode::MissingKey, detail));
    }
    Ok(Depth {
        listing,
        id,
        unheld,
    })
}

/// Takes the levels of a side, the best first. A snapshot with as many as the topic sends is cut off.
fn levels(
    c: &mut Cursor<'_>,
    side: Side,
    listing: Listing,
    most: usize,
    events: &mut Events,
) -> Result<(), Fault> {
    let mut count = 0;
    pairs(c, listing, Cursor::rest_of_list, |price, qty| {
        events.row(side, price, qty);
        count += 1;
    })?;
    if count >= most && count > 0 {
        events.cut();
    }
    Ok(())
}

fn trades_of(c: &mut Cursor<'_>, ts_recv: Timestamp, events: &mut Events) -> Result<u32, Fault> {
    let mut messages = 0;
    c.list(|c| {
        trade(c, ts_recv, events)?;
        messages += 1;
        Ok(())
    })?;
    Ok(messages)
}

fn trade(c: &mut Cursor<'_>, ts_recv: Timestamp, events: &mut Events) -> Result<(), Fault> {
    let (mut ts_event, mut symbol, mut aggressor) = (None, None, None);
    let (mut qty, mut price, mut condition) = (None, None, Condition::Ordinary);
    object!(c, {
        "T" => ts_event = Some(c.ms()?),
        "s" => symbol = Some(listing(c, events)?),
        "S" => aggressor = Some(match &*c.text()? {
            b"Buy" => Side::Buy,
            b"Sell" => Side::Sell,
            other => {
                let detail = format!("side {:?}", String::from_utf8_lossy(other));
                return Err(fault(RejectCode::BadValue, detail));
            }
        }),
        "v" => qty = Some(Unscaled::take(c)?),
        "p" => price = Some(Unscaled::take(c)?),
        "L" => c.skip()?,
        "i" => c.skip()?,
        "BT" => if c.truth()? {
            condition = Condition::Block;
        },
    });
    let listing = need(symbol, "s")?;
    let header = Header {
        ts_event: need(ts_event, "T")?,
        ..listing.header(Kind::Trade, ts_recv)
    };
    let (price, qty) = (
        need(price, "p")?.price(listing)?,
        need(qty, "v")?.qty(listing)?,
    );
    let row = Row {
        side: need(aggressor, "S")?,
        price,
        qty,
        condition,
        ..Row::default()
    };
    events.single(header, row);
    Ok(())
}
