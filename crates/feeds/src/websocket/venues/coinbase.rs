//! Coinbase Advanced Trade. Books come when depth is subscribed.

use std::time::Duration;

use serde_json::json;
use signal_ingest::Venue;

use crate::websocket::script::{Address, Books, Heard, Script, Stream, begins_with, note};

pub(super) const SCRIPT: Script = Script {
    venue: "coinbase",
    address: Address::Path("/"),
    decoder: Venue::Coinbase,
    instrument: |symbol| format!("{symbol}.COINBASE"),
    rest: "https://api.coinbase.com",
    streams: &Stream::MARKET,
    subscribe,
    // It takes eight messages a second.
    pause: Duration::from_millis(130),
    heartbeat: None,
    hear,
    books: Books::Subscribed,
};

fn subscribe(on: bool, symbols: &[String], streams: &[Stream]) -> Vec<String> {
    let kind = if on { "subscribe" } else { "unsubscribe" };
    let channel = |stream: &Stream| match stream {
        Stream::Trades => Some("market_trades"),
        Stream::Quotes => Some("ticker"),
        Stream::Depth => Some("level2"),
        Stream::Reference | Stream::Bars => None,
    };
    // Without its heartbeats the venue closes a connection on which little happens.
    let beats = Some(json!({"type": kind, "channel": "heartbeats"}).to_string()).filter(|_| on);
    let message = |channel| json!({"type": kind, "product_ids": symbols, "channel": channel}).to_string();
    beats.into_iter().chain(streams.iter().filter_map(channel).map(message)).collect()
}

/// `{"channel":"subscriptions",…}`, `{"type":"error","message":"…"}`
fn hear(frame: &[u8]) -> Heard {
    if begins_with(frame, "\"subscriptions\"") {
        return Heard::Accepted;
    }
    if begins_with(frame, "\"events\"") {
        return Heard::Data;
    }
    match note(frame) {
        Some(note) if note["type"] == "error" => Heard::Refused(note["message"].as_str().unwrap_or_default().to_string()),
        _ => Heard::Data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_asked_for_heartbeats_first() {
        let symbols = ["BTC-USD".to_string()];
        let asked = subscribe(true, &symbols, &[Stream::Trades, Stream::Depth]);
        assert_eq!(
            asked,
            [
                r#"{"channel":"heartbeats","type":"subscribe"}"#,
                r#"{"channel":"market_trades","product_ids":["BTC-USD"],"type":"subscribe"}"#,
                r#"{"channel":"level2","product_ids":["BTC-USD"],"type":"subscribe"}"#,
            ]
        );
        assert_eq!(subscribe(false, &symbols, &[Stream::Depth]).len(), 1);
        let taken = br#"{"channel":"subscriptions","timestamp":"2026-08-09T21:05:48.2Z","sequence_num":2,"events":[]}"#;
        assert_eq!(hear(taken), Heard::Accepted);
        assert_eq!(hear(br#"{"type":"error","message":"no such product"}"#), Heard::Refused("no such product".into()));
    }
}
