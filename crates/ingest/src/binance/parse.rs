//! The general way: any layout of the same frames, through a JSON parser. Decides what a line means and why it is
//! refused.

use signal_event::decimal::parse_quantity;
use signal_event::{
    Condition, DecimalError, EventBatchBuilder, Header, Kind, NO_RULE, NO_TIME, Row, Side,
    Timestamp, flags,
};

use super::Market;
use super::decoder::{Decoder, Listing, aggressor, ns_of_ms, push_quote};
use super::json::Json;
use crate::{Reject, RejectCode};

/// A frame's header, whose rows are in the builder.
pub(super) struct Parsed {
    pub header: Header,
    /// Why its levels cannot be held: they are not in the builder, but a row that says so.
    pub unheld: Option<Reject>,
}

impl Parsed {
    fn whole(header: Header) -> Parsed {
        Parsed {
            header,
            unheld: None,
        }
    }
}

/// Event types of the venue's other streams.
const UNUSED: [&str; 20] = [
    "aggTrade",
    "kline",
    "continuous_kline",
    "indexPrice_kline",
    "markPrice_kline",
    "markPriceUpdate",
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

fn unused(what: &str) -> Reject {
    Reject::new(
        RejectCode::UnusedFrame,
        format!("{what} is of a stream that is not used"),
    )
}

/// Parses one frame and adds its rows to `builder` as an open message, also when it is refused. The header's `ts_recv`
/// is the caller's to set.
#[cold]
pub(super) fn frame(
    decoder: &mut Decoder,
    text: &[u8],
    builder: &mut EventBatchBuilder,
) -> Result<Parsed, Reject> {
    let json = Json::parse(text)?;
    let outer = Object::of(&json, "frame")?;
    let data = match outer.find("data") {
        Some(Json::List(_)) if outer.has("stream") => return Err(unused("a list of all symbols")),
        Some(data) if outer.has("stream") => Object::of(data, "data")?,
        _ => outer,
    };
    let event = if data.has("e") {
        Some(data.text("e")?)
    } else {
        None
    };
    match event {
        Some("depthUpdate") => diff(decoder, &data, builder),
        Some("trade") => trade(decoder, &data, builder).map(Parsed::whole),
        Some("bookTicker") => quote(decoder, &data, builder).map(Parsed::whole),
        None if data.has("lastUpdateId") => snapshot(decoder, &data, builder),
        None if data.has("u") && data.has("B") => quote(decoder, &data, builder).map(Parsed::whole),
        Some(event) if UNUSED.contains(&event) => Err(unused(event)),
        None if data.has("result") && data.has("id") => Err(unused("an answer to a request")),
        other => {
            let what = other.map_or("a frame without an event type".into(), |e| {
                format!("event type {e:?}")
            });
            let detail =
                format!("{what} is none of depthUpdate, bookTicker, trade or a depth snapshot");
            Err(Reject::new(RejectCode::UnknownFrame, detail))
        }
    }
}

fn diff(
    decoder: &mut Decoder,
    data: &Object<'_>,
    builder: &mut EventBatchBuilder,
) -> Result<Parsed, Reject> {
    let event = data.time("E")?;
    let futures = data.has("T") || data.has("pu");
    let ts_event = if futures { data.time("T")? } else { event };
    let listing = data.listing(decoder, futures)?;
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
    let unheld = data.sides(["b", "a"], listing, builder)?;
    Ok(Parsed {
        unheld,
        header: Header {
            kind: Kind::BookDiff,
            instrument: listing.id,
            ts_recv: 0,
            ts_event,
            sequence,
            sequence_prev,
        },
    })
}

fn trade(
    decoder: &mut Decoder,
    data: &Object<'_>,
    builder: &mut EventBatchBuilder,
) -> Result<Header, Reject> {
    data.time("E")?;
    let ts_event = data.time("T")?;
    // Only spot's frame has `M` (once "ignore"), only the futures' has `X`, the kind of trade.
    let futures = data.has("X");
    if !futures {
        data.truth("M")?;
    }
    let condition = match futures {
        true => condition(data.text("X")?),
        false => Condition::Ordinary,
    };
    let of_the_book = condition.is_on_book();
    let listing = data.listing(decoder, futures)?;
    let sequence = data.unsigned("t")?;
    let Some(sequence_prev) = sequence.checked_sub(1) else {
        return Err(Reject::new(RejectCode::BadValue, "trade id t is 0"));
    };
    let price = data.decimal("p", listing.price_scale)?;
    let qty = data.decimal("q", listing.qty_scale)?;
    let side = aggressor(data.truth("m")?, of_the_book);
    builder.push_more(Row {
        side,
        price,
        qty,
        condition,
        ..Row::default()
    });
    Ok(Header {
        kind: Kind::Trade,
        instrument: listing.id,
        ts_recv: 0,
        ts_event,
        sequence,
        sequence_prev,
    })
}

/// What the futures' kind of trade says.
fn condition(kind: &str) -> Condition {
    match kind {
        "MARKET" => Condition::Ordinary,
        "INSURANCE_FUND" => Condition::InsuranceFund,
        "SETTLEMENT" => Condition::Settlement,
        _ => Condition::OffBook,
    }
}

fn quote(
    decoder: &mut Decoder,
    data: &Object<'_>,
    builder: &mut EventBatchBuilder,
) -> Result<Header, Reject> {
    let sequence = data.unsigned("u")?;
    let futures = data.has("e");
    let mut ts_event = NO_TIME;
    if futures {
        ts_event = data.time("T")?;
        data.time("E")?;
    }
    let listing = data.listing(decoder, futures)?;
    let price = |key: &str| data.decimal(key, listing.price_scale);
    let qty = |key: &str| data.decimal(key, listing.qty_scale);
    push_quote(builder, (price("b")?, qty("B")?), (price("a")?, qty("A")?));
    Ok(Header {
        kind: Kind::Quote,
        instrument: listing.id,
        ts_recv: 0,
        ts_event,
        sequence,
        sequence_prev: NO_RULE,
    })
}

fn snapshot(
    decoder: &mut Decoder,
    data: &Object<'_>,
    builder: &mut EventBatchBuilder,
) -> Result<Parsed, Reject> {
    let sequence = data.unsigned("lastUpdateId")?;
    let futures = data.has("T");
    let mut ts_event = NO_TIME;
    if futures {
        data.time("E")?;
        ts_event = data.time("T")?;
    }
    let listing = if data.has("symbol") {
        let symbol = data.text("symbol")?;
        let market = if futures {
            Market::of_futures(symbol)
        } else {
            Market::Spot
        };
        decoder.listing(market, symbol)?
    } else {
        decoder.only_listing(if futures { Market::UsdM } else { Market::Spot })?
    };
    let unheld = data.sides(["bids", "asks"], listing, builder)?;
    Ok(Parsed {
        unheld,
        header: Header {
            kind: Kind::BookSnapshot,
            instrument: listing.id,
            ts_recv: 0,
            ts_event,
            sequence,
            sequence_prev: NO_RULE,
        },
    })
}

/// A JSON object whose keys are asked for by name.
#[derive(Clone, Copy)]
struct Object<'a> {
    map: &'a std::collections::BTreeMap<String, Json>,
}

impl<'a> Object<'a> {
    fn of(json: &'a Json, name: &str) -> Result<Object<'a>, Reject> {
        match json {
            Json::Map(map) => Ok(Object { map }),
            _ => Err(Reject::new(
                RejectCode::UnknownFrame,
                format!("the {name} is no JSON object"),
            )),
        }
    }

    fn find(&self, key: &str) -> Option<&'a Json> {
        self.map.get(key)
    }

    fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    fn get(&self, key: &str) -> Result<&'a Json, Reject> {
        self.find(key)
            .ok_or_else(|| Reject::new(RejectCode::MissingKey, format!("no key {key:?}")))
    }

    fn unsigned(&self, key: &str) -> Result<u64, Reject> {
        match self.get(key)? {
            Json::Unsigned(value) => Ok(*value),
            _ => Err(Reject::new(
                RejectCode::BadValue,
                format!("{key:?} is no unsigned 64-bit integer"),
            )),
        }
    }

    fn time(&self, key: &str) -> Result<Timestamp, Reject> {
        let ms = self.unsigned(key)?;
        ns_of_ms(ms).ok_or_else(|| {
            Reject::new(
                RejectCode::Overflow,
                format!("{key:?} {ms} ms do not fit into 64-bit ns"),
            )
        })
    }

    fn text(&self, key: &str) -> Result<&'a str, Reject> {
        match self.get(key)? {
            Json::Text(text) => Ok(text),
            _ => Err(Reject::new(
                RejectCode::BadValue,
                format!("{key:?} is no string"),
            )),
        }
    }

    fn truth(&self, key: &str) -> Result<bool, Reject> {
        match self.get(key)? {
            Json::Bool(truth) => Ok(*truth),
            _ => Err(Reject::new(
                RejectCode::BadValue,
                format!("{key:?} is neither true nor false"),
            )),
        }
    }

    fn listing(&self, decoder: &mut Decoder, futures: bool) -> Result<Listing, Reject> {
        let symbol = self.text("s")?;
        let market = if futures {
            Market::of_futures(symbol)
        } else {
            Market::Spot
        };
        decoder.listing(market, symbol)
    }

    fn decimal(&self, key: &str, scale: u8) -> Result<i64, Reject> {
        decimal(self.get(key)?, key, scale)
    }

    /// Adds the levels of both sides. If one is beyond the range of a tape, all are replaced by a row that says so.
    fn sides(
        &self,
        [bids, asks]: [&str; 2],
        listing: Listing,
        builder: &mut EventBatchBuilder,
    ) -> Result<Option<Reject>, Reject> {
        let sides = self
            .levels(bids, Side::Bid, listing, builder)
            .and_then(|()| self.levels(asks, Side::Ask, listing, builder));
        match sides {
            Err(reject) if reject.code == RejectCode::Overflow => {
                builder.abandon();
                builder.push_row(Side::None.code(), 0, 0);
                builder.mark_row(flags::UNHELD);
                Ok(Some(reject))
            }
            sides => sides.map(|()| None),
        }
    }

    fn levels(
        &self,
        key: &str,
        side: Side,
        listing: Listing,
        builder: &mut EventBatchBuilder,
    ) -> Result<(), Reject> {
        let refuse = || {
            Reject::new(
                RejectCode::BadValue,
                format!("{key:?} is no list of [price, quantity] pairs"),
            )
        };
        let Json::List(levels) = self.get(key)? else {
            return Err(refuse());
        };
        for level in levels {
            let Json::List(pair) = level else {
                return Err(refuse());
            };
            let [price, qty] = pair.as_slice() else {
                return Err(refuse());
            };
            builder.push_row(
                side.code(),
                decimal(price, key, listing.price_scale)?,
                decimal(qty, key, listing.qty_scale)?,
            );
        }
        Ok(())
    }
}

fn decimal(json: &Json, key: &str, scale: u8) -> Result<i64, Reject> {
    let Json::Text(text) = json else {
        return Err(Reject::new(
            RejectCode::BadValue,
            format!("{key:?} holds a number that is no decimal string"),
        ));
    };
    parse_quantity(text.as_bytes(), scale).map_err(|error| {
        let code = match error {
            DecimalError::Malformed => RejectCode::BadValue,
            DecimalError::Precision => RejectCode::Precision,
            DecimalError::Overflow => RejectCode::Overflow,
            DecimalError::Negative => RejectCode::Negative,
        };
        Reject::new(code, format!("{key:?} {text:?} {error} (scale {scale})"))
    })
}
