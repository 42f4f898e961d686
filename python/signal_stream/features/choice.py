"""Choices between expressions: `where`, `lookup`, `coalesce`, `minimum`, `maximum`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from signal_stream.features.expression import Expression, both_of, expression
from signal_stream.features.refusal import checked, number, raise_graph_error, shown

if TYPE_CHECKING:
    from signal_stream.features.expression import Scalar


@checked
def where(condition: Expression, x: Expression | Scalar, y: Expression | Scalar) -> Expression:
    """x where the condition holds (is not 0), else y. Only the condition and the chosen one need to be valid."""
    parts = (expression(condition), expression(x), expression(y))
    operands = tuple(zip(("condition", "x", "y"), parts, strict=True))
    return Expression({"op": "where"}, operands, f"where({', '.join(part.code for part in parts)})")


@checked
def lookup(x: Expression, edges: Sequence[float], values: Sequence[Expression | Scalar]) -> Expression:
    """The value whose bucket x lies in: `values[i]` where edges[i - 1] <= x < edges[i], as numpy.digitize.

    There is one value more than there are edges, and edges rise. The table is part of the graph, and so of its digest; a
    value may be a lookup itself.

    >>> from signal_stream import book, lookup
    >>> lookup(book.imbalance(), [-0.5, 0.5], [-0.1, 0.0, 0.1])
    lookup(book.imbalance(levels=1), [-0.5, 0.5], [-0.1, 0.0, 0.1])
    """
    known = [edge for edge in map(number, edges) if edge is not None]
    if not known or len(known) != len(edges) or any(a >= b for a, b in pairwise(known)):
        raise_graph_error("BAD_ARGUMENT", f"edges are {shown(edges)}", value=edges, next_step="Give numbers that rise.")
    if len(values) != len(known) + 1:
        raise_graph_error(
            "BAD_ARGUMENT", f"{len(values)} values with {len(known)} edges", value=len(values),
            next_step="Give one value below the first edge and one from each edge on.",
        )  # fmt: skip
    parts = [expression(value) for value in values]

    def chosen(low: int, high: int) -> Expression:
        if low == high:
            return parts[low]
        middle = (low + high) // 2
        return where(x < known[middle], chosen(low, middle), chosen(middle + 1, high))

    made, codes = chosen(0, len(known)), ", ".join(part.code for part in parts)
    return Expression(made.node, made.operands, f"lookup({expression(x).code}, {list(edges)!r}, [{codes}])")


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
