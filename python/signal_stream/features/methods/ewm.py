"""Operators that are methods of exponential weights. Made by `make docs` from the core's table: change that, not this file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from signal_stream.features.arguments import Arguments
from signal_stream.features.refusal import checked_class

if TYPE_CHECKING:
    from signal_stream.features.expression import Expression, Scalar


@checked_class
class EwmMethods:
    """What the table has of exponential weights."""

    __slots__ = ()

    if TYPE_CHECKING:

        def _made(self, name: str, given: Arguments) -> Expression: ...

    def mean(self) -> Expression:
        """Weighted mean: sum of (1 - alpha)^i x[t-i] over the sum of the weights, as pandas with adjust=True
        (Roberts 1959).

        Warm-up: min_periods values. Missing values: do not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.ewm(span=26).mean()
        bars('1m').close.ewm(span=26).mean()
        """
        return self._made("mean", Arguments())

    def var(self) -> Expression:
        """Weighted variance without bias, as pandas with adjust=True and bias=False (Finch 2009, pandas).

        Warm-up: min_periods values. Missing values: do not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.ewm(span=26).var()
        bars('1m').close.ewm(span=26).var()
        """
        return self._made("var", Arguments())

    def std(self) -> Expression:
        """Root of the weighted variance without bias (Finch 2009, pandas).

        Warm-up: min_periods values. Missing values: do not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.ewm(span=26).std()
        bars('1m').close.ewm(span=26).std()
        """
        return self._made("std", Arguments())

    def zscore(self) -> Expression:
        """(newest - weighted mean) / weighted standard deviation (Finch 2009).

        Warm-up: min_periods values. Missing values: do not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.ewm(span=26).zscore()
        bars('1m').close.ewm(span=26).zscore()
        """
        return self._made("zscore", Arguments())

    def cov(self, y: Expression | Scalar) -> Expression:
        """Weighted covariance without bias (Finch 2009, pandas).

        Warm-up: min_periods values. Missing values: do not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.ewm(span=26).cov(2.0)
        bars('1m').close.ewm(span=26).cov(2.0)
        """
        return self._made("cov", Arguments().operand("y", y))

    def corr(self, y: Expression | Scalar) -> Expression:
        """Weighted correlation (Finch 2009, pandas).

        Warm-up: min_periods values. Missing values: do not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.ewm(span=26).corr(2.0)
        bars('1m').close.ewm(span=26).corr(2.0)
        """
        return self._made("corr", Arguments().operand("y", y))

    def beta(self, y: Expression | Scalar) -> Expression:
        """Slope of x on y with these weights: cov(x, y) / var(y) (weighted least squares).

        Warm-up: min_periods values. Missing values: do not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.ewm(span=26).beta(2.0)
        bars('1m').close.ewm(span=26).beta(2.0)
        """
        return self._made("beta", Arguments().operand("y", y))
