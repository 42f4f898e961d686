//! Hyperliquid. Each message of depth is a whole book.

use std::time::Duration;

use serde_json::json;
use signal_ingest::Venue;

use crate::websocket::script::{Address, Books, Heard, Heartbeat, Script, Stream, begins_with, channels, note};

pub(super) const SCRIPT: Script = Script {
    venue: "hyperliquid",
    address: Address::Path("/ws"),
    decoder: Venue::Hyperliquid,
    instrument: |symbol| format!("{symbol}.HYPERLIQUID"),
    rest: "https://api.hyperliquid.xyz",
    streams: &Stream::DERIVATIVES,
    subscribe,
    // It takes 2,000 messages a minute.
    pause: Duration::from_millis(35),
    heartbeat: Some(Heartbeat {
        every: Duration::from_secs(30),
        text: r#"{"method":"ping"}"#,
    }),
    hear,
    books: Books::Subscribed,
};

fn subscribe(on: bool, symbols: &[String], streams: &[Stream]) -> Vec<String> {
    let method = if on { "subscribe" } else { "unsubscribe" };
    channels(symbols, streams, |symbol, stream| {
        let kind = match stream {
            Stream::Trades => Some("trades"),
            Stream::Quotes => Some("bbo"),
            Stream::Depth => Some("l2Book"),
            Stream::Reference => Some("activeAssetCtx"),
            Stream::Bars => None,
        };
        kind.map(|kind| json!({"method": method, "subscription": {"type": kind, "coin": symbol}}).to_string())
    })
}

/// `{"channel":"subscriptionResponse",…}`, `{"channel":"error","data":"…"}`
fn hear(frame: &[u8]) -> Heard {
    if begins_with(frame, "\"subscriptionResponse\"") {
        return Heard::Accepted;
    }
    if !begins_with(frame, "\"error\"") {
        return Heard::Data;
    }
    match note(frame) {
        Some(note) if note["channel"] == "error" => Heard::Refused(note["data"].as_str().unwrap_or_default().to_string()),
        _ => Heard::Data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_asked_for_one_channel_at_a_time() {
        let asked = subscribe(true, &["BTC".to_string(), "ETH".to_string()], &[Stream::Trades, Stream::Depth]);
        assert_eq!(asked.len(), 4);
        assert_eq!(asked[1], r#"{"method":"subscribe","subscription":{"coin":"BTC","type":"l2Book"}}"#);
        let taken = br#"{"channel":"subscriptionResponse","data":{"method":"subscribe","subscription":{"type":"trades","coin":"SOL"}}}"#;
        assert_eq!(hear(taken), Heard::Accepted);
        assert_eq!(hear(br#"{"channel":"error","data":"Invalid subscription"}"#), Heard::Refused("Invalid subscription".into()));
        assert_eq!(hear(br#"{"channel":"pong"}"#), Heard::Data);
    }
}
