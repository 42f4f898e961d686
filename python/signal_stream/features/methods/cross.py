"""Operators that are methods of a cross-section. Made by `make docs` from the core's table: change that, not this file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from signal_stream.features.arguments import Arguments
from signal_stream.features.refusal import checked_class

if TYPE_CHECKING:
    from signal_stream.features.expression import Expression


@checked_class
class CrossMethods:
    """What the table has of a cross-section."""

    __slots__ = ()

    if TYPE_CHECKING:

        def _made(self, name: str, given: Arguments) -> Expression: ...

    def rank(self) -> Expression:
        """(average rank - 0.5) / n, in (0, 1); equal values share the mean of their ranks (Kakushadze 2016).

        Missing values: a member without a value is left out, or its last one carried.

        >>> from signal_stream import bars, cross
        >>> cross(bars("1d").close).rank()
        cross(bars('1d').close).rank()
        """
        return self._made("rank", Arguments())

    def pct_rank(self) -> Expression:
        """Average rank over n, in (0, 1] (pandas rank(pct=True)).

        Missing values: a member without a value is left out, or its last one carried.

        >>> from signal_stream import bars, cross
        >>> cross(bars("1d").close).pct_rank()
        cross(bars('1d').close).pct_rank()
        """
        return self._made("pct_rank", Arguments())

    def bucket(self, buckets: int = 10) -> Expression:
        """Which of so many buckets of equal size, 0 for the smallest values (Fama & French 1993).

        `buckets` is a whole number from 2 to 1,000. Missing values: a member without a value is left out, or its
        last one carried.

        >>> from signal_stream import bars, cross
        >>> cross(bars("1d").close).bucket(buckets=10)
        cross(bars('1d').close).bucket(buckets=10)
        """
        return self._made("bucket", Arguments().whole("buckets", buckets, 2, 1000))

    def zscore(self) -> Expression:
        """(x - mean) / sample standard deviation; invalid (`DOMAIN`) where all are equal (Grinold & Kahn 2000).

        Missing values: a member without a value is left out, or its last one carried.

        >>> from signal_stream import bars, cross
        >>> cross(bars("1d").close).zscore()
        cross(bars('1d').close).zscore()
        """
        return self._made("zscore", Arguments())

    def robust_zscore(self, clip: float = 3.0) -> Expression:
        """(x - median) / (1.4826 x median absolute deviation), clipped at `clip` (Hampel 1974).

        `clip` is above 0, at most 1e+09. Missing values: a member without a value is left out, or its last one
        carried.

        >>> from signal_stream import bars, cross
        >>> cross(bars("1d").close).robust_zscore(clip=3.0)
        cross(bars('1d').close).robust_zscore(clip=3.0)
        """
        return self._made("robust_zscore", Arguments().number("clip", clip, 0.0, 1000000000.0))

    def winsorise(self, k: float = 3.0) -> Expression:
        """x, but no further from the median than k x 1.4826 x the median absolute deviation (Hampel 1974).

        `k` is a number from 0 to 1e+09. Missing values: a member without a value is left out, or its last one
        carried.

        >>> from signal_stream import bars, cross
        >>> cross(bars("1d").close).winsorise(k=3.0)
        cross(bars('1d').close).winsorise(k=3.0)
        """
        return self._made("winsorise", Arguments().real("k", k, 0.0, 1000000000.0))

    def winsorise_quantile(self, q: float = 0.01) -> Expression:
        """x, but not below the q-quantile nor above the (1 - q)-quantile, linear between neighbours (type 7) (Tukey
        1962).

        `q` is a number from 0 to 0.5. Missing values: a member without a value is left out, or its last one
        carried.

        >>> from signal_stream import bars, cross
        >>> cross(bars("1d").close).winsorise_quantile(q=0.01)
        cross(bars('1d').close).winsorise_quantile(q=0.01)
        """
        return self._made("winsorise_quantile", Arguments().real("q", q, 0.0, 0.5))

    def demean(self) -> Expression:
        """x minus the mean of all (Grinold & Kahn 2000).

        Missing values: a member without a value is left out, or its last one carried.

        >>> from signal_stream import bars, cross
        >>> cross(bars("1d").close).demean()
        cross(bars('1d').close).demean()
        """
        return self._made("demean", Arguments())

    def neutralise(self) -> Expression:
        """x minus the mean of its group in the universe; members without a group are one (Kakushadze 2016
        (indneutralize)).

        Missing values: a member without a value is left out, or its last one carried.

        >>> from signal_stream import bars, cross
        >>> cross(bars("1d").close).neutralise()
        cross(bars('1d').close).neutralise()
        """
        return self._made("neutralise", Arguments())

    def scale(self) -> Expression:
        """x over the sum of all |x| (Kakushadze 2016).

        Missing values: a member without a value is left out, or its last one carried.

        >>> from signal_stream import bars, cross
        >>> cross(bars("1d").close).scale()
        cross(bars('1d').close).scale()
        """
        return self._made("scale", Arguments())

    def mean(self) -> Expression:
        """Mean of all: the same number for each member (pandas).

        Missing values: a member without a value is left out, or its last one carried.

        >>> from signal_stream import bars, cross
        >>> cross(bars("1d").close).mean()
        cross(bars('1d').close).mean()
        """
        return self._made("mean", Arguments())

    def median(self) -> Expression:
        """Median of all: the same number for each member (pandas).

        Missing values: a member without a value is left out, or its last one carried.

        >>> from signal_stream import bars, cross
        >>> cross(bars("1d").close).median()
        cross(bars('1d').close).median()
        """
        return self._made("median", Arguments())

    def dispersion(self) -> Expression:
        """Sample standard deviation of all: the same number for each member (Solnik & Roulet 2000).

        Missing values: a member without a value is left out, or its last one carried.

        >>> from signal_stream import bars, cross
        >>> cross(bars("1d").close).dispersion()
        cross(bars('1d').close).dispersion()
        """
        return self._made("dispersion", Arguments())

    def breadth(self) -> Expression:
        """Share of members whose x is above 0 (Grinold & Kahn 2000).

        Missing values: a member without a value is left out, or its last one carried.

        >>> from signal_stream import bars, cross
        >>> cross(bars("1d").close).breadth()
        cross(bars('1d').close).breadth()
        """
        return self._made("breadth", Arguments())

    def count(self) -> Expression:
        """Number of members with a valid x (pandas).

        Missing values: a member without a value is left out, or its last one carried.

        >>> from signal_stream import bars, cross
        >>> cross(bars("1d").close).count()
        cross(bars('1d').close).count()
        """
        return self._made("count", Arguments())
