"""Operators that are methods of a rolling window. Made by `make docs` from the core's table: change that, not this file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from signal_stream.features.arguments import Arguments
from signal_stream.features.refusal import checked_class

if TYPE_CHECKING:
    from signal_stream.features.expression import Expression, Scalar


@checked_class
class RollingMethods:
    """What the table has of a rolling window."""

    __slots__ = ()

    if TYPE_CHECKING:

        def _made(self, name: str, given: Arguments) -> Expression: ...

    def sum(self) -> Expression:
        """Sum of the window (pandas, TA-Lib).

        Warm-up: the window. Missing values: does not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).sum()
        bars('1m').close.rolling(20).sum()
        """
        return self._made("sum", Arguments())

    def mean(self) -> Expression:
        """Arithmetic mean (pandas, TA-Lib).

        Warm-up: the window. Missing values: does not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).mean()
        bars('1m').close.rolling(20).mean()
        """
        return self._made("mean", Arguments())

    def var(self, *, ddof: int = 1) -> Expression:
        """Variance with divisor n - ddof (West 1979).

        `ddof` is a whole number from 0 to 1. Warm-up: the window. Missing values: does not enter; invalid where the
        newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).var()
        bars('1m').close.rolling(20).var()
        """
        return self._made("var", Arguments().whole("ddof", ddof, 0, 1, usual=1))

    def std(self, *, ddof: int = 1) -> Expression:
        """Standard deviation with divisor n - ddof (West 1979).

        `ddof` is a whole number from 0 to 1. Warm-up: the window. Missing values: does not enter; invalid where the
        newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).std()
        bars('1m').close.rolling(20).std()
        """
        return self._made("std", Arguments().whole("ddof", ddof, 0, 1, usual=1))

    def zscore(self) -> Expression:
        """(newest - mean) / sample standard deviation (pandas).

        Warm-up: the window. Missing values: does not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).zscore()
        bars('1m').close.rolling(20).zscore()
        """
        return self._made("zscore", Arguments())

    def skew(self) -> Expression:
        """Adjusted Fisher-Pearson skewness G1 (Joanes & Gill 1998).

        Warm-up: the window. Missing values: does not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).skew()
        bars('1m').close.rolling(20).skew()
        """
        return self._made("skew", Arguments())

    def min(self) -> Expression:
        """Smallest value (pandas).

        Warm-up: the window. Missing values: does not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).min()
        bars('1m').close.rolling(20).min()
        """
        return self._made("min", Arguments())

    def max(self) -> Expression:
        """Largest value (pandas, TA-Lib).

        Warm-up: the window. Missing values: does not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).max()
        bars('1m').close.rolling(20).max()
        """
        return self._made("max", Arguments())

    def rank(self) -> Expression:
        """Average rank of the newest value, over n (Kakushadze 2016).

        Warm-up: the window. Missing values: does not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).rank()
        bars('1m').close.rolling(20).rank()
        """
        return self._made("rank", Arguments())

    def cov(self, y: Expression | Scalar) -> Expression:
        """Sample covariance (pandas).

        Warm-up: the window. Missing values: does not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).cov(2.0)
        bars('1m').close.rolling(20).cov(2.0)
        """
        return self._made("cov", Arguments().operand("y", y))

    def corr(self, y: Expression | Scalar) -> Expression:
        """Pearson correlation (pandas, TA-Lib).

        Warm-up: the window. Missing values: does not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).corr(2.0)
        bars('1m').close.rolling(20).corr(2.0)
        """
        return self._made("corr", Arguments().operand("y", y))

    def beta(self, y: Expression | Scalar) -> Expression:
        """Slope of x on y: cov(x, y) / var(y) (ordinary least squares).

        Warm-up: the window. Missing values: does not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).beta(2.0)
        bars('1m').close.rolling(20).beta(2.0)
        """
        return self._made("beta", Arguments().operand("y", y))
