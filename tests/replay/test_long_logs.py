"""Pipelines that run for months: what a restart and a replay read, and what may be removed before them."""

from __future__ import annotations

import gzip
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.serving import Market, Served, computed, wait_for

from signal_stream import _core
from signal_stream.errors import TapeError
from signal_stream.serve import Pipeline, build, pipeline, replay
from signal_stream.serve.run_record import last_run
from signal_stream.settings import load_deployment
from signal_stream.store import Snapshots, State, snapshots
from signal_stream.store.journal_upkeep import kept_offsets, seal_journal
from signal_stream.store.retention import Retention, needed_message
from signal_stream.store.tape_log import log_batches, remove_before, seal
from signal_stream.store.tape_log.contents import Contents
from signal_stream.store.tape_log.survey import survey

SMALL = "\n[tape]\nsegment_bytes = 65536\n[journal]\nsegment_bytes = 65536\n"
EVER = 10**19


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    return Market.make(tmp_path_factory.mktemp("market"), seconds=30.0)


@pytest.fixture(scope="module")
def recorded(market: Market, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A pipeline that has run: its events in a log of many segments, and a snapshot each second of events."""
    served = market.deploy(tmp_path_factory.mktemp("recorded"), when_full="shed_oldest", queue_rows=10**6, more=SMALL)
    with pytest.MonkeyPatch.context() as patch:
        often(patch)
        parts = build(load_deployment(served.deployment), path=served.deployment)
        with Pipeline(parts) as running:
            in_pieces(running)
            running.run()
    assert len(list((served.state.folder / "tape").glob("*.arrow"))) > 5
    assert len(list((served.state.folder / "snapshots").iterdir())) > 8
    return served


def often(patch: pytest.MonkeyPatch) -> None:
    """Snapshots each second of events, kept along the tape."""
    patch.setattr(pipeline, "SNAPSHOT_AXIS_NS", 1_000_000_000)
    patch.setattr(pipeline, "BUSY_HOUSEKEEPING_NS", 0)
    patch.setattr(snapshots, "_MESSAGE_BYTES", 1 << 40)
    patch.setattr(State, "snapshots", lambda state: Snapshots(state.folder / "snapshots", every_messages=50))


def in_pieces(running: Pipeline) -> None:
    """Has the pipeline's source give a few messages at a time, each snapshot written before the next."""
    source = running.source
    as_it_is = source._source.next
    left: list[_core.EventBatch] = []

    def next_piece(wait_ns: int) -> _core.EventBatch | None:
        if running._parts.writer.is_busy:
            wait_for(lambda: not running._parts.writer.is_busy, "a snapshot")
        if not left and (batch := as_it_is(wait_ns)) is not None:
            left.extend(batch.slice(at, min(at + 20, batch.messages)) for at in range(0, batch.messages, 20))
        return left.pop(0) if left else None

    source._source.next = next_piece  # type: ignore[method-assign]


def copy_of(served: Served, folder: Path) -> Served:
    """The same state elsewhere, with the tape still in its place."""
    shutil.copytree(served.folder, folder)
    return Served(folder)


def test_a_replay_begins_at_the_nearest_snapshot(
    recorded: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = recorded.state.reader()
    records = list(reader.records(kind="signal"))
    read: list[tuple[int, int]] = []

    def counted(folder: Path, skip: int = 0) -> Iterator[_core.EventBatch]:
        read.append((skip, 0))
        for batch in log_batches(folder, skip):
            read[-1] = (skip, read[-1][1] + batch.messages)
            yield batch

    monkeypatch.setattr(replay, "log_batches", counted)
    sample = records[3::7]
    found = list(replay.replay(reader, sample))
    assert all(each.same for each in found)
    assert len(read) > 5, "legs from snapshot to snapshot"
    total = sum(batch.messages for batch in log_batches(recorded.state.folder / "tape"))
    for record in (records[len(records) // 2], records[-1]):
        read.clear()
        [one] = replay.replay(reader, [record])
        assert one.same
        [(skip, messages)] = read
        assert skip > 0
        assert messages < total / 2
    bare = copy_of(recorded, tmp_path / "bare")
    shutil.rmtree(bare.state.folder / "snapshots")
    read.clear()
    assert list(replay.replay(bare.state.reader(), sample)) == found, "the same bits from the tape's beginning"
    assert [skip for skip, _ in read] == [0]


def test_a_replay_passes_over_a_snapshot_that_is_damaged(recorded: Served, tmp_path: Path) -> None:
    served = copy_of(recorded, tmp_path / "copy")
    for path in sorted((served.state.folder / "snapshots").iterdir())[2::2]:
        path.write_bytes(path.read_bytes()[:-1])
    reader = served.state.reader()
    assert all(each.same for each in replay.replay(reader, list(reader.records(kind="signal"))[::9]))


def test_retention_never_cuts_what_a_replay_needs(recorded: Served, tmp_path: Path) -> None:
    served = copy_of(recorded, tmp_path / "copy")
    state, tape = served.state, recorded.state.folder / "tape"
    log = tmp_path / "tape"
    shutil.copytree(tape, log)
    seal(log, compress=True)
    seal_journal(state.journal_folder)

    def apply(journal_ns: int | None) -> int:
        Retention(journal_ns, tape_ns=1).apply(
            journal=state.journal_folder, tape=log, snapshots=state.snapshots(), begins={}, unsent=EVER, now=EVER
        )
        return next(iter(sorted(log.glob("*.arrow"))), log).stem[9:29] != f"{0:020d}"

    assert not apply(None), "the oldest signal rests on the tape's beginning"
    before = len(list(state.reader().records(kind="signal")))
    assert apply(5_000_000_000)
    kept = list(state.reader().records(kind="signal"))
    assert 0 < len(kept) < before
    first = int(next(iter(sorted(log.glob("*.arrow")))).stem[9:29])
    assert (
        first
        <= needed_message(state.journal_folder, state.snapshots(), {})
        < min(kept_offsets(state.journal_folder).values())
    )
    shutil.rmtree(tape.rename(tmp_path / "whole"))
    log.rename(tape)
    try:
        assert all(each.same for each in replay.replay(state.reader(), kept))
    finally:
        shutil.rmtree(tape)


def lines_of(market: Market) -> list[str]:
    """The capture's."""
    with gzip.open(market.capture, "rt") as file:
        return file.readlines()


def feed(served: Served, lines: list[str]) -> None:
    """One process over these lines, ended as a service is."""
    process = served.start(stdin=subprocess.PIPE)
    assert process.stdin is not None
    tape = served.state.folder / "tape"
    before = survey(tape).messages
    process.stdin.write("".join(lines))
    process.stdin.flush()
    wait_for(lambda: survey(tape).messages >= before + len(lines), "everything to be read")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err


def test_without_a_snapshot_a_cut_tape_is_gone_on_with_where_it_begins(market: Market, tmp_path: Path) -> None:
    lines = lines_of(market)
    whole = market.deploy(tmp_path / "whole", url="stdin:", pace=None)
    feed(whole, lines)
    served = market.deploy(tmp_path / "served", url="stdin:", pace=None, more=SMALL)
    feed(served, lines[: len(lines) // 2])
    tape = served.state.folder / "tape"
    seal(tape, compress=True)
    assert remove_before(tape, len(lines) // 4) > 0
    shutil.rmtree(served.state.folder / "snapshots")
    before = computed(served.signals())
    feed(served, lines[len(lines) // 2 :])
    opened = last_run(served.state.reader())
    assert opened is not None
    assert {graph.begins for graph in opened.graphs} == {int(sorted(tape.glob("*.arrow"))[0].stem[9:29])} != {0}
    signals = served.signals()
    assert computed(signals[: len(before)]) == before
    offsets = [each.lineage.tape.offset for each in signals]
    assert offsets == [each.lineage.tape.offset for each in whole.signals()], "nothing twice, nothing left out"
    made = [record.key for record in served.signal_records()[len(before) :]]
    assert f"SAME BITS  {len(made)} signals" in served.command("replay", *made)
    assert "were removed" in served.command("replay", signals[0].signal_id, exit_code=2)


def test_a_restart_reads_the_same_whatever_lies_before(
    market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = lines_of(market)
    third = len(lines) // 3
    served = market.deploy(tmp_path / "served", url="stdin:", pace=None, more=SMALL)
    opened: list[Any] = []
    as_it_is = Contents.open
    monkeypatch.setattr(Contents, "open", lambda segment: opened.append(segment.path) or as_it_is(segment))
    read = []
    for part in (lines[:third], lines[third : 2 * third], lines[2 * third :]):
        feed(served, part)
        seal(served.state.folder / "tape", compress=True)
        seal_journal(served.state.journal_folder)
        copy = copy_of(served, tmp_path / str(len(read)))
        text = copy.deployment.read_text()
        copy.deployment.write_text(text.replace("[source]", f'[source]\nrecord = "{served.state.folder / "tape"}"'))
        opened.clear()
        build(load_deployment(copy.deployment), path=copy.deployment).close()
        read.append({path.name[:8] for path in opened})
    assert all(len(each) <= 2 for each in read), read
    assert len(list((served.state.folder / "tape").glob("*.arrow"))) > 8


def test_two_states_cannot_share_a_recorded_tape(market: Market, tmp_path: Path) -> None:
    first = market.deploy(tmp_path / "first", url="stdin:", pace=None, record=str(tmp_path / "tape"))
    second = market.deploy(tmp_path / "second", url="stdin:", pace=None, record=str(tmp_path / "tape"))
    parts = build(load_deployment(first.deployment), path=first.deployment)
    try:
        with pytest.raises(TapeError, match="another process writes this log"):
            build(load_deployment(second.deployment), path=second.deployment)
    finally:
        parts.close()
