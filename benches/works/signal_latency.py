"""Event in, signal out: a recorded book event goes into a pipeline, and what counts is the time until its signal, by a
GBDT of 200 trees in a worker process, has passed all guards and stands in the journal.

The events are pushed one message at a time, so each vector is alone. The floor, in turns with it: a bare futex round
trip between two processes on the CPUs of pipeline and worker, plus a bare run of ONNX Runtime on the worker's. Closed
loop, as fast as it goes; and, for information, with a millisecond of sleep before each event, which cools the caches.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benches import floors
from benches.figure import Figure, Goal, Measured
from benches.folders import ROOT
from benches.served import TREES, NotTrained, Served, graph, served

if TYPE_CHECKING:
    from signal_stream import _core

WORK = f"event in, signal out, {TREES}-tree GBDT in a worker"
FLOOR = "futex round trip + ONNX run"
GOAL = Goal("ratio", "<=", 2.0)
SKIPPED = 300
"""Signals at the start that are not counted: the caches are cold."""


def measure(*, quick: bool) -> Iterator[Figure]:
    """p99 with the goal, p50, and both for spaced events."""
    loop, spaced = (1, 300) if quick else (5, 2_000)
    floor_n = 4_000 if quick else 20_000
    try:
        futex = floors.futex()
        with served() as served_model:
            events = recorded(served_model.capture)
            closed = [Turn.taken(served_model, futex, events, n=floor_n, name=f"closed{i}") for i in range(loop)]
            few = events[: max(len(events) // 4, 20 * spaced)]
            paced = [
                Turn.taken(served_model, futex, few, n=spaced, gap_us=1_000, vectors_max=spaced, name=f"spaced{i}")
                for i in range(1 if quick else 3)
            ]
    except (floors.NoFloor, NotTrained) as error:
        yield Figure(WORK + ", p99", "µs", None, FLOOR, goal=GOAL, note=f"not measured: {error}")
        return
    for title, turns, goal in ((WORK, closed, GOAL), (WORK + ", 1 ms apart", paced, None)):
        for share in ("p99", "p50"):
            ours = Measured.middle([turn.ours[share] for turn in turns], scale=1e-3)
            floor = Measured.middle([turn.futex[share] + turn.onnx[share] for turn in turns], scale=1e-3)
            yield Figure(
                f"{title}, {share}", "µs", ours, f"{FLOOR}, {share} each", floor, goal if share == "p99" else None,
                described(turns, share, served_model.nodes),
            )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Turn:
    """One pass of the pipeline and one of each floor, on the same CPUs: p50 and p99 in ns."""

    ours: dict[str, float]
    stages: dict[str, Any]
    futex: dict[str, float]
    onnx: dict[str, float]
    vectors: int
    passed: float
    cpus: str

    @classmethod
    def taken(
        cls, what: Served, futex: Path, events: Sequence[_core.EventBatch], *, n: int, name: str, gap_us: int = 0,
        vectors_max: int | None = None,
    ) -> Turn:  # fmt: skip
        """Pipeline, futex, ONNX, one after the other."""
        from signal_stream.models.placement import Placement

        allowed = os.sched_getaffinity(0)
        shared = Placement.choose("auto", allowed=allowed).cpu
        client, worker = (shared, shared) if shared is not None else sorted(allowed)[:2]
        took, stages, passed = driven(what, events, name=name, gap_us=gap_us, vectors_max=vectors_max)
        onnx = [sys.executable, "-m", "benches.bare_onnx", what.model, what.rows]
        return cls(
            ours={share: float(np.quantile(took, at)) for share, at in (("p50", 0.5), ("p99", 0.99))},
            stages=stages,
            futex=_shares([futex, n, client, worker, gap_us]),
            onnx=_shares([*onnx, n, -1 if shared is None else worker, gap_us]),
            vectors=len(took),
            passed=passed,
            cpus="one CPU" if shared is not None else "two CPUs",
        )


def recorded(capture: Path) -> list[_core.EventBatch]:
    """The capture, one message a batch."""
    from signal_stream import _core

    reader, found = _core.Reader([str(capture)]), []
    while (batch := reader.next()) is not None:
        found += [batch.slice(i, i + 1) for i in range(batch.messages)]
    return found


def driven(
    what: Served, events: Sequence[_core.EventBatch], *, name: str, gap_us: int, vectors_max: int | None
) -> tuple[list[int], dict[str, Any], float]:
    """Nanoseconds of each event whose signal passed; the pipeline's own stages; the share of signals that passed."""
    from signal_stream.serve import Pipeline, build
    from signal_stream.settings import load_deployment

    file, _ = what.deployment(name)
    took: list[int] = []
    with Pipeline(build(load_deployment(file), path=file)) as pipeline:
        pipeline.source.stop()  # its events are given by hand
        push, clock = pipeline.signal_path.push, time.perf_counter_ns
        outcomes, passed = pipeline.signal_path.steps[0].outcomes, 0
        gc.collect()
        gc.freeze()  # as `serve` does
        for event in events:
            if gap_us and len(took) >= SKIPPED:
                time.sleep(gap_us / 1e6)
            begun = clock()
            push(event)
            spent = clock() - begun
            if outcomes["PASS"] > passed:
                passed += 1
                took.append(spent)
                if vectors_max is not None and len(took) >= vectors_max + SKIPPED:
                    break
        gc.unfreeze()
        status = pipeline.status()
    took = took[SKIPPED:]
    return took, dict(status.latency_ns), status.signals.get("PASS", 0) / max(1, sum(status.signals.values()))


def described(turns: Sequence[Turn], share: str, nodes: int) -> str:
    """What the figure rests on."""
    last = turns[-1]
    stages = ", ".join(f"{stage} {spent[share] / 1e3:.1f}" for stage, spent in last.stages.items() if spent[share])
    floor = f"{last.futex[share] / 1e3:.1f} + {last.onnx[share] / 1e3:.1f}"
    return (
        f"{len(turns)} turns of {last.vectors:,} passed signals, {len(graph.features)} features, {nodes:,} nodes, "
        f"{last.cpus}; {last.passed:.1%} of all passed; floor of the last turn {floor} µs, "
        f"its stages: {stages}"
    )


def _shares(command: list[object]) -> dict[str, float]:
    printed = subprocess.run([str(part) for part in command], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(printed.stdout)
    return {"p50": float(found["p50_ns"]), "p99": float(found["p99_ns"])}
