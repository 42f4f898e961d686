//! OKX. Books come when depth is subscribed.

use std::time::Duration;

use serde_json::{Value, json};
use signal_ingest::Venue;

use crate::websocket::script::{Address, Books, Heard, Heartbeat, Script, Stream, begins_with, channels, note};

pub(super) const SCRIPT: Script = Script {
    venue: "okx",
    address: Address::Path("/ws/v5/public"),
    decoder: Venue::Okx,
    instrument: |symbol| format!("{symbol}.OKX"),
    rest: "https://www.okx.com",
    streams: &Stream::DERIVATIVES,
    subscribe,
    // It takes three messages a second.
    pause: Duration::from_millis(350),
    heartbeat: Some(Heartbeat {
        every: Duration::from_secs(20),
        text: "ping",
    }),
    hear,
    books: Books::Subscribed,
};

/// Channels in one message; it may have 64 KiB.
const CHANNELS: usize = 200;

fn subscribe(on: bool, symbols: &[String], streams: &[Stream]) -> Vec<String> {
    let channel = |symbol: &str, stream| {
        let channels: &[&str] = match stream {
            Stream::Trades => &["trades"],
            Stream::Quotes => &["tickers"],
            Stream::Depth => &["books"],
            Stream::Reference => &["mark-price", "funding-rate", "open-interest"],
            Stream::Bars => &[],
        };
        let channel = |channel: &&str| json!({"channel": channel, "instId": symbol});
        channels.iter().map(channel).collect::<Vec<Value>>()
    };
    let op = if on { "subscribe" } else { "unsubscribe" };
    let all = channels(symbols, streams, channel);
    all.chunks(CHANNELS).map(|part| json!({"op": op, "args": part}).to_string()).collect()
}

/// `{"event":"subscribe","arg":{…}}`, `{"event":"error","code":"60012","msg":"…"}`; `pong` without quotes.
fn hear(frame: &[u8]) -> Heard {
    if frame == b"pong" {
        return Heard::Alive;
    }
    if !begins_with(frame, "\"event\"") {
        return Heard::Data;
    }
    let Some(note) = note(frame) else { return Heard::Data };
    match note["event"].as_str() {
        Some("subscribe") => Heard::Accepted,
        Some("error") => Heard::Refused(note["msg"].as_str().unwrap_or_default().to_string()),
        _ => Heard::Data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_pong_without_quotes_and_what_it_does_not_know() {
        let asked = subscribe(true, &["BTC-USDT".to_string()], &[Stream::Trades, Stream::Depth]);
        assert_eq!(asked, [r#"{"args":[{"channel":"trades","instId":"BTC-USDT"},{"channel":"books","instId":"BTC-USDT"}],"op":"subscribe"}"#]);
        let computed = subscribe(true, &["BTC-USDT-SWAP".to_string()], &[Stream::Reference]);
        assert!(["mark-price", "funding-rate", "open-interest"].iter().all(|channel| computed[0].contains(channel)));
        assert_eq!(hear(b"pong"), Heard::Alive);
        assert_eq!(hear(br#"{"event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"}}"#), Heard::Accepted);
        assert_eq!(hear(br#"{"event":"error","code":"60018","msg":"Wrong URL or channel:trades,instId:X"}"#), Heard::Refused("Wrong URL or channel:trades,instId:X".into()));
    }
}
