"""Signals over gRPC: the way from the journal to a client beside a bare grpcio stream, how many a second, and what metrics,
health and two subscribers cost the line."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benches.figure import Figure, Goal, Measured
from benches.folders import ROOT, out
from benches.served import DEPLOYMENT, TREES, NotTrained, Served, served
from benches.works.signal_latency import recorded
from benches.works.sinks import BLOCK, SKIPPED_BLOCKS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from signal_stream import _core
    from signal_stream.serve import Pipeline
    from signal_stream.store import Journal

GAP_US = 1_000
HOP, RATE = Goal("ratio", "<=", 1.5), Goal("value", ">=", 50_000)
COST = Goal("ratio", "<=", 1.03)
WORK = f"event in, signal out, {TREES}-tree GBDT"
_LISTEN = '\n[grpc]\nlisten = "127.0.0.1:0"\n'
_METRICS = '\n[metrics]\nlisten = "127.0.0.1:0"\n'
_PATIENCE_S = 60.0


def measure(*, quick: bool) -> Iterator[Figure]:
    """The three."""
    yield from _hop(turns=1 if quick else 7, count=300 if quick else 1_000)
    yield _rate(turns=1 if quick else 3, count=20_000 if quick else 200_000)
    try:
        with served() as what:
            events = recorded(what.capture)
            yield from _cost(what, events[: 6 * BLOCK] if quick else events)
    except NotTrained as error:
        yield Figure(f"{WORK}, subscribers, p50", "µs", None, "nobody", goal=COST, note=f"not measured: {error}")


def _hop(*, turns: int, count: int) -> Iterator[Figure]:
    from signal_stream.testing import sample_signals

    texts = [record.body for record in sample_signals(count)]
    ours: list[np.ndarray] = []
    bare: list[np.ndarray] = []
    with _journal() as (journal, address), _said("serve", GAP_US, len(texts[0].encode())) as bare_address:
        for _ in range(turns + 1):
            ours.append(_ways(journal, address, texts))
            bare.append(np.array(json.loads(_run("listen", bare_address, count))["ways"]))
    note = f"{turns} turns of {count:,} signals of {len(texts[0])} bytes, {GAP_US / 1e3:g} ms apart"
    for share, at, goal in (("p99", 0.99, HOP), ("p50", 0.5, None)):
        taken = [[float(np.quantile(turn, at)) for turn in found[1:]] for found in (ours, bare)]
        yield Figure(
            f"journal to gRPC client, {share}", "µs", Measured.middle(taken[0], scale=1e-3), "bare grpcio stream",
            Measured.middle(taken[1], scale=1e-3), goal, note,
        )  # fmt: skip


def _rate(*, turns: int, count: int) -> Figure:
    from signal_stream.testing import sample_signals

    texts = [record.body for record in sample_signals(1_000)]
    rates, bare = [], []
    with _journal() as (journal, address), _said("serve", 0, len(texts[0].encode())) as bare_address:
        for _ in range(count // len(texts)):
            journal.take_over(texts)
        for _ in range(turns):
            came = json.loads(_run("subscribe", address, 0, count).splitlines()[-1])
            rates.append(count / (came[-1][1] - came[0][1]) * 1e9)
            few = count // 10
            bare.append(few / json.loads(_run("listen", bare_address, few))["ns"] * 1e9)
    note = f"{count:,} signals that lie in the journal, {turns} turns; the peer sends a message a signal"
    peer = Measured.most(bare)
    return Figure("signals to one subscriber", "1/s", Measured.most(rates), "bare grpcio stream", peer, RATE, note)


def _cost(what: Served, events: Sequence[_core.EventBatch]) -> Iterator[Figure]:
    from signal_stream.serve import Pipeline, build
    from signal_stream.settings import load_deployment

    turns: dict[str, list[np.ndarray]] = {"nobody": [], "seen": []}
    with ExitStack() as opened:
        pipelines: dict[str, Pipeline] = {}
        for name in turns:
            more = _LISTEN + _METRICS if name == "seen" else ""
            file, _ = what.deployment(f"subscribers-{name}", more=more)
            pipelines[name] = opened.enter_context(Pipeline(build(load_deployment(file), path=file)))
            pipelines[name].source.stop()  # its events are given by hand
        opened.enter_context(
            _said("idle", _listens(pipelines["seen"], "grpc"), 2, _listens(pipelines["seen"], "metrics"))
        )
        gc.collect()
        gc.freeze()  # as `serve` does
        for begin in range(0, len(events) - BLOCK + 1, BLOCK):
            for name, pipeline in pipelines.items():
                pipeline.status().write(pipeline.deployment.pipeline.state)
                turns[name].append(_driven(pipeline, events[begin : begin + BLOCK]))
        gc.unfreeze()
    note = f"{len(turns['seen']) - SKIPPED_BLOCKS} turns of {BLOCK:,} events, 1 ms apart, a scrape a second"
    for share, at, goal in (("p50", 0.5, COST), ("p99", 0.99, None)):
        seen, nobody = (
            [float(np.quantile(turn, at)) for turn in turns[name][SKIPPED_BLOCKS:]] for name in ("seen", "nobody")
        )
        yield Figure(
            f"{WORK}, metrics, health and two subscribers, {share}", "µs", Measured.middle(seen, scale=1e-3), "nobody",
            Measured.middle(nobody, scale=1e-3), goal, note,
        )  # fmt: skip


def _driven(pipeline: Pipeline, events: Sequence[_core.EventBatch]) -> np.ndarray:
    """Nanoseconds of each event that brought a signal, a millisecond apart."""
    push, clock, wake, took = pipeline.signal_path.push, time.monotonic_ns, pipeline.sinks.wake, []
    for event in events:
        time.sleep(GAP_US / 1e6)
        begun = clock()
        made = push(event)
        if made:
            took.append(clock() - begun)
            wake()  # as `serve` does when no event waits
    return np.array(took)


def _ways(journal: Journal, address: str, texts: Sequence[str]) -> np.ndarray:
    """Nanoseconds from before a signal is appended until the client has it."""
    from signal_stream._core import journal_encode
    from signal_stream.store import Bell

    bell = Bell(journal.folder.parent)
    first, sent = journal.next_seq, []
    with _process("subscribe", address, first, len(texts)) as client:
        assert client.stdout is not None
        client.stdout.readline()
        for text in texts:
            time.sleep(GAP_US / 1e6)
            frame = journal_encode(journal.next_seq, 0, "signal", "", text)
            sent.append(time.monotonic_ns())
            journal.tail.append(frame, 1)
            bell.ring()
        came = json.loads(client.stdout.read())
    return np.array([at - sent[seq - first] for seq, at in came])


@contextmanager
def _journal() -> Iterator[tuple[Journal, str]]:
    """A journal that this process writes, and the address of the gateway that follows it."""
    from signal_stream.store import State

    with tempfile.TemporaryDirectory(prefix="subscribers-", dir=out()) as name:
        folder = Path(name)
        file = folder / "deployment.toml"
        text = DEPLOYMENT.format(state=folder / "state", registry=folder / "registry", capture=folder / "none.gz")
        file.write_text(text + _LISTEN)
        _, journal = State(folder / "state").open(fsync="never")
        command = [sys.executable, "-m", "signal_stream.gateway", str(file)]
        with journal, subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as gateway:
            assert gateway.stdout is not None and gateway.stdin is not None
            try:
                yield journal, json.loads(gateway.stdout.readline())["servers"][0]["listen"]
            finally:
                gateway.stdin.close()


def _listens(pipeline: Pipeline, name: str) -> str:
    """Where one of its servers listens."""
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until:
        for each in (pipeline.status().gateway or {}).get("servers", ()):
            if each["name"] == name and each["state"] == "OK":
                return str(each["listen"])
        time.sleep(0.01)
    raise TimeoutError(f"[{name}] does not listen")


@contextmanager
def _process(*words: object) -> Iterator[subprocess.Popen[str]]:
    """An end of a stream, from its start to its end."""
    command = [sys.executable, "-m", "benches.streams", *map(str, words)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()


@contextmanager
def _said(*words: object) -> Iterator[str]:
    """The first line that an end of a stream says, which then stays."""
    with _process(*words) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()


def _run(*words: object) -> str:
    with _process(*words) as process:
        assert process.stdout is not None
        return process.stdout.read()
