//! Deribit. Books come when depth is subscribed; a channel that nobody knows is left out of the answer without a word.

use std::time::Duration;

use serde_json::{Value, json};
use signal_ingest::Venue;

use crate::websocket::script::{Address, Books, Heard, Script, Stream, begins_with, channels, note};

pub(super) const SCRIPT: Script = Script {
    venue: "deribit",
    address: Address::Path("/ws/api/v2"),
    decoder: Venue::Deribit,
    instrument: |symbol| format!("{symbol}.DERIBIT"),
    rest: "https://www.deribit.com",
    streams: &Stream::DERIVATIVES,
    subscribe,
    pause: Duration::from_millis(100),
    heartbeat: None, // it asks for a sign of life itself
    hear,
    books: Books::Subscribed,
};

/// Channels in one message.
const CHANNELS: usize = 200;

/// The ids of our requests.
const HEARTBEAT: u64 = 1;
const SUBSCRIBE: u64 = 2;
const UNSUBSCRIBE: u64 = 3;

fn subscribe(on: bool, symbols: &[String], streams: &[Stream]) -> Vec<String> {
    let channel = |symbol: &str, stream| match stream {
        Stream::Trades => Some(format!("trades.{symbol}.100ms")),
        // One channel tells both.
        Stream::Quotes | Stream::Reference => Some(format!("ticker.{symbol}.100ms")),
        Stream::Depth => Some(format!("book.{symbol}.100ms")),
        Stream::Bars => None,
    };
    let (id, method) = match on {
        true => (SUBSCRIBE, "public/subscribe"),
        false => (UNSUBSCRIBE, "public/unsubscribe"),
    };
    let all = channels(symbols, streams, channel);
    let parts = all.chunks(CHANNELS).map(|part| request(id, method, json!({"channels": part})));
    let beats = Some(request(HEARTBEAT, "public/set_heartbeat", json!({"interval": 30})));
    beats.filter(|_| on).into_iter().chain(parts).collect()
}

fn request(id: u64, method: &str, params: Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string()
}

/// `{"jsonrpc":"2.0","id":2,"result":["book.…"]}`, `{…"error":{"code":…,"message":"…"}}`,
/// `{…"method":"heartbeat","params":{"type":"test_request"}}`
fn hear(frame: &[u8]) -> Heard {
    if begins_with(frame, "\"subscription\"") {
        return Heard::Data;
    }
    if begins_with(frame, "\"test_request\"") {
        return Heard::Asks(r#"{"jsonrpc":"2.0","id":0,"method":"public/test","params":{}}"#);
    }
    if begins_with(frame, "\"id\":2") && begins_with(frame, "\"result\":[\"") {
        return Heard::Accepted; // however many channels it lists
    }
    let Some(note) = note(frame) else { return Heard::Data };
    if let Some(why) = note["error"]["message"].as_str() {
        let reason = note["error"]["data"]["reason"].as_str();
        return Heard::Refused(reason.map_or(why.to_string(), |reason| format!("{why}: {reason}")));
    }
    match note["result"].as_array() {
        Some(taken) if note["id"] == SUBSCRIBE && taken.is_empty() => Heard::Refused("it knows none of the channels".into()),
        Some(_) if note["id"] == SUBSCRIBE => Heard::Accepted,
        _ => Heard::Data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_asked_for_signs_of_life_and_answers_them() {
        let symbols = ["BTC-PERPETUAL".to_string()];
        let asked = subscribe(true, &symbols, &[Stream::Quotes, Stream::Depth]);
        assert_eq!(
            asked,
            [
                r#"{"id":1,"jsonrpc":"2.0","method":"public/set_heartbeat","params":{"interval":30}}"#,
                r#"{"id":2,"jsonrpc":"2.0","method":"public/subscribe","params":{"channels":["ticker.BTC-PERPETUAL.100ms","book.BTC-PERPETUAL.100ms"]}}"#,
            ]
        );
        assert_eq!(subscribe(false, &symbols, &[Stream::Depth]).len(), 1);
        let both = subscribe(true, &symbols, &[Stream::Quotes, Stream::Reference]);
        assert!(both[1].contains(r#"{"channels":["ticker.BTC-PERPETUAL.100ms"]}"#));
        let test = br#"{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"test_request"}}"#;
        assert!(matches!(hear(test), Heard::Asks(text) if text.contains("public/test")));
        assert_eq!(hear(br#"{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"heartbeat"}}"#), Heard::Data);
        assert_eq!(hear(br#"{"jsonrpc":"2.0","id":1,"result":"ok"}"#), Heard::Data);
        assert_eq!(hear(br#"{"jsonrpc":"2.0","id":2,"result":["book.X.100ms"]}"#), Heard::Accepted);
        assert_eq!(hear(br#"{"jsonrpc":"2.0","id":3,"result":["book.X.100ms"]}"#), Heard::Data);
        assert!(matches!(hear(br#"{"jsonrpc":"2.0","id":2,"result":[]}"#), Heard::Refused(_)));
        let refused = br#"{"jsonrpc":"2.0","id":2,"error":{"message":"Invalid params","data":{"reason":"wrong format","param":"channels"},"code":-32602}}"#;
        assert_eq!(hear(refused), Heard::Refused("Invalid params: wrong format".into()));
    }
}
