"""late = "amend", served: late events change what later signals rest on, and what they change of earlier vectors is written down,
over a crash too, each once."""

from __future__ import annotations

import gzip
import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.serving import Market, Served, wait_for

import signal_stream as ss
from signal_stream import _core
from signal_stream.gateway.grpc_server import GrpcServer
from signal_stream.monitor.look import Lookout
from signal_stream.records import Amendment
from signal_stream.serve.nearest_snapshot import Nearest
from signal_stream.serve.run_record import last_run
from signal_stream.settings import GrpcSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = {"lateness": "20ms", "late": "amend", "amend_within": "3s"}
SINK = '\n[[sink]]\nurl = "file://amendments.jsonl"\ngets = "amendments"\n'


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    """A market each of whose frames comes up to 400 ms later than it did, some of them behind newer ones."""
    market = Market.make(tmp_path_factory.mktemp("market"), seconds=8.0, axis="event")
    market.delay_frames()
    return market


@pytest.fixture(scope="module")
def whole(market: Market, tmp_path_factory: pytest.TempPathFactory) -> Served:
    served = market.deploy(tmp_path_factory.mktemp("whole"), more=SINK, **SOURCE)
    served.serve()
    return served


def amendments(served: Served) -> list[Amendment]:
    return [Amendment.from_json(record.body) for record in served.state.reader().records(kind="amendment")]


def told(found: list[Amendment]) -> Iterator[tuple[Any, ...]]:
    for each in found:
        for v in each.vectors:
            yield each.offset, v.instrument, v.ts_event, v.revision, v.old, v.new, v.values, v.reasons


def computed(market: Market) -> Iterator[tuple[Any, ...]]:
    """The same from the tape, without a pipeline."""
    engine = ss.Engine(market.graph, lateness="20ms", amend_within="3s")
    for batch in ss.read_tape(market.capture):
        for _ in engine.stream(batch):
            pass
    for found in engine.take_amendments():
        for i, (revision, old, new) in enumerate(found.changes):
            row = found.vectors.row(i)
            digests = [digest and digest.hex() for digest in (old, new)]
            yield row.offset, row.instrument, row.ts_event, revision, *digests, row.values, row.reasons


def test_what_late_events_changed_is_in_the_journal_and_in_the_sink(market: Market, whole: Served) -> None:
    found = amendments(whole)
    assert list(told(found)) == list(computed(market))
    counts = whole.status()["counts"]
    assert counts["amendments"] == sum(len(each.vectors) for each in found) > 10
    assert counts["amended"] > 10
    assert counts["late"] == 0
    said = f"{counts['amended']:,} late events took their place, {counts['amendments']:,} vectors changed"
    assert said in whole.command("status", exit_code=None)
    lines = (whole.folder / "amendments.jsonl").read_text().splitlines()
    assert [json.loads(line)["amendment_id"] for line in lines] == [each.amendment_id for each in found]
    # No model is asked again, and what was sent is what was changed first.
    signals = {signal.lineage.vector_hash: signal for signal in whole.signals()}
    assert len(signals) == whole.status()["vectors"]
    first = [v for each in found for v in each.vectors if v.revision == 1 and v.old is not None]
    assert first
    assert all(v.old in signals and signals[v.old].lineage.ts_event == v.ts_event for v in first)
    assert not {v.new for each in found for v in each.vectors} & signals.keys()
    assert whole.sink_ids() == whole.ids()


def test_the_console_shows_what_was_amended(whole: Served) -> None:
    found = amendments(whole)
    told = [json.loads(line) for line in whole.command("signals", "amendments", "-n", "3", "--json").splitlines()]
    assert [each["amendment_id"] for each in told] == [each.amendment_id for each in found[-3:]]
    shown = whole.command("signals", "amendments", "-n", "1").splitlines()
    assert len(shown) == len(found[-1].vectors)
    last = found[-1].vectors[-1]
    assert f"AMENDED {last.revision}" in shown[-1]
    assert f"mid {last.values[-1]:.6g}" in shown[-1]
    both = [
        json.loads(line)
        for line in whole.command("signals", "tail", "--amendments", "-n", "999", "--json").splitlines()
    ]
    assert [each["amendment_id"] for each in both if "amendment_id" in each] == [each.amendment_id for each in found]
    assert [each["signal_id"] for each in both if "signal_id" in each] == whole.ids()
    assert "AMENDED" not in whole.command("signals", "tail", "-n", "999")
    # Of a signal, each revision of the vector that it rests on; of one that nothing changed, none.
    changed = {(v.instrument, v.ts_event) for each in found for v in each.vectors}
    signals = whole.signals()
    twice = next(v for each in found for v in each.vectors if v.revision == 2 and v.new is not None)
    signal = next(each for each in signals if each.lineage.ts_event == twice.ts_event)
    shown = whole.command("signals", "show", signal.signal_id)
    assert "amended        revision 1, at message" in shown
    assert "revision 2, at message" in shown
    assert f"mid {twice.values[-1]:.6g}" in shown
    same = next(each for each in signals if (each.instrument, each.lineage.ts_event) not in changed)
    assert "amended" not in whole.command("signals", "show", same.signal_id)


def test_amendments_of_a_pipeline_come_over_grpc(whole: Served) -> None:
    found = amendments(whole)
    server = GrpcServer(Lookout(whole.state.folder), GrpcSettings.read({"listen": "127.0.0.1:0"}))
    with ss.connect(server.start()) as pipeline:
        received = list(islice(pipeline.amendments(oldest=True), len(found)))
    server.stop()
    assert [each.record for each in received] == found


def test_signals_rest_on_the_amended_state_and_replay_to_the_bit(market: Market, whole: Served, tmp_path: Path) -> None:
    replayed = [json.loads(line) for line in whole.command("replay", "--sample", "60", "--json").splitlines()]
    assert len(replayed) == 60
    assert all(each["same"] for each in replayed)
    run = last_run(whole.state.reader())
    assert run is not None
    [graph] = run.graphs
    engine, _ = Nearest(whole.state.snapshots(), _core.Plan(graph.json), graph).start(10**9)
    assert engine.messages > 0
    assert engine.counts()["amended"] == whole.status()["counts"]["amended"], "replays begin with what a snapshot keeps"
    dropped = market.deploy(tmp_path, lateness="20ms", late="drop")
    dropped.serve()
    assert {s.lineage.vector_hash for s in dropped.signals()} != {s.lineage.vector_hash for s in whole.signals()}
    assert dropped.status()["counts"]["late"] > 10
    assert amendments(dropped) == []


def test_merged_feeds_are_amended_as_one_stream(market: Market, whole: Served, tmp_path: Path) -> None:
    """The market in two files, frame by frame: what is late is late against both, and comes out as it does of one file."""
    lines = gzip.decompress(market.capture.read_bytes()).splitlines(keepends=True)
    for name, part in (("a.capture", lines[::2]), ("b.capture", lines[1::2])):
        (tmp_path / name).write_bytes(b"".join(part))
    served = market.deploy(tmp_path / "served", more=SINK, **SOURCE)
    text = served.deployment.read_text()
    feeds = "".join(f'\n[[source.feed]]\nurl = "file://{tmp_path}/{name}.capture"\n' for name in "ab")
    text = text.replace(f'url = "file://{market.capture}"', 'kind = "merged"')
    served.deployment.write_text(text.replace("\n[[model]]", f"{feeds}\n[[model]]"))
    served.serve()
    assert list(told(amendments(served))) == list(told(amendments(whole)))
    counts = served.status()["counts"]
    assert {name: counts[name] for name in ("input", "amended", "amendments", "late", "duplicate")} == {
        name: whole.status()["counts"][name] for name in ("input", "amended", "amendments", "late", "duplicate")
    }
    assert [each.value for each in served.signals()] == [each.value for each in whole.signals()]
    assert "SAME BITS" in served.command("replay", "--sample", "30")


def test_a_crash_in_the_midst_writes_each_amendment_once(market: Market, whole: Served, tmp_path: Path) -> None:
    served = market.deploy(tmp_path, pace="8x", more=SINK, **SOURCE)
    for _ in range(2):
        before = len(amendments(served)) if served.state.journal_folder.exists() else 0
        process = served.start()
        wait_for(
            lambda before=before: len(amendments(served)) > before + 3 if served.count_signals() else 0, "amendments"
        )
        process.kill()
        process.wait()
    served.deployment.write_text(served.deployment.read_text().replace('pace = "8x"', 'pace = "max"'))
    served.serve()
    assert served.ids() == whole.ids()
    assert amendments(served) == amendments(whole)
    sent = [(folder / "amendments.jsonl").read_text() for folder in (served.folder, whole.folder)]
    assert sent[0] == sent[1]
    text = served.deployment.read_text()
    served.deployment.write_text(text.replace('amend_within = "3s"', 'amend_within = "4s"'))
    assert 'amend_within was "3s" when this state was written' in served.command(
        "serve", "deployment.toml", exit_code=2
    )
