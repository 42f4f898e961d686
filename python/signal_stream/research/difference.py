"""Where two runs of a graph differ first."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from signal_stream.features import FeatureGraph

if TYPE_CHECKING:
    from signal_stream import _core

Runs = Callable[[FeatureGraph], Iterator["_core.Vectors"]]


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place where a run differs from the reference. Bits in hex; None where a vector is missing."""

    run: str
    vector: int
    instrument: str
    ts_recv: int
    offset: int
    feature: str
    operator: str
    reference_bits: str | None
    bits: str | None
    reference_value: float | None
    value: float | None


class Rows:
    """A run's vectors, row by row, whatever its pieces."""

    def __init__(self, pieces: Iterator[_core.Vectors]) -> None:
        self._pieces = pieces
        self.piece: _core.Vectors | None = None
        self.row = 0

    def ready(self) -> bool:
        """Moves to a piece with a row left; False at the end."""
        while self.piece is None or self.row >= len(self.piece):
            self.piece = next(self._pieces, None)
            self.row = 0
            if self.piece is None:
                return False
        return True


def agreed_rows(reference: Rows, other: Rows, most: int | None) -> tuple[int, int | None]:
    """How many vectors agree from the beginning, and the column that differs then: -1 a time or a missing vector. No more than
    `most` are looked at."""
    agreed = 0
    while most is None or agreed < most:
        left, right = reference.ready(), other.ready()
        if not (left and right):
            return agreed, -1 if left != right else None
        assert reference.piece is not None and other.piece is not None
        count, column = reference.piece.agreement(reference.row, other.piece, other.row)
        agreed += count
        reference.row += count
        other.row += count
        if column is not None:
            return agreed, column
    return agreed, None


def first_difference(
    name: str, graph: FeatureGraph, reference: Runs, other: Runs, *, rows: int | None = None
) -> Difference:
    """Finds the first vector that differs, its feature, and the operator: the first node of the graph that differs there.

    `reference` and `other` run a graph; they are given `graph` with every node as a column. `rows`: only so many are compared.
    """
    wide = _with_all_nodes(graph)
    known, others = Rows(reference(wide)), Rows(other(wide))
    agreed, column = agreed_rows(known, others, rows)
    nodes = json.loads(wide.plan.explain())["nodes"]
    feature, operator = "(time or number of vectors)" if column is not None else "(what late events changed)", "-"
    if column is not None and column >= 0:
        text = wide.features[column]
        node = next((node for node in nodes if text in node["feature"]), None)
        operator = node["expression"] if node else text
        feature = _first_user(graph, int(text[1:])) if text not in graph.features else text
    a, b = known.piece, others.piece
    stamp = a if a is not None else b
    row = known.row if a is not None else others.row
    bits = [piece.value_bits(at, column) if piece is not None and column is not None and column >= 0 else None
            for piece, at in ((a, known.row), (b, others.row))]  # fmt: skip
    return Difference(
        run=name,
        vector=agreed,
        instrument=stamp.instrument(row) if stamp is not None else "-",
        ts_recv=stamp.ts_recv(row) if stamp is not None else 0,
        offset=stamp.offset(row) if stamp is not None else 0,
        feature=feature,
        operator=operator,
        reference_bits=None if bits[0] is None else f"0x{bits[0]:016x}",
        bits=None if bits[1] is None else f"0x{bits[1]:016x}",
        reference_value=None if bits[0] is None else _float(bits[0]),
        value=None if bits[1] is None else _float(bits[1]),
    )


def _float(bits: int) -> float:
    return float(struct.unpack("<d", struct.pack("<Q", bits))[0])


def _with_all_nodes(graph: FeatureGraph) -> FeatureGraph:
    """The graph with every node as a column, operands before the nodes that read them, features last."""
    plain = json.loads(graph.to_json())
    nodes = [[f"#{i}", i] for i, node in enumerate(plain["nodes"]) if node["op"] != "const"]
    return FeatureGraph.from_plain({**plain, "features": [*nodes, *plain["features"]]})


def _first_user(graph: FeatureGraph, number: int) -> str:
    """The first feature that a node of the graph's plain data serves."""
    plain = json.loads(graph.to_json())
    serves = [i == number for i in range(len(plain["nodes"]))]
    for i, node in enumerate(plain["nodes"]):
        serves[i] = serves[i] or any(serves[node[key]] for key in ("x", "y", "condition") if key in node)
    return next((str(name) for name, node in plain["features"] if serves[node]), f"#{number}")
