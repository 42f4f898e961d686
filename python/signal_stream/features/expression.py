"""Expressions: what a feature is, written with the words of pandas and polars.

    mid.log().diff().rolling("30s").std()

Each value has a validity; an invalid operand makes an invalid result, with its reason. A result that is not finite
(division by zero, logarithm of a negative) is invalid (`DOMAIN`).
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NoReturn, overload

from signal_stream.features.arguments import Arguments
from signal_stream.features.methods.expression import ExpressionMethods
from signal_stream.features.refusal import (
    WINDOW_MAX,
    GraphTypeError,
    caller_location,
    checked_class,
    nanoseconds,
    no_such_name,
    number,
    public_names,
    raise_graph_error,
    shown,
    whole,
)
from signal_stream.features.windows import Ewm, EwmOverTime, Expanding, Rolling, alpha_of
from signal_stream.features.without_value import WithoutValue

if TYPE_CHECKING:
    from signal_stream.features.streams import Stream

Scalar = float | int
"""Numbers that may stand where an expression may."""

_CODE_MAX: Final = 2_000
"""Characters of code that an expression keeps: a value that each step uses twice has code that doubles with each."""
# How tightly each form of code binds, for parentheses in repr.
_COMPARE, _OR, _AND, _SUM, _PRODUCT, _SIGN, _POWER, _CALL = range(8)


@checked_class
class Expression(ExpressionMethods, WithoutValue):
    """One number at each event of a stream.

    Built by the functions of `book`, `trades`, `quotes`, `bars` and by methods; never by hand. `repr` is the code that
    makes it, cut in the middle where it is long. Comparisons give 1.0 or 0.0, for `where`. It never changes: a copy is
    the expression itself.

    >>> from signal_stream import book
    >>> book.mid().log().diff().rolling("30s").std()
    book.mid().log().diff(1).rolling('30s').std()
    """

    __slots__ = ("__weakref__", "code", "node", "operands", "precedence", "source_location")

    node: Mapping[str, object]
    """The node's JSON without its operands."""
    operands: tuple[tuple[str, Expression], ...]
    """Operands by the key that the JSON gives them."""
    code: str
    """Python code that makes it."""
    precedence: int
    """How tightly `code` binds."""
    source_location: str
    """File and line where it was written."""

    def __init__(
        self,
        node: Mapping[str, object],
        operands: tuple[tuple[str, Expression], ...],
        code: str,
        precedence: int = _CALL,
    ) -> None:
        set_ = object.__setattr__
        set_(self, "node", node)
        set_(self, "operands", operands)
        set_(self, "code", code if len(code) <= _CODE_MAX else f"{code[: _CODE_MAX // 2]}…{code[-_CODE_MAX // 2 :]}")
        set_(self, "precedence", precedence)
        set_(self, "source_location", caller_location())

    def __repr__(self) -> str:
        return self.code

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise_graph_error(
            "BAD_ARGUMENT", f'"{name}" of an expression is set', next_step="Make a new one.", kind=GraphTypeError
        )

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        no_such_name(name, "an expression", public_names(Expression), "x")

    def __copy__(self) -> Expression:
        return self

    def __deepcopy__(self, _: object) -> Expression:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        flat: list[tuple[Any, ...]] = []
        places: dict[int, int] = {}
        for each in in_order(self):
            operands = tuple((key, places[id(operand)]) for key, operand in each.operands)
            places[id(each)] = len(flat)
            flat.append((dict(each.node), operands, each.code, each.precedence, each.source_location))
        return _unpickled, (flat,)

    def __array_ufunc__(self, function: Any, method: str, *inputs: object, **_: object) -> Expression:
        """Arithmetic with numpy's numbers; its other functions are methods here."""
        sign = _NUMPY.get(function.__name__) if method == "__call__" and len(inputs) == 2 else None
        if sign is None:
            name = _NUMPY_METHODS.get(function.__name__, function.__name__)
            if name in public_names(Expression):
                raise_graph_error("BAD_ARGUMENT", f"numpy.{function.__name__} of an expression", next_step=f"Write x.{name}().",
                       kind=GraphTypeError)  # fmt: skip
            no_such_name(name, "an expression", public_names(Expression), "x")
        left, right = inputs
        made: Expression = getattr(expression(left), sign)(right)
        return made

    def _operand(self, value: object) -> Expression:
        return expression(value)

    def _atom(self) -> str:
        return self.code if self.precedence == _CALL else f"({self.code})"

    def _method(self, name: str, arguments: str, node: Mapping[str, object]) -> Expression:
        return Expression(node, (("x", self),), f"{self._atom()}.{name}({arguments})")

    def _made(self, name: str, given: Arguments) -> Expression:
        """An operator of the table, of this expression."""
        operands = tuple((key, expression(value)) for key, value in given.operands)
        code = ", ".join([*(operand.code for _, operand in operands), *given.code])
        return Expression({"op": name, **given.plain}, (("x", self), *operands), f"{self._atom()}.{name}({code})")

    def _binary(self, op: str, sign: str, precedence: int, other: object, swapped: bool = False) -> Expression:
        left, right = (expression(other), self) if swapped else (self, expression(other))
        left_code = left.code if left.precedence >= precedence else f"({left.code})"
        right_code = right.code if right.precedence > precedence else f"({right.code})"
        return Expression({"op": op}, (("x", left), ("y", right)), f"{left_code} {sign} {right_code}", precedence)

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

    def __mod__(self, other: object) -> Expression:
        return self._binary("mod", "%", _PRODUCT, other)

    def __rmod__(self, other: object) -> Expression:
        return self._binary("mod", "%", _PRODUCT, other, swapped=True)

    def __pow__(self, other: object) -> Expression:
        x, y = self, expression(other)
        right = y.code if y.precedence >= _SIGN else f"({y.code})"
        return Expression({"op": "pow"}, (("x", x), ("y", y)), f"{x._atom()} ** {right}", _POWER)

    def __rpow__(self, other: object) -> Expression:
        return expression(other).__pow__(self)

    def __round__(self, ndigits: int | None = None) -> Expression:
        if ndigits is not None:
            raise_graph_error("BAD_ARGUMENT", f"round(x, {shown(ndigits)})", value=ndigits,
                   next_step="Whole numbers only: write (x / 0.01).round() * 0.01.", kind=GraphTypeError)  # fmt: skip
        return self.round()

    def __neg__(self) -> Expression:
        operand = self.code if self.precedence >= _SIGN else f"({self.code})"
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

    def __and__(self, other: object) -> Expression:
        return self._binary("and", "&", _AND, other)

    def __rand__(self, other: object) -> Expression:
        return self._binary("and", "&", _AND, other, swapped=True)

    def __or__(self, other: object) -> Expression:
        return self._binary("or", "|", _OR, other)

    def __ror__(self, other: object) -> Expression:
        return self._binary("or", "|", _OR, other, swapped=True)

    def __invert__(self) -> Expression:
        operand = self.code if self.precedence >= _SIGN else f"({self.code})"
        return Expression({"op": "not"}, (("x", self),), f"~{operand}", _SIGN)

    __hash__ = object.__hash__

    def __pos__(self) -> Expression:
        return self

    def __abs__(self) -> Expression:
        return self.abs()

    def fill(self, value: Expression | Scalar) -> Expression:
        """x where it is valid, else the value: a number, or an expression, which may be invalid itself."""
        y = expression(value)
        return Expression({"op": "coalesce"}, (("x", self), ("y", y)), f"{self._atom()}.fill({y.code})")

    def clip(self, lower: Scalar | None = None, upper: Scalar | None = None) -> Expression:
        """x kept between two numbers; either may be left out."""
        if lower is None and upper is None:
            raise_graph_error("BAD_ARGUMENT", "clip() keeps nothing", next_step="Give lower=, upper= or both.")
        kept = self
        if lower is not None:
            kept = both_of("maximum", kept, lower)
        if upper is not None:
            kept = both_of("minimum", kept, upper)
        arguments = ", ".join(
            f"{name}={value!r}" for name, value in (("lower", lower), ("upper", upper)) if value is not None
        )
        return Expression(kept.node, kept.operands, f"{self._atom()}.clip({arguments})")

    def rolling(self, window: int | str, *, cap: int | None = None) -> Rolling:
        """The last n valid values (`rolling(60)`) or those at times in (t - T, t] (`rolling("30s")`).

        A count is invalid (`WARMUP`) until there are n values; a duration until so much time was observed. `cap` bounds
        the values in a window of time (default: 512 a second of window, between 4,096 and 1,048,576); beyond it the
        result is invalid (`OVERFLOW`).
        """
        given = Arguments().window(window, cap)
        return Rolling(self, given.plain["window"], given.code[0])

    @overload
    def ewm(self, *, half_life: str, min_periods: int | None = None) -> EwmOverTime: ...

    @overload
    def ewm(
        self,
        *,
        span: float | None = None,
        half_life: float | None = None,
        com: float | None = None,
        alpha: float | None = None,
        min_periods: int | None = None,
    ) -> Ewm: ...

    def ewm(
        self,
        *,
        span: float | None = None,
        half_life: float | str | None = None,
        com: float | None = None,
        alpha: float | None = None,
        min_periods: int | None = None,
    ) -> Ewm | EwmOverTime:
        """Exponential weights over valid values, newest heaviest; exactly one of span, half_life, com, alpha.

        alpha = 2 / (span + 1) = 1 - 2^(-1 / half_life) = 1 / (1 + com). `min_periods` is the number of values before
        the first result (default: the span). A half-life in quotes is a time: `ewm(half_life="5m")` weighs values by how
        long ago they came, from the first on.
        """
        if isinstance(half_life, str):
            if not span is com is alpha is None:
                raise_graph_error(
                    "BAD_ARGUMENT", "ewm needs exactly one of span, half_life, com, alpha", value=half_life,
                    next_step='For example half_life="5m".',
                )  # fmt: skip
            ns = nanoseconds(half_life, "half_life")
            wait = 1 if min_periods is None else whole(min_periods, "min_periods")
            code = repr(half_life) if min_periods is None else f"{half_life!r}, min_periods={min_periods}"
            return EwmOverTime(self, {"half_life_ns": float(ns), "min_periods": wait}, f"half_life={code}")
        given = {"span": span, "half_life": half_life, "com": com, "alpha": alpha}
        named = {name: value for name, value in given.items() if value is not None}
        if len(named) != 1:
            raise_graph_error(
                "BAD_ARGUMENT",
                f"ewm needs exactly one of {', '.join(given)}",
                value=named,
                next_step="For example span=26.",
            )
        ((name, value),) = named.items()
        factor = alpha_of(name, value)
        if factor <= 0:
            raise_graph_error(
                "BAD_ARGUMENT", f"{name}={value!r}", value=value, next_step="It is so long that all weighs the same."
            )
        span = min(WINDOW_MAX, max(1, math.ceil(2 / factor - 1)))
        wait = span if min_periods is None else whole(min_periods, "min_periods")
        code = f"{name}={value!r}" if min_periods is None else f"{name}={value!r}, min_periods={min_periods}"
        return Ewm(self, {"alpha": factor, "min_periods": wait}, code)

    def expanding(self, *, min_periods: int = 1) -> Expanding:
        """All valid values so far: `x.expanding().max()`. `min_periods` is the number of values before the first result.

        What it gives depends on where the stream began, or began anew after messages were lost.
        """
        wait = whole(min_periods, "min_periods")
        return Expanding(self, {"min_periods": wait}, "" if wait == 1 else f"min_periods={wait}")

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
            raise_graph_error(
                "BAD_ARGUMENT",
                f"at({shown(stream)})",
                value=stream,
                next_step="Give book, quotes, trades or bars(...).",
            )
        return self._method("at", repr(stream), {"op": "at", "stream": source})

    def named(self, name: str) -> tuple[str, Expression]:
        """The pair (name, expression), for lists of features: `FeatureGraph(features=[x.named("z"), ...])`."""
        return name, self


def expression(value: object) -> Expression:
    """An expression, or a finite number as one."""
    if isinstance(value, Expression):
        return value
    known = number(value)
    if known is None:
        raise_graph_error("BAD_ARGUMENT", f"{shown(value)} is no expression and no finite number", value=value,
               next_step=_instead_of(value), kind=GraphTypeError)  # fmt: skip
    code = repr(known)
    return Expression({"op": "const", "value": float(known)}, (), code, _SIGN if code.startswith("-") else _CALL)


def both_of(op: str, x: object, y: object) -> Expression:
    """One value of two at one moment, where the order does not matter."""
    left, right = expression(x), expression(y)
    return Expression({"op": op}, (("x", left), ("y", right)), f"{op}({left.code}, {right.code})")


def _instead_of(value: object) -> str:
    """What a user may have meant by something that is no expression."""
    needs = getattr(type(value), "_needs", None)
    if needs is not None:
        return str(needs(value))
    if callable(value):
        return "A function is called: with () behind its name."
    if getattr(value, "source", None) is not None:
        return 'A stream is not a number: name what of it, as trades.price, book.mid() or bars("1m").close.'
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return "Give an expression or a number."
    return ""


def in_order(root: Expression, known: Container[int] | None = None) -> Iterator[Expression]:
    """All that an expression consists of, each once, operands before what reads them; without those whose `id` is known,
    or becomes known on the way. Takes no stack."""
    own: set[int] = set()
    done = own if known is None else known
    stack = [root]
    while stack:
        top = stack[-1]
        if id(top) in done:
            stack.pop()
            continue
        waiting = [operand for _, operand in top.operands if id(operand) not in done]
        if waiting:
            stack.extend(reversed(waiting))
        else:
            stack.pop()
            own.add(id(top))
            yield top


def _unpickled(flat: list[tuple[Any, ...]]) -> Expression:
    made: list[Expression] = []
    for node, operands, code, precedence, source_location in flat:
        made.append(Expression(node, tuple((key, made[place]) for key, place in operands), code, precedence))
        object.__setattr__(made[-1], "source_location", source_location)
    return made[-1]


_NUMPY: Final = {
    "add": "__add__", "subtract": "__sub__", "multiply": "__mul__", "divide": "__truediv__", "true_divide": "__truediv__",
    "less": "__lt__", "less_equal": "__le__", "greater": "__gt__", "greater_equal": "__ge__", "equal": "__eq__",
    "not_equal": "__ne__", "bitwise_and": "__and__", "logical_and": "__and__", "bitwise_or": "__or__", "logical_or": "__or__",
    "power": "__pow__", "float_power": "__pow__", "remainder": "__mod__", "mod": "__mod__",
}  # fmt: skip
"""numpy's names of the signs."""
_NUMPY_METHODS: Final = {"absolute": "abs", "fabs": "abs", "maximum": "maximum", "minimum": "minimum", "rint": "round"}
