"""Work and its peers in turns, so that a noisy moment of the machine falls on all of them."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Mapping

Party = Callable[[], float]
"""Does the work once and gives the seconds of the part that counts."""


def timed(work: Callable[[], object]) -> Party:
    """A party whose whole work counts."""

    def seconds() -> float:
        begun = time.perf_counter()
        work()
        return time.perf_counter() - begun

    return seconds


def in_turns(parties: Mapping[str, Party], *, rounds: int) -> dict[str, list[float]]:
    """Seconds of each party: A B C A B C …, after a first round that is not counted.

    >>> sorted(in_turns({"a": lambda: 1.0, "b": lambda: 2.0}, rounds=2).items())
    [('a', [1.0, 1.0]), ('b', [2.0, 2.0])]
    """
    took: dict[str, list[float]] = {name: [] for name in parties}
    gc.collect()
    gc.disable()
    try:
        for round_number in range(rounds + 1):
            for name, party in parties.items():
                seconds = party()
                if round_number:
                    took[name].append(seconds)
    finally:
        gc.enable()
    return took


def on_one_cpu() -> int:
    """Puts this process, and what it starts, on the last CPU that it may use; Arrow's pools shrink to one thread."""
    import pyarrow as pa

    cpu = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpu})
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    return cpu
