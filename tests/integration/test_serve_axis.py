"""A graph on venue time, served: events wait for their turn, over a crash too, and each signal replays to the bit."""

from __future__ import annotations

import json
import signal
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from tests.serving import Market, Served

import signal_stream as ss
from signal_stream import bars, book
from signal_stream.errors import GraphError
from signal_stream.serve.assembly import lateness_ns
from signal_stream.settings import load_deployment


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    return Market.make(tmp_path_factory.mktemp("market"), seconds=10.0, axis="event")


@pytest.fixture(scope="module")
def whole(market: Market, tmp_path_factory: pytest.TempPathFactory) -> Served:
    served = market.deploy(tmp_path_factory.mktemp("whole"), lateness="500ms")
    served.serve()
    return served


def test_signals_follow_venue_time_and_replay_to_the_bit(market: Market, whole: Served) -> None:
    signals = whole.signals()
    vectors = ss.compute(market.graph, market.capture, lateness="500ms")
    assert [s.lineage.ts_event for s in signals] == [ts.value for ts in vectors["ts_event"].to_pandas()]
    assert [s.lineage.ts_recv for s in signals] == [ts.value for ts in vectors["ts_recv"].to_pandas()]
    assert all(one.lineage.ts_event < other.lineage.ts_event for one, other in pairwise(signals))
    replayed = [json.loads(line) for line in whole.command("replay", "--sample", "50", "--json").splitlines()]
    assert len(replayed) == 50
    assert all(each["same"] for each in replayed)


def test_what_waited_is_there_after_a_crash(market: Market, whole: Served, tmp_path: Path) -> None:
    served = market.deploy(tmp_path, pace="8x", lateness="500ms")
    process = served.start()
    served.wait_serving(signals=20)
    process.kill()
    process.wait()
    served.deployment.write_text(served.deployment.read_text().replace('pace = "8x"', 'pace = "max"'))
    served.serve()
    assert served.ids() == whole.ids()


def test_what_waits_has_its_turn_though_nothing_comes_any_more(market: Market, tmp_path: Path) -> None:
    begin = market.pieces(4)[0]
    (tmp_path / "begin").write_text(begin)
    told = ss.compute(market.graph, tmp_path / "begin", lateness="500ms").num_rows
    served = market.deploy(tmp_path, url="stdin:", pace=None, lateness="500ms", idle_mark="50ms")
    process = served.start(stdin=subprocess.PIPE)
    served.feed(begin)
    served.wait_serving(told + 10)  # 0.5 s of what waited at the end, and the clock goes on
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0
    counts = served.status()["counts"]
    assert (counts["late"], counts["duplicate"]) == (0, 0)
    moments = [each.lineage.ts_event for each in served.signals()]
    assert all(other - one == 100_000_000 for one, other in pairwise(moments))
    assert "SAME BITS" in served.command("replay", "--sample", "40")


def test_another_lateness_makes_other_signals(market: Market, whole: Served, tmp_path: Path) -> None:
    served = market.deploy(tmp_path, lateness="0s")
    served.serve()
    assert len(served.ids()) > len(whole.ids()), "less waits at the end"


def test_a_vector_at_each_event_is_refused(market: Market, whole: Served) -> None:

    from signal_stream.registry import Registry

    manifest = Registry(market.registry).load("micro@live").manifest
    source = load_deployment(whole.deployment).source
    assert lateness_ns(manifest, source) == 500_000_000
    graph = ss.FeatureGraph(name="each", on=book, axis="event", features={"mid": book.mid()})
    with pytest.raises(GraphError, match="clock or on bars"):
        lateness_ns(manifest.changed(graph=graph.to_json()), source)
    divided = bars(volume=5, split="divide")
    graph = ss.FeatureGraph(name="parts", on=divided, features={"close": divided.close})
    with pytest.raises(GraphError, match="signals would have one id"):
        lateness_ns(manifest.changed(graph=graph.to_json()), source)
