//! Bybit, version 5: a connection a category. Books come when depth is subscribed.

use std::time::Duration;

use serde_json::json;
use signal_ingest::Venue;

use crate::websocket::script::{Address, Books, Heard, Heartbeat, Script, Stream, begins_with, channels, note};

pub(super) const SPOT: Script = Script {
    venue: "bybit",
    address: Address::Path("/v5/public/spot"),
    decoder: Venue::Bybit,
    instrument: |symbol| format!("{symbol}.BYBIT"),
    rest: "https://api.bybit.com",
    streams: &Stream::MARKET,
    subscribe,
    pause: Duration::from_millis(10),
    heartbeat: Some(Heartbeat {
        every: Duration::from_secs(20),
        text: r#"{"op":"ping"}"#,
    }),
    hear,
    books: Books::Subscribed,
};

pub(super) const LINEAR: Script = Script {
    venue: "bybit-linear",
    address: Address::Path("/v5/public/linear"),
    streams: &Stream::DERIVATIVES,
    ..SPOT
};

pub(super) const INVERSE: Script = Script {
    venue: "bybit-inverse",
    address: Address::Path("/v5/public/inverse"),
    streams: &Stream::DERIVATIVES,
    ..SPOT
};

/// Topics in one message, at most.
const TOPICS: usize = 10;

fn subscribe(on: bool, symbols: &[String], streams: &[Stream]) -> Vec<String> {
    let topic = |symbol: &str, stream| match stream {
        Stream::Trades => Some(format!("publicTrade.{symbol}")),
        Stream::Quotes => Some(format!("orderbook.1.{symbol}")),
        Stream::Depth => Some(format!("orderbook.50.{symbol}")),
        Stream::Reference => Some(format!("tickers.{symbol}")),
        Stream::Bars => None,
    };
    let op = if on { "subscribe" } else { "unsubscribe" };
    let all = channels(symbols, streams, topic);
    all.chunks(TOPICS).map(|part| json!({"op": op, "args": part}).to_string()).collect()
}

/// `{"success":false,"ret_msg":"error:handler not found,topic:…","op":"subscribe",…}`
fn hear(frame: &[u8]) -> Heard {
    if begins_with(frame, "\"topic\"") {
        return Heard::Data;
    }
    let Some(note) = note(frame) else { return Heard::Data };
    match (note["op"].as_str(), note["success"].as_bool()) {
        (_, Some(false)) => Heard::Refused(note["ret_msg"].as_str().unwrap_or_default().to_string()),
        (Some("subscribe"), Some(true)) => Heard::Accepted,
        _ => Heard::Data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_asked_for_ten_topics_at_a_time() {
        let symbols: Vec<String> = (0..4).map(|i| format!("S{i}")).collect();
        let asked = subscribe(true, &symbols, &Stream::MARKET);
        assert_eq!(asked.len(), 2);
        assert!(asked[0].starts_with(r#"{"args":["publicTrade.S0","orderbook.1.S0","orderbook.50.S0","publicTrade.S1""#));
        assert_eq!(subscribe(false, &symbols[..1], &[Stream::Depth]), [r#"{"args":["orderbook.50.S0"],"op":"unsubscribe"}"#]);
        assert_eq!(hear(br#"{"success":true,"ret_msg":"","conn_id":"2324d924","req_id":"","op":"subscribe"}"#), Heard::Accepted);
        assert_eq!(hear(br#"{"success":true,"ret_msg":"pong","conn_id":"2324d924","op":"ping"}"#), Heard::Data);
        let refused = br#"{"success":false,"ret_msg":"error:handler not found,topic:publicTrade.X","op":"subscribe"}"#;
        assert_eq!(hear(refused), Heard::Refused("error:handler not found,topic:publicTrade.X".into()));
    }
}
