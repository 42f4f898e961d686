"""late = "amend", served: late events change what later signals rest on, and what they change of earlier vectors is written down,
over a crash too, each once."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.serving import Market, Served, wait_for

import signal_stream as ss
from signal_stream import _core
from signal_stream.records import Amendment
from signal_stream.serve.nearest_snapshot import Nearest
from signal_stream.serve.run_record import last_run

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = {"lateness": "20ms", "late": "amend", "amend_within": "3s"}
SINK = '\n[[sink]]\nurl = "file://amendments.jsonl"\ngets = "amendments"\n'


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    """A market each of whose frames comes up to 400 ms later than it did, some of them behind newer ones."""
    market = Market.make(tmp_path_factory.mktemp("market"), seconds=8.0, axis="event")
    lines = gzip.decompress(market.capture.read_bytes()).splitlines()
    chooser = random.Random(3)
    came = [int(each.split(b" ", 1)[0]) + (chooser.random() < 0.1) * chooser.randrange(400_000_000) for each in lines]
    order = sorted(range(len(lines)), key=lambda k: came[k])
    market.capture.write_bytes(
        gzip.compress(b"".join(b"%d %s\n" % (came[k], lines[k].split(b" ", 1)[1]) for k in order))
    )
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
