"""What a scrape takes: `/metrics` of a pipeline of 50 models, over HTTP, answered by the gateway's own server."""

from __future__ import annotations

import io
import os
import time
import urllib.request
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from benches.figure import Figure, Goal, Measured

if TYPE_CHECKING:
    from collections.abc import Iterator

    from signal_stream.store import Status

MODELS: Final = 50
LIMIT: Final = Goal("value", "<=", 20.0)


def measure(*, quick: bool) -> Iterator[Figure]:
    """p50 and p99 of a scrape."""
    from signal_stream.gateway.http import MetricsServer
    from signal_stream.monitor.log import EventLog
    from signal_stream.monitor.watch import Watch
    from signal_stream.store import State

    with TemporaryDirectory() as folder:
        state = State(Path(folder))
        latches, journal = state.open()
        with closing(journal):
            status().write(state.folder)
            watch = Watch(state.folder, log=EventLog(io.StringIO(), form="json", pipeline="bench"))
            server = MetricsServer("127.0.0.1:0", pipeline="bench", watch=watch)
            url = f"http://{server.start()}/metrics"
            try:
                took = [scrape(url) for _ in range(20 if quick else 300)]
            finally:
                server.stop()
        assert not latches.standing()
    ms = [seconds * 1e3 for seconds, _ in took]
    samples = took[0][1].count(b"\n") - took[0][1].count(b"# ")
    note = f"{samples:,} samples, {len(took[0][1]) / 1e3:.0f} KB, {len(took)} scrapes one after the other"
    for share, at in (("p50", 0.5), ("p99", 0.99)):
        halves = [float(np.quantile(half, at)) for half in np.array_split(np.array(ms), 3)]
        yield Figure(f"scrape of {MODELS} models, {share}", "ms", Measured.middle(halves), goal=LIMIT, note=note)


def scrape(url: str) -> tuple[float, bytes]:
    """Seconds that an answer took, and the answer."""
    begun = time.perf_counter()
    with urllib.request.urlopen(url) as answer:
        body: bytes = answer.read()
    return time.perf_counter() - begun, body


def status() -> Status:
    """Of a pipeline with so many models, three sinks and every stage measured."""
    from signal_stream.guards import CODES
    from signal_stream.serve.latency import StageLatencies
    from signal_stream.store import Status

    latencies = StageLatencies()
    for ns in range(1_000, 5_000_000, 1_000):
        latencies.add((ns, ns, ns, ns, ns))
    newest = {"ts_recv": 1, "data_age_ns": 1_000_000, "freshness_ns": 1_000_000}
    workers = {
        "workers_started": 2,
        "deaths": 0,
        "hangs": 0,
        "answers": 10**6,
        "deadline_misses": 3,
        "dead": 0,
        "busy": 0,
    }
    models: tuple[dict[str, Any], ...] = tuple(
        {
            "ref": f"model{number}@0123456789ab", "name": f"model{number}", "owner": "ada", "stage": "live", "kind": "onnx",
            "deadline_ns": 5_000_000, "signals": {"PASS": 10**6, "VETO": 1000}, "codes": dict.fromkeys(CODES, 100),
            "newest": newest, "state": "READY", "errors": 0, "registry": "", **workers,
        }
        for number in range(MODELS)
    )  # fmt: skip
    sink = {"state": "OK", "error": None, "lag_ns": 0, "lag_records": 0, "sent": 10**6, "skipped": 0, "failures": 0}
    counts = dict.fromkeys(("duplicate", "late", "rejected", "gaps", "missing", "clock_steps", "restarts"), 0)
    now = time.time_ns()
    return Status(
        state="SERVING", reason="", pid=os.getpid(), pipeline="bench", written_at=now, started_at=now, deployment="",
        source={"url": "stdin:", "queue_rows": 0, "queue_rows_max": 65_536, "shed_messages": 0, "silent_ns": 0},
        models=models, counts={"input": 10**9, "accepted": 10**9, **counts}, refused={},
        books={"book_gaps": 0, "book_crossed": 0, "book_superseded": 0}, vectors=10**6, signals={"PASS": 10**6},
        codes={}, last_signal=None, latches=(), journal={"records": 10**6, "unsynced_records": 0, "unsynced_ns": 0},
        latency_ns=latencies.summary(), sinks=tuple({"sink": f"file:///signals{n}.jsonl", **sink} for n in range(3)),
    )  # fmt: skip
