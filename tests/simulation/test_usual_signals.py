"""The usual signal, written by one call of the core: the same as the one that is judged in Python, in the same journal."""

from __future__ import annotations

import itertools
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.serving import Market, Served, wait_for

from signal_stream.errors import LatchError
from signal_stream.models import OnnxModel
from signal_stream.records import Decision
from signal_stream.serve import Pipeline, build
from signal_stream.serve.model_step import ModelStep
from signal_stream.serve.passed_signal import PassedSignal
from signal_stream.settings import load_deployment


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    return Market.make(tmp_path_factory.mktemp("market"), seconds=10.0)


def deployed(market: Market, folder: Path, **more: Any) -> Served:
    """A deployment without a sink, whose events come one message at a time."""
    served = market.deploy(folder, queue_rows=100, **more)
    served.deployment.write_text(served.deployment.read_text().replace('[[sink]]\nurl = "file://signals.jsonl"\n', ""))
    return served


def opened(served: Served) -> Pipeline:
    return Pipeline(build(load_deployment(served.deployment), path=served.deployment))


def written(served: Served) -> list[tuple[str, str, dict[str, Any]]]:
    """The journal's signals and reasons, without how long anything took."""
    found = []
    for record in served.state.reader().records():
        if record.kind in ("signal", "why"):
            body = json.loads(record.body)
            body.pop("latency_ns", None)
            found.append((record.kind, record.key, body))
    return found


@pytest.mark.parametrize("segment_bytes", [1 << 16, 1 << 28])
def test_both_ways_write_the_same(market: Market, tmp_path: Path, segment_bytes: int) -> None:
    journal = f"\n[journal]\nsegment_bytes = {segment_bytes}\n"
    at_once, judged = (deployed(market, tmp_path / name, more=journal) for name in ("at_once", "judged"))
    counts: dict[bool, tuple[int, dict[str, int]]] = {}
    direct = 0
    shown: dict[bool, list[Any]] = {True: [], False: []}
    for served in (at_once, judged):
        with opened(served) as pipeline:
            (step,) = pipeline.signal_path.steps
            if served is judged:
                step._passing = None
            pipeline.signal_path._observers = (Shown(shown[served is judged]),)  # type: ignore[assignment]
            ways = []
            while not pipeline.source.ended:
                batch = pipeline.source.next(10**8)
                for i in range(0 if batch is None else batch.messages):
                    assert batch is not None
                    if pipeline.signal_path.push(batch.slice(i, i + 1)):
                        ways.append(isinstance(pipeline.signal_path.newest, ModelStep))
                        direct += step._is_direct
            pipeline.journal.check_invariants()
            counts[served is judged] = sum(ways), dict(step.outcomes)
    assert written(at_once) == written(judged)
    assert counts[False][1] == counts[True][1]
    usual = sum(body.get("verdict") == "PASS" and not body["defaults_used"] for _, _, body in written(judged))
    rolls = len(list(at_once.state.journal_folder.glob("*.arrows")))
    assert usual - rolls <= counts[False][0] <= usual
    assert counts[True][0] == 0
    assert direct == counts[False][0] > 0
    assert shown[False] == shown[True]


class Shown:
    """Keeps what an observer is shown, without how long anything took."""

    def __init__(self, kept: list[Any]) -> None:
        self._kept = kept

    def offer(self, decided: Decision | PassedSignal) -> None:
        decision = decided.decision() if isinstance(decided, PassedSignal) else decided
        prediction = decision.prediction
        if prediction is not None:
            assert prediction.latency_ns > 0
            prediction = prediction._replace(latency_ns=0)
        self._kept.append((decision.signal_id, prediction, decision.verdict, decision.value))


def usual_signals(pipeline: Pipeline) -> Iterator[ModelStep]:
    """Pushes message by message; the step after each signal, once the usual ones have begun."""
    (step,) = pipeline.signal_path.steps
    begun = False
    while not pipeline.source.ended:
        batch = pipeline.source.next(10**8)
        for i in range(0 if batch is None else batch.messages):
            assert batch is not None
            if pipeline.signal_path.push(batch.slice(i, i + 1)):
                begun = begun or step._is_direct
                if begun:
                    yield step


def test_a_stopped_worker_costs_one_signal(market: Market, tmp_path: Path) -> None:
    with opened(deployed(market, tmp_path / "served", deadline="1s")) as pipeline:
        signals = usual_signals(pipeline)
        step = next(signals)
        model = step.model
        assert isinstance(model, OnnxModel)
        assert model.wait_ready(30 * 10**9)
        answered = step.outcomes["PASS"]
        os.kill(model.status().pids[0], signal.SIGSTOP)
        assert next(signals).verdict.codes == ("DEADLINE",)
        assert step.asked_ns >= 10**9, "the wait on the direct way counts, though it then declines"
        after = [(each.verdict.codes, each._is_direct) for each in itertools.islice(signals, 20)]
        assert {codes for codes, _ in after} == {()}
        assert any(direct for _, direct in after), "the spare answers, and its answers go the usual way"
        status = model.status()
        assert (status.answers, status.deadline_misses, status.dead) == (answered + 20, 1, 0)


def test_a_worker_that_dies_over_a_question_costs_one_signal(market: Market, tmp_path: Path) -> None:
    with opened(deployed(market, tmp_path / "served", deadline="30s")) as pipeline:
        signals = usual_signals(pipeline)
        model = next(signals).model
        assert isinstance(model, OnnxModel)
        assert model.wait_ready(30 * 10**9)
        worker = model._supervisor.active
        assert worker is not None

        def kill_it_when_asked() -> None:
            wait_for(worker.ring.in_flight, "a question")
            os.kill(worker.pid, signal.SIGKILL)

        os.kill(worker.pid, signal.SIGSTOP)
        killer = threading.Thread(target=kill_it_when_asked)
        killer.start()
        assert next(signals).verdict.codes == ("MODEL_DOWN",)
        killer.join()
        after = [(each.verdict.codes, each._is_direct) for each in itertools.islice(signals, 20)]
        assert {codes for codes, _ in after} == {()}
        assert any(direct for _, direct in after)
        assert model.status().dead == 1


def test_a_kill_silences_the_next_signal(market: Market, tmp_path: Path) -> None:
    served = deployed(market, tmp_path / "served")
    latches = served.state.latches
    said: list[tuple[str, ...]] = []
    with opened(served) as pipeline:
        (step,) = pipeline.signal_path.steps
        while len(said) < 12:
            batch = pipeline.source.next(10**8)
            for i in range(0 if batch is None else batch.messages):
                assert batch is not None
                before = step.outcomes["PASS"]
                if not pipeline.signal_path.push(batch.slice(i, i + 1)) or (not before and not step.outcomes["PASS"]):
                    continue
                said.append(step.verdict.codes)
                if len(said) in (4, 8):
                    assert isinstance(pipeline.signal_path.newest, ModelStep) or len(said) == 8
                if len(said) == 4:
                    latches().kill("micro", by="ann", reason="test", now=1)
                if len(said) == 8:
                    latches().rearm("micro", by="ann", reason="test", now=2)
    assert said[:4] == [()] * 4
    assert said[4:8] == [("KILLED",)] * 4
    assert said[8:12] == [()] * 4


def test_a_halt_whose_latch_cannot_be_written_silences_the_next_signal(
    market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_given: Any, **_named: Any) -> None:
        raise LatchError("WRITE", "no space is left")

    said: list[tuple[str, ...]] = []
    with opened(deployed(market, tmp_path / "served")) as pipeline:
        (step,) = pipeline.signal_path.steps
        while len(said) < 4:
            batch = pipeline.source.next(10**8)
            for i in range(0 if batch is None else batch.messages):
                assert batch is not None
                if not pipeline.signal_path.push(batch.slice(i, i + 1)):
                    continue
                if said or isinstance(pipeline.signal_path.newest, ModelStep):
                    said.append(step.verdict.codes)
                if len(said) == 1:
                    monkeypatch.setattr(step.gate._latches, "kill", full)
                    with pytest.raises(LatchError):
                        step.gate.halt("a test", now=1)
    assert said[0] == ()
    assert all("KILLED" in codes for codes in said[1:]), said
