"""The graph of 23 outputs, live in batches of 256 rows, against the same outputs in one C loop.

Three ways in. `core`: the engine takes 256 rows at a time inside one call of `push_table`, so the engine itself is
measured. `push_table`: one call of the core a record batch of 256 rows; what Arrow's C interface costs is added.
`Engine.push`: what a user calls, with a column map to look up and an Arrow batch to give back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

import signal_stream as ss
from benches import floors
from benches.figure import Figure, Goal, Measured
from benches.graph23 import graph
from benches.minutes import FIELDS, MINUTE_NS, START_NS, Minutes
from benches.turns import Party, in_turns, on_one_cpu
from signal_stream import _core

if TYPE_CHECKING:
    import pyarrow as pa

OUTPUTS = len(graph.features)
BATCH = 256
FILLING = 1_024
"""Rows that an engine gets beforehand, so that its windows are full."""
TOGETHER = 4_096
"""Rows that `core` takes a call; few enough that their vectors stay in the cache, as live."""
GOAL = Goal("ratio", "<=", 1.2)


def measure(*, quick: bool) -> Iterator[Figure]:
    """One figure a way in."""
    import pyarrow as pa

    on_one_cpu()
    rows, rounds = (4_096, 10) if quick else (8_192, 200)
    minutes = Minutes.made(FILLING + rows)
    layout = _core.TableLayout(graph.plan, list(FIELDS))
    times = START_NS + MINUTE_NS * np.arange(1, len(minutes) + 1, dtype=np.int64)
    arrays = [pa.array(column) for column in minutes.columns]
    closes = pa.RecordBatch.from_arrays([pa.array(times), *arrays], names=["ts", *FIELDS])
    filling, whole = closes.slice(0, FILLING), closes.slice(FILLING)
    table = minutes.batch(FILLING, len(minutes))

    def cut(batch: pa.RecordBatch, size: int) -> list[pa.RecordBatch]:
        return [batch.slice(start, size) for start in range(0, rows, size)]

    def core(batches: list[pa.RecordBatch], chunk: int | None) -> Party:
        def push_all() -> float:
            engine = _core.Engine(graph.plan, _core.EngineOptions(layout=layout))
            engine.push_table(["X"], filling)
            return pushed(lambda batch: engine.push_table(["X"], batch, chunk), batches)

        return push_all

    def user(batches: list[pa.RecordBatch]) -> Party:
        def push_all() -> float:
            engine = ss.Engine(graph, instrument="X")
            engine.push(minutes.batch(0, FILLING))
            return pushed(engine.push, batches)

        return push_all

    parties: dict[str, Party] = {
        "core": core(cut(whole, TOGETHER), BATCH),
        "push_table": core(cut(whole, BATCH), None),
        "Engine.push": user(cut(table, BATCH)),
    }
    note = ""
    try:
        parties["c_loop"] = in_c(minutes)
    except floors.NoFloor as error:
        note = f"; peer not measured: {error}"
    took = in_turns(parties, rounds=rounds)
    each = 1e9 / rows / OUTPUTS
    peers = Measured.least(took["c_loop"], scale=each) if "c_loop" in took else None
    for way in ("core", "push_table", "Engine.push"):
        yield Figure(
            f"graph23, live in 256-row batches, {way}",
            "ns/value",
            Measured.least(took[way], scale=each),
            "c_loop",
            peers,
            GOAL if way == "core" else None,
            f"{OUTPUTS} outputs; {rows} rows a round, least of all rounds{note}",
        )


def pushed(push: Callable[[pa.RecordBatch], object], batches: list[pa.RecordBatch]) -> float:
    """Seconds of pushing the batches, one after the other."""
    begun = time.perf_counter()
    for batch in batches:
        push(batch)
    return time.perf_counter() - begun


def in_c(minutes: Minutes) -> Party:
    """The loop over all rows, its outputs in a block that stays in the cache."""
    native = floors.graph23()
    native.reset()
    rows, out = minutes.rows(FILLING, len(minutes)), np.zeros((BATCH, OUTPUTS))
    return lambda: float(native.run(rows, out))
