"""The graph of 23 outputs over 10 M rows on one thread, `compute(..., batches=True)` with its output dropped piece by
piece, against one C loop, and against TA-Lib's batch functions.

The table is held once, as columns. Ours and C take turns block by block: ours reads the columns, C a copy of the block
as rows, made beforehand and not timed. TA-Lib's functions know whole columns only, and get them after each pass.

A pass takes seconds, which other work on the machine would cut into, so what is taken is the processor time of the
whole process, all threads, user and system: page faults count, waiting for the CPU does not.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import signal_stream as ss
from benches import floors, talib_graph
from benches.figure import Figure, Goal, Measured
from benches.graph23 import bar, graph
from benches.minutes import Minutes
from benches.turns import Party, in_turns, on_one_cpu

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa
    from numpy.typing import NDArray

OUTPUTS = len(graph.features)
WORK, UNIT = "graph23, batch on one thread", "ns/value"
BLOCK = 65_536
C_ROOM = 1_024
"""Output rows of the C loop, filled again and again: they stay in the second-level cache."""
TALIB_BYTES_A_ROW = 30 * 8
"""What its columns and their intermediate results take."""
OF_LOOP = Goal("ratio", "<=", 1.0)
OF_TALIB = Goal("ratio", "<=", 0.5)


def measure(*, quick: bool) -> Iterator[Figure]:
    """Beside the C loop; beside TA-Lib with numpy for 22 outputs; beside TA-Lib alone for its 15."""
    on_one_cpu()
    rows, rounds = (524_288, 2) if quick else (10_000_000, 3)
    minutes = Minutes.made(rows)
    fewer = ss.FeatureGraph(
        name="graph15", on=bar, features={name: graph.expressions[name] for name in talib_graph.OWN}
    )
    native, no_floor = None, ""
    try:
        native = floors.graph23()
    except floors.NoFloor as error:
        no_floor = f"; peer not measured: {error}"
    passes = {"ours": Pass(graph, minutes, native), "ours15": Pass(fewer, minutes, None)}
    parties: dict[str, Party] = {name: each.seconds for name, each in passes.items()}
    part, no_talib = _for_talib(minutes), ""
    try:
        import talib  # noqa: F401
    except ImportError as error:
        no_talib = f"; peer not measured: {error}"
    else:
        parties["talib"] = processor_seconds(lambda: talib_graph.most(part))
        parties["talib15"] = processor_seconds(lambda: talib_graph.own(part))
    took = in_turns(parties, rounds=rounds)

    def each(name: str, rows: int, outputs: int) -> Measured | None:
        return Measured.least(took[name], scale=1e9 / rows / outputs) if name in took else None

    ours = each("ours", rows, OUTPUTS)
    assert ours is not None
    in_c = passes["ours"].in_c[1:]
    loop = Measured.least(in_c, scale=1e9 / rows / OUTPUTS) if in_c else None
    spent = ours.value * rows * OUTPUTS / 1e9
    note = f"{rows:,} rows in blocks of {BLOCK:,}, {spent:.2f} s of processor time; least of {rounds} passes"
    yield Figure(WORK, UNIT, ours, "c_loop", loop, OF_LOOP, note + no_floor)
    note = f"the peer: whole columns of {len(part):,} rows{no_talib}"
    yield Figure(WORK, UNIT, ours, "TA-Lib + numpy, 22 outputs", each("talib", len(part), 22), OF_TALIB, note)
    ours15, talib15 = each("ours15", rows, 15), each("talib15", len(part), 15)
    yield Figure(f"{WORK}, 15 of its outputs", UNIT, ours15, "TA-Lib, 15 outputs", talib15, OF_TALIB, note)


class Pass:
    """A pass of `compute` over the table; where a C floor is given, it does each block just before."""

    def __init__(self, graph: ss.FeatureGraph, minutes: Minutes, native: Any) -> None:
        self.graph = graph
        self.in_c: list[float] = []
        """Seconds of the C loop, one a pass."""
        self._minutes = minutes
        self._native = native
        self._room = np.zeros((C_ROOM, OUTPUTS))
        self._outside = 0.0

    def seconds(self) -> float:
        """One pass: the seconds spent in `compute`."""
        import pyarrow as pa

        self._outside = 0.0
        if self._native is not None:
            self._native.reset()
            self.in_c.append(0.0)
        reader = pa.RecordBatchReader.from_batches(self._minutes.batch(0, 1).schema, self._blocks())
        begun = time.process_time()
        vectors = sum(piece.num_rows for piece in ss.compute(self.graph, reader, instrument="X", batches=True))
        took = time.process_time() - begun - self._outside
        assert vectors == len(self._minutes)
        return took

    def _blocks(self) -> Iterator[pa.RecordBatch]:
        """The table block by block; what the giving costs is kept apart."""
        for start in range(0, len(self._minutes), BLOCK):
            begun = time.process_time()
            end = min(start + BLOCK, len(self._minutes))
            if self._native is not None:
                self.in_c[-1] += self._c_seconds(self._minutes.rows(start, end))
            batch = self._minutes.batch(start, end)
            self._outside += time.process_time() - begun
            yield batch

    def _c_seconds(self, rows: NDArray[np.float64]) -> float:
        begun = time.process_time()
        self._native.run(rows, self._room)
        return time.process_time() - begun


def processor_seconds(work: Callable[[], object]) -> Party:
    """A party whose whole work counts, in processor time."""

    def seconds() -> float:
        begun = time.process_time()
        work()
        return time.process_time() - begun

    return seconds


def _for_talib(minutes: Minutes) -> Minutes:
    """All rows, or as many as TA-Lib's columns have memory for."""
    available = next(
        int(line.split()[1]) << 10
        for line in Path("/proc/meminfo").read_text().splitlines()
        if line.startswith("MemAvailable")
    )
    rows = min(len(minutes), available // 2 // TALIB_BYTES_A_ROW)
    return Minutes(minutes.columns[:, :rows])
