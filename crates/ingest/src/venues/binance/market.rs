//! Binance's three markets and how their symbols are named.

use super::{FUTURES, SPOT};
use crate::Events;
use crate::decode::{Listing, Only};
use crate::json::Fault;

/// The markets whose frames differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Market {
    /// Spot.
    Spot,
    /// Futures margined in a dollar coin.
    UsdM,
    /// Futures margined in the coin itself; quantities are contracts.
    CoinM,
}

impl Market {
    /// The futures market of a symbol: COIN-M symbols are a pair in plain `USD`, an underscore and the expiry
    /// (`BTCUSD_PERP`, `BTCUSD_240927`).
    pub(crate) fn of_futures(symbol: &str) -> Market {
        match symbol.split_once('_') {
            Some((pair, _)) if pair.ends_with("USD") => Market::CoinM,
            _ => Market::UsdM,
        }
    }

    /// The listing of a symbol of spot, or of a futures market.
    pub(super) fn listing(
        futures: bool,
        symbol: &[u8],
        events: &mut Events,
    ) -> Result<Listing, Fault> {
        match futures {
            true => events.listing(FUTURES, symbol, |symbol| {
                Market::of_futures(symbol).instrument_id(symbol)
            }),
            false => events.listing(SPOT, symbol, |symbol| Market::Spot.instrument_id(symbol)),
        }
    }

    /// Whose a message of this market is that names no symbol.
    pub(super) fn only(self, events: &Events) -> Only {
        let of_market =
            |symbol: &[u8]| Market::of_futures(&String::from_utf8_lossy(symbol)) == self;
        match self {
            Market::Spot => events.only(SPOT, |_| true),
            Market::UsdM | Market::CoinM => events.only(FUTURES, of_market),
        }
    }

    /// Our name of the venue's symbol: `BTCUSDT.BINANCE`, `BTCUSDT-PERP.BINANCE`, `BTCUSD-PERP.BINANCE`.
    pub fn instrument_id(self, symbol: &str) -> String {
        match (self, symbol.split_once('_')) {
            (_, Some((pair, expiry))) => format!("{pair}-{expiry}.BINANCE"),
            (Market::Spot, None) => format!("{symbol}.BINANCE"),
            (Market::UsdM | Market::CoinM, None) => format!("{symbol}-PERP.BINANCE"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_have_our_names() {
        let futures = |symbol: &str| Market::of_futures(symbol).instrument_id(symbol);
        assert_eq!(Market::Spot.instrument_id("BTCUSDT"), "BTCUSDT.BINANCE");
        assert_eq!(futures("BTCUSDT"), "BTCUSDT-PERP.BINANCE");
        assert_eq!(futures("BTCUSDT_240927"), "BTCUSDT-240927.BINANCE");
        assert_eq!(futures("BTCUSD_PERP"), "BTCUSD-PERP.BINANCE");
        assert_eq!(Market::of_futures("BTCUSD_PERP"), Market::CoinM);
        assert_eq!(Market::of_futures("BTCUSDT_240927"), Market::UsdM);
    }
}
