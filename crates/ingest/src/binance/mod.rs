//! Raw Binance captures: lines of `<receive time> <frame as the venue sent it>`. The receive time counts s, ms, µs or
//! ns since 1970, one of them in the whole capture; which, its number of digits shows.
//!
//! Frames: `depth` diffs, `bookTicker`, `trade` of the spot, USD-M and COIN-M markets (in the combined-stream wrapper
//! or bare), and the REST depth snapshot, which the market does or does not name. A line goes through a scanner that
//! knows the venue's own layout byte for byte; what the scanner does not recognise goes through a general JSON parser,
//! which decides. Both mean the same by a line, so the scanner is an optimisation that cannot be seen.
//!
//! | frame | `sequence` | `sequence_prev` | `ts_event` |
//! |---|---|---|---|
//! | depth | `u` | spot `U - 1`, futures `pu` | `T`, on spot `E` |
//! | bookTicker | `u` | no rule | `T`, on spot none |
//! | trade | `t` | `t - 1` | `T` |
//! | snapshot | `lastUpdateId` | no rule | `T`, on spot none |

mod decoder;
mod digits;
mod json;
mod market;
mod parse;
mod scan;
#[cfg(test)]
mod tests;

pub use decoder::{ClockUnit, Decoded, Decoder};
pub use market::Market;
