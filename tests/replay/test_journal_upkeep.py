"""Full segments of a journal: compressed, read as before, removed when they are too old and nobody needs them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.replay.test_journal import ids, make

from signal_stream import _core
from signal_stream.errors import JournalError
from signal_stream.store import Journal, JournalReader, JournalTail, Snapshot, Snapshots
from signal_stream.store.index_file import read_lines
from signal_stream.store.journal_index import read_entries
from signal_stream.store.journal_upkeep import kept_offsets, remove_journal_before, seal_journal, unsealed_segments
from signal_stream.store.repair import repair
from signal_stream.store.retention import Retention, needed_message
from signal_stream.store.segment import segments

MADE = make(24)
SEGMENT_BYTES = 6_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A journal of many segments."""
    written = tmp_path / "state" / "journal"
    with Journal(written, segment_bytes=SEGMENT_BYTES) as journal:
        journal.heading = '{"opened": true}'
        for each in MADE:
            journal.append_signals([each])
    assert len(segments(written)) > 4
    return written


GRAPH = "a" * 64


@pytest.fixture
def aged(tmp_path: Path) -> Path:
    """A journal of six segments: a signal a second, on every thousandth message from 10,000 on."""
    written = tmp_path / "state" / "journal"
    written.mkdir(parents=True)
    for first in range(0, 24, 4):
        frames = [
            _core.journal_encode(seq, seq * 10**9, "signal", f"{seq}", aged_body(seq))
            for seq in range(first, first + 4)
        ]
        (written / f"{first:020d}.arrows").write_bytes(_core.journal_header() + b"".join(frames))
    return written


def aged_body(seq: int) -> str:
    return json.dumps({"feature_graph_hash": GRAPH, "tape": {"name": "t", "offset": 1_000 * (10 + seq)}})


def made_ids() -> list[str]:
    return [each.signal_id for each in MADE]


def test_a_sealed_journal_reads_the_same_in_less_space(folder: Path) -> None:
    before = list(JournalReader(folder).records())
    size = sum(segment.path.stat().st_size for segment in segments(folder)[:-1])
    full = unsealed_segments(folder)
    assert seal_journal(folder) == full == len(segments(folder)) - 1
    assert (unsealed_segments(folder), seal_journal(folder)) == (0, 0)
    sealed = segments(folder)[:-1]
    assert all(segment.path.name.endswith(".arrows.zst") for segment in sealed)
    assert sum(segment.path.stat().st_size for segment in sealed) < size / 2
    reader = JournalReader(folder)
    assert list(reader.records()) == before
    assert reader.find(before[3].key) == before[3]
    assert reader.before(before[-1].seq, "signal") == [record for record in before if record.kind == "signal"][-2]
    assert [record.key for record in JournalTail(folder).read()] == made_ids()
    with Journal(folder, segment_bytes=SEGMENT_BYTES) as journal:
        journal.append_signals(make(1, start=24))
        journal.check_invariants()
    assert len(ids(JournalReader(folder))) == 25


def test_a_segment_is_not_older_than_its_age(tmp_path: Path) -> None:
    hour = 3_600_000_000_000
    with Journal(tmp_path, segment_age_ns=24 * hour) as journal:
        for number in range(50):
            journal.append("close", ts=number * hour, body="{}")
    assert [segment.first_seq for segment in segments(tmp_path)] == [0, 24, 48]
    with Journal(tmp_path, segment_age_ns=24 * hour) as journal:  # the first record's age counts over restarts
        journal.append("close", ts=71 * hour, body="{}")
        journal.append("close", ts=72 * hour, body="{}")
    assert [segment.first_seq for segment in segments(tmp_path)] == [0, 24, 48, 51]
    with Journal(tmp_path, segment_age_ns=24 * hour) as journal:  # where the core appends signals
        journal.heading = "{}"
        journal.roll_when_old(95 * hour)
        journal.roll_when_old(96 * hour)
        journal.roll_when_old(96 * hour)
        journal.append("close", ts=96 * hour, body="{}")
        journal.check_invariants()
    assert [segment.first_seq for segment in segments(tmp_path)] == [0, 24, 48, 51, 52]


def test_a_tail_goes_on_while_its_segment_is_sealed(folder: Path) -> None:
    tail = JournalTail(folder)
    reading = tail.read()
    first = next(reading)
    tail_of_later = JournalTail(folder)
    next(tail_of_later.read())
    seal_journal(folder)
    assert [first.key, *(record.key for record in reading)] == made_ids()
    assert [record.key for record in tail_of_later.read()][-1] == made_ids()[-1]


def test_what_may_not_be_on_the_disk_is_not_sealed(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=SEGMENT_BYTES, fsync="never")
    for each in MADE[:2]:
        journal.append_signals([each])
    journal.sync()
    for each in MADE[2:]:
        journal.append_signals([each])
    assert seal_journal(tmp_path) == 0
    journal.sync()
    assert seal_journal(tmp_path) == len(segments(tmp_path)) - 1
    journal.close()


STEPS = {name: getattr(os, name) for name in ("fsync", "rename", "replace", "unlink")}


@pytest.mark.parametrize("remove", [False, True])
def test_a_kill_at_any_step_leaves_a_whole_journal(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remove: bool
) -> None:
    if remove:
        seal_journal(folder)

    def work(at: Path) -> None:
        remove_journal_before(at, 10**19, needed_from=10) if remove else seal_journal(at)

    for step in range(200):
        copy = tmp_path / str(step) / "journal"
        shutil.copytree(folder.parent, copy.parent)
        with monkeypatch.context() as patch:
            left = [step]

            def dying(as_it_is: Callable[..., Any], left: list[int] = left) -> Callable[..., Any]:
                def call(*args: Any, **more: Any) -> Any:
                    left[0] -= 1
                    if left[0] < 0:
                        raise KeyboardInterrupt
                    return as_it_is(*args, **more)

                return call

            for name, as_it_is in STEPS.items():
                patch.setattr(os, name, dying(as_it_is))
            died = True
            try:
                work(copy)
                died = False
            except KeyboardInterrupt:
                pass
        found = ids(JournalReader(copy))
        assert found == made_ids()[len(MADE) - len(found) :], step
        assert remove or len(found) == len(MADE)
        work(copy)
        with Journal(copy, segment_bytes=SEGMENT_BYTES) as journal:
            journal.append_signals(make(1, start=24))
            journal.check_invariants()
        names = [path.name.partition(".")[0] for path in copy.glob("*.arrows*")]
        assert len(names) == len(set(names)), "nothing stands twice"
        if not died:
            assert step > 4
            return
    raise AssertionError("more steps than were tried")


def test_a_sealed_segment_that_is_damaged_or_gone_is_named(folder: Path) -> None:
    seal_journal(folder)
    victim = segments(folder)[2]
    good = victim.path.read_bytes()
    for spoiled in (good[: len(good) // 2], good[:200] + b"\0\0\0\0" + good[204:], b""):
        victim.path.write_bytes(spoiled)
        with pytest.raises(JournalError) as caught:
            ids(JournalReader(folder))
        assert caught.value.code == "DAMAGED"
    victim.path.unlink()
    with pytest.raises(JournalError, match=r"records \d+ to \d+ are missing"):
        ids(JournalReader(folder))


def test_a_damaged_sealed_segment_is_repaired(folder: Path) -> None:
    seal_journal(folder)
    victim = segments(folder)[2]
    victim.path.write_bytes(victim.path.read_bytes()[:-200])
    [mended] = repair(folder, body="{}", now=1)
    assert mended.lost > 0
    assert mended.segment.suffix == ".arrows"
    assert sum(record.kind == "lost" for record in JournalReader(folder).records()) == mended.lost
    assert not victim.path.exists()
    assert seal_journal(folder) == 1


def test_where_the_newest_is_gone_the_journal_goes_on_in_another(folder: Path) -> None:
    seal_journal(folder)
    newest = segments(folder)[-1]
    newest.path.unlink()
    (folder.parent / "journal.head").unlink()
    left = ids(JournalReader(folder))
    with Journal(folder) as journal:
        assert journal.next_seq == newest.first_seq
        [added] = make(1, start=24)
        journal.append_signals([added])
        journal.check_invariants()
    assert ids(JournalReader(folder)) == [*left, added.signal_id]
    assert segments(folder)[-1].path == newest.path


def test_only_what_is_old_sent_and_not_needed_is_removed(aged: Path) -> None:
    old = 10**19
    assert remove_journal_before(aged, old, needed_from=10**9) == 0, "what is in no index is not removed"
    seal_journal(aged)
    assert remove_journal_before(aged, 7 * 10**9, needed_from=10**9) == 1
    assert remove_journal_before(aged, old, needed_from=11) == 1
    assert sorted(read_entries(aged)) == [8, 12, 16]
    assert remove_journal_before(aged, old, needed_from=10**9) == 3
    reader = JournalReader(aged)
    assert (reader.first_seq, len(ids(reader))) == (20, 4)
    assert read_entries(aged) == {}


def test_the_index_says_what_the_signals_rest_on(aged: Path) -> None:
    assert kept_offsets(aged) == {GRAPH: 10_000}
    seal_journal(aged)
    index = aged / "index.jsonl"
    lines = read_lines(index) or []
    assert [(line["format"], line["ts_last"], line["offsets"]) for line in lines] == [
        (1, (first + 3) * 10**9, {GRAPH: 1_000 * (10 + first)}) for first in range(0, 20, 4)
    ]
    index.write_bytes(index.read_bytes().replace(b'"ts_last": ', b'"ts_last": 1'))
    assert read_entries(aged) == {}, "an index that lies is made anew"
    assert seal_journal(aged) == len(lines)
    assert read_lines(index) == lines
    remove_journal_before(aged, 10 * 10**9, needed_from=10**9)
    assert kept_offsets(aged) == {GRAPH: 18_000}


def test_the_tape_stays_as_far_as_a_replay_needs_it(aged: Path) -> None:
    snapshots = Snapshots(aged.parent / "snapshots", every_messages=1)
    assert needed_message(aged, snapshots, {}) == 0
    for seq, messages in enumerate((7_000, 9_000, 15_000, 17_000, 19_000)):
        snapshots.put(Snapshot(seq, {f"engine:{GRAPH}": b""}, messages))
    assert needed_message(aged, snapshots, {}) == 9_000
    shutil.rmtree(aged.parent / "snapshots")
    for seq, (name, messages) in enumerate((("b" * 64, 9_000), (GRAPH, 17_000), (GRAPH, 19_000))):
        snapshots.put(Snapshot(seq, {f"engine:{name}": b""}, messages))
    assert needed_message(aged, snapshots, {}) == 0, "from nothing but the tape's start"
    assert needed_message(aged, snapshots, {GRAPH: 8_000}) == 8_000, "where its engine began"


def test_retention_counts_from_the_newest_event(aged: Path) -> None:
    snapshots = Snapshots(aged.parent / "snapshots")
    seal_journal(aged)

    def left(keep_s: int, *, now: int = 10**19, unsent: int = 10**9) -> int:
        Retention(journal_ns=keep_s * 10**9).apply(
            journal=aged, tape=None, snapshots=snapshots, begins={}, unsent=unsent, now=now
        )
        return len(segments(aged))

    assert left(16) == 6
    assert left(15, now=3 * 10**9) == 6, "a clock that ran ahead removes nothing"
    assert left(15) == 5
    assert left(1, unsent=4) == 5, "a sink still has to get them"
    snapshots.put(Snapshot(13, {}))
    assert left(1) == 3, "a snapshot for restarts stands on them"
