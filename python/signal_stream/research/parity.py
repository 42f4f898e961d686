"""Parity: the proof, on the user's own data, that a graph gives the same bits however it is run.

The same input goes through the same engine in several ways: in large batches, one message at a time, in batches of 7 and
1,000, as a live stream through the bounded queue, and restored from snapshots at random messages. Each run is reduced to
one digest over all bits, reasons and times. Where two digests differ, a second pass finds the first vector and feature,
and, with every node of the graph made a column, the operator that differs first.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Unpack

from signal_stream.durations import utc
from signal_stream.errors import GraphError, did_you_mean
from signal_stream.features import FeatureGraph
from signal_stream.ingest import Intake
from signal_stream.research.difference import Difference, first_difference
from signal_stream.research.input import Input
from signal_stream.research.input_options import InputOptions, takes
from signal_stream.research.runs import Run, Vectors, Way, cut_into, replayed, restored_at, whole

BATCHES: Final = (1, 7, 1000)
SNAPSHOTS: Final = 50
REFERENCE: Final = "batch (all)"


@dataclass(frozen=True, slots=True)
class ParityReport:
    """What a parity run found. `runs` maps each way of running to its digest."""

    graph: str
    graph_digest: str
    events: int
    vectors: int
    features: int
    runs: Mapping[str, str]
    counts: Mapping[str, Any]
    intake: Intake
    seconds: float
    difference: Difference | None

    @property
    def same(self) -> bool:
        """Whether all runs gave the same bits."""
        return self.difference is None

    def __str__(self) -> str:
        """The report as people read it."""
        found = self.difference
        if found is None:
            digest = next(iter(self.runs.values()))
            names = " = ".join(sorted(self.runs, key=lambda name: not name.startswith("live")))
            return (
                f"PASS  {self.events:,} events → {self.vectors:,} vectors × {self.features} features, "
                f"{self.vectors * self.features:,} values, 0 differ\n"
                f"      {names}   digest {digest[:4]}…{digest[-2:]}   {self.seconds:.1f} s"
            )
        where = f"vector {found.vector:,} at {utc(found.ts_recv)} of {found.instrument}"
        bits = (
            f"\n      batch {found.reference_bits} ({found.reference_value:.4e})   "
            f"{found.run} {found.bits} ({found.value:.4e})   event offset {found.offset:,}"
            if found.bits and found.reference_bits
            else f"   {found.run}, event offset {found.offset:,}"
        )
        return f"FAIL  first difference: {where}  feature {found.feature}  operator {found.operator}{bits}"

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"same": self.same, "values": self.vectors * self.features, **asdict(self)}


@takes(InputOptions)
def parity(
    graph: FeatureGraph,
    data: Any,
    *,
    snapshots: int = SNAPSHOTS,
    seed: int = 0,
    inject_error: str | None = None,
    progress: Callable[[str, int], None] | None = None,
    **options: Unpack[InputOptions],
) -> ParityReport:
    """Runs a graph over the same input in every way and compares bits.

    `data` and its options are as in `compute`. `snapshots` random messages (by `seed`) are where the restored run stops,
    saves, and goes on from the bytes. `inject_error` names an operator ("std") whose results are wrong by one part in a
    million in all but the reference run: a proof that the proof can fail. `progress` is told (run, messages done).

    >>> import pyarrow as pa
    >>> from signal_stream import FeatureGraph, bars, parity
    >>> graph = FeatureGraph(name="g", on=bars("1m"), features={"m": bars("1m").close.rolling(3).mean()})
    >>> table = pa.table({"t": [1700000040 + 60 * i for i in range(500)], "close": [i % 7 + 0.1 for i in range(500)]})
    >>> parity(graph, table, columns={"ts_open": "t"}).same
    True
    """
    started = time.perf_counter()
    source = Input.of(data, **options).held()
    intake = Intake()

    def way(run: str, of: FeatureGraph) -> Way:
        return Way(of, source, lambda done: progress(run, done) if progress else None)

    first = way(REFERENCE, graph)
    first.intake = intake
    digest, vectors = _digest(whole, first)
    messages = first.engine.messages if first.engine else 0
    runs: dict[str, Run] = {f"live (batch {size:,})": cut_into(size) for size in BATCHES}
    if source.tapes():
        runs["replay (max)"] = replayed
    if snapshots:
        runs[f"restored ({snapshots} snapshots)"] = restored_at(messages, snapshots, seed)
    with_error = graph if inject_error is None else _with_error(graph, inject_error)
    digests = {REFERENCE: digest}
    for name, run in runs.items():
        digests[name], _ = _digest(run, way(name, with_error))
    odd = next((name for name, other in digests.items() if other != digest), None)
    difference = None
    if odd is not None:

        def other(wide: FeatureGraph) -> Vectors:
            return runs[odd](way(odd, wide if inject_error is None else _with_error(wide, inject_error)))

        difference = first_difference(odd, graph, lambda wide: whole(way(odd, wide)), other)
    return ParityReport(
        graph=graph.name,
        graph_digest=graph.digest,
        events=messages,
        vectors=vectors,
        features=len(graph.features),
        runs=digests,
        counts=first.engine.counts() if first.engine else {},
        intake=intake,
        seconds=time.perf_counter() - started,
        difference=difference,
    )


def _digest(run: Run, way: Way) -> tuple[str, int]:
    sha, count = hashlib.sha256(), 0
    for piece in run(way):
        sha.update(piece.bits())
        count += len(piece)
    if way.engine is not None:
        amendments = way.engine.take_amendments()
        for part in ("vectors", "changes"):  # apart, so that it does not matter how a run was cut
            for each in amendments:
                sha.update(each.bits(part))
    return sha.hexdigest(), count


def _with_error(graph: FeatureGraph, operator: str) -> FeatureGraph:
    """The graph with an operator's results wrong by one part in a million."""
    plain = json.loads(graph.to_json())
    known = sorted({_operator(node) for node in plain["nodes"]} - {"const", "field"})
    nodes: list[dict[str, Any]] = []
    new: list[int] = []
    for node in plain["nodes"]:
        moved = {key: new[value] if key in ("x", "y", "condition") else value for key, value in node.items()}
        nodes.append(moved)
        new.append(len(nodes) - 1)
        if operator == _operator(node):
            nodes.append({"op": "const", "value": 1.0 + 2.0**-20})
            nodes.append({"op": "mul", "x": len(nodes) - 2, "y": len(nodes) - 1})
            new[-1] = len(nodes) - 1
    if len(nodes) == len(plain["nodes"]):
        raise GraphError(
            "UNKNOWN_OPERATOR", f'no operator "{operator}" in the graph', next_step=did_you_mean(operator, known)
        )
    features = [[name, new[node]] for name, node in plain["features"]]
    return FeatureGraph.from_plain({**plain, "nodes": nodes, "features": features})


def _operator(node: Mapping[str, Any]) -> str:
    """What a user calls a node: the statistic of a window, the function of a book, else the operation."""
    return str(node.get("stat") or (node["name"] if node["op"] == "book" else node["op"]))
