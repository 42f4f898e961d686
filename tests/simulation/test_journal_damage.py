"""Accidents of a journal's files: a writer cuts only what was never on the disk, everything else is named, and a repair
keeps all that is good."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.replay.test_journal import ids, make

from signal_stream.errors import JournalError
from signal_stream.store import Journal, JournalReader, JournalTail, State
from signal_stream.store.head import Head

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MADE = make(24)
SEGMENT_BYTES = 9_000


def write(folder: Path, *, syncs: int = len(MADE)) -> None:
    """A journal of several segments, of which the first `syncs` records are on the disk for certain."""
    with Journal(folder, fsync="never", segment_bytes=SEGMENT_BYTES) as journal:
        for number, each in enumerate(MADE):
            journal.append_signals([each])
            if number + 1 == syncs:
                journal.sync()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    state = tmp_path_factory.mktemp("whole")
    write(state / "journal")
    assert len(paths(state / "journal")) > 3
    return state


def paths(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.arrows"))


def frame_ends(path: Path) -> list[int]:
    """Where the records of a segment end."""
    from signal_stream._core import journal_header, journal_scan

    data, at, ends = path.read_bytes(), len(journal_header()), []
    while at < len(data):
        size = next(
            n for n in range(at + 8, len(data) + 8, 8) if journal_scan(data[at:n], int(path.stem) + len(ends))[1]
        )
        at = size
        ends.append(at)
    return ends


def accident(folder: Path, how: str, segment: int, at: int, size: int) -> None:
    path = paths(folder)[segment % len(paths(folder))]
    data = path.read_bytes()
    at %= len(data)
    if how == "bit":
        path.write_bytes(data[:at] + bytes([data[at] ^ 1 << size % 8]) + data[at + 1 :])
    elif how == "zeros":
        path.write_bytes(data[:at] + bytes(len(data[at : at + size])) + data[at + size :])
    elif how == "cut":
        path.write_bytes(data[:at])
    elif how == "without a piece":
        path.write_bytes(data[:at] + data[at + size :])
    elif how == "piece twice":
        path.write_bytes(data[: at + size] + data[at:])
    elif how == "missing":
        path.unlink()
    else:
        ends = frame_ends_of(path)
        path.write_bytes(data[: ends[size % len(ends)]] if ends else data)


HOW = ("bit", "zeros", "cut", "without a piece", "piece twice", "missing", "cut behind a record")


@settings(deadline=None, max_examples=150)
@given(how=st.sampled_from(HOW), segment=st.integers(0, 9), at=st.integers(0, 9_000), size=st.integers(1, 3_000))
def test_what_was_on_the_disk_is_never_read_past(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, how: str, segment: int, at: int, size: int
) -> None:
    state = State(tmp_path_factory.mktemp("accident") / "state")
    shutil.copytree(whole, state.folder)
    folder = state.journal_folder
    before = {path.name: path.read_bytes() for path in paths(folder)}
    accident(folder, how, segment, at, size)
    if {path.name: path.read_bytes() for path in paths(folder)} == before:
        return
    oldest_removed = how == "missing" and segment % len(before) == 0

    def named(read: Any) -> bool:
        try:
            read()
        except JournalError as error:
            return error.code in ("DAMAGED", "LOST") and "signal-stream repair --state" in error.next_step
        return False

    reader = state.reader()
    everything = [lambda: list(reader.records()), reader.check_end]
    newest = paths(folder)[-1] if how == "piece twice" else None
    if newest is not None and newest.read_bytes().startswith(before[newest.name]) and not any(map(named, everything)):
        assert ids(reader) == [each.signal_id for each in MADE], "behind the end lies what an unfinished append leaves"
        return
    assert any(named(read) for read in everything) or oldest_removed
    tail = JournalTail(folder)
    assert named(lambda: tail.last(len(MADE))) or oldest_removed
    damaged = {path.name: path.read_bytes() for path in paths(folder)}
    if named(lambda: Journal(folder).close()):
        assert {path.name: path.read_bytes() for path in paths(folder)} == damaged, "nothing was changed"

    good = readable(folder)
    state.repair(by="ann", reason="test", now=1)
    records = list(reader.records())
    first = records[0].seq
    assert [record.seq for record in records] == list(range(first, len(MADE))), "without a hole, and as long as it was"
    assert first == 0 or oldest_removed
    for record in records:
        assert record.kind in ("signal", "lost")
        assert record.kind == "lost" or record.body == MADE[record.seq].json
    assert {record.seq for record in records if record.kind == "signal"} >= good, "all that is good is kept"
    assert state.repair(by="ann", reason="again", now=2) == []
    with Journal(folder) as journal:
        journal.append_signals(make(1, start=100))
        journal.check_invariants()


def readable(folder: Path) -> set[int]:
    """The records whose frames are whole somewhere in the files, in a place where they may stand."""
    from signal_stream._core import journal_encode

    found = set()
    for path in paths(folder):
        data = path.read_bytes()
        for seq, each in enumerate(MADE):
            at = data.find(journal_encode(seq, each.ts_recv, "signal", each.signal_id, each.json))
            if at >= 0 and at % 8 == 0:
                found.add(seq)
    return found


@settings(deadline=None, max_examples=120)
@given(data=st.data(), syncs=st.integers(1, len(MADE)))
def test_a_power_cut_takes_only_what_was_not_synced(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, syncs: int
) -> None:
    """Pages behind the last sync reach the disk in any order: bytes of any segment are zeros, or its end is missing."""
    folder = tmp_path_factory.mktemp("cut") / "journal"
    write(folder, syncs=syncs)
    assert Head.beside(folder).read() == syncs
    for path in paths(folder):
        ends = frame_ends_of(path)
        first = int(path.stem)
        safe = 0 if first >= syncs else ends[min(len(ends), syncs - first) - 1]
        size = path.stat().st_size
        nameless = first > syncs and path == paths(folder)[-1]
        if nameless and data.draw(st.booleans(), label="the segment's name is lost"):
            path.unlink()
            continue
        end = data.draw(st.integers(safe, size), label=f"{path.stem} ends at")
        os.truncate(path, end)
        if end > safe:
            begin = data.draw(st.integers(safe, end), label="zeros from")
            until = data.draw(st.integers(begin, end), label="zeros until")
            with path.open("r+b") as file:
                file.seek(begin)
                file.write(bytes(until - begin))
    with Journal(folder, segment_bytes=SEGMENT_BYTES) as journal:
        left = ids(journal)
        assert left == [each.signal_id for each in MADE[: len(left)]]
        assert len(left) >= syncs
        journal.append_signals(MADE[len(left) :])
        journal.check_invariants()
    assert ids(JournalReader(folder)) == [each.signal_id for each in MADE]


def test_a_hole_may_lie_before_segments_that_follow_each_other(tmp_path: Path) -> None:
    """Behind what was synced one segment is cut, the next is whole, and the newest has not begun."""
    folder = tmp_path / "journal"
    write(folder, syncs=9)
    _, second, _, newest = paths(folder)[:4]
    os.truncate(second, frame_ends_of(second)[1])
    os.truncate(newest, 0)
    with Journal(folder, segment_bytes=SEGMENT_BYTES) as journal:
        assert ids(journal) == [each.signal_id for each in MADE[:9]]
        journal.append_signals(MADE[9:])
    assert ids(JournalReader(folder)) == [each.signal_id for each in MADE]


_ENDS: dict[bytes, list[int]] = {}


def frame_ends_of(path: Path) -> list[int]:
    data = path.read_bytes()
    if data not in _ENDS:
        _ENDS[data] = frame_ends(path)
    return _ENDS[data]


class PowerCut(BaseException):
    """Nothing after it happens."""


def steps() -> Iterator[int]:
    yield from range(400)


def test_a_crash_at_every_write_of_a_roll_over_is_mended(tmp_path: Path) -> None:
    """Each system call that changes a file is the last one once, done or half done."""
    made = MADE[:8]
    for step in steps():
        folder = tmp_path / f"{step}" / "journal"
        calls = 0
        died = False

        def dying(name: str, real: Any, step: int = step) -> Any:
            def call(*words: Any, **more: Any) -> Any:
                nonlocal calls, died
                calls += 1
                died = died or calls > step
                if died:
                    raise PowerCut
                if calls == step and name == "pwrite" and step % 2:
                    file, data, at = words
                    real(file, data[: len(data) // 2], at)
                    died = True
                    raise PowerCut
                return real(*words, **more)

            return call

        names = ("pwrite", "ftruncate", "fsync", "fdatasync", "open")
        patches = [patch(f"os.{name}", dying(name, getattr(os, name))) for name in names]
        folder.mkdir(parents=True)
        journal = None
        with contextlib.ExitStack() as stack:
            for each in patches:
                stack.enter_context(each)
            with contextlib.suppress(PowerCut):
                journal = Journal(folder, fsync="always", segment_bytes=SEGMENT_BYTES)
                journal.heading = '{"opened": true}'
                for one in made:
                    journal.append_signals([one])
        if journal is not None:
            os.close(journal._lock)
        with Journal(folder, segment_bytes=SEGMENT_BYTES) as again:
            found = ids(again)
            assert found == [each.signal_id for each in made[: len(found)]], step
            again.append_signals(made[len(found) :])
            again.check_invariants()
        assert ids(JournalReader(folder)) == [each.signal_id for each in made]
        if not died:
            assert len(found) == len(made)
            return
    raise AssertionError("more steps than were tried")


def test_a_segment_begins_with_the_opening(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal", segment_bytes=SEGMENT_BYTES) as journal:
        journal.heading = '{"opened": true}'
        for each in MADE:
            journal.append_signals([each])
    first, *later = paths(tmp_path / "journal")
    for path in (first, *later[:-1]):
        path.unlink()
    reader = JournalReader(tmp_path / "journal")
    opened = reader.last("open")
    assert opened is not None
    assert (opened.seq, opened.body) == (int(later[-1].stem), '{"opened": true}')
    assert reader.first_seq == opened.seq
    with Journal(tmp_path / "journal") as journal:
        assert journal.find(MADE[-1].signal_id) is not None


@pytest.mark.parametrize(
    "content", [b"x" * 64, b'{"records": 3, "crc32": 1}' + b" " * 99, b'{"records": "3"}' + b" " * 48, b"\xff" * 128]
)
def test_a_damaged_witness_is_named(tmp_path: Path, content: bytes) -> None:
    write(tmp_path / "journal")
    (tmp_path / "journal.head").write_bytes(content)
    for attempt in (lambda: Journal(tmp_path / "journal"), JournalReader(tmp_path / "journal").check_end):
        with pytest.raises(JournalError, match="the witness of the journal's length") as caught:
            attempt()
        assert caught.value.code == "DAMAGED"
    State(tmp_path).repair(by="ann", reason="test", now=1)
    Journal(tmp_path / "journal").close()
    assert Head.beside(tmp_path / "journal").read() == len(MADE)
    (tmp_path / "journal.head").write_bytes(b"\xff")
    assert Head.beside(tmp_path / "journal").read() is None, "its first write did not reach the disk"


def test_a_journal_that_is_gone_is_lost(tmp_path: Path) -> None:
    write(tmp_path / "journal")
    shutil.rmtree(tmp_path / "journal")
    with pytest.raises(JournalError, match="records 0 to 23 are gone") as caught:
        Journal(tmp_path / "journal")
    assert caught.value.code == "LOST"
