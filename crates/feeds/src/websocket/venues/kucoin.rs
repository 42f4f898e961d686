//! KuCoin spot. A request by HTTP tells where the WebSocket is, with a token; books come by HTTP, as the best hundred levels a
//! side, which is all that is given without an account.

use std::time::Duration;

use serde_json::{Value, json};
use signal_ingest::Venue;

use crate::websocket::script::{Address, Books, Heard, Heartbeat, Script, Stream, begins_with, note};

pub(super) const SCRIPT: Script = Script {
    venue: "kucoin",
    address: Address::Asked {
        path: "/api/v1/bullet-public",
        read: address,
    },
    decoder: Venue::Kucoin,
    instrument: |symbol| format!("{symbol}.KUCOIN"),
    rest: "https://api.kucoin.com",
    streams: &Stream::MARKET,
    subscribe,
    // It takes 100 messages in ten seconds.
    pause: Duration::from_millis(110),
    heartbeat: Some(Heartbeat {
        every: Duration::from_secs(15), // it asks for 18 s
        text: r#"{"id":"1","type":"ping"}"#,
    }),
    hear,
    books: Books::Rest {
        path: |symbol| format!("/api/v1/market/orderbook/level2_100?symbol={symbol}"),
    },
};

/// Symbols in one message, at most.
const SYMBOLS: usize = 100;

/// `{"code":"200000","data":{"token":"…","instanceServers":[{"endpoint":"wss://…"}]}}`
fn address(body: &[u8]) -> Result<String, String> {
    let answer: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let data = &answer["data"];
    match (data["instanceServers"][0]["endpoint"].as_str(), data["token"].as_str()) {
        (Some(endpoint), Some(token)) => Ok(format!("{endpoint}?token={token}")),
        _ => Err(format!("code {} and no address", answer["code"])),
    }
}

fn subscribe(on: bool, symbols: &[String], streams: &[Stream]) -> Vec<String> {
    let kind = if on { "subscribe" } else { "unsubscribe" };
    let mut messages = Vec::new();
    for part in symbols.chunks(SYMBOLS) {
        for stream in streams {
            let topic = match stream {
                Stream::Trades => "match",
                Stream::Quotes => "ticker",
                Stream::Depth => "level2",
                Stream::Reference | Stream::Bars => continue,
            };
            let (id, topic) = (messages.len() + 2, format!("/market/{topic}:{}", part.join(",")));
            let message = json!({"id": id, "type": kind, "topic": topic, "privateChannel": false, "response": true});
            messages.push(message.to_string());
        }
    }
    messages
}

/// `{"id":"2","type":"ack"}`, `{"id":"2","type":"error","code":404,"data":"topic … is not found"}`
fn hear(frame: &[u8]) -> Heard {
    if begins_with(frame, "\"subject\"") || !(begins_with(frame, "\"ack\"") || begins_with(frame, "\"error\"")) {
        return Heard::Data;
    }
    let Some(note) = note(frame) else { return Heard::Data };
    match note["type"].as_str() {
        Some("ack") => Heard::Accepted,
        Some("error") => Heard::Refused(note["data"].as_str().unwrap_or_default().to_string()),
        _ => Heard::Data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_where_it_is_and_what_it_does_not_know() {
        let told = br#"{"code":"200000","data":{"token":"abc","instanceServers":[{"endpoint":"wss://ws-api-spot.kucoin.com/","pingInterval":18000}]}}"#;
        assert_eq!(address(told).unwrap(), "wss://ws-api-spot.kucoin.com/?token=abc");
        assert!(address(br#"{"code":"429000","msg":"too many"}"#).unwrap_err().contains("429000"));
        assert!(address(b"no JSON").is_err());
        let asked = subscribe(true, &["BTC-USDT".to_string(), "ETH-USDT".to_string()], &[Stream::Depth]);
        assert!(asked[0].contains(r#""topic":"/market/level2:BTC-USDT,ETH-USDT""#));
        assert_eq!(hear(br#"{"id":"2","type":"ack"}"#), Heard::Accepted);
        assert_eq!(hear(br#"{"id":"hQvf8jkno","type":"welcome"}"#), Heard::Data);
        let refused = br#"{"id":"2","type":"error","code":404,"data":"topic /market/level2:X is not found"}"#;
        assert_eq!(hear(refused), Heard::Refused("topic /market/level2:X is not found".into()));
    }
}
