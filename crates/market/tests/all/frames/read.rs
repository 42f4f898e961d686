//! What frames say of books, venue by venue.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use signal_event::{Kind, NO_RULE, NO_SEQUENCE, OrderAction, Side};

use super::{Recorded, Said, Told};

#[derive(Default)]
pub struct Reader {
    books: BTreeMap<String, Vec<Said>>,
    /// Coinbase: the latest frame of each book.
    frames: HashMap<String, u64>,
    /// Independent Reserve: the pair of each channel whose orders were asked for.
    pairs: HashMap<String, String>,
    /// Independent Reserve: what came before that.
    early: Vec<Value>,
}

impl Reader {
    pub fn books(self) -> Vec<Recorded> {
        let books = self.books.into_iter();
        books
            .map(|(instrument, messages)| Recorded {
                instrument,
                scales: scales(&messages),
                messages,
            })
            .collect()
    }

    pub fn read(&mut self, venue: &str, url: &str, frame: &Value) {
        match venue {
            "BINANCE_FUTURES" => self.binance(url, frame),
            "COINBASE" => self.coinbase(frame),
            "DERIBIT" => self.deribit(frame),
            "INDEPENDENT_RESERVE" => self.independent_reserve(url, frame),
            "KRAKEN" => self.kraken(frame),
            "KUCOIN" => self.kucoin(url, frame),
            "OKX" => self.okx(frame),
            _ => panic!("no recording of {venue}"),
        }
    }

    fn say(&mut self, instrument: &str, said: Said) {
        let messages = self.books.entry(instrument.to_string()).or_default();
        messages.push(said);
    }

    fn binance(&mut self, url: &str, frame: &Value) {
        if let Some(symbol) = asked(url, "/depth?", "symbol") {
            let rows = both(frame, ["bids", "asks"], 0);
            let said = snapshot(
                number(&frame["lastUpdateId"]),
                milliseconds(&frame["T"]),
                rows,
            );
            self.say(&symbol, said);
        }
        let data = &frame["data"];
        if data["e"] == "depthUpdate" {
            let rows = both(data, ["b", "a"], 0);
            let ids = [number(&data["pu"]), number(&data["u"])];
            self.say(text(&data["s"]), diff(ids, milliseconds(&data["T"]), rows));
        }
    }

    fn coinbase(&mut self, frame: &Value) {
        if frame["channel"] != "l2_data" {
            return;
        }
        let sequence = number(&frame["sequence_num"]) + 1;
        for event in list(&frame["events"]) {
            let rows = list(&event["updates"]).iter().map(|update| {
                let side = match text(&update["side"]) {
                    "bid" => Side::Bid,
                    _ => Side::Ask,
                };
                level(side, &update["price_level"], &update["new_quantity"])
            });
            let (rows, product) = (rows.collect(), text(&event["product_id"]));
            let before = self.frames.insert(product.to_string(), sequence);
            let said = match text(&event["type"]) {
                "snapshot" => snapshot(sequence, 0, rows),
                _ => diff([before.expect("a snapshot is first"), sequence], 0, rows),
            };
            self.say(product, said);
        }
    }

    fn deribit(&mut self, frame: &Value) {
        let params = &frame["params"];
        let data = &params["data"];
        if !params["channel"]
            .as_str()
            .is_some_and(|channel| channel.starts_with("book."))
        {
            return;
        }
        let rows = both(data, ["bids", "asks"], 1);
        let (id, time) = (number(&data["change_id"]), milliseconds(&data["timestamp"]));
        let said = match text(&data["type"]) {
            "snapshot" => snapshot(id, time, rows),
            _ => diff([number(&data["prev_change_id"]), id], time, rows),
        };
        self.say(text(&data["instrument_name"]), said);
    }

    fn independent_reserve(&mut self, url: &str, frame: &Value) {
        if let Some(primary) = asked(url, "/GetAllOrders?", "primaryCurrencyCode") {
            let secondary = asked(url, "?", "secondaryCurrencyCode").expect("a pair");
            let channel = format!("orderbook-{primary}");
            self.pairs.insert(channel.clone(), secondary);
            let early = std::mem::take(&mut self.early);
            for frame in early {
                self.order(&frame);
            }
            let mut rows = vec![order(OrderAction::Clear, Side::None, 0, "0", "0")];
            for (side, key) in [(Side::Bid, "BuyOrders"), (Side::Ask, "SellOrders")] {
                rows.extend(list(&frame[key]).iter().map(|told| {
                    let id = guid(text(&told["Guid"]));
                    let (price, qty) = (told["Price"].to_string(), told["Volume"].to_string());
                    order(OrderAction::Add, side, id, &price, &qty)
                }));
            }
            let kind = Kind::Order;
            let said = Said {
                kind,
                ..snapshot(NO_SEQUENCE, 0, rows)
            };
            self.say(&channel, said);
        }
        if frame["Nonce"].is_u64() {
            self.order(frame);
        }
    }

    fn order(&mut self, frame: &Value) {
        let channel = text(&frame["Channel"]);
        let Some(secondary) = self.pairs.get(channel) else {
            self.early.push(frame.clone());
            return;
        };
        let (nonce, data) = (number(&frame["Nonce"]), &frame["Data"]);
        let side = match text(&data["OrderType"]) {
            "LimitBid" => Side::Bid,
            _ => Side::Ask,
        };
        let id = guid(text(&data["OrderGuid"]));
        let row = match text(&frame["Event"]) {
            "NewOrder" => {
                let (price, qty) = (&data["Price"][secondary], &data["Volume"]);
                order(
                    OrderAction::Add,
                    side,
                    id,
                    &price.to_string(),
                    &qty.to_string(),
                )
            }
            "OrderCanceled" => order(OrderAction::Cancel, side, id, "0", "0"),
            other => panic!("an unknown event {other}"),
        };
        let said = Said {
            kind: Kind::Order,
            ..diff([nonce - 1, nonce], milliseconds(&frame["Time"]), vec![row])
        };
        self.say(channel, said);
    }

    fn kraken(&mut self, frame: &Value) {
        let Some([_, parts @ .., channel, pair]) = frame.as_array().map(Vec::as_slice) else {
            return;
        };
        if channel != "book-1000" {
            return;
        }
        let (mut rows, mut checksum) = (Vec::new(), None);
        for part in parts {
            rows.extend(both(part, ["bs", "as"], 0));
            rows.extend(both(part, ["b", "a"], 0));
            checksum = part["c"].as_str().or(checksum);
        }
        let checksum = checksum.map(|text| text.parse().expect("a checksum"));
        let said = match parts[0].get("as").or(parts[0].get("bs")) {
            Some(_) => snapshot(NO_SEQUENCE, 0, rows),
            None => diff([NO_RULE, NO_SEQUENCE], 0, rows),
        };
        self.say(text(pair), Said { checksum, ..said });
    }

    fn kucoin(&mut self, url: &str, frame: &Value) {
        let data = &frame["data"];
        if let Some(symbol) = asked(url, "/level2?", "symbol") {
            let rows = both(data, ["bids", "asks"], 0);
            let sequence = text(&data["sequence"]).parse().expect("an id");
            self.say(
                &symbol,
                snapshot(sequence, milliseconds(&data["time"]), rows),
            );
        }
        if frame["subject"] == "trade.l2update" {
            let rows = both(&data["changes"], ["bids", "asks"], 0);
            let first = number(&data["sequenceStart"]);
            let ids = [first - 1, number(&data["sequenceEnd"])];
            self.say(text(&data["symbol"]), diff(ids, 0, rows));
        }
    }

    fn okx(&mut self, frame: &Value) {
        if frame["arg"]["channel"] != "books" {
            return;
        }
        for data in frame["data"].as_array().into_iter().flatten() {
            let (rows, time) = (both(data, ["bids", "asks"], 0), text(&data["ts"]));
            let time = time.parse::<i64>().expect("a time") * 1_000_000;
            let said = match text(&frame["action"]) {
                "snapshot" => snapshot(NO_SEQUENCE, time, rows),
                _ => diff([NO_RULE, NO_SEQUENCE], time, rows),
            };
            let checksum = data["checksum"].as_i64().map(|signed| signed as u32);
            self.say(text(&frame["arg"]["instId"]), Said { checksum, ..said });
        }
    }
}

/// The most decimals of the prices and of the quantities.
fn scales(messages: &[Said]) -> [u8; 2] {
    let places = |text: &str| {
        text.split_once('.')
            .map_or(0, |(_, places)| places.len() as u8)
    };
    let rows = messages.iter().flat_map(|said| &said.rows);
    rows.fold([0, 0], |[price, qty], told| {
        [price.max(places(&told.price)), qty.max(places(&told.qty))]
    })
}

fn snapshot(sequence: u64, ts_event: i64, rows: Vec<Told>) -> Said {
    Said {
        kind: Kind::BookSnapshot,
        sequence,
        sequence_prev: NO_RULE,
        ts_event,
        checksum: None,
        rows,
        cut: false,
    }
}

fn diff([sequence_prev, sequence]: [u64; 2], ts_event: i64, rows: Vec<Told>) -> Said {
    Said {
        kind: Kind::BookDiff,
        sequence,
        sequence_prev,
        ts_event,
        checksum: None,
        rows,
        cut: false,
    }
}

/// The levels under two keys, bids first; price and quantity stand at `first` of each.
fn both(frame: &Value, keys: [&str; 2], first: usize) -> Vec<Told> {
    let mut rows = Vec::new();
    for (side, key) in [Side::Bid, Side::Ask].into_iter().zip(keys) {
        let levels = frame[key].as_array().into_iter().flatten();
        rows.extend(levels.map(|told| level(side, &told[first], &told[first + 1])));
    }
    rows
}

fn level(side: Side, price: &Value, qty: &Value) -> Told {
    let written = |value: &Value| match value {
        Value::String(text) => text.clone(),
        number => number.to_string(),
    };
    Told {
        id: 0,
        action: None,
        side,
        price: written(price),
        qty: written(qty),
    }
}

fn order(action: OrderAction, side: Side, id: u64, price: &str, qty: &str) -> Told {
    Told {
        id,
        action: Some(action),
        side,
        price: price.to_string(),
        qty: qty.to_string(),
    }
}

/// The exclusive or of the two halves of a GUID.
fn guid(text: &str) -> u64 {
    let digits = u128::from_str_radix(&text.replace('-', ""), 16).expect("a GUID");
    (digits >> 64) as u64 ^ digits as u64
}

/// A parameter of a URL that holds `path`.
fn asked(url: &str, path: &str, key: &str) -> Option<String> {
    let (_, query) = url.split_once(path)?;
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let mut found = pairs.filter(|(name, _)| *name == key);
    Some(found.next()?.1.to_string())
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("an id")
}

fn milliseconds(value: &Value) -> i64 {
    value.as_i64().expect("a time") * 1_000_000
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}
