"""The names that columns of a table may have: times, and fields of bars, trades, quotes and books."""

from __future__ import annotations

from typing import Final

TIMES: Final = ("ts_recv", "ts_event", "ts_open")
PLAIN: Final = (
    ("price", "qty", "side"),
    ("open", "high", "low", "close", "volume", "vwap", "trades", "buy_volume"),
)
"""Fields of trades and quotes; of bars."""
LEVELLED: Final = ("bid_price", "bid_qty", "ask_price", "ask_qty")
"""Fields of books, with a level behind."""
AMOUNTS: Final = ("qty", "volume", "trades", "buy_volume", "bid_qty", "ask_qty")
"""Fields that are never negative; those of books with a level behind."""
_LEVELS_MAX: Final = 50


def is_field(name: str) -> bool:
    """Whether a name is a field of bars, trades, quotes or books.

    >>> is_field("close"), is_field("bid_qty_5"), is_field("c")
    (True, True, False)
    """
    return stem(name) in LEVELLED or any(name in family for family in PLAIN)


def stem(name: str) -> str:
    """A field's name without its level."""
    stem, _, level = name.rpartition("_")
    levelled = stem in LEVELLED and level.isdigit() and 1 <= int(level) <= _LEVELS_MAX
    return stem if levelled else name
