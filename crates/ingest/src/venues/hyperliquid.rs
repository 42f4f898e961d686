//! Hyperliquid: `l2Book`, `trades`, `bbo`, `activeAssetCtx`.
//!
//! | frame | `sequence` | `sequence_prev` | `ts_event` |
//! |---|---|---|---|
//! | `l2Book` | none: each is a whole snapshot of 20 levels | no rule | `time` |
//! | `trades` | none: `tid` says nothing of their order | no rule | `time` |
//! | `bbo` | none | no rule | `time` |
//! | `activeAssetCtx` | none | no rule | none |

use signal_event::{Header, Kind, ReferenceField, Row, Side, Timestamp};

use crate::decode::Listing;
use crate::json::{Cursor, Fault, Shapes, Unscaled, fault, need, object};
use crate::{Decode, Events, Outcome, Reject, RejectCode};

/// Levels a side of a snapshot; one that has so many is cut off.
const LEVELS_MAX: usize = 20;

/// Decodes Hyperliquid's frames.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    shapes: Shapes,
}

impl Decode for Decoder {
    const SIGNS: &'static [&'static [&'static str]] = &[
        &["\"channel\"", "\"data\"", "\"coin\""],
        &["\"channel\":\"subscriptionResponse\""],
    ];

    fn frame(
        &mut self,
        ts_recv: Timestamp,
        frame: &[u8],
        events: &mut Events,
    ) -> Result<Outcome, Reject> {
        let mut c = Cursor::new(frame, self.shapes);
        let (mut channel, mut later, mut outcome) = (None, None, None);
        object!(c, {
            "channel" => channel = Some(c.text()?),
            "data" => match &channel {
                Some(channel) => outcome = Some(data(&mut c, channel, ts_recv, events)?),
                None => {
                    later = Some(c);
                    c.skip()?;
                }
            },
        });
        c.end()?;
        self.shapes = c.shapes;
        let Some(channel) = channel else {
            return Err(Reject::new(RejectCode::UnknownFrame, "no channel"));
        };
        if let Some(mut c) = later {
            outcome = Some(data(&mut c, &channel, ts_recv, events)?);
        }
        match outcome {
            Some(outcome) => Ok(outcome),
            None if &*channel == b"pong" => Ok(Outcome::UNUSED),
            None => Ok(need(None, "data")?),
        }
    }
}

fn data(
    c: &mut Cursor<'_>,
    channel: &[u8],
    ts_recv: Timestamp,
    events: &mut Events,
) -> Result<Outcome, Fault> {
    match channel {
        b"l2Book" => depth(c, ts_recv, events),
        b"bbo" => quote(c, ts_recv, events),
        b"activeAssetCtx" => reference(c, ts_recv, events),
        b"trades" => {
            let mut messages = 0;
            c.list(|c| {
                trade(c, ts_recv, events)?;
                messages += 1;
                Ok(())
            })?;
            Ok(Outcome::of(messages))
        }
        _ => {
            c.skip()?;
            Ok(Outcome::UNUSED)
        }
    }
}

fn coin(c: &mut Cursor<'_>, events: &mut Events) -> Result<Listing, Fault> {
    let symbol = c.text()?;
    events.listing(0, &symbol, |symbol| format!("{symbol}.HYPERLIQUID"))
}

fn depth(c: &mut Cursor<'_>, ts_recv: Timestamp, events: &mut Events) -> Result<Outcome, Fault> {
    let (mut symbol, mut ts_event, mut later, mut unheld) = (None, None, None, None);
    let mut taken = false;
    object!(c, {
        "coin" => symbol = Some(coin(c, events)?),
        "time" => ts_event = Some(c.ms()?),
        "levels" => {
            taken = true;
            match symbol {
                Some(listing) => c.levels(&mut unheld, |c| sides(c, listing, events))?,
                None => {
                    later = Some(*c);
                    c.skip()?;
                }
            }
        },
    });
    let listing = need(symbol, "coin")?;
    if let Some(mut c) = later {
        c.levels(&mut unheld, |c| sides(c, listing, events))?;
    }
    need(taken.then_some(()), "levels")?;
    let header = Header {
        ts_event: need(ts_event, "time")?,
        ..listing.header(Kind::BookSnapshot, ts_recv)
    };
    Ok(events.depth(header, unheld))
}

/// Takes both sides of a book, each the best first.
fn sides(c: &mut Cursor<'_>, listing: Listing, events: &mut Events) -> Result<(), Fault> {
    c.mark(b'[')?;
    for side in [Side::Bid, Side::Ask] {
        let mut count = 0;
        c.list(|c| {
            let (price, qty) = level(c)?;
            events.row(side, price.price(listing)?, qty.qty(listing)?);
            count += 1;
            Ok(())
        })?;
        if count >= LEVELS_MAX {
            events.cut();
        }
        if side == Side::Bid {
            c.comma()?;
        }
    }
    c.rest_of_list()
}

/// Takes `{"px":"113377.0","sz":"7.6699","n":17}`.
fn level<'a>(c: &mut Cursor<'a>) -> Result<(Unscaled<'a>, Unscaled<'a>), Fault> {
    let (mut price, mut qty) = (None, None);
    object!(c, {
        "px" => price = Some(Unscaled::take(c)?),
        "sz" => qty = Some(Unscaled::take(c)?),
        "n" => c.skip()?,
    });
    Ok((need(price, "px")?, need(qty, "sz")?))
}

/// Takes a best quote; a side without orders is null.
fn quote(c: &mut Cursor<'_>, ts_recv: Timestamp, events: &mut Events) -> Result<Outcome, Fault> {
    let (mut symbol, mut ts_event, mut best) = (None, None, None);
    object!(c, {
        "coin" => symbol = Some(coin(c, events)?),
        "time" => ts_event = Some(c.ms()?),
        "bbo" => {
            let mut sides = [None, None];
            c.mark(b'[')?;
            for (at, side) in sides.iter_mut().enumerate() {
                match c.begins(b'{') {
                    true => *side = Some(level(c)?),
                    false => c.skip()?,
                }
                if at == 0 {
                    c.comma()?;
                }
            }
            c.rest_of_list()?;
            best = Some(sides);
        },
    });
    let listing = need(symbol, "coin")?;
    let mut numbers = [(0, 0); 2];
    for (side, number) in need(best, "bbo")?.into_iter().zip(&mut numbers) {
        if let Some((price, qty)) = side {
            *number = (price.price(listing)?, qty.qty(listing)?);
        }
    }
    let header = Header {
        ts_event: need(ts_event, "time")?,
        ..listing.header(Kind::Quote, ts_recv)
    };
    events.quote(header, numbers[0], numbers[1]);
    Ok(Outcome::ONE)
}

fn trade(c: &mut Cursor<'_>, ts_recv: Timestamp, events: &mut Events) -> Result<(), Fault> {
    let (mut symbol, mut aggressor, mut ts_event) = (None, None, None);
    let (mut price, mut qty) = (None, None);
    object!(c, {
        "coin" => symbol = Some(coin(c, events)?),
        // The side of the taker: B bid, A ask.
        "side" => aggressor = Some(match &*c.text()? {
            b"B" => Side::Buy,
            b"A" => Side::Sell,
            other => {
                let detail = format!("side {:?}", String::from_utf8_lossy(other));
                return Err(fault(RejectCode::BadValue, detail));
            }
        }),
        "px" => price = Some(Unscaled::take(c)?),
        "sz" => qty = Some(Unscaled::take(c)?),
        "time" => ts_event = Some(c.ms()?),
        "hash" => c.skip()?,
        "tid" => c.skip()?,
        "users" => c.skip()?,
    });
    let listing = need(symbol, "coin")?;
    let header = Header {
        ts_event: need(ts_event, "time")?,
        ..listing.header(Kind::Trade, ts_recv)
    };
    let (price, qty) = (
        need(price, "px")?.price(listing)?,
        need(qty, "sz")?.qty(listing)?,
    );
    events.trade(header, need(aggressor, "side")?, price, qty);
    Ok(())
}

/// Takes what the venue computes of a perpetual. Its oracle's price is what an index is elsewhere.
fn reference(
    c: &mut Cursor<'_>,
    ts_recv: Timestamp,
    events: &mut Events,
) -> Result<Outcome, Fault> {
    use ReferenceField as Field;
    let (mut symbol, mut context) = (None, None);
    object!(c, {
        "coin" => symbol = Some(coin(c, events)?),
        "ctx" => {
            context = Some(*c);
            c.skip()?;
        },
    });
    let (listing, mut c) = (need(symbol, "coin")?, need(context, "ctx")?);
    let mut rows = Vec::with_capacity(4);
    object!(c, {
        "funding" => {
            let here = c;
            let text = c.text()?;
            let number = std::str::from_utf8(&text).ok();
            let number = number.and_then(|text| text.parse::<f64>().ok());
            let Some(number) = number.filter(|number| number.is_finite()) else {
                return Err(here.refuse(RejectCode::BadValue, "no number"));
            };
            rows.push(Row::pure(Field::FundingRate, number));
        },
        "openInterest" => rows.push(Row::reference(Field::OpenInterest, c.qty(listing.qty_scale)?)),
        "oraclePx" => rows.push(Row::reference(Field::IndexPrice, c.price(listing.price_scale)?)),
        "markPx" => rows.push(Row::reference(Field::MarkPrice, c.price(listing.price_scale)?)),
    });
    if rows.is_empty() {
        return Ok(Outcome::UNUSED);
    }
    // One order, whatever the order of the keys.
    rows.sort_by_key(|row| row.field);
    rows.into_iter()
        .for_each(|row| events.builder.push_more(row));
    events.close(listing.header(Kind::Reference, ts_recv));
    Ok(Outcome::ONE)
}
