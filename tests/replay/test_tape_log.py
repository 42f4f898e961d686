"""Tape logs: segments that roll, are sealed, indexed and removed, and never give anything but what was written."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from signal_stream import _core
from signal_stream.errors import TapeError
from signal_stream.store import index_file
from signal_stream.store.tape_log import (
    LogLook,
    TapeLog,
    check_log,
    list_segments,
    log_batches,
    message_before,
    remove_before,
    seal,
)
from signal_stream.store.tape_log.contents import Contents
from signal_stream.store.tape_log.sums import Append, sums_header, sums_row
from signal_stream.testing import MarketSimulator

FORMATS = Path(__file__).parents[1] / "data" / "formats"
APPENDS = 30
EACH = 40


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> list[_core.EventBatch]:
    capture = tmp_path_factory.mktemp("market") / "market.gz"
    MarketSimulator(seed=5, duration_s=15.0).write_capture(capture)
    batch = _core.Reader([str(capture)]).next()
    assert batch is not None
    assert batch.messages >= APPENDS * EACH
    return [batch.slice(at, at + EACH) for at in range(0, APPENDS * EACH, EACH)]


def written(folder: Path, parts: list[_core.EventBatch], *, segment_bytes: int = 40_000) -> TapeLog:
    """A log of the parts, each with a position, closed."""
    log = TapeLog(folder, segment_bytes=segment_bytes)
    for number, part in enumerate(parts, log.messages // EACH):
        log.append(part, b"at %d" % number)
    log.close()
    return log


def rows(batches: Iterator[_core.EventBatch]) -> list[tuple[Any, ...]]:
    """Every row, as it was."""
    return [tuple(row.values()) for batch in batches for row in pa.record_batch(batch).to_pylist()]


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.arrow"))


def entries(folder: Path) -> list[dict[str, Any]]:
    return index_file.read_lines(folder / "index.jsonl") or []


def test_segments_are_named_by_their_first_message(parts: list[_core.EventBatch], tmp_path: Path) -> None:
    log = written(tmp_path, parts)
    names = [path.stem.split("-") for path in segments(tmp_path)]
    assert len(names) > 4
    assert [int(number) for number, _ in names] == list(range(len(names)))
    for path, (_, first) in zip(segments(tmp_path), names, strict=True):
        batch = next(log_batches(tmp_path, int(first)))
        at_start = _core.Reader([str(path)]).next()
        assert at_start is not None
        assert batch.first_recv == at_start.first_recv
    assert log.messages == APPENDS * EACH
    assert rows(log_batches(tmp_path)) == rows(iter(parts))


def test_a_segment_is_not_older_than_its_age(parts: list[_core.EventBatch], tmp_path: Path) -> None:
    log = TapeLog(tmp_path, segment_age_ns=2_000_000_000)
    for part in parts:
        log.append(part)
    log.close()
    assert len(segments(tmp_path)) > 2
    for path in segments(tmp_path):
        batch = _core.Reader([str(path)]).next()
        assert batch is not None and batch.first_recv is not None and batch.last_recv is not None
        longest = max((part.last_recv or 0) - (part.first_recv or 0) for part in parts)
        assert batch.last_recv - batch.first_recv < 2_000_000_000 + longest


def test_a_sealed_log_reads_the_same_in_less_space(parts: list[_core.EventBatch], tmp_path: Path) -> None:
    written(tmp_path, parts)
    before = sum(path.stat().st_size for path in segments(tmp_path)[:-1])
    plain = rows(log_batches(tmp_path))
    number = len(segments(tmp_path))
    assert seal(tmp_path, compress=True) == number - 1
    assert seal(tmp_path, compress=True) == 0
    sealed = segments(tmp_path)[:-1]
    assert all(path.name.endswith(".zst.arrow") for path in sealed)
    assert sum(path.stat().st_size for path in sealed) < before / 3
    assert rows(log_batches(tmp_path)) == plain
    for skip in (1, EACH, 7 * EACH + 3, APPENDS * EACH - 1):
        batches = list(log_batches(tmp_path, skip))
        assert sum(batch.messages for batch in batches) == APPENDS * EACH - skip
    tape = _core.Reader([str(sealed[0])])  # and every other reader takes it
    assert (batch := tape.next()) is not None
    assert batch.messages == entries(tmp_path)[1]["messages"]
    check_log(tmp_path)
    log = TapeLog(tmp_path)
    assert (log.messages, log.source_position) == (APPENDS * EACH, b"at %d" % (APPENDS - 1))
    log.check_invariants()
    log.close()


def test_the_index_says_what_each_segment_holds(parts: list[_core.EventBatch], tmp_path: Path) -> None:
    log = TapeLog(tmp_path, segment_bytes=150_000)
    for number, part in enumerate(parts):
        log.append(part, b"at %d" % number)
        log.append_mark(_core.EventBatch.mark((part.last_recv or 0) + 1))
    log.close()
    seal(tmp_path, compress=True)
    begin, *found = entries(tmp_path)
    assert (begin["format"], begin["segment"], begin["message"]) == (1, 0, 0)
    for entry, path in zip(found, segments(tmp_path), strict=False):
        tape = json.loads(_core.tape_info([str(path)]))
        assert (entry["file"], entry["bytes"]) == (path.name, path.stat().st_size)
        assert entry["messages"] == tape["messages"]
        assert entry["marks"] == sum(each["messages"] for each in tape["streams"] if each["kind"] == "mark") > 0
        assert (entry["ts_recv_first"], entry["ts_recv_last"]) == (tape["ts_recv_first"], tape["ts_recv_last"])
    assert [entry["first_message"] for entry in found] == [int(path.stem[9:29]) for path in segments(tmp_path)[:-1]]


def test_a_start_reads_the_newest_segment_and_no_other(
    parts: list[_core.EventBatch], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[int] = []
    as_it_is = Contents.open

    def counted(segment: Any) -> Contents:
        opened.append(segment.number)
        return as_it_is(segment)

    monkeypatch.setattr(Contents, "open", counted)
    for times in (1, 4):
        folder = tmp_path / str(times)
        for _ in range(times):
            written(folder, parts)
        seal(folder, compress=True)
        newest = len(segments(folder)) - 1
        opened.clear()
        log = TapeLog(folder)
        list(log_batches(folder, log.messages - EACH))
        log.close()
        assert set(opened) == {newest}


STEPS = {name: getattr(os, name) for name in ("fsync", "rename", "replace", "unlink")}


def die_at(step: int, patch: pytest.MonkeyPatch) -> None:
    """What a kill leaves at the so-manieth call of these functions."""
    left = [step]

    def made(as_it_is: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            return as_it_is(*args, **more)

        return call

    for name, as_it_is in STEPS.items():
        patch.setattr(os, name, made(as_it_is))


@pytest.mark.parametrize("remove", [False, True])
def test_a_kill_at_any_step_of_sealing_or_removing_leaves_a_whole_log(
    parts: list[_core.EventBatch], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remove: bool
) -> None:
    written(tmp_path / "log", parts[:12])
    plain = rows(log_batches(tmp_path / "log"))
    if remove:
        seal(tmp_path / "log", compress=True)
    for step in range(100):
        folder = tmp_path / str(step)
        shutil.copytree(tmp_path / "log", folder)
        with monkeypatch.context() as patch:
            die_at(step, patch)
            died = False
            try:
                remove_before(folder, 5 * EACH) if remove else seal(folder, compress=True)
            except KeyboardInterrupt:
                died = True
        log = TapeLog(folder)
        assert log.index_lies == ()
        assert rows(log_batches(folder, log.first_message)) == plain[len(plain) - left(folder, log) :], step
        assert (log.messages, log.source_position) == (12 * EACH, b"at 11")
        log.close()
        check_log(folder)
        seal(folder, compress=True)  # goes on where the other stopped
        remove_before(folder, 5 * EACH) if remove else None
        assert len(segments(folder)) == len({path.name[:8] for path in segments(folder)}), "nothing stands twice"
        assert not list(folder.glob(".*.unfinished"))
        check_log(folder)
        if not died:
            assert step > 5
            return
    raise AssertionError("more steps than were tried")


def left(folder: Path, log: TapeLog) -> int:
    """Rows of the log."""
    return sum(len(batch) for batch in log_batches(folder, log.first_message))


def test_what_is_removed_is_whole_segments_and_never_the_newest(parts: list[_core.EventBatch], tmp_path: Path) -> None:
    written(tmp_path, parts)
    plain = rows(log_batches(tmp_path))
    assert remove_before(tmp_path, 10_000) == 0, "what is in no index is not removed"
    seal(tmp_path, compress=True)
    firsts = [int(path.stem[9:29]) for path in segments(tmp_path)]
    assert remove_before(tmp_path, firsts[3] - 1) == 2
    assert int(segments(tmp_path)[0].stem[9:29]) == firsts[2]
    assert [each["segment"] for each in entries(tmp_path)[:2]] == [2, 2]
    kept = sum(len(batch) for batch in log_batches(tmp_path, firsts[2]))
    assert rows(log_batches(tmp_path, firsts[2])) == plain[-kept:]
    with pytest.raises(TapeError, match=f"its first {firsts[2]:,} messages were removed") as caught:
        next(log_batches(tmp_path, firsts[2] - 1))
    assert caught.value.code == "TRUNCATED"
    assert remove_before(tmp_path, 10_000) == len(firsts) - 3
    [newest] = segments(tmp_path)
    log = TapeLog(tmp_path)
    assert (log.first_message, log.messages) == (firsts[-1], APPENDS * EACH)
    log.append(parts[0], b"more")
    log.close()
    assert segments(tmp_path) == [newest, tmp_path / f"{len(firsts):08d}-{APPENDS * EACH:020d}.arrow"]


def test_age_is_that_of_the_messages(parts: list[_core.EventBatch], tmp_path: Path) -> None:
    written(tmp_path, parts)
    seal(tmp_path, compress=True)
    found = entries(tmp_path)[1:]
    assert message_before(tmp_path, found[0]["ts_recv_first"]) == 0
    assert message_before(tmp_path, found[2]["ts_recv_last"]) == found[2]["first_message"]
    assert message_before(tmp_path, found[2]["ts_recv_last"] + 1) == found[3]["first_message"]


def test_a_segment_that_was_deleted_is_named(parts: list[_core.EventBatch], tmp_path: Path) -> None:
    written(tmp_path / "log", parts)
    seal(tmp_path / "log", compress=True)
    for number, path in enumerate(segments(tmp_path / "log")[:-1]):
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "log", folder)
        (folder / path.name).unlink()
        entry = entries(folder)[1 + number]
        end = entry["first_message"] + entry["messages"]
        for attempt in (TapeLog, check_log, lambda log: list(log_batches(log))):
            with pytest.raises(TapeError) as caught:
                attempt(folder)
            what = f"segment {number} is missing: messages {entry['first_message']:,} to {end:,}"
            assert what in caught.value.message
            assert caught.value.code == "DAMAGED"


def test_a_torn_segment_is_named_and_a_changed_byte_is_never_used(
    parts: list[_core.EventBatch], tmp_path: Path
) -> None:
    written(tmp_path, parts)
    seal(tmp_path, compress=True)
    path = segments(tmp_path)[2]
    good = path.read_bytes()
    path.write_bytes(good[:-100])
    with pytest.raises(TapeError, match=path.name):
        TapeLog(tmp_path)
    path.write_bytes(good[:900] + bytes([good[900] ^ 4]) + good[901:])  # of the same size: a start believes it
    TapeLog(tmp_path).close()
    before = sum(batch.messages for _, batch in zip(range(2), log_batches(tmp_path), strict=False))
    assert before == entries(tmp_path)[3]["first_message"]
    for attempt in (lambda: list(log_batches(tmp_path)), lambda: check_log(tmp_path)):
        with pytest.raises(TapeError, match=path.name):
            attempt()


def test_a_changed_byte_of_a_segment_that_is_not_sealed_is_never_used(
    parts: list[_core.EventBatch], tmp_path: Path
) -> None:
    written(tmp_path, parts)
    path = segments(tmp_path)[1]
    good = path.read_bytes()
    at = len(good) - 100  # in a column: the stream itself stays readable
    path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
    with pytest.raises(TapeError, match=path.name):
        list(log_batches(tmp_path))
    with pytest.raises(TapeError, match=path.name):
        seal(tmp_path, compress=True)


def lied(folder: Path, number: int, **fields: Any) -> None:
    """Changes an index as somebody would who knows its checksums."""
    found = entries(folder)
    found[1 + number] |= fields
    index_file.write_lines(folder / "index.jsonl", found)


@pytest.mark.parametrize("lie", ["messages", "bytes", "bit", "nothing of it", "first_message", "gone"])
def test_an_index_that_lies_is_noticed_and_made_anew(parts: list[_core.EventBatch], tmp_path: Path, lie: str) -> None:
    written(tmp_path, parts)
    seal(tmp_path, compress=True)
    plain, index = rows(log_batches(tmp_path)), tmp_path / "index.jsonl"
    good = entries(tmp_path)
    if lie == "messages":
        lied(tmp_path, 1, messages=good[2]["messages"] + 5)
    elif lie == "bytes":
        lied(tmp_path, 1, bytes=7)
    elif lie == "first_message":
        lied(tmp_path, 1, first_message=3)
    elif lie == "bit":
        index.write_bytes(index.read_bytes().replace(b'"messages": 1', b'"messages": 2', 1))
    elif lie == "gone":
        index.unlink()
    else:
        index.write_bytes(b"\0" * index.stat().st_size)
    assert rows(log_batches(tmp_path)) == plain, "a reader does not believe it either"
    log = TapeLog(tmp_path)
    assert (log.messages, log.source_position) == (APPENDS * EACH, b"at %d" % (APPENDS - 1))
    assert (log.index_lies != ()) == (lie in ("messages", "bytes", "bit", "nothing of it"))
    log.close()
    seal(tmp_path, compress=True)
    assert entries(tmp_path) == good
    check_log(tmp_path)


def test_counts_that_lie_where_nothing_contradicts_them_are_found_by_the_doctor(
    parts: list[_core.EventBatch], tmp_path: Path
) -> None:
    written(tmp_path, parts)
    seal(tmp_path, compress=True)
    lied(tmp_path, 1, marks=5)
    with pytest.raises(TapeError, match="does not hold what the index says"):
        check_log(tmp_path)


def test_a_log_of_a_later_version_is_told_from_a_damaged_one(parts: list[_core.EventBatch], tmp_path: Path) -> None:
    log = written(tmp_path, parts)
    path = Contents.open(list_segments(tmp_path)[1]).sums.path
    later = Append(int.from_bytes(b"sssums\0\0", "little"), 2, 0, 0)
    path.write_bytes(sums_row(later) + path.read_bytes()[len(sums_header()) :])
    before = path.read_bytes()
    for read in (lambda: list(log_batches(tmp_path)), lambda: TapeLog(tmp_path), LogLook(tmp_path).check):
        with pytest.raises(TapeError, match="it has format 2, and this version reads up to 1") as caught:
            read()
        assert caught.value.code == "UNKNOWN_FORMAT"
    assert path.read_bytes() == before
    assert log.messages == APPENDS * EACH


def test_a_log_has_one_writer(tmp_path: Path) -> None:
    log = TapeLog(tmp_path)
    with pytest.raises(TapeError, match="another process writes this log") as caught:
        TapeLog(tmp_path)
    assert caught.value.code == "LOCKED"
    log.close()
    TapeLog(tmp_path).close()


def test_a_reader_goes_on_while_its_segments_are_sealed(parts: list[_core.EventBatch], tmp_path: Path) -> None:
    written(tmp_path, parts)
    plain = rows(log_batches(tmp_path))
    reading = log_batches(tmp_path)
    first = next(reading)
    seal(tmp_path, compress=True)
    assert rows(iter([first, *reading])) == plain


def test_a_segment_widens_where_an_event_needs_a_column_and_stays_wide(
    parts: list[_core.EventBatch], tmp_path: Path
) -> None:
    bars = _core.Reader([str(FORMATS / "bars" / "format-1.parquet")]).next()
    assert bars is not None
    folder = tmp_path / "log"
    log = TapeLog(folder)
    kept = [parts[0], parts[1], bars, parts[2], bars, parts[3]]
    for part in kept:
        log.append(part)
    log.append_mark(_core.EventBatch.mark(2**60))
    log.close()
    check_log(folder)
    shown = [pa.ipc.open_stream(path).schema for path in segments(folder)]
    wide = [{"field", "count"} <= set(schema.names) for schema in shown]
    assert wide == sorted(wide), "a column that was needed once is there from then on"
    assert wide[0] is False
    assert sum(wide) == 4, "instruments change between the parts, columns do not"
    seal(folder, compress=True)
    check_log(folder)
    counts = [batch.messages for batch in log_batches(folder)]
    assert sum(counts) == sum(part.messages for part in kept) + 1
    assert _records(log_batches(folder)) == _records(iter(kept))


def _records(batches: Iterator[_core.EventBatch]) -> list[tuple[str, dict[str, Any]]]:
    """The trades and bars of some batches."""
    return [
        (kind, row)
        for batch in batches
        for kind in ("trade", "bar")
        for row in pa.table(batch.records(kind)).to_pylist()
    ]
