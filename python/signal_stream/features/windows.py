"""Windows over expressions: `x.rolling(…)` and `x.ewm(…)`, and the statistics of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from signal_stream.features.refusal import (
    checked_class,
    no_such_name,
    number,
    public_names,
    raise_graph_error,
    shown,
    whole,
)

if TYPE_CHECKING:
    from signal_stream.features.expression import Expression


@dataclass(frozen=True, slots=True, eq=False)
class Windowed:
    """An expression with a window, waiting for its statistic."""

    x: Expression
    window: Mapping[str, object]
    code: str

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        rolling = isinstance(self, Rolling)
        known = public_names(type(self)) - {"x", "window", "code"}
        no_such_name(
            name, "a rolling window" if rolling else "exponential weights", known, "rolling" if rolling else "ewm"
        )


@checked_class
class Rolling(Windowed):
    """A window over an expression. Values that are invalid do not enter; where the newest is invalid, so is the result."""

    __slots__ = ()

    def _stat(self, stat: str, arguments: str = "", **parameters: object) -> Expression:
        node = {"op": "rolling", "stat": stat, "window": dict(self.window), **parameters}
        return type(self.x)(node, (("x", self.x),), f"{self.x._atom()}.rolling({self.code}).{stat}({arguments})")

    def _pair(self, stat: str, y: object) -> Expression:
        other = self.x._operand(y)
        node = {"op": "rolling", "stat": stat, "window": dict(self.window)}
        code = f"{self.x._atom()}.rolling({self.code}).{stat}({other.code})"
        return type(self.x)(node, (("x", self.x), ("y", other)), code)

    def sum(self) -> Expression:
        """Sum of the window."""
        return self._stat("sum")

    def mean(self) -> Expression:
        """Arithmetic mean of the window."""
        return self._stat("mean")

    def var(self, *, ddof: int = 1) -> Expression:
        """Variance with divisor n - ddof."""
        return self._spread("var", ddof)

    def std(self, *, ddof: int = 1) -> Expression:
        """Standard deviation with divisor n - ddof; exactly 0 where all values are equal."""
        return self._spread("std", ddof)

    def _spread(self, stat: str, ddof: int) -> Expression:
        if whole(ddof, "ddof", 0, 1) == 1:
            return self._stat(stat)
        return self._stat(stat, f"ddof={ddof}", ddof=ddof)

    def zscore(self) -> Expression:
        """(newest - mean) / sample standard deviation; invalid (`DOMAIN`) where all values are equal."""
        return self._stat("zscore")

    def skew(self) -> Expression:
        """Adjusted Fisher-Pearson skewness G1 (Joanes & Gill 1998), as pandas."""
        return self._stat("skew")

    def min(self) -> Expression:
        """Smallest value of the window."""
        return self._stat("min")

    def max(self) -> Expression:
        """Largest value of the window."""
        return self._stat("max")

    def rank(self) -> Expression:
        """Average rank of the newest value over n, in (0, 1], as pandas' `rank(pct=True)`."""
        return self._stat("rank")

    def cov(self, y: object) -> Expression:
        """Sample covariance with y over the events where both are valid."""
        return self._pair("cov", y)

    def corr(self, y: object) -> Expression:
        """Pearson correlation with y; invalid (`DOMAIN`) where either does not vary."""
        return self._pair("corr", y)

    def beta(self, y: object) -> Expression:
        """Slope of x on y: cov(x, y) / var(y)."""
        return self._pair("beta", y)


@checked_class
class Ewm(Windowed):
    """Exponential weights over an expression's valid values."""

    __slots__ = ()

    def mean(self) -> Expression:
        """Weighted mean: sum of (1 - alpha)^i x[t-i] over the sum of the weights, as pandas with adjust=True.

        Summed over as many values as have weight above the last bit of a double, so that it does not depend on when the
        stream began once so many have come (Roberts 1959; `explain` tells how many).
        """
        node = {"op": "ewm", **self.window}
        return type(self.x)(node, (("x", self.x),), f"{self.x._atom()}.ewm({self.code}).mean()")


def alpha_of(name: str, value: float) -> float:
    """The weight of the newest value, from span, half_life, com or alpha. Raises GraphError."""
    factors: dict[str, tuple[Callable[[float], bool], Callable[[float], float]]] = {
        "span": (lambda v: v >= 1, lambda v: 2 / (v + 1)),
        "half_life": (lambda v: v > 0, lambda v: 1 - 2 ** (-1 / v)),
        "com": (lambda v: v >= 0, lambda v: 1 / (1 + v)),
        "alpha": (lambda v: 0 < v <= 1, lambda v: v),
    }
    allowed, factor = factors[name]
    known = number(value)
    if known is None or not allowed(known):
        ranges = {"span": "1 or more", "half_life": "above 0", "com": "0 or more", "alpha": "above 0, at most 1"}
        raise_graph_error("BAD_ARGUMENT", f"{name}={shown(value)}", value=value, next_step=f"{name} is {ranges[name]}.")
    return float(factor(known))
