"""Expressions: what a feature is, written with the words of pandas and polars.

    mid.log().diff().rolling("30s").std()

Each value has a validity; an invalid operand makes an invalid result, with its reason. A result that is not finite
(division by zero, logarithm of a negative) is invalid (`DOMAIN`).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from signal_stream.durations import duration_ns
from signal_stream.errors import GraphError, did_you_mean

if TYPE_CHECKING:
    from signal_stream.features.streams import Stream

Scalar = float | int
"""Numbers that may stand where an expression may."""

_PACKAGE: Final = str(Path(__file__).parent)
_WINDOW_MAX: Final = 1 << 20
_EVENTS_A_SECOND: Final = 512

_ELSEWHERE: Final = {
    "lag": "shift", "delay": "shift", "ret": "pct_change", "returns": "pct_change", "delta": "diff", "logret": "log_return",
    "ema": "ewm", "ewma": "ewm", "stdev": "std", "stddev": "std", "average": "mean", "avg": "mean", "z": "zscore",
}  # fmt: skip
"""What other libraries call our operators."""

# How tightly each form of code binds, for parentheses in repr.
_COMPARE, _SUM, _PRODUCT, _SIGN, _CALL = range(5)


def written_at() -> str:
    """File and line of the user's code that is calling, as `graph.py:14`."""
    frame = sys._getframe(1)
    while frame.f_code.co_filename.startswith(_PACKAGE) and frame.f_back is not None:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def refuse(code: str, message: str, *, value: object = None, next_step: str = "") -> NoReturn:
    """Raises a GraphError that names the user's line."""
    raise GraphError(code, message, where=written_at(), value=value, next_step=next_step)


def nanoseconds(text: object, what: str) -> int:
    """Nanoseconds of a duration that a user wrote; a GraphError with the line if it is none, or zero."""
    try:
        if not isinstance(text, str):
            raise ValueError('a duration in quotes, such as "30s"')
        ns = duration_ns(text)
    except ValueError as error:
        refuse("BAD_ARGUMENT", f"{what} is {text!r}", value=text, next_step=f"Give {error}.")
    if ns == 0:
        refuse("BAD_ARGUMENT", f"{what} is {text!r}", value=text, next_step="Give a duration above zero.")
    return ns


def whole(value: object, what: str, least: int = 1, most: int = _WINDOW_MAX) -> int:
    """A whole number in range; a GraphError with the line otherwise."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        refuse(
            "BAD_ARGUMENT",
            f"{what} is {value!r}",
            value=value,
            next_step=f"Give a whole number from {least} to {most}.",
        )
    return value


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """One number at each event of a stream.

    Built by the functions of `book`, `trades`, `quotes`, `bars` and by methods; never by hand. `repr` is the code that
    makes it. Comparisons give 1.0 or 0.0, for `where`.

    >>> from signal_stream import book
    >>> book.mid().log().diff().rolling("30s").std()
    book.mid().log().diff(1).rolling('30s').std()
    """

    node: Mapping[str, object]
    """The node's JSON without its operands."""
    operands: tuple[tuple[str, Expression], ...]
    """Operands by the key that the JSON gives them."""
    code: str
    """Python code that makes it."""
    binds: int = _CALL
    """How tightly `code` binds."""
    written: str = field(default_factory=written_at)
    """File and line where it was written."""

    def __repr__(self) -> str:
        return self.code

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        refuse(
            "UNKNOWN_OPERATOR",
            f'no operator "{name}" on an expression',
            value=name,
            next_step=_meant(name, _public(Expression)),
        )

    def __bool__(self) -> bool:
        refuse(
            "BAD_ARGUMENT", f"{self.code} has no truth value before it runs", next_step="Use where(condition, a, b)."
        )

    def _atom(self) -> str:
        return self.code if self.binds == _CALL else f"({self.code})"

    def _method(self, name: str, arguments: str, node: Mapping[str, object]) -> Expression:
        return Expression(node, (("x", self),), f"{self._atom()}.{name}({arguments})")

    def _binary(self, op: str, sign: str, binds: int, other: object, swapped: bool = False) -> Expression:
        left, right = (expression(other), self) if swapped else (self, expression(other))
        left_code = left.code if left.binds >= binds else f"({left.code})"
        right_code = right.code if right.binds > binds else f"({right.code})"
        return Expression({"op": op}, (("x", left), ("y", right)), f"{left_code} {sign} {right_code}", binds)

    def __add__(self, other: object) -> Expression:
        return self._binary("add", "+", _SUM, other)

    def __radd__(self, other: object) -> Expression:
        return self._binary("add", "+", _SUM, other, swapped=True)

    def __sub__(self, other: object) -> Expression:
        return self._binary("sub", "-", _SUM, other)

    def __rsub__(self, other: object) -> Expression:
        return self._binary("sub", "-", _SUM, other, swapped=True)

    def __mul__(self, other: object) -> Expression:
        return self._binary("mul", "*", _PRODUCT, other)

    def __rmul__(self, other: object) -> Expression:
        return self._binary("mul", "*", _PRODUCT, other, swapped=True)

    def __truediv__(self, other: object) -> Expression:
        return self._binary("div", "/", _PRODUCT, other)

    def __rtruediv__(self, other: object) -> Expression:
        return self._binary("div", "/", _PRODUCT, other, swapped=True)

    def __neg__(self) -> Expression:
        operand = self.code if self.binds >= _SIGN else f"({self.code})"
        return Expression({"op": "neg"}, (("x", self),), f"-{operand}", _SIGN)

    def __lt__(self, other: object) -> Expression:
        return self._binary("lt", "<", _COMPARE, other)

    def __le__(self, other: object) -> Expression:
        return self._binary("le", "<=", _COMPARE, other)

    def __gt__(self, other: object) -> Expression:
        return expression(other)._binary("lt", "<", _COMPARE, self)

    def __ge__(self, other: object) -> Expression:
        return expression(other)._binary("le", "<=", _COMPARE, self)

    def __eq__(self, other: object) -> Expression:  # type: ignore[override]
        return self._binary("eq", "==", _COMPARE, other)

    def __ne__(self, other: object) -> Expression:  # type: ignore[override]
        return self._binary("ne", "!=", _COMPARE, other)

    __hash__ = object.__hash__

    def log(self) -> Expression:
        """Natural logarithm; invalid (`DOMAIN`) at zero and below."""
        return self._method("log", "", {"op": "log"})

    def log1p(self) -> Expression:
        """Natural logarithm of 1 + x, accurate for small x; invalid (`DOMAIN`) at -1 and below."""
        return self._method("log1p", "", {"op": "log1p"})

    def exp(self) -> Expression:
        """e to the power of x; invalid (`DOMAIN`) where it overflows."""
        return self._method("exp", "", {"op": "exp"})

    def sqrt(self) -> Expression:
        """Square root; invalid (`DOMAIN`) below zero."""
        return self._method("sqrt", "", {"op": "sqrt"})

    def abs(self) -> Expression:
        """Absolute value."""
        return self._method("abs", "", {"op": "abs"})

    def __abs__(self) -> Expression:
        return self.abs()

    def sign(self) -> Expression:
        """-1.0, 0.0 or 1.0."""
        return self._method("sign", "", {"op": "sign"})

    def clip(self, lower: Scalar | None = None, upper: Scalar | None = None) -> Expression:
        """x kept between two numbers; either may be left out."""
        if lower is None and upper is None:
            refuse("BAD_ARGUMENT", "clip() keeps nothing", next_step="Give lower=, upper= or both.")
        kept = self
        if lower is not None:
            kept = maximum(kept, lower)
        if upper is not None:
            kept = minimum(kept, upper)
        arguments = ", ".join(
            f"{name}={value!r}" for name, value in (("lower", lower), ("upper", upper)) if value is not None
        )
        return Expression(kept.node, kept.operands, f"{self._atom()}.clip({arguments})")

    def shift(self, n: int = 1) -> Expression:
        """The value n events of the expression's own stream earlier; invalid (`WARMUP`) before there is one."""
        return self._method("shift", f"{whole(n, 'n')}", {"op": "shift", "n": n})

    def diff(self, n: int = 1) -> Expression:
        """x minus its value n events earlier; invalid next to an invalid value."""
        return self._method("diff", f"{whole(n, 'n')}", {"op": "diff", "n": n})

    def pct_change(self, n: int = 1) -> Expression:
        """x over its value n events earlier, minus 1 (a fraction, not a percentage)."""
        return self._method("pct_change", f"{whole(n, 'n')}", {"op": "pct_change", "n": n})

    def log_return(self, n: int = 1) -> Expression:
        """Natural logarithm of x over its value n events earlier."""
        return self._method("log_return", f"{whole(n, 'n')}", {"op": "log_return", "n": n})

    def rolling(self, window: int | str, *, cap: int | None = None) -> Rolling:
        """The last n valid values (`rolling(60)`) or those at times in (t - T, t] (`rolling("30s")`).

        A count is invalid (`WARMUP`) until there are n values; a duration until so much time was observed. `cap` bounds
        the values in a window of time (default: 512 a second of window, between 4,096 and 1,048,576); beyond it the
        result is invalid (`OVERFLOW`).
        """
        if isinstance(window, str):
            ns = nanoseconds(window, "window")
            default = max(4096, min(_WINDOW_MAX, math.ceil(ns / 1e9 * _EVENTS_A_SECOND)))
            bound = default if cap is None else whole(cap, "cap", 2)
            code = repr(window) if cap is None else f"{window!r}, cap={cap}"
            return Rolling(self, {"ns": ns, "cap": bound}, code)
        if cap is not None:
            refuse(
                "BAD_ARGUMENT", f"cap={cap} with a counted window", next_step="A count is its own bound: leave cap out."
            )
        return Rolling(self, {"count": whole(window, "window")}, str(window))

    def ewm(
        self,
        *,
        span: float | None = None,
        half_life: float | None = None,
        com: float | None = None,
        alpha: float | None = None,
        min_periods: int | None = None,
    ) -> Ewm:
        """Exponential weights over valid values, newest heaviest; exactly one of span, half_life, com, alpha.

        alpha = 2 / (span + 1) = 1 - 2^(-1 / half_life) = 1 / (1 + com). `min_periods` is the number of values before
        the first result (default: the span).
        """
        given = {"span": span, "half_life": half_life, "com": com, "alpha": alpha}
        named = {name: value for name, value in given.items() if value is not None}
        if len(named) != 1:
            refuse(
                "BAD_ARGUMENT",
                f"ewm needs exactly one of {', '.join(given)}",
                value=named,
                next_step="For example span=26.",
            )
        ((name, value),) = named.items()
        factor = _alpha(name, value)
        wait = max(1, math.ceil(2 / factor - 1)) if min_periods is None else whole(min_periods, "min_periods")
        code = f"{name}={value!r}" if min_periods is None else f"{name}={value!r}, min_periods={min_periods}"
        return Ewm(self, {"alpha": factor, "min_periods": wait}, code)

    def age(self) -> Expression:
        """Seconds since the newest event of the expression's stream."""
        return self._method("age", "", {"op": "age"})

    def max_age(self, duration: str) -> Expression:
        """x, invalid (`STALE`) where its stream's newest event is older than the duration."""
        return self._method("max_age", repr(duration), {"op": "max_age", "ns": nanoseconds(duration, "max_age")})

    def at(self, stream: Stream) -> Expression:
        """x as known at the events of another stream (`book.mid().at(trades)`): the last value, valid or not."""
        source = getattr(stream, "source", None)
        if source is None:
            refuse("BAD_ARGUMENT", f"at({stream!r})", value=stream, next_step="Give book, quotes, trades or bars(...).")
        return self._method("at", repr(stream), {"op": "at", "stream": source})

    def named(self, name: str) -> tuple[str, Expression]:
        """The pair (name, expression), for lists of features: `FeatureGraph(features=[x.named("z"), ...])`."""
        return name, self


def _alpha(name: str, value: float) -> float:
    factors: dict[str, tuple[Callable[[float], bool], Callable[[float], float]]] = {
        "span": (lambda v: v >= 1, lambda v: 2 / (v + 1)),
        "half_life": (lambda v: v > 0, lambda v: 1 - 2 ** (-1 / v)),
        "com": (lambda v: v >= 0, lambda v: 1 / (1 + v)),
        "alpha": (lambda v: 0 < v <= 1, lambda v: v),
    }
    allowed, factor = factors[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not allowed(value):
        ranges = {"span": "1 or more", "half_life": "above 0", "com": "0 or more", "alpha": "above 0, at most 1"}
        refuse("BAD_ARGUMENT", f"{name}={value!r}", value=value, next_step=f"{name} is {ranges[name]}.")
    return float(factor(value))


@dataclass(frozen=True, slots=True)
class _Windowed:
    """An expression with a window, waiting for its statistic."""

    x: Expression
    window: Mapping[str, object]
    code: str

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        what = "a rolling window" if isinstance(self, Rolling) else "exponential weights"
        refuse(
            "UNKNOWN_OPERATOR",
            f'no operator "{name}" on {what}',
            value=name,
            next_step=_meant(name, _public(type(self)) - {"x", "window", "code"}),
        )


class Rolling(_Windowed):
    """A window over an expression. Values that are invalid do not enter; where the newest is invalid, so is the result."""

    __slots__ = ()

    def _stat(self, stat: str, arguments: str = "", **parameters: object) -> Expression:
        node = {"op": "rolling", "stat": stat, "window": dict(self.window), **parameters}
        return Expression(node, (("x", self.x),), f"{self.x._atom()}.rolling({self.code}).{stat}({arguments})")

    def _pair(self, stat: str, y: object) -> Expression:
        other = expression(y)
        node = {"op": "rolling", "stat": stat, "window": dict(self.window)}
        code = f"{self.x._atom()}.rolling({self.code}).{stat}({other.code})"
        return Expression(node, (("x", self.x), ("y", other)), code)

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


class Ewm(_Windowed):
    """Exponential weights over an expression's valid values."""

    __slots__ = ()

    def mean(self) -> Expression:
        """Weighted mean: sum of (1 - alpha)^i x[t-i] over the sum of the weights, as pandas with adjust=True.

        Summed over as many values as have weight above the last bit of a double, so that it does not depend on when the
        stream began once so many have come (Roberts 1959; `explain` tells how many).
        """
        node = {"op": "ewm", **self.window}
        return Expression(node, (("x", self.x),), f"{self.x._atom()}.ewm({self.code}).mean()")


def expression(value: object) -> Expression:
    """An expression, or a finite number as one."""
    if isinstance(value, Expression):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        refuse("BAD_ARGUMENT", f"{value!r} is no expression and no finite number", value=value)
    return Expression({"op": "const", "value": float(value)}, (), repr(value), _CALL if value >= 0 else _SIGN)


def where(condition: Expression, x: Expression | Scalar, y: Expression | Scalar) -> Expression:
    """x where the condition holds (is not 0), else y. Only the condition and the chosen one need to be valid."""
    parts = (expression(condition), expression(x), expression(y))
    operands = tuple(zip(("condition", "x", "y"), parts, strict=True))
    return Expression({"op": "where"}, operands, f"where({', '.join(part.code for part in parts)})")


def _both(op: str, x: object, y: object) -> Expression:
    left, right = expression(x), expression(y)
    return Expression({"op": op}, (("x", left), ("y", right)), f"{op}({left.code}, {right.code})")


def minimum(x: Expression | Scalar, y: Expression | Scalar) -> Expression:
    """The smaller of two values at one moment."""
    return _both("minimum", x, y)


def maximum(x: Expression | Scalar, y: Expression | Scalar) -> Expression:
    """The larger of two values at one moment."""
    return _both("maximum", x, y)


def _meant(name: str, known: set[str]) -> str:
    ours = _ELSEWHERE.get(name.lower())
    return f'Here it is called "{ours}".' if ours in known else did_you_mean(name, known)


def _public(kind: type) -> set[str]:
    fields = {"node", "operands", "code", "binds", "written"}
    return {name for name in dir(kind) if not name.startswith("_")} - fields
