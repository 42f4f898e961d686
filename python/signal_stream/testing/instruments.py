"""What the simulator must know of an instrument: names, grids, size and temper of its market."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class SimulatedInstrument:
    """A market to simulate. Defaults are calibrated on six minutes of Binance BTC of 2024-08-08.

    Invariants: prices are whole ticks, quantities whole lots; `1 <= lot_places <= qty_places`.
    """

    id: str
    """Name in the tape, as `BTCUSDT.BINANCE`."""
    symbol: str
    """Name on the wire, as `BTCUSDT`."""
    venue: Literal["spot", "usdm"]
    """Binance spot, or its USD-M futures: frames and rules of the update ids."""
    price: float
    """Price at the start, quote currency."""
    tick_places: int
    """Decimals of the price grid: 2 is a tick of 0.01."""
    lot_places: int
    """Decimals of the quantity grid."""
    price_places: int
    """Decimals that the venue prints in a price."""
    qty_places: int
    """Decimals that the venue prints in a quantity."""
    trade_qty: float = 0.009
    """Median quantity of an incoming market order, base currency; its mean is some five times this."""
    activity: float = 1.0
    """Speed of the order flow: 1.0 is about 450 order-book changes and 120 frames a second."""
    volatility: float = 1.0
    """Scale of the moves of the fair value: 1.0 is about 1.3 basis points in a second."""
    coupling: float = 0.95
    """Share of the fair value's moves that come from the factor common to all instruments, 0 to 1."""
    lag_s: float = 0.0
    """Delay after which this market hears of the common factor, seconds."""

    @property
    def ticks(self) -> int:
        """Price at the start, ticks."""
        return round(self.price * float(10**self.tick_places))


BTCUSDT = SimulatedInstrument(
    id="BTCUSDT.BINANCE",
    symbol="BTCUSDT",
    venue="spot",
    price=60_000.0,
    tick_places=2,
    lot_places=5,
    price_places=8,
    qty_places=8,
    lag_s=0.25,
)
BTCUSDT_PERP = SimulatedInstrument(
    id="BTCUSDT-PERP.BINANCE",
    symbol="BTCUSDT",
    venue="usdm",
    price=59_970.0,
    tick_places=1,
    lot_places=3,
    price_places=2,
    qty_places=3,
    trade_qty=0.018,
    activity=1.6,
)
ETHUSDT = SimulatedInstrument(
    id="ETHUSDT.BINANCE",
    symbol="ETHUSDT",
    venue="spot",
    price=2_600.0,
    tick_places=2,
    lot_places=4,
    price_places=8,
    qty_places=8,
    trade_qty=0.2,
    activity=0.7,
    volatility=1.3,
    coupling=0.6,
    lag_s=0.4,
)
