"""How long after its deadline a due emission is answered while its model's worker hangs, or has been killed.

A GBDT of 200 trees is asked every 10 ms with a deadline of 5 ms, as a pipeline would: first its worker is stopped for a
second (SIGSTOP; no spare is there to answer instead), then killed (SIGKILL). Each call must come back with an answer or
the word that there is none; what counts is how far past the deadline the caller has it. In turns with the calls, the
floor: a loop that does nothing but look at the clock until such a deadline. What it is late by, the machine took away.
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
    from numpy.typing import NDArray

    from signal_stream.models import OnnxModel

    Late = NDArray[np.int64]
    """Nanoseconds after the deadline, one a due answer."""
    Turn = tuple[Late, Late]
    """Of the calls, and of the floor between them."""

EVERY_NS, BUDGET_NS = 10_000_000, 5_000_000
CALLS = 100
"""A second of them, half of them the floor's."""
ENDLESS_NS = 100_000_000_000
GOAL = Goal("value", "<=", 100.0)
FLOOR = "a loop that watches the clock, p99"
HUNG, KILLED = "worker hung for 1 s, answer after its deadline, p99", "worker killed, answer after its deadline, p99"


def measure(*, quick: bool) -> Iterator[Figure]:
    """p99 of each, with the most in the note."""
    turns = 2 if quick else 20
    try:
        with served() as what:
            for title, harm in ((HUNG, hang), (KILLED, kill)):
                yield described(title, [harm(what) for _ in range(turns)])
    except NotTrained as error:
        yield Figure(HUNG, "µs", None, goal=GOAL, note=f"not measured: {error}")


def described(title: str, turns: list[Turn]) -> Figure:
    """A figure of all turns together; what varies is each turn's p99."""
    ours, floor = ([turn[side] / 1e3 for turn in turns] for side in (0, 1))
    late = np.concatenate(ours)
    note = (
        f"{len(late):,} due answers in {len(turns)} turns of a second; p50 {np.quantile(late, 0.5):.1f}, "
        f"p99.9 {np.quantile(late, 0.999):.1f}, max {late.max():.1f} µs (the floor's {np.concatenate(floor).max():.1f}); "
        "below 0 is before the deadline"
    )
    return Figure(title, "µs", p99(ours), FLOOR, p99(floor), GOAL, note)


def p99(turns: list[Late]) -> Measured:
    """Of all turns, from the best turn's to the worst's."""
    each = [float(np.quantile(turn, 0.99)) for turn in turns]
    return Measured(float(np.quantile(np.concatenate(turns), 0.99)), min(each), max(each), len(turns))


def hang(what: Served) -> Turn:
    """One turn while the worker is stopped."""
    with model(what, hang_after_ns=ENDLESS_NS, spare=False) as asked:
        [worker] = asked.status().pids
        os.kill(worker, signal.SIGSTOP)
        try:
            return due_calls(what, asked.predict)
        finally:
            os.kill(worker, signal.SIGCONT)


def kill(what: Served) -> Turn:
    """One turn while a killed worker is replaced."""
    with model(what, spare=False) as asked:
        [worker] = asked.status().pids
        os.kill(worker, signal.SIGKILL)
        return due_calls(what, asked.predict)


def model(what: Served, **options: Any) -> OnnxModel:
    """The trees in a worker."""
    from signal_stream.models import OnnxModel

    return OnnxModel(what.model, columns=graph.features, output="probabilities", output_index=1, **options)


def due_calls(what: Served, predict: Callable[..., object]) -> Turn:
    """Asks at every other due time, and watches the clock at those between."""
    from signal_stream.records import ModelRow

    rows = np.load(what.rows)
    late = np.zeros(CALLS, np.int64)
    clock = time.monotonic_ns
    gc.collect()
    gc.freeze()  # as `serve` does
    due = clock()
    for i in range(CALLS):
        due += EVERY_NS
        while (left := due - clock()) > 0:
            time.sleep(left / 1e9)
        deadline = clock() + BUDGET_NS
        if i % 2 == 0:
            predict([ModelRow(rows[i].tobytes(), "", 0)], deadline)
        else:
            while clock() < deadline:
                pass
        late[i] = clock() - deadline
    gc.unfreeze()
    return late[::2], late[1::2]
