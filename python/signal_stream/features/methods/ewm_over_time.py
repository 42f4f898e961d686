"""Operators that are methods of weights over time. Made by `make docs` from the core's table: change that, not this file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from signal_stream.features.arguments import Arguments
from signal_stream.features.refusal import checked_class

if TYPE_CHECKING:
    from signal_stream.features.expression import Expression


@checked_class
class EwmOverTimeMethods:
    """What the table has of weights over time."""

    __slots__ = ()

    if TYPE_CHECKING:

        def _made(self, name: str, given: Arguments) -> Expression: ...

    def mean(self) -> Expression:
        """Mean in which a value weighs half as much after each half-life: sum of 2^(-age / half-life) x over the
        sum of the weights, as pandas with `times` (pandas).

        Warm-up: min_periods values. Missing values: does not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.ewm(half_life="5m").mean()
        bars('1m').close.ewm(half_life='5m').mean()
        """
        return self._made("mean", Arguments())

    def var(self) -> Expression:
        """Variance without bias with these weights (Finch 2009).

        Warm-up: min_periods values. Missing values: does not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.ewm(half_life="5m").var()
        bars('1m').close.ewm(half_life='5m').var()
        """
        return self._made("var", Arguments())

    def std(self) -> Expression:
        """Root of the variance without bias with these weights (Finch 2009).

        Warm-up: min_periods values. Missing values: does not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.ewm(half_life="5m").std()
        bars('1m').close.ewm(half_life='5m').std()
        """
        return self._made("std", Arguments())

    def mean_previous(self) -> Expression:
        """Mean over time, each value standing until the next one: the newest has no weight yet (Mueller 1991).

        Warm-up: min_periods values. Missing values: does not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.ewm(half_life="5m").mean_previous()
        bars('1m').close.ewm(half_life='5m').mean_previous()
        """
        return self._made("mean_previous", Arguments())

    def mean_linear(self) -> Expression:
        """Mean over time along straight lines from each value to the next (Mueller 1991).

        Warm-up: min_periods values. Missing values: does not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.ewm(half_life="5m").mean_linear()
        bars('1m').close.ewm(half_life='5m').mean_linear()
        """
        return self._made("mean_linear", Arguments())

    def mean_next(self) -> Expression:
        """Mean over time, each value standing since the one before, as polars' `ewm_mean_by` (Mueller 1991,
        polars).

        Warm-up: min_periods values. Missing values: does not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.ewm(half_life="5m").mean_next()
        bars('1m').close.ewm(half_life='5m').mean_next()
        """
        return self._made("mean_next", Arguments())
