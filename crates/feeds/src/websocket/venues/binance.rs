//! Binance: spot, USD-M and COIN-M. Books come by HTTP.

use std::time::Duration;

use serde_json::json;
use signal_ingest::{Venue, binance::Market};

use crate::websocket::script::{Address, Books, Heard, Script, Stream, begins_with, channels, note};

pub(super) const SPOT: Script = Script {
    venue: "binance",
    instrument: |symbol| Market::Spot.instrument_id(symbol),
    rest: "https://api.binance.com",
    streams: &[Stream::Trades, Stream::Quotes, Stream::Depth, Stream::Bars],
    subscribe: |on, symbols, streams| subscribe(on, symbols, streams, Market::Spot),
    books: Books::Rest {
        path: |symbol| format!("/api/v3/depth?symbol={symbol}&limit=1000"),
    },
    ..USD_M
};

pub(super) const USD_M: Script = Script {
    venue: "binance-usdm",
    address: Address::Path("/stream"),
    decoder: Venue::Binance,
    instrument: |symbol| Market::UsdM.instrument_id(symbol),
    rest: "https://fapi.binance.com",
    streams: &Stream::ALL,
    subscribe: |on, symbols, streams| subscribe(on, symbols, streams, Market::UsdM),
    // It takes five messages a second, pings among them.
    pause: Duration::from_millis(250),
    heartbeat: None,
    hear,
    books: Books::Rest {
        path: |symbol| format!("/fapi/v1/depth?symbol={symbol}&limit=1000"),
    },
};

pub(super) const COIN_M: Script = Script {
    venue: "binance-coinm",
    instrument: |symbol| Market::CoinM.instrument_id(symbol),
    rest: "https://dapi.binance.com",
    books: Books::Rest {
        path: |symbol| format!("/dapi/v1/depth?symbol={symbol}&limit=1000"),
    },
    ..USD_M
};

/// Channels in one message; a connection has 1,024 at most.
const CHANNELS: usize = 200;

/// Bars of spot and of USD-M look alike, unless they are asked for on streams that only one of them has.
fn subscribe(on: bool, symbols: &[String], streams: &[Stream], market: Market) -> Vec<String> {
    let channel = |symbol: &str, stream| {
        let words = match (stream, market) {
            (Stream::Trades, _) => "@trade",
            (Stream::Quotes, _) => "@bookTicker",
            (Stream::Depth, Market::Spot) => "@depth@100ms",
            (Stream::Depth, _) => "@depth@0ms",
            (Stream::Reference, _) => "@markPrice@1s",
            (Stream::Bars, Market::Spot) => "@kline_1m@+08:00",
            (Stream::Bars, _) if symbol.contains('_') => "@kline_1m",
            (Stream::Bars, _) => "_perpetual@continuousKline_1m",
        };
        Some(format!("{}{words}", symbol.to_lowercase()))
    };
    let all = channels(symbols, streams, channel);
    let method = if on { "SUBSCRIBE" } else { "UNSUBSCRIBE" };
    let parts = all.chunks(CHANNELS).enumerate();
    parts.map(|(n, part)| json!({"method": method, "params": part, "id": n + 1}).to_string()).collect()
}

/// `{"result":null,"id":1}`; `{"error":{"code":2,"msg":"…"}}`, or the same without the envelope.
fn hear(frame: &[u8]) -> Heard {
    if begins_with(frame, "\"stream\"") {
        return Heard::Data;
    }
    let Some(note) = note(frame) else { return Heard::Data };
    let error = note.get("error").unwrap_or(&note);
    match (error["msg"].as_str(), note.get("result")) {
        (Some(why), _) => Heard::Refused(why.to_string()),
        (None, Some(_)) => Heard::Accepted,
        (None, None) => Heard::Data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_asked_in_parts_of_its_size_and_says_what_is_wrong() {
        let symbols = ["BTCUSDT".to_string(), "ETHUSDT".to_string()];
        let asked = (SPOT.subscribe)(true, &symbols, &Stream::MARKET);
        assert_eq!(
            asked,
            [concat!(
                r#"{"id":1,"method":"SUBSCRIBE","params":["btcusdt@trade","btcusdt@bookTicker","btcusdt@depth@100ms","#,
                r#""ethusdt@trade","ethusdt@bookTicker","ethusdt@depth@100ms"]}"#
            )]
        );
        assert!((COIN_M.subscribe)(false, &symbols, &[Stream::Depth])[0].contains(r#"UNSUBSCRIBE","params":["btcusdt@depth@0ms","#));
        let bars = |script: Script, symbol: &str| (script.subscribe)(true, &[symbol.to_string()], &[Stream::Bars]);
        assert!(bars(SPOT, "BTCUSDT")[0].contains(r#"["btcusdt@kline_1m@+08:00"]"#));
        assert!(bars(USD_M, "BTCUSDT")[0].contains(r#"["btcusdt_perpetual@continuousKline_1m"]"#));
        assert!(bars(COIN_M, "BTCUSD_PERP")[0].contains(r#"["btcusd_perp@kline_1m"]"#));
        let many: Vec<String> = (0..401).map(|i| format!("S{i}")).collect();
        assert_eq!((SPOT.subscribe)(false, &many, &[Stream::Depth]).len(), 3);
        assert_eq!(hear(br#"{"result":null,"id":1}"#), Heard::Accepted);
        let why = "Invalid request: unknown stream";
        for frame in [format!(r#"{{"error":{{"code":2,"msg":"{why}"}},"id":1}}"#), format!(r#"{{"code":2,"msg":"{why}","id":1}}"#)] {
            assert_eq!(hear(frame.as_bytes()), Heard::Refused(why.into()));
        }
    }
}
