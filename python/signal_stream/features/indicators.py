"""Indicators that are compositions of operators: nothing here that a user could not write."""

from __future__ import annotations

from signal_stream.features.choice import maximum, minimum
from signal_stream.features.expression import Expression, expression
from signal_stream.features.refusal import GraphTypeError, checked, raise_graph_error, shown, whole
from signal_stream.features.streams import BarStream


@checked
def rsi(x: Expression, n: int = 14) -> Expression:
    """Relative strength index of x, 0 to 100, with Wilder's weights alpha = 1/n (Wilder 1978).

    Means are exponential from the first value on (pandas' ewm), not seeded with a simple mean as in TA-Lib; both agree
    once the seed is forgotten.
    """
    whole(n, "n", 2)
    change = expression(x).diff()
    gain = change.clip(lower=0.0).ewm(alpha=1 / n).mean()
    loss = (-change).clip(lower=0.0).ewm(alpha=1 / n).mean()
    return 100.0 * gain / (gain + loss)


@checked
def atr(of: BarStream, n: int = 14) -> Expression:
    """Average true range of bars, in price units, with Wilder's weights alpha = 1/n (Wilder 1978)."""
    whole(n, "n", 2)
    if not isinstance(of, BarStream):
        raise_graph_error(
            "BAD_ARGUMENT", f"atr({shown(of)})", value=of, next_step='Give bars: atr(bars("1m")).', kind=GraphTypeError
        )
    before = of.close.shift()
    true_range = maximum(of.high, before) - minimum(of.low, before)
    return true_range.ewm(alpha=1 / n).mean()


@checked
def macd(x: Expression, fast: int = 12, slow: int = 26) -> Expression:
    """Difference of two exponential means, in the unit of x (Appel 1979)."""
    x = expression(x)
    return x.ewm(span=whole(fast, "fast")).mean() - x.ewm(span=whole(slow, "slow")).mean()
