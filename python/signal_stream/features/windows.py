"""Windows over expressions: `x.rolling(…)`, `x.ewm(…)` and `x.expanding()`, and the statistics of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NoReturn

from signal_stream.features.methods.ewm import EwmMethods
from signal_stream.features.methods.ewm_over_time import EwmOverTimeMethods
from signal_stream.features.methods.expanding import ExpandingMethods
from signal_stream.features.methods.rolling import RollingMethods
from signal_stream.features.refusal import (
    checked_class,
    no_such_name,
    number,
    public_names,
    raise_graph_error,
    shown,
)

if TYPE_CHECKING:
    from signal_stream.features.arguments import Arguments
    from signal_stream.features.expression import Expression


@dataclass(frozen=True, slots=True, eq=False)
class Windowed:
    """An expression with a window, waiting for its statistic."""

    x: Expression
    window: Mapping[str, object]
    code: str

    _word: ClassVar[str]
    _what: ClassVar[str]

    def _needs(self) -> str:
        return f"A window needs a statistic: {shown(self.x)}.{self._word}({self.code}).mean()."

    def _node(self, name: str) -> Mapping[str, object]:
        return {"op": self._word, "stat": name, **self.window}

    def _made(self, name: str, given: Arguments) -> Expression:
        """A statistic of the table, of this window."""
        operands = tuple((key, self.x._operand(value)) for key, value in given.operands)
        code = ", ".join([*(operand.code for _, operand in operands), *given.code])
        whole_code = f"{self.x._atom()}.{self._word}({self.code}).{name}({code})"
        return type(self.x)({**self._node(name), **given.plain}, (("x", self.x), *operands), whole_code)

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        known = public_names(type(self)) - {"x", "window", "code"}
        no_such_name(name, self._what, known, self._word)


@checked_class
class Rolling(RollingMethods, Windowed):
    """A window over an expression. Values that are invalid do not enter; where the newest is invalid, so is the result."""

    __slots__ = ()

    _word = "rolling"
    _what = "a rolling window"

    def _node(self, name: str) -> Mapping[str, object]:
        return {"op": "rolling", "stat": name, "window": dict(self.window)}


@checked_class
class Ewm(EwmMethods, Windowed):
    """Exponential weights over an expression's valid values: the i-th before the newest weighs (1 - alpha)^i, as pandas with
    adjust=True.

    Summed over as many values as have weight above the last bit of a double, so that a result does not depend on when the
    stream began once so many have come (`explain` tells how many).
    """

    __slots__ = ()

    _word = "ewm"
    _what = "exponential weights"

    def _node(self, name: str) -> Mapping[str, object]:
        stat = {} if name == "mean" else {"stat": name}
        return {"op": "ewm", **stat, **self.window}


@checked_class
class EwmOverTime(EwmOverTimeMethods, Windowed):
    """Exponential weights over an expression's valid values by their times: a value weighs half as much after each half-life.

    A recursion over all values so far: their weights fade, and a sum that began elsewhere comes as near as rounding allows.
    """

    __slots__ = ()

    _word = "ewm"
    _what = "exponential weights over time"


@checked_class
class Expanding(ExpandingMethods, Windowed):
    """All valid values of an expression so far, since the stream began or since messages of it were lost."""

    __slots__ = ()

    _word = "expanding"
    _what = "all values so far"


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
