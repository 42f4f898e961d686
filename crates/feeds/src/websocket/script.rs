//! What is said to a venue over a WebSocket: its addresses, how streams are subscribed, what keeps a connection alive,
//! and where a whole book comes from. One line a venue in [`SCRIPTS`].

use std::time::Duration;

use serde_json::json;
use signal_ingest::{Venue, binance::Market};

/// What a subscriber may ask for, in words that are the same for every venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Each trade.
    Trades,
    /// The best bid and ask.
    Quotes,
    /// Changes of the order book; whole books come with them.
    Depth,
}

impl Stream {
    /// Every stream.
    pub const ALL: [Stream; 3] = [Stream::Trades, Stream::Quotes, Stream::Depth];

    /// The word in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Stream::Trades => "trades",
            Stream::Quotes => "quotes",
            Stream::Depth => "depth",
        }
    }

    /// The stream of a word.
    pub fn parse(word: &str) -> Option<Stream> {
        Stream::ALL.into_iter().find(|stream| stream.name() == word)
    }
}

/// Where a venue's whole book comes from.
#[derive(Clone, Copy)]
pub enum Books {
    /// From a request by HTTP.
    Rest {
        /// The path and query for a symbol.
        path: fn(symbol: &str) -> String,
    },
    /// The venue sends it when depth is subscribed: who wants one leaves the stream and subscribes again.
    Subscribed,
}

/// A text that is sent at intervals so that the venue does not close the connection.
#[derive(Clone, Copy, Debug)]
pub struct Heartbeat {
    /// How often.
    pub every: Duration,
    /// What.
    pub text: &'static str,
}

/// A venue's side of a WebSocket session. Pure: texts in, texts out.
#[derive(Clone, Copy)]
pub struct Script {
    /// The venue's name in settings.
    pub venue: &'static str,
    /// Path of the WebSocket at the venue's host, where a URL names none.
    pub path: &'static str,
    /// Where its HTTP interface is, where the settings do not say.
    pub rest: &'static str,
    /// Whose frames these are.
    pub decoder: Venue,
    /// The id of the instrument that a symbol names.
    pub instrument: fn(symbol: &str) -> String,
    /// Messages that subscribe to (or, for `false`, leave) the streams of symbols.
    pub subscribe: fn(subscribe: bool, symbols: &[String], streams: &[Stream]) -> Vec<String>,
    /// What keeps the connection alive beside the WebSocket's own pings, which are always answered.
    pub heartbeat: Option<Heartbeat>,
    /// The answer to a frame that asks for one.
    pub answer: fn(frame: &[u8]) -> Option<String>,
    /// Where whole books come from.
    pub books: Books,
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Script")
            .field("venue", &self.venue)
            .finish_non_exhaustive()
    }
}

/// The venues that can be subscribed to.
pub const SCRIPTS: [Script; 3] = [
    Script {
        venue: "binance",
        path: "/stream",
        decoder: Venue::Binance,
        instrument: |symbol| Market::Spot.instrument_id(symbol),
        rest: "https://api.binance.com",
        subscribe: |on, symbols, streams| binance(on, symbols, streams, "depth@100ms"),
        heartbeat: None,
        answer: |_| None,
        books: Books::Rest {
            path: |symbol| format!("/api/v3/depth?symbol={symbol}&limit=1000"),
        },
    },
    Script {
        venue: "binance-usdm",
        path: "/stream",
        decoder: Venue::Binance,
        instrument: |symbol| Market::UsdM.instrument_id(symbol),
        rest: "https://fapi.binance.com",
        subscribe: |on, symbols, streams| binance(on, symbols, streams, "depth@0ms"),
        heartbeat: None,
        answer: |_| None,
        books: Books::Rest {
            path: |symbol| format!("/fapi/v1/depth?symbol={symbol}&limit=1000"),
        },
    },
    Script {
        venue: "binance-coinm",
        path: "/stream",
        decoder: Venue::Binance,
        instrument: |symbol| Market::CoinM.instrument_id(symbol),
        rest: "https://dapi.binance.com",
        subscribe: |on, symbols, streams| binance(on, symbols, streams, "depth@0ms"),
        heartbeat: None,
        answer: |_| None,
        books: Books::Rest {
            path: |symbol| format!("/dapi/v1/depth?symbol={symbol}&limit=1000"),
        },
    },
];

impl Script {
    /// The script of a venue.
    pub fn of(venue: &str) -> Option<&'static Script> {
        SCRIPTS.iter().find(|script| script.venue == venue)
    }
}

/// Channels in one message of Binance, which takes five messages a second and 1,024 channels a connection.
const BINANCE_CHANNELS: usize = 200;

fn binance(on: bool, symbols: &[String], streams: &[Stream], depth: &str) -> Vec<String> {
    let channel = |symbol: &String, stream: &Stream| {
        let word = match stream {
            Stream::Trades => "trade",
            Stream::Quotes => "bookTicker",
            Stream::Depth => depth,
        };
        format!("{}@{word}", symbol.to_lowercase())
    };
    let channels: Vec<String> = symbols
        .iter()
        .flat_map(|symbol| streams.iter().map(move |stream| channel(symbol, stream)))
        .collect();
    let method = if on { "SUBSCRIBE" } else { "UNSUBSCRIBE" };
    let message = |(n, part): (usize, &[String])| {
        json!({"method": method, "params": part, "id": n + 1}).to_string()
    };
    channels
        .chunks(BINANCE_CHANNELS)
        .enumerate()
        .map(message)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binance_is_asked_in_parts_of_its_size() {
        let script = Script::of("binance").unwrap();
        let symbols = vec!["BTCUSDT".to_string(), "ETHUSDT".to_string()];
        let [one] = &(script.subscribe)(true, &symbols, &Stream::ALL)[..] else {
            panic!("one message");
        };
        let asked: serde_json::Value = serde_json::from_str(one).unwrap();
        assert_eq!(asked["method"], "SUBSCRIBE");
        assert_eq!(
            asked["params"],
            json!([
                "btcusdt@trade",
                "btcusdt@bookTicker",
                "btcusdt@depth@100ms",
                "ethusdt@trade",
                "ethusdt@bookTicker",
                "ethusdt@depth@100ms"
            ])
        );
        let many: Vec<String> = (0..401).map(|i| format!("S{i}")).collect();
        assert_eq!((script.subscribe)(false, &many, &[Stream::Depth]).len(), 3);
    }

    #[test]
    fn venues_are_named_once() {
        for script in &SCRIPTS {
            let named = SCRIPTS.iter().filter(|other| other.venue == script.venue);
            assert_eq!(named.count(), 1, "{}", script.venue);
            assert!(script.rest.starts_with("https://") && script.path.starts_with('/'));
        }
        assert!(Script::of("nowhere").is_none());
        assert_eq!(Stream::parse("depth"), Some(Stream::Depth));
    }
}
