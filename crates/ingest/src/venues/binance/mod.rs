//! Binance.
//!
//! Frames: `depth` diffs, `bookTicker`, `trade`, `aggTrade`, `markPriceUpdate`, `kline` of the spot, USD-M and COIN-M markets (in the combined-stream wrapper
//! or bare), and the REST depth snapshot, which the market does or does not name. A frame goes through a scanner that
//! knows the venue's own layout byte for byte; what the scanner does not recognise is read by key, which
//! decides. Both mean the same by a frame, so the scanner is an optimisation that cannot be seen.
//!
//! | frame | `sequence` | `sequence_prev` | `ts_event` |
//! |---|---|---|---|
//! | depth | `u` | spot `U - 1`, futures `pu` | `T`, on spot `E` |
//! | bookTicker | `u` | no rule | `T`, on spot none |
//! | trade | `t` | `t - 1` | `T` |
//! | aggTrade | `a` | `a - 1` | `T` |
//! | markPriceUpdate | none | no rule | `E` |
//! | kline, continuous_kline | none | no rule | the bar's end |
//! | snapshot | `lastUpdateId` | no rule | `T`, on spot none |
//!
//! An instrument's trades are those of `trade` or of `aggTrade`, whichever came first: the other stream is not used.

mod computed;
mod market;
mod parse;
mod scan;
#[cfg(test)]
mod tests;

use signal_event::{Side, Timestamp};

use crate::json::Shapes;
use crate::{Decode, Events, Outcome, Reject};

pub use market::Market;

/// Spot's symbols, and those of the futures markets, which tell these apart.
const SPOT: usize = 0;
const FUTURES: usize = 1;

/// Decodes Binance's frames.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    shapes: Shapes,
}

impl Decode for Decoder {
    const SIGNS: &'static [&'static [&'static str]] = &[
        &["\"stream\"", "\"data\""],
        &["\"lastUpdateId\"", "\"bids\""],
        &["\"e\"", "\"E\"", "\"s\""],
        &["\"u\"", "\"s\"", "\"b\"", "\"B\"", "\"a\"", "\"A\""],
    ];

    fn frame(
        &mut self,
        ts_recv: Timestamp,
        frame: &[u8],
        events: &mut Events,
    ) -> Result<Outcome, Reject> {
        if let Some((header, [])) = scan::frame(&mut self.shapes, ts_recv, frame, events) {
            events.close(header);
            return Ok(Outcome::ONE);
        }
        events.builder.abandon();
        parse::frame(ts_recv, frame, events)
    }

    fn answer(
        &mut self,
        ts_recv: Timestamp,
        url: &str,
        body: &[u8],
        events: &mut Events,
    ) -> Result<Outcome, Reject> {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let symbol = query
            .split('&')
            .find_map(|part| part.strip_prefix("symbol="));
        match symbol {
            Some(symbol) if path.ends_with("/depth") => {
                parse::depth_answer(ts_recv, symbol, body, events)
            }
            _ => Ok(Outcome::UNUSED),
        }
    }

    #[inline]
    fn line<'a>(
        &mut self,
        ts_recv: Timestamp,
        text: &'a [u8],
        events: &mut Events,
    ) -> Option<&'a [u8]> {
        if let Some((header, [b'\n', rest @ ..])) =
            scan::frame(&mut self.shapes, ts_recv, text, events)
        {
            events.close(header);
            return Some(rest);
        }
        events.builder.abandon();
        None
    }
}

/// The aggressor's side. A trade that is not of the public order book (insurance fund, settlement) has none.
#[inline]
fn aggressor(buyer_is_maker: bool, of_the_book: bool) -> Side {
    match (of_the_book, buyer_is_maker) {
        (false, _) => Side::None,
        (true, true) => Side::Sell,
        (true, false) => Side::Buy,
    }
}
