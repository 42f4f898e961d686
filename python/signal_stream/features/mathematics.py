"""Functions of one value, and logic: what an expression has beside its signs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from signal_stream.features.refusal import checked_class

if TYPE_CHECKING:
    from signal_stream.features.expression import Expression, Scalar


@checked_class
class Mathematics:
    """Each is one formula of the core, the same bits on every machine."""

    __slots__ = ()

    if TYPE_CHECKING:

        def _method(self, name: str, arguments: str, node: Mapping[str, object]) -> Expression: ...

        def _formula(self, name: str, **operands: object) -> Expression: ...

    def floor(self) -> Expression:
        """The largest whole number not above x."""
        return self._method("floor", "", {"op": "floor"})

    def ceil(self) -> Expression:
        """The smallest whole number not below x."""
        return self._method("ceil", "", {"op": "ceil"})

    def expm1(self) -> Expression:
        """e to the power of x, minus 1, accurate for small x; invalid (`DOMAIN`) where it overflows."""
        return self._method("expm1", "", {"op": "expm1"})

    def sin(self) -> Expression:
        """Sine of an angle in radians."""
        return self._method("sin", "", {"op": "sin"})

    def cos(self) -> Expression:
        """Cosine of an angle in radians."""
        return self._method("cos", "", {"op": "cos"})

    def erf(self) -> Expression:
        """Error function: 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
        return self._method("erf", "", {"op": "erf"})

    def erfc(self) -> Expression:
        """1 minus the error function, accurate for large x."""
        return self._method("erfc", "", {"op": "erfc"})

    def logit(self) -> Expression:
        """Natural logarithm of x / (1 - x); invalid (`DOMAIN`) outside of (0, 1)."""
        return self._method("logit", "", {"op": "logit"})

    def normal_pdf(self) -> Expression:
        """Density of the standard normal distribution at x."""
        return self._method("normal_pdf", "", {"op": "normal_pdf"})

    def normal_cdf(self) -> Expression:
        """Probability that a standard normal number is below x, accurate where it is small."""
        return self._method("normal_cdf", "", {"op": "normal_cdf"})

    def normal_quantile(self) -> Expression:
        """The z below which a standard normal number lies with probability x; invalid (`DOMAIN`) outside of (0, 1)."""
        return self._method("normal_quantile", "", {"op": "normal_quantile"})

    def between(self, low: Expression | Scalar, high: Expression | Scalar) -> Expression:
        """1.0 where low <= x <= high, else 0.0.

        >>> from signal_stream import book, trades
        >>> trades.price.between(book.bid(1).price, book.ask(1).price)
        trades.price.between(book.bid(1).price, book.ask(1).price)
        """
        return self._formula("between", low=low, high=high)
