"""What was written once is read for ever: files of each format, made by the version that wrote it, and with fields of the future.

`tests/data/formats/0` was made by the version before formats had numbers, `1` by the one that gave them theirs; how, says
`tests/data/formats/make.py`.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from signal_stream import _core
from signal_stream.records import FORMAT, SignalRecord
from signal_stream.serve.checkpoint import Checkpoint
from signal_stream.serve.run_record import RunRecord, latch_of
from signal_stream.store import Journal, JournalReader, Snapshots, State, index_file
from signal_stream.store.journal_index import read_entries
from signal_stream.store.journal_upkeep import seal_journal
from signal_stream.store.status import Status
from signal_stream.store.tape_log import TapeLog, check_log, log_batches, seal
from signal_stream.store.tape_log.index import LogIndex

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
    engine = _core.Engine.restore(
        _core.Plan(graph.json), checkpoint.engines[graph.digest], lateness_ns=graph.lateness_ns
    )
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


def test_what_the_corpus_holds_is_what_was_written() -> None:
    for name in ("0", "1"):
        reader = JournalReader(FORMATS / name / "journal")
        assert reader.check_end() > 0
