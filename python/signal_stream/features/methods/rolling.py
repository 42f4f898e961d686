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

    def sum(self, *, empty: float | None = None) -> Expression:
        """Sum of the window; of a window of time without values `empty`, where that is given (pandas, TA-Lib).

        `empty` may be 0. Warm-up: the window. Missing values: do not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).sum()
        bars('1m').close.rolling(20).sum()
        """
        return self._made("sum", Arguments().only("empty", empty, 0.0))

    def count(self) -> Expression:
        """Number of valid values: n of a window that counts (pandas).

        Warm-up: the window. Missing values: do not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).count()
        bars('1m').close.rolling(20).count()
        """
        return self._made("count", Arguments())

    def mean(self) -> Expression:
        """Arithmetic mean (pandas, TA-Lib).

        Warm-up: the window. Missing values: do not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).mean()
        bars('1m').close.rolling(20).mean()
        """
        return self._made("mean", Arguments())

    def var(self, *, ddof: int = 1) -> Expression:
        """Variance with divisor n - ddof (West 1979).

        `ddof` is a whole number from 0 to 1. Warm-up: the window. Missing values: do not enter; invalid where the
        newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).var()
        bars('1m').close.rolling(20).var()
        """
        return self._made("var", Arguments().whole("ddof", ddof, 0, 1, usual=1))

    def std(self, *, ddof: int = 1) -> Expression:
        """Standard deviation with divisor n - ddof (West 1979).

        `ddof` is a whole number from 0 to 1. Warm-up: the window. Missing values: do not enter; invalid where the
        newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).std()
        bars('1m').close.rolling(20).std()
        """
        return self._made("std", Arguments().whole("ddof", ddof, 0, 1, usual=1))

    def zscore(self) -> Expression:
        """(newest - mean) / sample standard deviation (pandas).

        Warm-up: the window. Missing values: do not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).zscore()
        bars('1m').close.rolling(20).zscore()
        """
        return self._made("zscore", Arguments())

    def skew(self) -> Expression:
        """Adjusted Fisher-Pearson skewness G1 (Joanes & Gill 1998).

        Warm-up: the window. Missing values: do not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).skew()
        bars('1m').close.rolling(20).skew()
        """
        return self._made("skew", Arguments())

    def kurt(self) -> Expression:
        """Excess kurtosis without bias, G2: 0 of a normal distribution (Joanes & Gill 1998).

        Warm-up: the window. Missing values: do not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).kurt()
        bars('1m').close.rolling(20).kurt()
        """
        return self._made("kurt", Arguments())

    def decay_linear(self) -> Expression:
        """Mean with weights 1 to n, the newest heaviest (Kakushadze 2016).

        Warm-up: the window. Missing values: do not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).decay_linear()
        bars('1m').close.rolling(20).decay_linear()
        """
        return self._made("decay_linear", Arguments())

    def slope(self) -> Expression:
        """Slope of the least squares line over the places 0 to n - 1: change a value (ordinary least squares, Qlib
        Slope).

        Warm-up: the window. Missing values: do not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).slope()
        bars('1m').close.rolling(20).slope()
        """
        return self._made("slope", Arguments())

    def rsquare(self) -> Expression:
        """Share of the variance that the least squares line over the places explains, 0 to 1 (ordinary least
        squares, Qlib Rsquare).

        Warm-up: the window. Missing values: do not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).rsquare()
        bars('1m').close.rolling(20).rsquare()
        """
        return self._made("rsquare", Arguments())

    def resid(self) -> Expression:
        """The newest value less the least squares line over the places (ordinary least squares, Qlib Resi).

        Warm-up: the window. Missing values: do not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).resid()
        bars('1m').close.rolling(20).resid()
        """
        return self._made("resid", Arguments())

    def min(self) -> Expression:
        """Smallest value (pandas).

        Warm-up: the window. Missing values: do not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).min()
        bars('1m').close.rolling(20).min()
        """
        return self._made("min", Arguments())

    def max(self) -> Expression:
        """Largest value (pandas, TA-Lib).

        Warm-up: the window. Missing values: do not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).max()
        bars('1m').close.rolling(20).max()
        """
        return self._made("max", Arguments())

    def cov(self, y: Expression | Scalar) -> Expression:
        """Sample covariance (pandas).

        Warm-up: the window. Missing values: do not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).cov(2.0)
        bars('1m').close.rolling(20).cov(2.0)
        """
        return self._made("cov", Arguments().operand("y", y))

    def corr(self, y: Expression | Scalar) -> Expression:
        """Pearson correlation (pandas, TA-Lib).

        Warm-up: the window. Missing values: do not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).corr(2.0)
        bars('1m').close.rolling(20).corr(2.0)
        """
        return self._made("corr", Arguments().operand("y", y))

    def beta(self, y: Expression | Scalar) -> Expression:
        """Slope of x on y: cov(x, y) / var(y) (ordinary least squares).

        Warm-up: the window. Missing values: do not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).beta(2.0)
        bars('1m').close.rolling(20).beta(2.0)
        """
        return self._made("beta", Arguments().operand("y", y))

    def rank(self) -> Expression:
        """Average rank of the newest value, over n (Kakushadze 2016).

        Warm-up: the window. Missing values: do not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).rank()
        bars('1m').close.rolling(20).rank()
        """
        return self._made("rank", Arguments())

    def median(self) -> Expression:
        """Median: the middle value, or halfway between the two (pandas).

        Warm-up: the window. Missing values: do not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).median()
        bars('1m').close.rolling(20).median()
        """
        return self._made("median", Arguments())

    def quantile(self, q: float) -> Expression:
        """The q-quantile, linear between neighbours (type 7) (Hyndman & Fan 1996).

        `q` is a number from 0 to 1. Warm-up: the window. Missing values: do not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).quantile(q=0.9)
        bars('1m').close.rolling(20).quantile(q=0.9)
        """
        return self._made("quantile", Arguments().real("q", q, 0.0, 1.0))

    def mad(self) -> Expression:
        """Median of the distances from the median (Hampel 1974).

        Warm-up: the window. Missing values: do not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).mad()
        bars('1m').close.rolling(20).mad()
        """
        return self._made("mad", Arguments())

    def argmin(self) -> Expression:
        """Place of the smallest value, 0 for the oldest; of equal ones the oldest (numpy.argmin).

        Warm-up: the window. Missing values: do not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).argmin()
        bars('1m').close.rolling(20).argmin()
        """
        return self._made("argmin", Arguments())

    def argmax(self) -> Expression:
        """Place of the largest value, 0 for the oldest; of equal ones the oldest (numpy.argmax).

        Warm-up: the window. Missing values: do not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).argmax()
        bars('1m').close.rolling(20).argmax()
        """
        return self._made("argmax", Arguments())

    def prod(self) -> Expression:
        """Product of the window, from the oldest on (numpy.prod).

        Warm-up: the window. Missing values: do not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rolling(20).prod()
        bars('1m').close.rolling(20).prod()
        """
        return self._made("prod", Arguments())
