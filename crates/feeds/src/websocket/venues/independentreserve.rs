//! Independent Reserve. All orders come by HTTP. A symbol is a pair, `ETH-AUD`; orders of a currency stand in one channel whatever
//! they are paid in, and by its list of subscribed trades the decoder knows which pairs are meant: so trades always come too.

use std::time::Duration;

use serde_json::json;
use signal_ingest::Venue;

use crate::websocket::script::{Address, Books, Heard, Script, Stream, begins_with, note};

pub(super) const SCRIPT: Script = Script {
    venue: "independentreserve",
    address: Address::Path("/"),
    decoder: Venue::IndependentReserve,
    instrument: |symbol| format!("{}.INDEPENDENTRESERVE", symbol.to_ascii_uppercase()),
    rest: "https://api.independentreserve.com",
    streams: &[Stream::Trades, Stream::Depth],
    subscribe,
    pause: Duration::from_millis(100),
    heartbeat: None, // it sends one of its own
    hear,
    books: Books::Rest { path: orders },
};

fn subscribe(on: bool, symbols: &[String], streams: &[Stream]) -> Vec<String> {
    let event = if on { "Subscribe" } else { "Unsubscribe" };
    let mut channels = Vec::new();
    for symbol in symbols.iter().map(|symbol| symbol.to_ascii_lowercase()) {
        let (base, _) = symbol.split_once('-').unwrap_or((&symbol, ""));
        let orders = format!("orderbook-{base}");
        channels.push(format!("ticker-{symbol}"));
        if streams.contains(&Stream::Depth) && !channels.contains(&orders) {
            channels.push(orders);
        }
    }
    vec![json!({"Event": event, "Data": channels}).to_string()]
}

fn orders(symbol: &str) -> String {
    let symbol = symbol.to_ascii_lowercase();
    let (base, quote) = symbol.split_once('-').unwrap_or((&symbol, ""));
    format!("/Public/GetAllOrders?primaryCurrencyCode={base}&secondaryCurrencyCode={quote}")
}

/// `{"Event":"Subscriptions","Data":["ticker-eth-aud",…]}`, `{"Event":"Error","Data":"…"}`
fn hear(frame: &[u8]) -> Heard {
    if begins_with(frame, "\"Channel\"") || begins_with(frame, "\"Heartbeat\"") {
        return Heard::Data;
    }
    let Some(note) = note(frame) else { return Heard::Data };
    match note["Event"].as_str() {
        Some("Subscriptions") => Heard::Accepted,
        Some("Error") => Heard::Refused(note["Data"].as_str().unwrap_or_default().to_string()),
        _ => Heard::Data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_of_a_currency_are_asked_for_once_and_pairs_by_their_trades() {
        let symbols = ["ETH-AUD".to_string(), "eth-usd".to_string()];
        let asked = subscribe(true, &symbols, &[Stream::Depth]);
        assert_eq!(asked, [r#"{"Data":["ticker-eth-aud","orderbook-eth","ticker-eth-usd"],"Event":"Subscribe"}"#]);
        assert!(!subscribe(true, &symbols, &[Stream::Trades])[0].contains("orderbook"));
        assert_eq!(orders("ETH-AUD"), "/Public/GetAllOrders?primaryCurrencyCode=eth&secondaryCurrencyCode=aud");
        assert_eq!(hear(br#"{"Data":["ticker-eth-aud"],"Time":1649023809081,"Event":"Subscriptions"}"#), Heard::Accepted);
        assert_eq!(hear(br#"{"Data":"Invalid channel","Time":1649023809081,"Event":"Error"}"#), Heard::Refused("Invalid channel".into()));
    }
}
