"""What an expression is not: a value in Python's sense. Each attempt is an error that says what to write instead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NoReturn

from signal_stream.features.refusal import GraphTypeError, raise_graph_error, shown

if TYPE_CHECKING:
    from signal_stream.features.expression import Expression

_TRUTH: Final = "Use where(condition, a, b); (a < b) & (b < c) for both, (a < b) | (b < c) for either, ~c for not."


class WithoutValue:
    """Refuses truth, numbers, elements and the signs that there are not: Python would take something else for what was meant."""

    __slots__ = ()

    def __bool__(self) -> bool:
        self._no("truth value", _TRUTH)

    def __float__(self) -> float:
        self._no("number", "Functions of it are methods: x.log(), x.sqrt(), x.exp(), x.abs().")

    def __int__(self) -> int:
        self._no("number", "Functions of it are methods: x.log(), x.sqrt(), x.exp(), x.abs().")

    def __len__(self) -> int:
        self._no("length", "ss.compute(graph, data) gives a table with one row a vector.")

    def __iter__(self) -> Iterator[Expression]:
        self._no("elements", "ss.compute(graph, data) gives a table with one row a vector.")

    def __contains__(self, _: object) -> bool:
        self._no("elements", "x.between(low, high) is 1 within bounds.")

    def __getitem__(self, _: object) -> Expression:
        self._no("elements", "x.shift(n) is the value n events earlier.")

    def __array__(self, *_: object, **__: object) -> NoReturn:
        self._no("values", "ss.compute(graph, data) gives a table.")

    def _no(self, what: str, next_step: str) -> NoReturn:
        raise_graph_error(
            "BAD_ARGUMENT", f"{shown(self)} has no {what} before it runs", next_step=next_step, kind=GraphTypeError
        )

    def _no_sign(self, sign: str, next_step: str) -> NoReturn:
        raise_graph_error(
            "BAD_ARGUMENT", f"no operator {sign} on expressions", next_step=next_step, kind=GraphTypeError
        )

    def __floordiv__(self, _: object) -> Expression:
        self._no_sign("//", "Write (x - x % y) / y.")

    def __matmul__(self, _: object) -> Expression:
        self._no_sign("@", "Write x * y.")

    def __xor__(self, _: object) -> Expression:
        self._no_sign("^", "Write x ** y for a power, (a != 0) != (b != 0) for one of two.")

    __rfloordiv__, __rmatmul__, __rxor__ = __floordiv__, __matmul__, __xor__
