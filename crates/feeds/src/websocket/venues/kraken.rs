//! Kraken spot, version 1. Books come when depth is subscribed, and have no ids: a checksum that fails is what asks for
//! another.

use std::time::Duration;

use serde_json::json;
use signal_ingest::Venue;

use crate::websocket::script::{Address, Books, Heard, Script, Stream, note};

pub(super) const SCRIPT: Script = Script {
    venue: "kraken",
    address: Address::Path("/"),
    decoder: Venue::Kraken,
    instrument: |symbol| format!("{symbol}.KRAKEN"),
    rest: "https://api.kraken.com",
    streams: &Stream::MARKET,
    subscribe,
    pause: Duration::from_millis(50),
    heartbeat: None, // it sends one of its own
    hear,
    books: Books::Subscribed,
};

fn subscribe(on: bool, symbols: &[String], streams: &[Stream]) -> Vec<String> {
    let event = if on { "subscribe" } else { "unsubscribe" };
    let subscription = |stream: &Stream| match stream {
        Stream::Trades => Some(json!({"name": "trade"})),
        Stream::Quotes => Some(json!({"name": "ticker"})),
        // As deep as the venue's rule says that its books are.
        Stream::Depth => Some(json!({"name": "book", "depth": Venue::Kraken.rule().depth})),
        Stream::Reference | Stream::Bars => None,
    };
    let message = |subscription| json!({"event": event, "pair": symbols, "subscription": subscription}).to_string();
    streams.iter().filter_map(subscription).map(message).collect()
}

/// `{"event":"subscriptionStatus","status":"subscribed",…}`, `{…"status":"error","errorMessage":"…"}`
fn hear(frame: &[u8]) -> Heard {
    if frame.first() != Some(&b'{') || frame == br#"{"event":"heartbeat"}"# {
        return Heard::Data;
    }
    let Some(note) = note(frame) else { return Heard::Data };
    match (note["errorMessage"].as_str(), note["status"].as_str()) {
        (Some(why), _) => Heard::Refused(match note["pair"].as_str() {
            Some(pair) => format!("{pair}: {why}"),
            None => why.to_string(),
        }),
        (None, Some("subscribed")) => Heard::Accepted,
        _ => Heard::Data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn books_are_asked_for_as_deep_as_the_rule_says() {
        let asked = subscribe(true, &["XBT/USD".to_string()], &[Stream::Depth]);
        assert_eq!(asked, [r#"{"event":"subscribe","pair":["XBT/USD"],"subscription":{"depth":1000,"name":"book"}}"#]);
        let taken = br#"{"channelID":1,"channelName":"trade","event":"subscriptionStatus","pair":"XBT/USD","status":"subscribed","subscription":{"name":"trade"}}"#;
        assert_eq!(hear(taken), Heard::Accepted);
        let refused = br#"{"errorMessage":"Currency pair not supported","event":"subscriptionStatus","pair":"XBT/US","status":"error","subscription":{"name":"trade"}}"#;
        assert_eq!(hear(refused), Heard::Refused("XBT/US: Currency pair not supported".into()));
        assert_eq!(hear(br#"{"event":"heartbeat"}"#), Heard::Data);
        assert_eq!(hear(br#"{"event":"systemStatus","status":"online","version":"1.5.1"}"#), Heard::Data);
    }
}
