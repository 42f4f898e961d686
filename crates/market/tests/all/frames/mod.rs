//! Recordings of venues, read plainly: what was said of each book, with numbers as the venue wrote them, and a book of maps
//! that believes it. None of the code under test is used here but the parser of decimals.
//!
//! The recordings are looked for in `$SIGNAL_STREAM_DATA/ws-frames`, or beside the repository in `../shared/data`. Where they
//! are not, nothing is tested, unless `SIGNAL_STREAM_REQUIRE_DATA=1`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use signal_event::{
    BookRule, ChecksumKind, EventBatch, EventBatchBuilder, Header, InstrumentId, Instruments, Kind,
    NO_RULE, NO_SEQUENCE, OrderAction, Row, Side, StatusCode, decimal, flags,
};

mod read;

pub const VENUES: [&str; 7] = [
    "BINANCE_FUTURES",
    "COINBASE",
    "DERIBIT",
    "INDEPENDENT_RESERVE",
    "KRAKEN",
    "KUCOIN",
    "OKX",
];

/// A level or an order, as the venue wrote it.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub id: u64,
    pub action: Option<OrderAction>,
    pub side: Side,
    pub price: String,
    pub qty: String,
}

/// A message of a book.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    pub kind: Kind,
    pub sequence: u64,
    pub sequence_prev: u64,
    pub ts_event: i64,
    pub checksum: Option<u32>,
    pub rows: Vec<Told>,
    /// A snapshot whose sides go on beyond their worst levels, which are the last of each.
    pub cut: bool,
}

/// What was said of one instrument's book, in order of arrival.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub instrument: String,
    /// The most decimals of a price and of a quantity.
    pub scales: [u8; 2],
    pub messages: Vec<Said>,
}

/// The folder of the recordings; `None` if it is not there and need not be.
fn folder() -> Option<PathBuf> {
    let data = std::env::var_os("SIGNAL_STREAM_DATA").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = data.unwrap_or(beside).join("ws-frames");
    if folder.is_dir() {
        return Some(folder);
    }
    let required = std::env::var_os("SIGNAL_STREAM_REQUIRE_DATA").is_some_and(|value| value == "1");
    assert!(
        !required,
        "no recordings in {}: set SIGNAL_STREAM_DATA to the folder that holds it",
        folder.display()
    );
    None
}

/// The books of a recording.
pub fn recorded(venue: &str) -> Option<Vec<Recorded>> {
    let path = folder()?.join(format!("{venue}.jsonl.zst"));
    let file = std::fs::File::open(&path).expect("the recording opens");
    let lines = BufReader::new(zstd::Decoder::new(file).expect("the recording unpacks")).lines();
    let lines = lines.map(|line| serde_json::from_str(&line.expect("a line")).expect("JSON"));
    let mut lines: Vec<Value> = lines.collect();
    // As a client would have seen it: answers and frames by their time.
    lines.sort_by(|a, b| time(a).total_cmp(&time(b)));
    let mut reader = read::Reader::default();
    for line in &lines {
        if let (Some("recv" | "http"), Some(text)) = (line["t"].as_str(), line["data"].as_str()) {
            let url = line["url"].as_str().unwrap_or_default();
            let frame: Value = serde_json::from_str(text).expect("a frame is JSON");
            reader.read(venue, url, &frame);
        }
    }
    Some(reader.books())
}

fn time(line: &Value) -> f64 {
    line["ts"].as_f64().unwrap_or(0.0)
}

/// The rule of a recording's venue.
pub fn rule(venue: &str) -> BookRule {
    match venue {
        "COINBASE" | "DERIBIT" => BookRule::SNAPSHOT_RESETS,
        "INDEPENDENT_RESERVE" => BookRule::LINKED,
        "KRAKEN" => BookRule::UNNUMBERED
            .checked(ChecksumKind::Kraken)
            .deep(1_000),
        "OKX" => BookRule::UNNUMBERED.checked(ChecksumKind::Okx).deep(400),
        "BINANCE_FUTURES" => BookRule::LINKED,
        _ => BookRule::RANGE,
    }
}

pub fn mantissas(told: &Told, scales: [u8; 2]) -> (Side, i64, i64) {
    let parse = |text: &str, scale| decimal::parse(text.as_bytes(), scale).expect(text);
    (
        told.side,
        parse(&told.price, scales[0]),
        parse(&told.qty, scales[1]),
    )
}

/// One message as a batch.
pub fn batch(said: &Said, scales: [u8; 2]) -> EventBatch {
    let mut builder = EventBatchBuilder::new();
    let header = Header {
        kind: said.kind,
        instrument: InstrumentId(0),
        ts_recv: said.ts_event,
        ts_event: said.ts_event,
        sequence: said.sequence,
        sequence_prev: said.sequence_prev,
    };
    if said.kind == Kind::Status {
        builder.status(header, StatusCode::Disconnected, None);
    } else {
        for (at, told) in said.rows.iter().enumerate() {
            let (side, price, qty) = mantissas(told, scales);
            builder.push_more(Row {
                side,
                price,
                qty,
                order_id: told.id,
                action: told.action,
                ..Row::default()
            });
            let next = said.rows.get(at + 1).map(|next| next.side);
            if said.cut && next != Some(side) {
                builder.mark_row(flags::CUT);
            }
        }
        if let Some(checksum) = said.checksum {
            builder.checksum(checksum);
        }
        builder.close(header);
    }
    let instruments = Instruments::of([signal_event::Instrument::new("X.VENUE")]);
    builder.finish(&Arc::new(instruments.expect("one instrument")))
}

impl Said {
    /// The connection was lost.
    pub fn disconnected() -> Said {
        Said {
            kind: Kind::Status,
            sequence: NO_SEQUENCE,
            sequence_prev: NO_RULE,
            ts_event: 0,
            checksum: None,
            rows: Vec::new(),
            cut: false,
        }
    }

    pub fn is_snapshot(&self) -> bool {
        let clear = |told: &Told| told.action == Some(OrderAction::Clear);
        self.kind == Kind::BookSnapshot || self.rows.first().is_some_and(clear)
    }
}

/// A book of maps, which believes what it is told, in the order in which the venue said it.
#[derive(Clone, Debug, Default)]
pub struct Naive {
    pub scales: [u8; 2],
    /// By price mantissa: what the venue wrote.
    sides: [BTreeMap<i64, (String, String)>; 2],
    orders: BTreeMap<u64, Told>,
    of_orders: bool,
    /// What was said before the first snapshot.
    early: Vec<Said>,
    pub last: u64,
    pub is_known: bool,
}

impl Naive {
    pub fn of(scales: [u8; 2]) -> Naive {
        Naive {
            scales,
            ..Naive::default()
        }
    }

    pub fn apply(&mut self, said: &Said) {
        if said.is_snapshot() {
            self.sides = Default::default();
            self.orders.clear();
            self.is_known = true;
            self.last = said.sequence;
            self.rows(said);
            for diff in std::mem::take(&mut self.early) {
                let orders = diff.kind == Kind::Order;
                if orders || said.sequence != NO_SEQUENCE && diff.sequence > said.sequence {
                    self.rows(&diff);
                    self.last = self.last.max(diff.sequence);
                }
            }
        } else if self.is_known {
            self.rows(said);
            self.last = self.last.max(said.sequence);
        } else {
            self.early.push(said.clone());
        }
    }

    fn rows(&mut self, said: &Said) {
        self.of_orders = said.kind == Kind::Order;
        for told in &said.rows {
            match told.action {
                Some(OrderAction::Add) => {
                    self.orders.insert(told.id, told.clone());
                }
                Some(OrderAction::Cancel) => {
                    self.orders.remove(&told.id);
                }
                Some(_) => {}
                None => {
                    let (side, price, qty) = mantissas(told, self.scales);
                    let side = &mut self.sides[usize::from(side == Side::Ask)];
                    match qty {
                        0 => side.remove(&price),
                        _ => side.insert(price, (told.price.clone(), told.qty.clone())),
                    };
                }
            }
        }
    }

    /// So many levels of a side from the best outwards.
    pub fn levels(&self, side: Side, most: usize) -> Vec<(i64, i64)> {
        if !self.of_orders {
            let qty =
                |text: &str| decimal::parse(text.as_bytes(), self.scales[1]).expect("a quantity");
            let told = self.sides[usize::from(side == Side::Ask)].iter();
            let levels = told.map(|(price, (_, text))| (*price, text));
            let nearest: Vec<_> = match side {
                Side::Bid => levels.rev().take(most).collect(),
                _ => levels.take(most).collect(),
            };
            return nearest
                .into_iter()
                .map(|(price, text)| (price, qty(text)))
                .collect();
        }
        let mut levels: BTreeMap<i64, i64> = BTreeMap::new();
        let orders = self.orders.values();
        let orders = orders.map(|told| mantissas(told, self.scales));
        for (_, price, qty) in orders.filter(|(of, ..)| *of == side) {
            *levels.entry(price).or_default() += qty;
        }
        let levels = levels.into_iter();
        match side {
            Side::Bid => levels.rev().take(most).collect(),
            _ => levels.take(most).collect(),
        }
    }

    /// The book as a snapshot that the venue would send now.
    pub fn snapshot(&self, rule: BookRule) -> Said {
        let mut rows: Vec<Told> = Vec::new();
        if self.of_orders {
            let clear = Told {
                id: 0,
                action: Some(OrderAction::Clear),
                side: Side::None,
                price: "0".into(),
                qty: "0".into(),
            };
            rows.extend([clear].into_iter().chain(self.orders.values().cloned()));
        }
        for (side, levels) in [Side::Bid, Side::Ask].into_iter().zip(&self.sides) {
            rows.extend(levels.values().map(|(price, qty)| Told {
                id: 0,
                action: None,
                side,
                price: price.clone(),
                qty: qty.clone(),
            }));
        }
        let kind = match self.of_orders {
            true => Kind::Order,
            false => Kind::BookSnapshot,
        };
        Said {
            kind,
            sequence: self.last,
            sequence_prev: NO_RULE,
            ts_event: 0,
            checksum: rule.checksum.map(|kind| self.checksum(kind)),
            rows,
            cut: false,
        }
    }

    /// The venue's checksum, from its own text.
    pub fn checksum(&self, kind: ChecksumKind) -> u32 {
        let bids = || self.sides[0].values().rev();
        let asks = || self.sides[1].values();
        let text = match kind {
            ChecksumKind::Kraken => {
                let levels = asks().take(10).chain(bids().take(10));
                let digits = |text: &String| {
                    let text = text.replace('.', "");
                    text.trim_start_matches('0').to_string()
                };
                let levels = levels.map(|(price, qty)| digits(price) + &digits(qty));
                levels.collect::<String>()
            }
            ChecksumKind::Okx => {
                let (bids, asks): (Vec<_>, Vec<_>) = (bids().collect(), asks().collect());
                let ranks = (0..25).flat_map(|rank| [bids.get(rank), asks.get(rank)]);
                let levels = ranks.flatten().map(|(price, qty)| format!("{price}:{qty}"));
                levels.collect::<Vec<_>>().join(":")
            }
        };
        crc32(text.as_bytes())
    }
}

/// CRC-32 bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ 0xEDB8_8320 & 0u32.wrapping_sub(crc & 1);
        }
    }
    !crc
}
