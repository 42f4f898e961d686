"""Does a signal pass on data that is older than allowed, wherever the time was lost?

Between venue and recorder, in a pipe or a file, in the model, or in a silence.
"""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import time
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.serving import Market, wait_for

import signal_stream as ss
from signal_stream import _core
from signal_stream.serve import silence as silence_module
from signal_stream.serve.axis_clock import RECORDING_NS, AxisClock
from signal_stream.serve.model_step import ModelStep
from signal_stream.serve.silence import Silence
from signal_stream.testing import ManualClock

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
START = 1_700_000_040 * SECOND


def trade(received_ns: int, number: int, *, delay_ms: int = 0, price: float = 100.0) -> str:
    """A line of a raw capture: a trade that happened so long before it was received."""
    ms = received_ns // 1_000_000 - delay_ms
    data = {"e": "trade", "E": ms, "s": "BTCUSDT", "t": number, "p": f"{price:.1f}", "q": "1", "T": ms, "m": False}
    return f"{received_ns} " + json.dumps({"stream": "btcusdt@trade", "data": data | {"M": True}}) + "\n"


def vectors(graph: ss.FeatureGraph, lines: list[str], folder: Path) -> list[_core.Row]:
    path = folder / "some.capture"
    path.write_text("".join(lines))
    reader, engine = _core.Reader([path]), _core.Engine(_core.Plan(graph.to_json()))
    rows: list[_core.Row] = []
    while (batch := reader.next()) is not None:
        found = engine.push(batch)
        rows += [found.row(i) for i in range(len(found))]
    return rows


GRAPHS = {
    "each trade": (ss.trades, {"p": ss.trades.price}),
    "a clock": (ss.every("200ms"), {"p": ss.trades.price}),
    "bars": (ss.bars("1s"), {"c": ss.bars("1s").close}),
    "bars at a clock": (ss.every("500ms"), {"c": ss.bars("1s").close}),
}


@pytest.mark.parametrize("name", GRAPHS)
@settings(deadline=None, max_examples=30)
@given(delay_ms=st.integers(-5_000, 100_000))
def test_a_constant_delay_of_the_venue_is_age(name: str, delay_ms: int, tmp_path_factory: Any) -> None:
    on, features = GRAPHS[name]
    graph = ss.FeatureGraph(name="g", on=on, features=features)
    lines = [trade(START + i * SECOND // 10, i + 1, delay_ms=delay_ms) for i in range(60)]
    rows = vectors(graph, lines, tmp_path_factory.mktemp("tape"))[-5:]
    assert len(rows) == 5
    for row in rows:
        recv, event = row.age_recv_ns, row.age_event_ns
        assert recv is not None
        # a venue whose clock is ahead has no negative age
        assert event == max(0, recv + delay_ms * 1_000_000)


@given(lag=st.integers(0, RECORDING_NS - HOUR), rate=st.sampled_from([1.0, 8.0, inf]))
def test_a_live_event_is_as_old_as_the_wall_clock_says(lag: int, rate: float) -> None:
    manual = ManualClock()
    clock, wall = AxisClock(rate, wall_within_ns=RECORDING_NS, clock=manual), manual.time_ns()
    assert clock.now(wall - lag) == wall
    assert clock.now(wall + HOUR) == wall + HOUR  # the recorder's clock is ahead of ours
    manual.advance(SECOND)
    assert clock.now(wall - lag) == wall + SECOND  # the same event, a second older


@given(lag=st.integers(RECORDING_NS + HOUR, 20 * RECORDING_NS))
def test_a_recording_that_is_played_runs_on_its_own_clock(lag: int) -> None:
    clock = ManualClock()
    ts_recv = clock.time_ns() - lag
    played = AxisClock(1.0, wall_within_ns=RECORDING_NS, clock=clock)
    assert played.now(ts_recv) == ts_recv
    assert AxisClock(1.0, wall_within_ns=-1, clock=clock).now(clock.time_ns() - HOUR) == clock.time_ns() - HOUR
    assert AxisClock(1.0, wall_within_ns=inf, clock=clock).now(ts_recv) == clock.time_ns()
    clock.advance(SECOND)
    assert played.now(ts_recv) == ts_recv + SECOND
    clock.set_wall(clock.time_ns() + HOUR)
    assert played.now(ts_recv) == ts_recv + SECOND  # no wall clock has a say in it


@dataclass
class Batch:
    first_recv: int
    last_recv: int


@dataclass
class Settings:
    idle_mark_ns: int | None = None
    lateness_ns: int = 0


@settings(deadline=None)
@given(
    blocks=st.lists(st.integers(1, 8), min_size=2, max_size=12),
    lateness_ms=st.integers(0, 2_000),
    idle_ms=st.sampled_from([None, 50, 700, 3_000]),
)
def test_what_is_on_its_way_is_not_late_because_of_a_mark(
    blocks: list[int], lateness_ms: int, idle_ms: int | None
) -> None:
    """A recorder writes whenever its buffer is full: so many seconds of events come at once, all in two minutes."""
    clock = ManualClock()
    said = Settings(None if idle_ms is None else idle_ms * 1_000_000, lateness_ms * 1_000_000)
    longest = max(blocks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(silence_module, "time", clock)
        silence = Silence(said, wall_within_ns=RECORDING_NS)  # type: ignore[arg-type]
        newest = clock.time_ns()
        for seconds in [longest, *blocks]:
            first = newest + 1
            for _ in range(seconds * 20):
                clock.advance(SECOND // 20)
                mark = silence.mark()
                assert mark is None or mark.last_recv is None or mark.last_recv < first
            silence.heard(Batch(first, clock.time_ns()))  # type: ignore[arg-type]
            newest = clock.time_ns()
        reached = []
        for _ in range((3 * longest + 20) * 10):
            clock.advance(SECOND // 10)
            mark = silence.mark()
            if mark is not None:
                reached.append(mark.last_recv or 0)
        assert reached == sorted(reached)
        assert reached[-1] > newest + 10 * SECOND  # the clock goes on in the end


@dataclass
class SlowModel:
    clock: ManualClock
    takes_ns: int

    def submit(self, rows: Any, deadline_ns: int) -> None:
        pass

    def collect(self) -> tuple[None]:
        self.clock.advance(self.takes_ns)
        return (None,)


@dataclass
class NotingGate:
    judged_at: list[int] = field(default_factory=list)
    passing: None = None

    def complete(self, row: Any) -> bool:
        return True

    def judge(self, prediction: Any, row: Any, now: int) -> Any:
        self.judged_at.append(now)
        raise InterruptedError


@dataclass
class Manifest:
    name: str = "m"
    columns: tuple[str, ...] = ()
    dtype: str = "f32"
    stateful: bool = False
    defaults: dict[str, float] = field(default_factory=dict)


@dataclass
class Row:
    instrument: str = "X"
    ts_recv: int = START
    invalid: int = 0

    def payload(self, *defaults: Any, double: bool) -> bytes:
        return b""


@given(takes_ns=st.integers(0, 10 * SECOND))
def test_the_models_time_is_in_the_age(takes_ns: int) -> None:
    clock, gate = ManualClock(START), NotingGate()
    step = ModelStep(
        model=SlowModel(clock, takes_ns), manifest=Manifest(), gate=gate, latches=None, deadline_ns=1  # type: ignore[arg-type]
    )  # fmt: skip
    step.ask(Row())  # type: ignore[arg-type]
    with pytest.raises(InterruptedError):
        step.signal(Row(), lambda ts_recv: clock.time_ns(), 0)  # type: ignore[arg-type]
    assert gate.judged_at == [START + takes_ns]


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    return Market.make(tmp_path_factory.mktemp("market"), seconds=6.0)


def moved(market: Market, newest_ns: int) -> list[str]:
    """The capture's lines, as if the last of them had been received then."""
    lines = gzip.decompress(market.capture.read_bytes()).decode().splitlines()
    by = newest_ns - int(lines[-1].partition(" ")[0])
    found = []
    for line in lines:
        stamp, _, text = line.partition(" ")
        text = re.sub(r'"([ET])": ?(\d{13})', lambda time: f'"{time[1]}":{int(time[2]) + by // 1_000_000}', text)
        found.append(f"{int(stamp) + by} {text}\n")
    return found


@pytest.mark.parametrize("door", ["stdin", "a followed file"])
def test_a_backlog_is_old_and_silence_is_shown(market: Market, tmp_path: Path, door: str) -> None:
    path = tmp_path / "grown.capture"
    settings = {"url": "stdin:"} if door == "stdin" else {"url": f"file://{path}", "follow": True}
    served = market.deploy(tmp_path / "served", max_age="3s", pace=None, **settings)
    path.write_text("".join(moved(market, time.time_ns() - HOUR)))
    with path.open() as file:
        process = served.start(stdin=file if door == "stdin" else subprocess.DEVNULL)
        try:
            wait_for(lambda: served.count_signals() >= 40, "the signals of the backlog")
        finally:
            served.end()
    assert process.returncode is not None
    signals = served.signals()
    assert {each.verdict.outcome for each in signals} == {"VETO"}
    assert all("STALE" in each.verdict.codes for each in signals if "INCOMPLETE" not in each.verdict.codes)
    assert "SAME BITS" in served.command("replay", "--sample", "10")


def test_a_live_source_that_falls_silent_is_vetoed_and_named(market: Market, tmp_path: Path) -> None:
    served = market.deploy(tmp_path / "served", url="stdin:", max_age="4s", pace=None)
    process = served.start(stdin=subprocess.PIPE)
    try:
        assert process.stdin is not None
        wait_for(lambda: served.status(), "the start")
        process.stdin.writelines(moved(market, time.time_ns()))
        process.stdin.flush()
        served.wait_serving(40)
        assert "PASS" in {each.verdict.outcome for each in served.signals()}
        wait_for(lambda: "STALE" in served.signals()[-1].verdict.codes, "a veto")
        said = wait_for(lambda: "silent" in served.command("status", exit_code=None), "the status to say so")
        assert said
        assert json.loads(served.command("status", "--json", exit_code=1))["state"] == "SILENT"
    finally:
        served.end()


def test_after_an_outage_stale_vetoes_come_first_then_fresh_signals(market: Market, tmp_path: Path) -> None:
    served = market.deploy(tmp_path / "served", url="stdin:", max_age="4s", pace=None)
    process = served.start(stdin=subprocess.PIPE)
    try:
        assert process.stdin is not None
        wait_for(lambda: served.status(), "the start")
        old = moved(market, time.time_ns() - 600 * SECOND)
        backlog, fresh = len(old) // 2, 0
        process.stdin.writelines(old[:backlog])  # what lay in the pipe over ten minutes' outage
        process.stdin.flush()
        served.wait_serving(20)
        process.stdin.writelines(moved(market, time.time_ns())[backlog:])
        process.stdin.close()
        process.stdin = None
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    finally:
        served.end()
    newest = int(old[backlog - 1].partition(" ")[0])
    for each in served.signals():
        complete = "INCOMPLETE" not in each.verdict.codes
        if each.lineage.ts_recv <= newest:
            assert not complete or "STALE" in each.verdict.codes
        else:
            fresh += each.verdict.outcome == "PASS"
    assert fresh >= 10
    assert "SAME BITS" in served.command("replay", "--sample", "20")
