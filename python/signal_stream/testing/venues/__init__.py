"""The venues that `VenueEmulator` can be: a file and a line in the table each."""

from __future__ import annotations

from typing import Final

from .binance import Binance
from .bybit import Bybit
from .coinbase import Coinbase
from .deribit import Deribit
from .hyperliquid import Hyperliquid
from .independentreserve import IndependentReserve
from .kraken import Kraken
from .kucoin import Kucoin
from .okx import Okx
from .protocol import CONTROL, Channel, Reply, VenueProtocol

__all__ = ["CONTROL", "PROTOCOLS", "Channel", "Reply", "VenueProtocol"]

PROTOCOLS: Final[dict[str, type[VenueProtocol]]] = {
    "binance": Binance,
    "bybit": Bybit,
    "coinbase": Coinbase,
    "deribit": Deribit,
    "hyperliquid": Hyperliquid,
    "independentreserve": IndependentReserve,
    "kraken": Kraken,
    "kucoin": Kucoin,
    "okx": Okx,
}
