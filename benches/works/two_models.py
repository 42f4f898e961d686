"""Two models at once: both are asked over their rings, then both answers are taken; against one model alone, in turns.

Both are the same GBDT of 200 trees, each in a worker process of its own. One worker shares the pipeline's CPU where there
are few, the other runs apart.
"""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

import numpy as np

from benches.figure import Figure, Goal, Measured
from benches.served import TREES, NotTrained, graph, served

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from signal_stream.models import OnnxModel
    from signal_stream.records import ModelRow

WORK = f"two {TREES}-tree GBDTs asked at once"
GOAL = Goal("ratio", "<=", 1.3)
BUDGET_NS = 1_000_000_000
BLOCK = 200
"""Questions in a row, before it is the other's turn."""


def measure(*, quick: bool) -> Iterator[Figure]:
    """p50 with the goal, and p99."""
    from signal_stream.models import OnnxModel
    from signal_stream.records import ModelRow

    turns = 10 if quick else 100
    try:
        with served() as what:
            rows = [ModelRow(row.tobytes(), "X", 0) for row in np.load(what.rows)]
            options = {"columns": graph.features, "output": "probabilities", "output_index": 1}
            with OnnxModel(what.model, **options) as first, OnnxModel(what.model, pin="apart", **options) as second:
                one, two = in_turns(rows, [first], [first, second], turns=turns)
    except NotTrained as error:
        yield Figure(WORK + ", p50", "µs", None, "one", goal=GOAL, note=f"not measured: {error}")
        return
    note = f"{turns} turns of {BLOCK} questions each; submit to all, then collect; from the best turn to the worst"
    for share, at in (("p50", 0.5), ("p99", 0.99)):
        ours, alone = ([float(np.quantile(turn, at)) for turn in turns] for turns in (two, one))
        yield Figure(
            f"{WORK}, {share}", "µs", Measured.middle(ours, scale=1e-3), "one asked alone",
            Measured.middle(alone, scale=1e-3), GOAL if share == "p50" else None, note,
        )  # fmt: skip


def in_turns(
    rows: Sequence[ModelRow], one: Sequence[OnnxModel], two: Sequence[OnnxModel], *, turns: int
) -> tuple[list[list[int]], list[list[int]]]:
    """Nanoseconds of each question, turn by turn."""
    gc.collect()
    gc.freeze()  # as `serve` does
    asked(rows, two)  # warm
    found = [
        (asked(rows[i * BLOCK % len(rows) :], one), asked(rows[i * BLOCK % len(rows) :], two)) for i in range(turns)
    ]
    gc.unfreeze()
    return [alone for alone, _ in found], [both for _, both in found]


def asked(rows: Sequence[ModelRow], models: Sequence[OnnxModel]) -> list[int]:
    """A block of questions to all models, each answered."""
    clock, took = time.perf_counter_ns, []
    for row in rows[:BLOCK]:
        begun = clock()
        deadline_ns = time.monotonic_ns() + BUDGET_NS
        for model in models:
            model.submit([row], deadline_ns)
        answers = [model.collect()[0] for model in models]
        took.append(clock() - begun)
        assert all(answer.status == "OK" for answer in answers)
    return took
