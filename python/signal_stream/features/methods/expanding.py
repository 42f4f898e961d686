"""Operators that are methods of all values so far. Made by `make docs` from the core's table: change that, not this file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from signal_stream.features.arguments import Arguments
from signal_stream.features.refusal import checked_class

if TYPE_CHECKING:
    from signal_stream.features.expression import Expression


@checked_class
class ExpandingMethods:
    """What the table has of all values so far."""

    __slots__ = ()

    if TYPE_CHECKING:

        def _made(self, name: str, given: Arguments) -> Expression: ...

    def count(self) -> Expression:
        """Number of values (pandas).

        Warm-up: min_periods values. Missing values: does not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.expanding().count()
        bars('1m').close.expanding().count()
        """
        return self._made("count", Arguments())

    def sum(self) -> Expression:
        """Sum, with what its additions rounded off (Neumaier 1974).

        Warm-up: min_periods values. Missing values: does not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.expanding().sum()
        bars('1m').close.expanding().sum()
        """
        return self._made("sum", Arguments())

    def mean(self) -> Expression:
        """Arithmetic mean (Welford 1962).

        Warm-up: min_periods values. Missing values: does not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.expanding().mean()
        bars('1m').close.expanding().mean()
        """
        return self._made("mean", Arguments())

    def var(self) -> Expression:
        """Variance with divisor n - 1 (Welford 1962).

        Warm-up: min_periods values. Missing values: does not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.expanding().var()
        bars('1m').close.expanding().var()
        """
        return self._made("var", Arguments())

    def std(self) -> Expression:
        """Standard deviation with divisor n - 1 (Welford 1962).

        Warm-up: min_periods values. Missing values: does not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.expanding().std()
        bars('1m').close.expanding().std()
        """
        return self._made("std", Arguments())

    def min(self) -> Expression:
        """Smallest value (pandas).

        Warm-up: min_periods values. Missing values: does not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.expanding().min()
        bars('1m').close.expanding().min()
        """
        return self._made("min", Arguments())

    def max(self) -> Expression:
        """Largest value (pandas).

        Warm-up: min_periods values. Missing values: does not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.expanding().max()
        bars('1m').close.expanding().max()
        """
        return self._made("max", Arguments())
