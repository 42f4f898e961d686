"""Indicators as functions, for those who look for them there: each is the method of the same name."""

from __future__ import annotations

from signal_stream.features.expression import Expression, expression
from signal_stream.features.refusal import GraphTypeError, checked, raise_graph_error, shown
from signal_stream.features.streams import BarStream


@checked
def rsi(x: Expression, n: int = 14) -> Expression:
    """`x.rsi(n)`: relative strength index of x, 0 to 100 (Wilder 1978)."""
    return expression(x).rsi(n)


@checked
def atr(of: BarStream, n: int = 14) -> Expression:
    """`of.atr(n)`: average true range of bars, in price units (Wilder 1978)."""
    if not isinstance(of, BarStream):
        raise_graph_error(
            "BAD_ARGUMENT", f"atr({shown(of)})", value=of, next_step='Give bars: atr(bars("1m")).', kind=GraphTypeError
        )
    return of.atr(n)


@checked
def macd(x: Expression, fast: int = 12, slow: int = 26) -> Expression:
    """`x.macd(fast, slow)`: difference of two exponential means, in the unit of x (Appel 1979)."""
    return expression(x).macd(fast, slow)
