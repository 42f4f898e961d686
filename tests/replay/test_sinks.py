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
from tests.manifests import DIGEST, plain_manifest

from signal_stream.emit import FileSink
from signal_stream.emit.arrow_columns import signal_schema
from signal_stream.errors import SinkError
from signal_stream.guards import Gate, standard_guards
from signal_stream.records import JournalRecord, Latency, Signal
from signal_stream.serve.sink_cursor import SinkCursor
from signal_stream.serve.sink_follower import SinkFollower
from signal_stream.store import Journal

MANIFEST = plain_manifest()


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
    max_venue_delay_ns = None


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
SINKS = ("s.jsonl", "s.arrow")


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


def new_sink(path: Path) -> FileSink:
    return FileSink(FileSink.Settings(url=f"file://{path}"))


def opened(path: Path) -> FileSink:
    sink = new_sink(path)
    sink.open(None)
    return sink


def records(made: list[Signal]) -> list[JournalRecord]:
    return [JournalRecord(0, each.ts_recv, "signal", each.signal_id, each.json) for each in made]


def follower_of(path: Path, journal: Journal) -> SinkFollower:
    """The path's sink behind the journal, with a cursor beside that."""
    cursor = SinkCursor(journal.folder.with_name("sinks"), str(path))
    settings = FileSink.Settings(url=f"file://{path}")
    return SinkFollower(
        FileSink(settings), settings, name=settings.url, journal=journal, cursor=cursor, draw=random.Random(1)
    )


def follow(follower: SinkFollower, now: int = 0) -> int:
    """Steps until the sink has everything, or fails; how many signals were sent."""
    before = follower.stats(0)["sent"]
    for _ in range(3 + 2 * len(MADE) * 10):
        follower.step(now)  # opens it also where there is nothing to send
        if follower.is_open == follower.is_current:
            break
    follower.check_invariants()
    return int(follower.stats(0)["sent"] - before)


def filled(path: Path, journal: Journal) -> int:
    """What a start adds to the path's sink."""
    follower = follower_of(path, journal)
    try:
        return follow(follower)
    finally:
        assert not follower.is_failing, follower.stats(0)["error"]
        follower.close()


def failure(path: Path, journal: Journal) -> str:
    """The error of a sink that cannot begin."""
    follower = follower_of(path, journal)
    journal.take_over(follower.ahead(0))
    assert follow(follower) == 0
    follower.close()
    return str(follower.stats(0)["error"])


def journal_of(tmp_path: Path, made: list[Signal]) -> Journal:
    journal = Journal(tmp_path / "journal")
    journal.append("open", ts=0, body="{}")
    journal.append_signals(made)
    return journal


def test_signals_arrive_whole_and_in_order(path: Path) -> None:
    sink = opened(path)
    sink.send(records(MADE[:1]))
    sink.send([])
    sink.send(records(MADE[1:5]))
    assert read(path) == wanted(MADE[:5]), "readable while it grows"
    sink.close()
    sink.close()
    assert sink.open(None) == MADE[4].signal_id
    assert sink.tail()[-1] == MADE[4].json
    sink.send(records(MADE[5:6]))
    sink.close()
    assert read(path) == wanted(MADE[:6])


def test_arrow_columns_are_the_signals_keys(tmp_path: Path) -> None:
    sink = opened(tmp_path / "s.arrow")
    sink.send(records(MADE[:3]))
    sink.close()
    table = pa.ipc.open_stream(tmp_path / "s.arrow").read_all()
    assert table.schema.names == list(wanted(MADE)[0])
    assert table["value"].null_count == 1
    assert table["ts_event"].null_count == 3
    assert str(table["ts_recv"][0].cast(pa.string())) == "2024-08-08 23:54:14.000000123Z"


def test_an_arrow_file_of_fewer_columns_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "s.arrow"
    earlier = pa.schema([field for field in signal_schema() if field.name != "stage"])
    path.write_bytes(earlier.serialize().to_pybytes())
    sink = opened(path)
    sink.send(records(MADE[:2]))
    sink.close()
    sink = opened(path)
    sink.send(records(MADE[2:3]))
    sink.close()
    table = pa.ipc.open_stream(path).read_all()
    assert table.schema == earlier
    assert table["signal_id"].to_pylist() == [each.signal_id for each in MADE[:3]]


def test_a_start_adds_what_the_journal_has(path: Path, tmp_path: Path) -> None:
    with journal_of(tmp_path, MADE) as journal:
        assert filled(path, journal) == 40
        assert filled(path, journal) == 0
        assert read(path) == wanted(MADE)


def test_every_cut_is_mended_from_the_journal(path: Path, tmp_path: Path) -> None:
    made = MADE[:4]
    sink = opened(path)
    ends = [0]
    for each in made:
        sink.send(records([each]))
        ends.append(path.stat().st_size)
    sink.close()
    whole = path.read_bytes()
    around = {end + step for end in ends for step in (-8, -1, 0, 1, 2, 4, 8)}
    with journal_of(tmp_path, made) as journal:
        for cut in sorted(cut for cut in around | set(range(0, len(whole), 197)) if 0 <= cut <= len(whole)):
            path.write_bytes(whole[:cut])
            if cut == 0:
                cursor_of(path).unlink()  # else the file is one that was emptied after it was copied
            follower = follower_of(path, journal)
            follower.step(0)
            left = len(read(path))
            assert follow(follower) == 4 - left
            follower.close()
            assert read(path) == wanted(made), cut
        assert left == 4


def test_a_file_ahead_of_the_journal_is_not_written_twice(path: Path, tmp_path: Path) -> None:
    sink = opened(path)
    sink.send(records(MADE[:10]))
    sink.close()
    with journal_of(tmp_path, MADE[:7]) as journal:
        follower = follower_of(path, journal)
        ahead = follower.ahead(0)
        assert [json.loads(text) for text in ahead] == wanted(MADE[7:10])
        assert ahead == [each.json for each in MADE[7:10]], "byte for byte"
        journal.take_over(ahead)
        assert follower.ahead(0) == []
        assert follow(follower) == 0
        journal.resume(0)
        for each in MADE:
            if not journal.seen(each):
                journal.append_signals([each])
                assert follow(follower) == 1
        follower.close()
        assert [record.body for record in journal.records(kind="signal")] == [each.json for each in MADE]
    assert read(path) == wanted(MADE)


def test_a_journal_that_lost_records_behind_the_cursor_is_not_sent_twice(path: Path, tmp_path: Path) -> None:
    """After a power cut the numbers behind the journal's end are given again: the cursor's are not believed."""
    with journal_of(tmp_path, MADE[:10]) as journal:
        assert filled(path, journal) == 10
    for each in (tmp_path / "journal").iterdir():
        each.unlink()
    (tmp_path / "journal.head").unlink()
    with journal_of(tmp_path, MADE[:6]) as journal:
        follower = follower_of(path, journal)
        journal.take_over(follower.ahead(0))
        journal.append_signals(MADE[10:12])
        assert follow(follower) == 2
        follower.close()
    assert read(path) == wanted(MADE[:12])


@pytest.mark.parametrize("known", [0, 5])
def test_a_file_of_another_run_is_refused_untouched(path: Path, tmp_path: Path, known: int) -> None:
    sink = opened(path)
    sink.send(records(make(3, pipeline="another")))
    sink.close()
    before = path.read_bytes()
    with journal_of(tmp_path, MADE[:known]) as journal:
        assert "which the journal does not hold" in failure(path, journal)
        assert journal.next_seq == known + 1
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"hello", b"hello\n", b"[1]\n", b'{"signal_id": 3}\n', b"\0" * 99, b"PAR1" * 999])
def test_a_file_that_is_none_of_ours_is_refused_untouched(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(SinkError) as caught:
        opened(path)
    assert caught.value.code == "DAMAGED"
    assert path.read_bytes() == content


def test_one_writer(path: Path) -> None:
    sink, other = opened(path), new_sink(path)
    with pytest.raises(SinkError) as caught:
        other.open(None)
    assert caught.value.code == "LOCKED"
    sink.close()
    other.open(None)
    other.close()


@pytest.mark.parametrize(
    "url", ["file://s.parquet", "file://s", "s.jsonl", "kafka://broker/topic", "https://x/s.jsonl", ""]
)
def test_unknown_urls(url: str) -> None:
    with pytest.raises(SinkError) as caught:
        FileSink(FileSink.Settings(url=url))
    assert caught.value.code == "UNKNOWN_URL"


_FULL = """
import resource, sys
sys.path.insert(0, sys.argv[3])
from pathlib import Path
from signal_stream.errors import SinkError
from test_sinks import MADE, opened, records
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
sink = opened(Path(sys.argv[1]))
for sent, each in enumerate(MADE):
    try:
        sink.send(records([each]))
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
        filled(path, journal)
    assert read(path) == wanted(MADE)


_PIPELINE = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from signal_stream.store import Journal
from test_sinks import SINKS, follow, follower_of, make
folder = Path(sys.argv[1])
with Journal(folder / "journal", segment_bytes=40_000) as journal:
    sinks = [follower_of(folder / "out" / name, journal) for name in SINKS]
    journal.resume(0)
    for each in make(300):
        if not journal.seen(each):
            journal.append_signals([each])
            for sink in sinks:
                follow(sink)
            print(flush=True)
    for sink in sinks:
        follow(sink)
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
        follower = follower_of(path, journal)
        follow(follower)
        if restarted:
            follower.close()
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
                follower = follower_of(path, journal)
                assert follower.ahead(0) == []
                assert follow(follower) == 0, "the old file has them"
            if turn:
                journal.append_signals(MADE[10:20])
                assert follow(follower) == 10
            if restarted:
                follower.close()
        follower.close()
    assert read(old) + read(path) == wanted(MADE[:20])


CHANGES = {
    "cut in half": lambda data: data[: len(data) // 2],
    "written to": lambda data: data + b"\0",
    "cut to a byte": lambda data: data[:1],
}


@pytest.mark.parametrize("how", CHANGES)
def test_a_file_that_was_cut_in_part_or_written_by_others_waits_for_somebody(
    path: Path, tmp_path: Path, how: str
) -> None:
    with journal_of(tmp_path, MADE[:20]) as journal:
        follower = follower_of(path, journal)
        follow(follower)
        changed = CHANGES[how](path.read_bytes())
        path.write_bytes(changed)
        journal.append_signals(MADE[20:22])
        for now in (0, 10**12):
            assert follower.step(now) is not None
            assert "somebody changed it" in follower.stats(now)["error"]
            assert path.read_bytes() == changed, "nothing is cut from what somebody else may have written"
        path.rename(path.with_name("aside"))
        assert follow(follower, 2 * 10**12) == 2
        follower.close()
    assert read(path) == wanted(MADE[20:22])


def test_another_file_in_its_place_is_left_alone(path: Path, tmp_path: Path) -> None:
    with journal_of(tmp_path, MADE) as journal:
        follower = follower_of(path, journal)
        follow(follower)
        path.unlink()
        path.write_bytes(b"hello\n")
        journal.append_signals(make(41)[40:])
        follower.step(0)
        assert "another file" in follower.stats(0)["error"]
        follower.close()
    assert path.read_bytes() == b"hello\n"


def test_a_torn_first_signal_of_a_new_file_is_made_from_the_journal(path: Path, tmp_path: Path) -> None:
    with journal_of(tmp_path, MADE[:10]) as journal:
        follower = follower_of(path, journal)
        follow(follower)
        path.rename(path.with_name("old"))
        journal.append_signals(MADE[10:12])
        follow(follower)
        follower.close()
        os.truncate(path, 20 if path.suffix == ".jsonl" else 3000)
        assert filled(path, journal) == 2
    assert read(path) == wanted(MADE[10:12])
