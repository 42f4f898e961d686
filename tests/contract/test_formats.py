"""What was written once is read for ever: files of each format, made by the version that wrote it, and with fields of the future.

`tests/data/formats/0` was made by the version before formats had numbers, `1` by the one that gave them theirs; how, says
`tests/data/formats/make.py`.
"""

from __future__ import annotations

import json
import shutil
import zlib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import signal_stream as ss
from signal_stream import _core, bars
from signal_stream.ingest.file_source import FileSource
from signal_stream.records import FORMAT, SignalRecord, SkippedRange
from signal_stream.serve.checkpoint import Checkpoint
from signal_stream.serve.run_record import RunRecord, latch_of
from signal_stream.serve.sink_cursor import SinkCursor, SinkPosition
from signal_stream.serve.source_reader import SourceReader
from signal_stream.store import Journal, JournalPlace, JournalReader, Latches, Snapshots, State, index_file
from signal_stream.store.journal_index import read_entries
from signal_stream.store.journal_upkeep import seal_journal
from signal_stream.store.status import Status
from signal_stream.store.tape_log import TapeLog, check_log, log_batches, seal
from signal_stream.store.tape_log.index import LogIndex
from signal_stream.testing import MarketSimulator

FORMATS = Path(__file__).parents[1] / "data" / "formats"
MESSAGES = 421


@pytest.fixture(params=["0", "1"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> State:
    """A state folder of a format, to be written to."""
    shutil.copytree(FORMATS / request.param, tmp_path / "state")
    return State(tmp_path / "state")


def number(state: State) -> int:
    """The format of a state folder, as its status says."""
    return int(json.loads((state.folder / "status.json").read_bytes()).get("format", 0))


def with_more(value: Any) -> Any:
    """JSON with a field of the future in each of its objects."""
    if isinstance(value, dict):
        return {name: with_more(each) for name, each in value.items()} | {"invented_later": {"x": [1]}}
    return [with_more(each) for each in value] if isinstance(value, list) else value


def test_the_journal_is_read(state: State) -> None:
    records = list(state.reader().records())
    kinds = [record.kind for record in records]
    assert {"open", "signal", "latch", "counts", "close"} <= set(kinds)
    opened = [RunRecord.from_json(record.body) for record in records if record.kind == "open"]
    assert len(opened) == 2
    assert all(graph.begins == 0 and _core.Plan(graph.json).digest == graph.digest for graph in opened[0].graphs)
    assert [latch_of(record).action for record in records if record.kind == "latch"] == ["kill", "rearm"]
    signals = [SignalRecord.from_json(record.body) for record in records if record.kind == "signal"]
    assert {each.lineage.feature_graph_hash for each in signals} == {graph.digest for graph in opened[0].graphs}
    bodies = [json.loads(record.body) for record in records if record.kind not in ("signal", "why")]
    assert {body.get("format", 0) for body in bodies} == {number(state)}
    with Journal(state.journal_folder) as journal:
        assert journal.next_seq == len(records)


def test_the_journal_is_read_with_fields_of_the_future(state: State) -> None:
    for record in state.reader().records():
        more = json.dumps(with_more(json.loads(record.body)))
        if record.kind == "open":
            assert RunRecord.from_json(more) == RunRecord.from_json(record.body)
        elif record.kind == "latch":
            assert latch_of(type(record)(record.seq, record.ts, "latch", "", more)) == latch_of(record)
        elif record.kind == "signal":
            assert SignalRecord.from_json(more) == SignalRecord.from_json(record.body)


def test_the_status_is_read(state: State) -> None:
    found = Status.read(state.folder)
    assert found is not None
    assert (found.state, found.counts["input"]) == ("STOPPED", MESSAGES)
    path = state.folder / "status.json"
    path.write_text(json.dumps(with_more(json.loads(path.read_bytes()))))
    again = Status.read(state.folder)
    assert again is not None
    assert {field.name for field in fields(again)} == {field.name for field in fields(found)}
    assert (again.counts["input"], again.state) == (MESSAGES, "STOPPED")
    found.write(state.folder)
    assert json.loads(path.read_bytes())["format"] == FORMAT


def test_snapshots_are_read(state: State) -> None:
    snapshots = Snapshots(state.folder / "snapshots")
    assert snapshots.check() == 2
    latest = snapshots.latest()
    assert latest is not None
    assert latest.messages == (None if number(state) == 0 else MESSAGES)
    checkpoint = Checkpoint.of(latest)
    opened = state.reader().last("open")
    assert opened is not None
    [graph] = RunRecord.from_json(opened.body).graphs
    options = _core.EngineOptions(lateness_ns=graph.lateness_ns)
    engine = _core.Engine.restore(_core.Plan(graph.json), checkpoint.engines[graph.digest], options)
    assert engine.messages == MESSAGES
    assert checkpoint.totals.vectors > 0
    [path] = [
        path for path in (state.folder / "snapshots").iterdir() if path.name.startswith(f"{latest.journal_seq:020d}")
    ]
    head, _, body = path.read_bytes().partition(b"\n")
    fields_of_head = json.loads(head) | {"invented_later": 1}
    path.write_bytes(json.dumps(fields_of_head).encode() + b"\n" + body)
    assert snapshots.latest() == latest


def test_the_tape_is_read_and_gone_on_with(state: State) -> None:
    tape = state.folder / "tape"
    check_log(tape)
    whole = [batch.messages for batch in log_batches(tape)]
    assert sum(whole) == MESSAGES
    assert sum(batch.messages for batch in log_batches(tape, MESSAGES - 30)) == 30
    log = TapeLog(tape)
    assert log.messages == MESSAGES
    batch = next(log_batches(tape))
    log.append(batch.slice(0, 5), b"later")
    log.close()
    seal(tape, compress=True)
    check_log(tape)
    index = LogIndex.read(tape)
    assert index is not None
    assert index.entries[-1].end == MESSAGES
    assert sum(batch.messages for batch in log_batches(tape)) == MESSAGES + 5
    again = TapeLog(tape)
    assert (again.messages, again.source_position) == (MESSAGES + 5, b"later")
    again.close()


@pytest.mark.parametrize("noted", ["followed", "rotated", "nothing"])
def test_a_followed_file_goes_on_where_a_log_of_format_0_ends(tmp_path: Path, noted: str) -> None:
    """Such a log has no position in it; the followed files were noted beside it."""
    shutil.copytree(FORMATS / "0" / "tape", tmp_path / "tape")
    lines = list(MarketSimulator(seed=7, duration_s=4.0).lines())
    live = tmp_path / "live.capture"
    live.write_bytes(b"".join(lines[: MESSAGES + 20]))
    file = live.stat()
    if noted != "nothing":
        head = live.read_bytes()[:256].hex()
        known = [{"dev": file.st_dev, "ino": file.st_ino, "head": head, "begins_at": 0}]
        (tmp_path / "tape" / ".followed").write_text(json.dumps(known))
    if noted == "rotated":
        live.rename(tmp_path / "live.capture.1")
        live.write_bytes(b"".join(lines[MESSAGES + 20 :]))
    fresh = lines[MESSAGES:] if noted == "rotated" else lines[MESSAGES : MESSAGES + 20]
    settings = FileSource.Settings.read(
        {
            "url": f"file://{live}",
            "follow": True,
            "lateness": "0ms",
            "late": "drop",
            "idle_mark": "1h",
            "queue_rows": 4096,
        }
    )
    for already in (0, len(fresh)):  # a second start finds the position in the log
        log = TapeLog(tmp_path / "tape")
        reader = SourceReader(FileSource(settings), settings, log=log, skip=MESSAGES, position=None)
        read = 0
        ends = 0
        while read < len(fresh) and ends < 2:
            batch = reader.next(10**10)
            ends += batch is None  # once where the log has ended
            read += 0 if batch is None else batch.messages
        assert read == len(fresh)
        assert log.messages == MESSAGES + len(fresh)
        assert log.source_position is not None
        assert json.loads(log.source_position)["messages"] == MESSAGES + len(fresh), already
        reader.stop()
        while not reader.ended:
            reader.next(10**8)
        reader.close()


@pytest.mark.parametrize("path", sorted((FORMATS / "skip").iterdir()), ids=lambda path: path.stem)
def test_a_skip_record_is_read(path: Path) -> None:
    found = SkippedRange.from_json(path.read_text())
    assert (found.sink, found.first_seq, found.last_seq, found.signals) == ("kafka://desk/signals", 120, 180, 41)
    assert (found.first_id, found.last_id) == ("0" * 31 + "a", "0" * 31 + "b")
    assert SkippedRange.from_json(json.dumps(with_more(json.loads(path.read_text())))) == found
    assert json.loads(found.to_json())["format"] == FORMAT


@pytest.mark.parametrize(("name", "began"), [("format-1", 0), ("format-1-began", 90)])
def test_a_cursor_is_read_and_gone_on_with(tmp_path: Path, name: str, began: int) -> None:
    cursor = SinkCursor(tmp_path, "kafka://desk/signals")
    shutil.copy(FORMATS / "cursor" / f"{name}.cursor", cursor.path)
    found = cursor.read()
    assert found == SinkPosition(181, "0" * 31 + "b", JournalPlace(0, 4096, 170), began)
    data = cursor.path.read_bytes()
    newest = max((data[:256], data[256:]), key=lambda line: json.loads(line[9:])["turn"])
    more = json.dumps(json.loads(newest[9:]) | {"x": [1]}).encode()
    cursor.path.write_bytes(b"%08x %s\n" % (zlib.crc32(more), more.ljust(246)))
    assert cursor.read() == found
    cursor.write(found._replace(seq=200))
    assert cursor.read() == found._replace(seq=200)
    cursor.close()


@pytest.mark.parametrize("path", sorted((FORMATS / "latches").iterdir()), ids=lambda path: path.stem)
def test_latches_are_read_and_gone_on_with(tmp_path: Path, path: Path) -> None:
    file, copy = tmp_path / "latches.jsonl", tmp_path / "journal" / "latches.jsonl"
    copy.parent.mkdir()
    for each in (file, copy):
        shutil.copy(path, each)
    latches = Latches(file)
    assert [(each.action, each.scope, each.by) for each in latches.history()] == [
        ("kill", "all", "ada"), ("kill", "model:micro", "bob"), ("rearm", "all", "ada"),
    ]  # fmt: skip
    assert "micro killed by bob" in (latches.killed("micro") or "")
    assert latches.killed("other") is None
    latches.rearm("micro", by="ada", reason="test", now=9)
    assert Latches(file).killed("micro") is None


def test_indexes_are_read_with_fields_and_lines_of_the_future(state: State) -> None:
    tape, journal = state.folder / "tape", state.journal_folder
    TapeLog(tape).close()
    seal(tape, compress=True)
    with Journal(journal, segment_bytes=1) as more:
        more.append("close", ts=1, body="{}")
    seal_journal(journal)
    before = LogIndex.read(tape), read_entries(journal)
    assert before[0] is not None
    assert before[0].entries
    assert before[1]
    for folder in (tape, journal):
        lines = index_file.read_lines(folder / "index.jsonl") or []
        assert {line["format"] for line in lines} == {FORMAT}
        changed = [line | {"format": 2, "invented_later": 1} for line in lines]
        index_file.write_lines(folder / "index.jsonl", [*changed, {"kind": "invented_later"}])
    assert (LogIndex.read(tape), read_entries(journal)) == before


def test_a_tape_of_bars_is_read() -> None:
    """`tape import` of five rows: minutes of A and B, of which B has one less."""
    other = ss.instrument("B").bars("1m")
    graph = ss.FeatureGraph(
        name="g", on=bars("1m"), features={"close": bars("1m").close, "volume": bars("1m").volume, "b": other.volume}
    )
    found = ss.compute(graph, FORMATS / "bars" / "format-1.parquet")
    assert found["instrument"].to_pylist() == ["A", "B"] * 3
    assert found["close"].to_pylist() == [100.25, 0.001, 100.5, None, 99.75, 0.0015]
    assert found["volume"].to_pylist() == [10.0, 2.5, 0.0, 0.0, 4.0, 1.0]
    assert found["b"].to_pylist() == [2.5, 2.5, 0.0, 0.0, 1.0, 1.0]


def test_what_the_corpus_holds_is_what_was_written() -> None:
    for name in ("0", "1"):
        reader = JournalReader(FORMATS / name / "journal")
        assert reader.check_end() > 0
