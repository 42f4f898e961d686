"""How long after its deadline a due emission is answered while its model's worker hangs, or has been killed.

A GBDT of 200 trees is asked every 10 ms with a deadline of 5 ms, as a pipeline would: first its worker is stopped for a
second (SIGSTOP; no spare is there to answer instead), then killed (SIGKILL). Each call must come back with an answer or
the word that there is none; what counts is how far past the deadline the caller has it.
"""

from __future__ import annotations

import gc
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from benches.figure import Figure, Goal, Measured
from benches.served import NotTrained, Served, graph, served

if TYPE_CHECKING:
    from signal_stream.models import OnnxModel

EVERY_NS, BUDGET_NS = 10_000_000, 5_000_000
CALLS = 100
"""A second of them."""
ENDLESS_NS = 100_000_000_000
GOAL = Goal("value", "<=", 100.0)
HUNG, KILLED = "worker hung for 1 s, answer after its deadline, p99", "worker killed, answer after its deadline, p99"


def measure(*, quick: bool) -> Iterator[Figure]:
    """p99 of each, with the most in the note."""
    turns = 2 if quick else 10
    try:
        with served() as what:
            for title, harm in ((HUNG, hang), (KILLED, kill)):
                yield described(title, [harm(what) for _ in range(turns)])
    except NotTrained as error:
        yield Figure(HUNG, "µs", None, goal=GOAL, note=f"not measured: {error}")


def described(title: str, turns: list[np.ndarray]) -> Figure:
    """A figure of all turns together; what varies is each turn's p99."""
    late = np.concatenate(turns) / 1e3
    p99 = float(np.quantile(late, 0.99))
    each = [float(np.quantile(turn, 0.99)) / 1e3 for turn in turns]
    note = (
        f"{len(late):,} due answers in {len(turns)} turns of a second; p50 {np.quantile(late, 0.5):.1f}, "
        f"p99.9 {np.quantile(late, 0.999):.1f}, max {late.max():.1f} µs; below 0 is before the deadline"
    )
    return Figure(title, "µs", Measured(p99, min(each), max(each), len(turns)), goal=GOAL, note=note)


def hang(what: Served) -> np.ndarray:
    """Nanoseconds after the deadline of each call that the worker did not answer, while it is stopped."""
    with model(what, hang_after_ns=ENDLESS_NS, spare=False) as asked:
        [worker] = asked.status().pids
        os.kill(worker, signal.SIGSTOP)
        try:
            return due_calls(what, asked.predict)
        finally:
            os.kill(worker, signal.SIGCONT)


def kill(what: Served) -> np.ndarray:
    """The same, for all calls, while a killed worker is replaced."""
    with model(what, spare=False) as asked:
        [worker] = asked.status().pids
        os.kill(worker, signal.SIGKILL)
        return due_calls(what, asked.predict)


def model(what: Served, **options: Any) -> OnnxModel:
    """The trees in a worker."""
    from signal_stream.models import OnnxModel

    return OnnxModel(what.model, columns=graph.features, output="probabilities", output_index=1, **options)


def due_calls(what: Served, predict: Callable[..., object]) -> np.ndarray:
    """Asks at each due time; nanoseconds after the deadline at which each answer was there."""
    rows = np.load(what.rows)
    late = np.zeros(CALLS, np.int64)
    gc.collect()
    gc.freeze()  # as `serve` does
    due = time.monotonic_ns()
    for i in range(CALLS):
        due += EVERY_NS
        while (left := due - time.monotonic_ns()) > 0:
            time.sleep(left / 1e9)
        deadline = time.monotonic_ns() + BUDGET_NS
        predict(rows[i].tobytes(), deadline)
        late[i] = time.monotonic_ns() - deadline
    gc.unfreeze()
    return late
