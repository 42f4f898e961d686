"""Sinks: a file has each signal of the journal once, whatever crashed, and is refused if it is not the journal's."""

from __future__ import annotations

import json
import os
import random
import signal as signals
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from signal_stream.emit import ArrowFileSink, JsonLinesSink, sink_from_url
from signal_stream.emit.signal_file import SignalFile
from signal_stream.errors import SinkError
from signal_stream.guards import Gate, standard_guards
from signal_stream.records import Latency, Signal
from signal_stream.registry import Golden, Manifest, Output
from signal_stream.store import Journal

DIGEST = f"{10:064x}"
FIELDS: dict[str, Any] = {
    **dict.fromkeys(("name", "kind", "signal", "graph_name", "label", "owner", "graph"), "m"),
    **dict.fromkeys(("horizon_ns", "refit_cadence_ns", "deadline_ns"), 1),
    **dict.fromkeys(("graph_digest", "schema_digest"), DIGEST),
    "golden": Golden(1, DIGEST, DIGEST, 0.0),
}
MANIFEST = Manifest(
    **FIELDS, columns=("a",), dtype="f32", output=Output("p", 0, 1), fallback="veto", training_distribution={}
)


@dataclass(frozen=True)
class Row:
    offset: int
    age_recv_ns: int | None
    graph_digest: str = DIGEST
    schema_digest: str = DIGEST
    instrument: str = "X"
    ts_event: int | None = None
    ts_recv: int = 1723161254000000123
    data_window_end: int = 5
    age_event_ns: int | None = 1
    values: tuple[float | None, ...] = (0.5,)
    reasons: tuple[str | None, ...] = (None,)
    digest: bytes = bytes(32)


@dataclass(frozen=True)
class Prediction:
    value: float
    status: str = "OK"


class Limits:
    max_age_ns = 10
    completeness = 1.0


class NoLatches:
    path = None
    is_settled = True

    def killed(self, model: str) -> str | None:
        return None

    def kill(self, model: str | None, *, by: str, reason: str, now: int) -> object:
        raise AssertionError


def make(count: int, pipeline: str = "p") -> list[Signal]:
    """Signals of which each third is a veto."""
    latches = NoLatches()
    guards = standard_guards(MANIFEST, Limits(), latches)
    gate = Gate(guards, manifest=MANIFEST, latches=latches, pipeline=pipeline, tape="t", stage="live")
    made = []
    for offset in range(count):
        row = Row(offset, 99 if offset % 3 == 2 else 1)
        verdict = gate.judge(Prediction(offset / 8), row, row.ts_recv)
        made.append(gate.signal(verdict, Latency(1, 2, 3, 4)))
    return made


MADE = make(40)
SINKS: dict[str, type[SignalFile]] = {"s.jsonl": JsonLinesSink, "s.arrow": ArrowFileSink}


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().split("\n")[:-1]]
    if path.stat().st_size == 0:
        return []
    table = pa.ipc.open_stream(path).read_all()
    times = ["ts_event", "ts_recv", "data_window_end"]
    for name in times:
        table = table.set_column(table.schema.get_field_index(name), name, table[name].cast(pa.int64()))
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def wanted(made: list[Signal]) -> list[dict[str, Any]]:
    return [json.loads(each.json) for each in made]


@pytest.fixture(params=SINKS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / "out" / str(request.param)


def cursor_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.cursor")


def new_sink(path: Path) -> SignalFile:
    sink = sink_from_url(f"file://{path}")
    assert isinstance(sink, SINKS[path.name])
    assert isinstance(sink, SignalFile)
    return sink


def journal_of(tmp_path: Path, made: list[Signal]) -> Journal:
    journal = Journal(tmp_path / "journal")
    journal.append("open", ts=0, body="{}")
    journal.append_signals(made)
    return journal


def test_signals_arrive_whole_and_in_order(path: Path) -> None:
    sink = new_sink(path)
    sink.send(MADE[:1])
    sink.send([])
    sink.send(MADE[1:5])
    assert read(path) == wanted(MADE[:5]), "readable while it grows"
    sink.close()
    sink.close()
    sink = new_sink(path)
    sink.send(MADE[5:6])
    sink.close()
    assert read(path) == wanted(MADE[:6])


def test_arrow_columns_are_the_signals_keys(tmp_path: Path) -> None:
    sink = ArrowFileSink(tmp_path / "s.arrow")
    sink.send(MADE[:3])
    sink.close()
    table = pa.ipc.open_stream(tmp_path / "s.arrow").read_all()
    assert table.schema.names == list(wanted(MADE)[0])
    assert table["value"].null_count == 1
    assert table["ts_event"].null_count == 3
    assert str(table["ts_recv"][0].cast(pa.string())) == "2024-08-08 23:54:14.000000123Z"


def test_resume_adds_what_the_journal_has(path: Path, tmp_path: Path) -> None:
    with journal_of(tmp_path, MADE) as journal:
        sink = new_sink(path)
        assert sink.resume(journal) == 40
        assert sink.resume(journal) == 0
        sink.close()
        assert read(path) == wanted(MADE)


def test_every_cut_is_mended_from_the_journal(path: Path, tmp_path: Path) -> None:
    made = MADE[:4]
    sink = new_sink(path)
    ends = [0]
    for each in made:
        sink.send([each])
        ends.append(path.stat().st_size)
    sink.close()
    whole = path.read_bytes()
    around = {end + step for end in ends for step in (-8, -1, 0, 1, 2, 4, 8)}
    with journal_of(tmp_path, made) as journal:
        for cut in sorted(cut for cut in around | set(range(0, len(whole), 197)) if 0 <= cut <= len(whole)):
            path.write_bytes(whole[:cut])
            if cut == 0:
                cursor_of(path).unlink()  # else the file is one that was emptied after it was copied
            sink = new_sink(path)
            left = len(read(path))
            assert sink.resume(journal) == 4 - left
            sink.close()
            assert read(path) == wanted(made), cut
        assert left == 4


def test_a_file_ahead_of_the_journal_is_not_written_twice(path: Path, tmp_path: Path) -> None:
    sink = new_sink(path)
    sink.send(MADE[:10])
    sink.close()
    with journal_of(tmp_path, MADE[:7]) as journal:
        sink = new_sink(path)
        ahead = sink.ahead(journal)
        assert [json.loads(text) for text in ahead] == wanted(MADE[7:10])
        assert ahead == [each.json for each in MADE[7:10]], "byte for byte"
        journal.take_over(ahead)
        assert sink.ahead(journal) == []
        assert sink.resume(journal) == 0
        journal.resume(0)
        for each in MADE:
            if not journal.seen(each):
                journal.append_signals([each])
                sink.send([each])
        sink.close()
        assert [record.body for record in journal.records(kind="signal")] == [each.json for each in MADE]
    assert read(path) == wanted(MADE)


@pytest.mark.parametrize("known", [0, 5])
def test_a_file_of_another_run_is_refused_untouched(path: Path, tmp_path: Path, known: int) -> None:
    sink = new_sink(path)
    sink.send(make(3, pipeline="another"))
    sink.close()
    before = path.read_bytes()
    with journal_of(tmp_path, MADE[:known]) as journal:
        sink = new_sink(path)
        for attempt in (sink.ahead, sink.resume):
            with pytest.raises(SinkError) as caught:
                attempt(journal)
            assert caught.value.code == "FOREIGN"
        sink.close()
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"hello", b"hello\n", b"[1]\n", b'{"signal_id": 3}\n', b"\0" * 99, b"PAR1" * 999])
def test_a_file_that_is_none_of_ours_is_refused_untouched(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(SinkError) as caught:
        new_sink(path)
    assert caught.value.code == "DAMAGED"
    assert path.read_bytes() == content


def test_one_writer(path: Path) -> None:
    sink = new_sink(path)
    with pytest.raises(SinkError) as caught:
        new_sink(path)
    assert caught.value.code == "LOCKED"
    sink.close()
    new_sink(path).close()


@pytest.mark.parametrize(
    "url", ["file://s.parquet", "file://s", "s.jsonl", "kafka://broker/topic", "https://x/s.jsonl", ""]
)
def test_unknown_urls(url: str) -> None:
    with pytest.raises(SinkError) as caught:
        sink_from_url(url)
    assert caught.value.code == "UNKNOWN_URL"


_FULL = """
import resource, sys
sys.path.insert(0, sys.argv[3])
from pathlib import Path
from signal_stream.errors import SinkError
from test_sinks import MADE, new_sink
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
sink = new_sink(Path(sys.argv[1]))
for sent, each in enumerate(MADE):
    try:
        sink.send([each])
    except SinkError as error:
        print(error.code, sent)
        break
"""


@pytest.mark.parametrize("room", [100, 9_000, 15_000])
def test_a_full_disk_leaves_whole_signals(path: Path, tmp_path: Path, room: int) -> None:
    command = [sys.executable, "-c", _FULL, str(path), str(room), str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    code, sent = done.stdout.split()
    assert code == "DISK_FULL"
    assert read(path) == wanted(MADE[: int(sent)])
    with journal_of(tmp_path, MADE) as journal:
        sink = new_sink(path)
        sink.resume(journal)
        sink.close()
    assert read(path) == wanted(MADE)


_PIPELINE = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from signal_stream.store import Journal
from test_sinks import SINKS, make, new_sink
folder = Path(sys.argv[1])
with Journal(folder / "journal", segment_bytes=40_000) as journal:
    sinks = [new_sink(folder / "out" / name) for name in SINKS]
    for sink in sinks:
        sink.resume(journal)
    journal.resume(0)
    for each in make(300):
        if not journal.seen(each):
            journal.append_signals([each])
            for sink in sinks:
                sink.send([each])
            print(flush=True)
    for sink in sinks:
        sink.close()
"""


def test_kill_at_any_moment_leaves_each_signal_once(tmp_path: Path) -> None:
    draw = random.Random(5)
    command = [sys.executable, "-c", _PIPELINE, str(tmp_path), str(Path(__file__).parent)]
    for _ in range(5):
        with subprocess.Popen(command, stdout=subprocess.PIPE) as pipeline:
            assert pipeline.stdout is not None
            for _ in range(draw.randrange(1, 80)):
                pipeline.stdout.readline()
            pipeline.send_signal(signals.SIGKILL)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    ids = [each.signal_id for each in make(300)]
    with Journal(tmp_path / "journal") as journal:
        assert [record.key for record in journal.records(kind="signal")] == ids
    for name in SINKS:
        assert [row["signal_id"] for row in read(tmp_path / "out" / name)] == ids


@pytest.mark.parametrize("how", ["renamed", "removed", "copied and emptied", "renamed, and an empty one put there"])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_rotated_file_goes_on_as_a_new_one(path: Path, tmp_path: Path, how: str, restarted: bool) -> None:
    """Each signal is once in the old file and the new one together, also if nobody serves while it is rotated."""
    old = path.with_name(f"old{path.suffix}")
    with journal_of(tmp_path, MADE[:10]) as journal:
        sink = new_sink(path)
        sink.resume(journal)
        if restarted:
            sink.close()
        if how.startswith("renamed"):
            path.rename(old)
        else:
            old.write_bytes(path.read_bytes())
            if how == "removed":
                path.unlink()
            else:
                os.truncate(path, 0)
        if how.endswith("put there"):
            path.touch()
        for turn in range(2):
            if restarted:
                sink = new_sink(path)
                assert sink.ahead(journal) == []
                assert sink.resume(journal) == 0, "the old file has them"
            if turn or not restarted:
                journal.append_signals(MADE[10:20] if turn else MADE[:0])
                sink.send(MADE[10:20] if turn else MADE[:0])
            if restarted:
                sink.close()
        sink.sync()
        sink.close()
    assert read(old) + read(path) == wanted(MADE[:20])


def test_a_file_that_was_cut_in_part_or_written_by_others_is_refused(path: Path, tmp_path: Path) -> None:
    with journal_of(tmp_path, MADE) as journal:
        for change in (lambda data: data[: len(data) // 2], lambda data: data + b"\0", lambda data: data[:1]):
            sink = new_sink(path)
            sink.resume(journal)
            good = path.read_bytes()
            path.write_bytes(change(good))
            with pytest.raises(SinkError) as caught:
                sink.send(MADE[:1])
            assert caught.value.code == "CHANGED"
            sink.close()
            path.write_bytes(good)
        sink = new_sink(path)
        path.unlink()
        path.write_bytes(b"hello\n")
        with pytest.raises(SinkError, match="another file"):
            sink.send(MADE[:1])
        sink.close()


def test_a_torn_first_signal_of_a_new_file_is_made_from_the_journal(path: Path, tmp_path: Path) -> None:
    with journal_of(tmp_path, MADE[:10]) as journal:
        sink = new_sink(path)
        sink.resume(journal)
        path.rename(path.with_name("old"))
        journal.append_signals(MADE[10:12])
        sink.send(MADE[10:12])
        sink.close()
        os.truncate(path, 20 if path.suffix == ".jsonl" else 3000)
        sink = new_sink(path)
        assert sink.resume(journal) == 2
        sink.close()
    assert read(path) == wanted(MADE[10:12])
