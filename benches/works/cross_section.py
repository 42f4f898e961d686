"""What a moment costs at which values are taken across 3,000 instruments, beside pandas on the finished panel."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

import signal_stream as ss
from benches.figure import Figure, Goal, Measured
from benches.turns import in_turns, on_one_cpu, timed

if TYPE_CHECKING:
    from collections.abc import Iterator

MINUTE_NS = 60_000_000_000
START_NS = 1_700_000_040_000_000_000
MEMBERS, FEATURES = 3_000, 50


def measure(*, quick: bool) -> Iterator[Figure]:
    """Milliseconds from the first row of the next moment until all vectors of the one before are there."""
    on_one_cpu()
    minutes, rounds = (3, 2) if quick else (6, 5)
    rng = np.random.default_rng(3)
    names = [f"S{i:04}.X" for i in range(MEMBERS)]
    close = 100 + rng.normal(0, 1, (minutes + 2, MEMBERS)).cumsum(axis=0)
    bar = ss.bars("1m")
    features = {
        f"rank_{k}": ss.cross(bar.close - k * bar.close.shift(1) / FEATURES).pct_rank() for k in range(FEATURES)
    }
    graph = ss.FeatureGraph(name="cross", on=bar, features=features)
    tables = [
        pa.table({
            "instrument": pa.array(names), "close": close[minute],
            "ts_open": np.full(MEMBERS, START_NS + minute * MINUTE_NS),
        })
        for minute in range(minutes + 2)
    ]  # fmt: skip
    moments: list[float] = []

    def ours() -> None:
        engine = ss.Engine(graph, missing_bars="skip")
        engine.push(tables[0])
        engine.push(tables[1])
        for table in tables[2:]:
            first, rest = table.slice(0, 1), table.slice(1)
            moments.append(timed(partial(engine.push, first))())
            engine.push(rest)

    def panel() -> None:
        for minute in range(2, minutes + 2):
            values = {name: close[minute] - k * close[minute - 1] / FEATURES for k, name in enumerate(features)}
            pd.DataFrame(values).rank(pct=True)

    took = in_turns({"ours": timed(ours), "pandas": timed(panel)}, rounds=rounds)
    yield Figure(
        f"cross-section of {MEMBERS:,} x {FEATURES} ranks", "ms", Measured.least(moments, scale=1e3), "pandas on the panel",
        Measured.least(took["pandas"], scale=1e3 / minutes), Goal("value", "<=", 20),
        "a moment of bars of a minute: programs before and behind, ranks, vectors",
    )  # fmt: skip
