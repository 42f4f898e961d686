"""What sinks and observers cost the line: event in, signal out, with two files that follow the journal (JSON lines and Arrow),
with two that cannot be opened, with the two files and an observer, and with none of it, in turns over the same events.

As in `serve`, sinks are woken between events: at once where there is time, else every 5 ms.
"""

from __future__ import annotations

import gc
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np

from benches.figure import Figure, Goal, Measured
from benches.served import TREES, NotTrained, Served, served
from benches.works.signal_latency import recorded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from signal_stream import _core
    from signal_stream.records import Decision
    from signal_stream.serve import Pipeline

WORK = f"event in, signal out, {TREES}-tree GBDT"
P50, P99 = Goal("ratio", "<=", 1.05), Goal("ratio", "<=", 1.10)
BLOCK = 1_000
SKIPPED_BLOCKS = 2
STATES = {"alive": "two sinks", "dead": "two dead sinks", "observed": "two sinks and an observer"}
_SINKS = '\n[[sink]]\nurl = "file://{0}.jsonl"\n[[sink]]\nurl = "file://{0}.arrow"\n'


def measure(*, quick: bool) -> Iterator[Figure]:
    """p50 and p99 with sinks alive and dead, back to back and a millisecond apart."""
    try:
        with served() as what:
            events = recorded(what.capture)
            if quick:
                events = events[: 6 * BLOCK]
            for title, gap_us, some in (("back to back", 0, events), ("1 ms apart", 1_000, events[: 8 * BLOCK])):
                yield from _figures(title, *_in_turns(what, some, gap_us=gap_us, name=title.replace(" ", "-")))
    except NotTrained as error:
        yield Figure(f"{WORK}, two sinks, p50", "µs", None, "neither", goal=P50, note=f"not measured: {error}")


def _figures(title: str, turns: dict[str, list[np.ndarray]], behind: int) -> Iterator[Figure]:
    count = len(turns["none"])
    note = f"{count} turns of {BLOCK:,} events, {title}; at most {behind:,} records behind at the end of a turn"
    for state, on in STATES.items():
        for share, at, goal in (("p50", 0.5, P50), ("p99", 0.99, P99)):
            ours, none = ([float(np.quantile(turn, at)) for turn in turns[name]] for name in (state, "none"))
            yield Figure(
                f"{WORK}, {on}, {title}, {share}", "µs", Measured.middle(ours, scale=1e-3), "neither",
                Measured.middle(none, scale=1e-3), goal, note,
            )  # fmt: skip


def _in_turns(
    what: Served, events: Sequence[_core.EventBatch], *, gap_us: int, name: str
) -> tuple[dict[str, list[np.ndarray]], int]:
    """Nanoseconds of each event with a signal, turn by turn, for each of the four; how far the living were behind."""
    from signal_stream.serve import Pipeline, build
    from signal_stream.serve.observing import ObserverThread
    from signal_stream.settings import load_deployment

    nowhere = what.folder / f"{name}-nowhere"
    nowhere.write_text("a file where a folder would have to be")
    sections = {"none": "", "alive": _SINKS.format(what.folder / name), "dead": _SINKS.format(nowhere / "signals")}
    sections["observed"] = _SINKS.format(what.folder / f"{name}-observed")
    turns: dict[str, list[np.ndarray]] = {state: [] for state in sections}
    behind = 0
    with ExitStack() as opened:
        pipelines = {}
        for state, more in sections.items():
            file, _ = what.deployment(f"{name}-{state}", more=more)
            pipelines[state] = opened.enter_context(Pipeline(build(load_deployment(file), path=file)))
            pipelines[state].source.stop()  # its events are given by hand
        pipelines["observed"].signal_path._observers = (watch := ObserverThread(Watch(), name="watch", queue=4096),)
        opened.callback(watch.close)
        gc.collect()
        gc.freeze()  # as `serve` does
        for begin in range(0, len(events) - BLOCK + 1, BLOCK):
            for state, pipeline in pipelines.items():
                turns[state].append(_driven(pipeline, events[begin : begin + BLOCK], gap_us=gap_us))
                if state in ("alive", "observed"):
                    behind = max(behind, *(sink["lag_records"] for sink in pipeline.sinks.stats()))
                    _wait_current(pipeline)
        gc.unfreeze()
    return {state: found[SKIPPED_BLOCKS:] for state, found in turns.items()}, behind


class Watch:
    """An observer: the middle of what models say."""

    def __init__(self) -> None:
        self.mean = 0.0

    def observe(self, decision: Decision) -> None:
        """Moves the mean a little."""
        self.mean += 0.01 * ((decision.value or 0.0) - self.mean)

    def close(self) -> None:
        """Nothing to give back."""


def _driven(pipeline: Pipeline, events: Sequence[_core.EventBatch], *, gap_us: int) -> np.ndarray:
    """Nanoseconds of each event that brought a signal."""
    from signal_stream.serve.sinks import WAKE_NS

    push, clock, wake, took, due = pipeline.signal_path.push, time.monotonic_ns, pipeline.sinks.wake, [], 0
    for event in events:
        if gap_us:
            time.sleep(gap_us / 1e6)
        begun = clock()
        made = push(event)
        now = clock()
        if made:
            took.append(now - begun)
        if gap_us or now >= due:
            due = now + WAKE_NS
            wake()
    pipeline.sinks.look(clock())
    return np.array(took)


def _wait_current(pipeline: Pipeline) -> None:
    while any(sink["lag_records"] for sink in pipeline.sinks.stats()):
        pipeline.sinks.wake()
        time.sleep(0.001)
