"""Choices between expressions: `where`, `coalesce`, `minimum`, `maximum`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from signal_stream.features.expression import Expression, both_of, expression
from signal_stream.features.refusal import checked

if TYPE_CHECKING:
    from signal_stream.features.expression import Scalar


@checked
def where(condition: Expression, x: Expression | Scalar, y: Expression | Scalar) -> Expression:
    """x where the condition holds (is not 0), else y. Only the condition and the chosen one need to be valid."""
    parts = (expression(condition), expression(x), expression(y))
    operands = tuple(zip(("condition", "x", "y"), parts, strict=True))
    return Expression({"op": "where"}, operands, f"where({', '.join(part.code for part in parts)})")


@checked
def coalesce(x: Expression | Scalar, *others: Expression | Scalar) -> Expression:
    """The first that is valid; where none is, it is invalid for the last one's reason."""
    parts = [expression(part) for part in (x, *others)]
    made = parts[-1]
    for part in reversed(parts[:-1]):
        made = Expression({"op": "coalesce"}, (("x", part), ("y", made)), f"coalesce({part.code}, {made.code})")
    return made


@checked
def minimum(x: Expression | Scalar, y: Expression | Scalar) -> Expression:
    """The smaller of two values at one moment."""
    return both_of("minimum", x, y)


@checked
def maximum(x: Expression | Scalar, y: Expression | Scalar) -> Expression:
    """The larger of two values at one moment."""
    return both_of("maximum", x, y)
