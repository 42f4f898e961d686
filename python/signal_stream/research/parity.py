"""Parity: the proof, on the user's own data, that a graph gives the same bits however it is run.

The same input goes through the same engine in several ways: in large batches, one message at a time, in batches of 7 and
1,000, as a live stream through the bounded queue, and restored from snapshots at random messages. Each run is reduced to
one digest over all bits, reasons and times. Where two digests differ, a second pass finds the first vector and feature,
and, with every node of the graph made a column, the operator that differs first.
"""

from __future__ import annotations

import hashlib
import json
import random
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from signal_stream.durations import utc
from signal_stream.errors import GraphError, did_you_mean
from signal_stream.features import FeatureGraph
from signal_stream.ingest import MAX_REJECTED, Intake
from signal_stream.research.compute import counted_vectors, input_batches, vectors_of
from signal_stream.research.engine import Engine
from signal_stream.research.frames import as_table, is_table

if TYPE_CHECKING:
    from signal_stream import _core

BATCHES: Final = (1, 7, 1000)
SNAPSHOTS: Final = 50
REFERENCE: Final = "batch (all)"

Vectors = Iterator["_core.Vectors"]
Run = Callable[["_Way"], Vectors]


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


@dataclass(frozen=True, slots=True)
class Input:
    """What is run, and how its columns are read; as in `compute`."""

    data: Any
    columns: Mapping[str, str] | None = None
    instrument: str | None = None
    latency: str | None = None
    lateness: str | None = None
    instruments: list[str] | None = None
    time_unit: str | None = None
    max_rejected: float | str = MAX_REJECTED
    missing_bars: str | None = None
    length: str | None = None
    amend_within: str | None = None

    def tapes(self) -> list[str]:
        """The files, where the input is tapes or captures."""
        from signal_stream.ingest import sniff

        given = [self.data] if isinstance(self.data, str | Path) else self.data
        if not (isinstance(given, Sequence) and all(isinstance(path, str | Path) for path in given)):
            return []
        return [] if any(sniff(path) == "table" for path in given) else [str(path) for path in given]

    def engine(self, graph: FeatureGraph) -> Engine:
        """A fresh engine for it."""
        return Engine(
            graph, columns=self.columns, instrument=self.instrument, latency=self.latency, lateness=self.lateness,
            instruments=self.instruments, time_unit=self.time_unit, missing_bars=self.missing_bars,
            length=self.length, amend_within=self.amend_within,
        )  # fmt: skip


@dataclass(slots=True)
class _Way:
    """One way of running a graph over an input."""

    graph: FeatureGraph
    source: Input
    on_progress: Callable[[int], None]
    engine: Engine | None = None
    intake: Intake | None = None

    def batches(self) -> Iterator[Any]:
        """The input from its beginning, with progress."""
        done = 0
        source = self.source
        batches = input_batches(
            source.data, columns=source.columns, max_rejected=source.max_rejected, intake=self.intake
        )
        for batch in batches:
            yield batch
            done += _messages(batch)
            self.on_progress(done)


def _messages(batch: Any) -> int:
    from signal_stream import _core

    return int(batch.messages if isinstance(batch, _core.EventBatch) else batch.num_rows)


def _slice(batch: Any, start: int, stop: int) -> Any:
    from signal_stream import _core

    return batch.slice(start, stop) if isinstance(batch, _core.EventBatch) else batch.slice(start, stop - start)


def _whole(way: _Way) -> Vectors:
    way.engine = way.source.engine(way.graph)
    source, intake = way.source, Intake() if way.intake is None else way.intake
    for vectors in counted_vectors(way.engine, source.data, source.columns, source.max_rejected, intake):
        yield vectors
        way.on_progress(way.engine.messages)


def _cut(size: int) -> Run:
    def cut(way: _Way) -> Vectors:
        way.engine = way.source.engine(way.graph)
        yield from vectors_of(way.engine, way.batches(), chunk=size)

    return cut


def _replayed(way: _Way) -> Vectors:
    """As a live stream: read by its own thread, through the bounded queue, as fast as it goes."""
    from signal_stream.ingest import open_live

    way.engine = way.source.engine(way.graph)
    done = 0
    with open_live(way.source.tapes(), pace="max") as live:
        for batch in live:
            yield from way.engine.stream(batch)
            done += _messages(batch)
            way.on_progress(done)


def _restored(messages: int, snapshots: int, seed: int) -> Run:
    chooser = random.Random(seed)
    cuts = sorted(chooser.sample(range(1, messages), min(snapshots, messages - 1))) if messages > 1 else []

    def restored(way: _Way) -> Vectors:
        engine = way.source.engine(way.graph)
        done, waiting = 0, list(reversed(cuts))
        for batch in way.batches():
            start, length = 0, _messages(batch)
            while waiting and waiting[-1] <= done + length:
                stop = waiting.pop() - done
                yield from engine.stream(_slice(batch, start, stop))
                engine = Engine.restore(way.graph, engine.snapshot(), like=engine)
                start = stop
            yield from engine.stream(_slice(batch, start, length))
            done += length
        yield from engine.end()
        way.engine = engine

    return restored


def parity(
    graph: FeatureGraph,
    data: Any,
    *,
    columns: Mapping[str, str] | None = None,
    instrument: str | None = None,
    latency: str | None = None,
    lateness: str | None = None,
    amend_within: str | None = None,
    instruments: list[str] | None = None,
    time_unit: str | None = None,
    missing_bars: str | None = None,
    length: str | None = None,
    snapshots: int = SNAPSHOTS,
    seed: int = 0,
    inject_error: str | None = None,
    progress: Callable[[str, int], None] | None = None,
    max_rejected: float | str = MAX_REJECTED,
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
    # It is read several times: what flows once is held, and what Arrow has to be made of is made once.
    data = as_table(data) if is_table(data) else data
    source = Input(
        data, columns, instrument, latency, lateness, instruments, time_unit, max_rejected, missing_bars, length,
        amend_within,
    )  # fmt: skip
    intake = Intake()

    def way(run: str, of: FeatureGraph) -> _Way:
        return _Way(of, source, lambda done: progress(run, done) if progress else None)

    first = way(REFERENCE, graph)
    first.intake = intake
    digest, vectors = _digest(_whole, first)
    messages = first.engine.messages if first.engine else 0
    runs: dict[str, Run] = {f"live (batch {size:,})": _cut(size) for size in BATCHES}
    if source.tapes():
        runs["replay (max)"] = _replayed
    if snapshots:
        runs[f"restored ({snapshots} snapshots)"] = _restored(messages, snapshots, seed)
    with_error = graph if inject_error is None else _with_error(graph, inject_error)
    digests = {REFERENCE: digest}
    for name, run in runs.items():
        digests[name], _ = _digest(run, way(name, with_error))
    odd = next((name for name, other in digests.items() if other != digest), None)
    difference = None
    if odd is not None:
        difference = _first_difference(odd, way(odd, graph), way(odd, with_error), runs[odd], inject_error)
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


def _digest(run: Run, way: _Way) -> tuple[str, int]:
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


class _Rows:
    """A run's vectors, row by row, whatever its pieces."""

    def __init__(self, pieces: Vectors) -> None:
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


def _walk(reference: _Rows, other: _Rows) -> tuple[int, int | None]:
    """How many vectors agree from the beginning, and the column that differs then: -1 a time or a missing vector."""
    agreed = 0
    while True:
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


def _first_difference(name: str, reference: _Way, other: _Way, run: Run, inject_error: str | None) -> Difference:
    """Finds the first vector that differs, its feature, and the operator: the first node of the graph that differs there."""
    wide = _with_all_nodes(reference.graph)
    rows = _Rows(_whole(_Way(wide, reference.source, reference.on_progress)))
    wide_other = wide if inject_error is None else _with_error(wide, inject_error)
    others = _Rows(run(_Way(wide_other, other.source, other.on_progress)))
    agreed, column = _walk(rows, others)
    nodes = json.loads(wide.plan.explain())["nodes"]
    feature, operator = "(time or number of vectors)" if column is not None else "(what late events changed)", "-"
    if column is not None and column >= 0:
        text = wide.features[column]
        node = next((node for node in nodes if text in node["feature"]), None)
        operator = node["expression"] if node else text
        feature = _first_user(reference.graph, int(text[1:])) if text not in reference.graph.features else text
    a, b = rows.piece, others.piece
    stamp = a if a is not None else b
    row = rows.row if a is not None else others.row
    bits = [piece.value_bits(at, column) if piece is not None and column is not None and column >= 0 else None
            for piece, at in ((a, rows.row), (b, others.row))]  # fmt: skip
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
