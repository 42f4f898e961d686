"""What of the graph of 23 outputs TA-Lib gives, as its users write it.

Its conventions differ in places (population deviation, seeds of the exponential means, volume-weighted close): the
work is the same, not each number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable

    from benches.minutes import Minutes

Column = NDArray[np.float64]

OWN = (
    "mean20", "std20", "mean60", "std60", "ema12", "ema26", "macd", "rsi14", "atr14", "bbpct20", "min60", "max60",
    "corr60", "rank60", "vwap60",
)  # fmt: skip
"""Outputs that are a function of TA-Lib's each, up to a division."""


class NoTalib(Exception):
    """TA-Lib is not installed, or too old for what is asked."""


def own(minutes: Minutes) -> dict[str, Column]:
    """The outputs of OWN over whole columns."""
    import talib

    high, low, close, volume = (minutes[field] for field in ("high", "low", "close", "volume"))
    upper, _, lower = talib.BBANDS(close, 20)
    least, most = talib.MINMAX(close, 60)
    return {
        "mean20": talib.SMA(close, 20),
        "std20": talib.STDDEV(close, 20),
        "mean60": talib.SMA(close, 60),
        "std60": talib.STDDEV(close, 60),
        "ema12": talib.EMA(close, 12),
        "ema26": talib.EMA(close, 26),
        "macd": talib.MACD(close, 12, 26, 9)[0],
        "rsi14": talib.RSI(close, 14),
        "atr14": talib.ATR(high, low, close, 14),
        "bbpct20": (close - lower) / (upper - lower),
        "min60": least,
        "max60": most,
        "corr60": talib.CORREL(close, volume, 60),
        "rank60": talib.PERCENTRANK(close, 60),
        "vwap60": talib.VWMA(close, volume, 60),
    }


def most(minutes: Minutes) -> dict[str, Column]:
    """22 of the 23 outputs over whole columns, numpy where TA-Lib has no function; all but the skew."""
    import talib

    given = own(minutes)
    high, low, close, volume = (minutes[field] for field in ("high", "low", "close", "volume"))
    given["vwap60"] = talib.VWMA(talib.TYPPRICE(high, low, close), volume, 60)
    given["z20"] = (close - given["mean20"]) / given["std20"]
    given["z60"] = (close - given["mean60"]) / given["std60"]
    log_return = np.zeros_like(close)
    np.log(close[1:] / close[:-1], out=log_return[1:])
    given["logret"] = log_return
    given["rvol30"] = np.sqrt(talib.SUM(log_return * log_return, 30))
    bids, asks = (_depth(minutes, side) for side in ("bid", "ask"))
    given["imb5"] = (bids - asks) / (bids + asks)
    bid, ask, bid_qty, ask_qty = (minutes[f"{name}_1"] for name in ("bid_price", "ask_price", "bid_qty", "ask_qty"))
    given["micro"] = (ask * bid_qty + bid * ask_qty) / (bid_qty + ask_qty)
    flow = np.zeros_like(close)
    flow[1:] = (
        np.where(bid[1:] >= bid[:-1], bid_qty[1:], 0.0)
        - np.where(bid[1:] <= bid[:-1], bid_qty[:-1], 0.0)
        - np.where(ask[1:] <= ask[:-1], ask_qty[1:], 0.0)
        + np.where(ask[1:] >= ask[:-1], ask_qty[:-1], 0.0)
    )
    given["ofi"] = flow
    return given


def _depth(minutes: Minutes, side: str) -> Column:
    first, *others = (minutes[f"{side}_qty_{level}"] for level in range(1, 6))
    depth = first + others[0]
    for other in others[1:]:
        depth += other
    return depth


def streams(history: Minutes) -> Callable[[float, float, float, float], tuple[Any, ...]]:
    """One event a call: the outputs of OWN from TA-Lib's stateful streams, which have seen `history`.

    Raises NoTalib where it has none (before 0.8).
    """
    from talib import stream

    high, low, close, volume = (history[field] for field in ("high", "low", "close", "volume"))
    first = stream.SMA(close, 20)
    if not hasattr(first, "update"):
        raise NoTalib("TA-Lib before 0.8 has no streams that keep their state")
    mean20, std20 = first.update, stream.STDDEV(close, 20).update
    mean60, std60 = stream.SMA(close, 60).update, stream.STDDEV(close, 60).update
    ema12, ema26 = stream.EMA(close, 12).update, stream.EMA(close, 26).update
    macd, rsi = stream.MACD(close, 12, 26, 9).update, stream.RSI(close, 14).update
    atr, bands = stream.ATR(high, low, close, 14).update, stream.BBANDS(close, 20).update
    extremes, corr = stream.MINMAX(close, 60).update, stream.CORREL(close, volume, 60).update
    rank, vwap = stream.PERCENTRANK(close, 60).update, stream.VWMA(close, volume, 60).update

    def update(high: float, low: float, close: float, volume: float) -> tuple[Any, ...]:
        upper, _, lower = bands(close)
        least, most = extremes(close)
        return (
            mean20(close), std20(close), mean60(close), std60(close), ema12(close), ema26(close), macd(close)[0],
            rsi(close), atr(high, low, close), (close - lower) / (upper - lower), least, most, corr(close, volume),
            rank(close), vwap(close, volume),
        )  # fmt: skip

    return update
