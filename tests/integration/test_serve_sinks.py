"""Sinks of a pipeline that serves: another process that is killed and revived, a stop, and what `status` says."""

from __future__ import annotations

import functools
import itertools
import json
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import socket_place
from tests.serving import Market, Served, wait_for

from signal_stream import parts
from signal_stream.errors import SinkError
from signal_stream.serve import Pipeline, build
from signal_stream.settings import load_deployment


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    return Market.make(tmp_path_factory.mktemp("market"), seconds=10.0, clock="10ms")


class Place:
    """The process that keeps signals."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "s"
        self.file = folder / "kept.jsonl"
        self.process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        command = [sys.executable, socket_place.__file__, str(self.socket), str(self.file)]
        self.socket.unlink(missing_ok=True)
        self.process = subprocess.Popen(command)
        wait_for(self.socket.exists, "the place")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def lines(self) -> int:
        return len(self.file.read_bytes().splitlines())

    def ids(self) -> list[str]:
        lines = self.file.read_bytes().splitlines() if self.file.exists() else []
        return [json.loads(line)["signal_id"] for line in lines]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setitem(parts._BUILT_IN["sink"], "test-socket", "tests.socket_sink:SocketSink")
    place = Place(tmp_path)
    yield place
    place.kill()


def deploy(market: Market, place: Place, folder: Path, more: str = "", pace: str = "4x") -> Served:
    sink = f'\n[[sink]]\nurl = "test-socket://{place.socket}"\nlag_max = "60s"\n{more}'
    return market.deploy(folder, pace=pace, more=sink)


def opened(served: Served) -> Pipeline:
    return Pipeline(build(load_deployment(served.deployment), path=served.deployment))


def test_a_sink_that_is_killed_and_revived_under_load_gets_each_signal_once(
    market: Market, place: Place, tmp_path: Path
) -> None:
    served = deploy(market, place, tmp_path / "served", pace="2x")
    draw = random.Random(1)
    ended = threading.Event()
    deaths = []

    def has(enough: int) -> bool:
        return ended.is_set() or place.lines() >= enough

    def trouble() -> None:
        while not ended.is_set():
            place.begin()
            wait_for(functools.partial(has, len(place.ids()) + draw.randrange(50, 200)), "signals")
            place.kill()
            deaths.append(place.lines())

    place.file.touch()
    with opened(served) as pipeline:
        thread = threading.Thread(target=trouble)
        thread.start()
        status = pipeline.run()
        ended.set()
        thread.join()
    assert len(deaths) > 2, "it was killed while signals came"
    assert status.state == "STOPPED"
    place.begin()
    with opened(served) as pipeline:
        pipeline.run()
    assert place.ids() == served.ids() == served.sink_ids()
    assert len(place.ids()) > 500


def test_a_sink_that_was_never_there_is_degraded_and_delays_nothing(
    market: Market, place: Place, tmp_path: Path
) -> None:
    served = deploy(market, place, tmp_path / "served", pace="max")
    with opened(served) as pipeline:
        status = pipeline.run()
    assert status.state == "STOPPED"
    file, other = status.sinks
    assert (file["state"], file["lag_records"]) == ("OK", 0)
    assert other["state"] == "DEGRADED"
    assert other["lag_records"] > len(served.ids()) > 500
    assert "No such file" in other["error"]
    assert served.sink_ids() == served.ids()
    said = served.command("status", "--state", "state")
    assert "degraded" in said
    assert "No such file" in said
    place.begin()
    with opened(served) as pipeline:
        pipeline.run()
    assert place.ids() == served.ids(), "the next start sends what was left"


def test_a_sink_away_for_longer_than_lag_max_halts_and_latches(market: Market, place: Place, tmp_path: Path) -> None:
    served = deploy(market, place, tmp_path / "served", pace="1x")
    text = served.deployment.read_text().replace('lag_max = "60s"', 'lag_max = "300ms"')
    served.deployment.write_text(text)
    with opened(served) as pipeline, pytest.raises(SinkError, match=r"lag_max is 0\.3 s") as caught:
        pipeline.run()
    assert caught.value.code == "LAGGING"
    assert served.status()["state"] == "HALTED"
    assert "pipeline:micro" in served.state.latches().standing()[0].by
    assert served.sink_ids() == served.ids(), "the other sink has everything"


def test_a_range_that_is_skipped_stands_in_the_journal(market: Market, place: Place, tmp_path: Path) -> None:
    served = deploy(market, place, tmp_path / "served", pace="2x", more='when_lagging = "skip"\n')
    text = served.deployment.read_text().replace('lag_max = "60s"', 'lag_max = "300ms"')
    served.deployment.write_text(text)
    with opened(served) as pipeline:
        status = pipeline.run()
    marks = [json.loads(record.body) for record in served.state.reader().records(kind="skip")]
    assert marks
    assert all(mark["sink"] == f"test-socket://{place.socket}" for mark in marks)
    assert all(one["last_seq"] < other["first_seq"] for one, other in itertools.pairwise(marks))
    skipped = sum(mark["signals"] for mark in marks)
    assert status.sinks[1]["skipped"] <= skipped
    place.begin()
    with opened(served) as pipeline:
        pipeline.run()
    ids = served.ids()
    left_out: set[str] = set()
    for mark in marks:
        left_out |= set(ids[ids.index(mark["first_id"]) : ids.index(mark["last_id"]) + 1])
    assert place.ids() == [each for each in ids if each not in left_out]
    assert len(left_out) == skipped
