"""Operators that are methods of trades. Made by `make docs` from the core's table: change that, not this file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from signal_stream.features.arguments import Arguments
from signal_stream.features.refusal import checked_class

if TYPE_CHECKING:
    from signal_stream.features.expression import Expression


@checked_class
class TradeMethods:
    """What the table has of trades."""

    __slots__ = ()

    if TYPE_CHECKING:

        def _made(self, name: str, given: Arguments) -> Expression: ...

    def volume_delta(self, window: int | str, *, cap: int | None = None) -> Expression:
        """Quantity that buyers took minus what sellers did, in the window: the cumulative volume delta since its
        begin (Chordia, Roll & Subrahmanyam 2002).

        The result: unit of quantity. `window` is a count of 1 valid values or more, or a length of time in which
        `cap` values may lie, as of `rolling`. Warm-up: window events. Missing values: invalid where what it is made
        of is.

        >>> from signal_stream import trades
        >>> trades.volume_delta(20)
        trades.volume_delta(20)
        """
        return self._made("volume_delta", Arguments().window(window, cap, 1))

    def trade_imbalance(self, window: int | str, *, cap: int | None = None) -> Expression:
        """Quantity that buyers took minus what sellers did, over their sum, in the window (Chordia, Roll &
        Subrahmanyam 2002).

        Trades without a side count in neither.

        The result: -1 to 1. `window` is a count of 1 valid values or more, or a length of time in which `cap`
        values may lie, as of `rolling`. Warm-up: window events. Missing values: invalid where what it is made of
        is.

        >>> from signal_stream import trades
        >>> trades.trade_imbalance(20)
        trades.trade_imbalance(20)
        """
        return self._made("trade_imbalance", Arguments().window(window, cap, 1))

    def sign_autocorrelation(self, window: int | str, n: int = 1, *, cap: int | None = None) -> Expression:
        """Correlation of a trade's side with the side n trades before, in the window; invalid where all sides are
        equal (Lillo & Farmer 2004).

        The result: -1 to 1. `window` is a count of 2 valid values or more, or a length of time in which `cap`
        values may lie, as of `rolling`. `n` is a whole number from 1 to 1,048,576. Warm-up: window + n events.
        Missing values: invalid where what it is made of is.

        >>> from signal_stream import trades
        >>> trades.sign_autocorrelation(20, n=1)
        trades.sign_autocorrelation(20, n=1)
        """
        return self._made("sign_autocorrelation", Arguments().window(window, cap, 2).whole("n", n, 1, 1048576))
