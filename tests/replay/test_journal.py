"""The journal: what was acknowledged is there after any crash, once, and nothing else passes for it."""

from __future__ import annotations

import json
import os
import random
import signal as signals
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.manifests import DIGEST, plain_manifest

from signal_stream import _core
from signal_stream.errors import JournalError
from signal_stream.guards import Gate, standard_guards
from signal_stream.records import JournalRecord, Latency, Signal
from signal_stream.store import KINDS, Journal, JournalReader, Snapshot, Snapshots
from signal_stream.store.replayed import Replayed
from signal_stream.store.segment import Segment, SegmentScan

MANIFEST = plain_manifest()


@dataclass(frozen=True)
class Row:
    offset: int
    graph_digest: str = DIGEST
    schema_digest: str = DIGEST
    instrument: str = "X"
    ts_event: int | None = 5
    ts_recv: int = 6
    data_window_end: int = 5
    age_recv_ns: int | None = 1
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


def make(count: int, start: int = 0) -> list[Signal]:
    latches = NoLatches()
    gate = Gate(
        standard_guards(MANIFEST, Limits(), latches), manifest=MANIFEST, latches=latches, pipeline="p", tape="t"
    )
    made = []
    for offset in range(start, start + count):
        verdict = gate.judge(Prediction(offset / 8), Row(offset), 6)
        made.append(gate.signal(verdict, Latency(1, 2, 3, 4)))
    return made


def ids(journal: JournalReader) -> list[str]:
    return [record.key for record in journal.records(kind="signal")]


def only_segment(folder: Path) -> Path:
    (path,) = folder.glob("*.arrows")
    return path


def test_what_is_appended_is_read_back(tmp_path: Path) -> None:
    made = make(5)
    with Journal(tmp_path) as journal:
        assert journal.append("open", ts=1, body='{"pid": 1}') == 0
        assert journal.append_signals(made[:1]) == 1
        assert journal.append_signals(made[1:]) == 5
        assert journal.append_signals([]) == 5
        assert journal.append("latch", ts=-1, key="m", body='{"é": "\\u0000"}') == 6
        journal.check_invariants()
    reader = JournalReader(tmp_path)
    records = list(reader.records())
    assert [record.seq for record in records] == list(range(7))
    assert [record.kind for record in records] == ["open", *["signal"] * 5, "latch"]
    assert [record.body for record in records[1:6]] == [each.json for each in made]
    assert (records[6].ts, records[6].body) == (-1, '{"é": "\\u0000"}')
    assert reader.find(made[3].signal_id) == records[4]
    assert reader.find("0" * 32) is None
    assert reader.last() == records[6]
    assert reader.last("open") == records[0]
    assert reader.last("counts") is None
    assert list(reader.records(from_seq=5)) == records[5:]
    assert list(reader.records(key=made[0].signal_id)) == records[1:2]


def test_pyarrow_reads_it_and_zlib_checks_it(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.append_signals(make(3))
        journal.append("feed", ts=7, key="k", body="{}")
    table = pa.ipc.open_stream(only_segment(tmp_path)).read_all()
    assert table.schema.names == ["seq", "ts", "kind", "key", "body", "crc32"]
    assert table.schema.metadata == {b"signal_stream.journal": b"1"}
    assert table["seq"].to_pylist() == [0, 1, 2, 3]
    for row in table.to_pylist():
        data = struct.pack("<Qq", row["seq"], row["ts"])
        for text in (row["kind"], row["key"], row["body"]):
            data += struct.pack("<I", len(text.encode())) + text.encode()
        assert zlib.crc32(data) == row["crc32"]


def test_every_cut_loses_the_last_append_and_nothing_else(tmp_path: Path) -> None:
    made = make(4)
    with Journal(tmp_path / "whole") as journal:
        journal.append_signals(made[:1])
        before = journal.size
        journal.append_signals(made[1:3])
        after = journal.size
    whole = only_segment(tmp_path / "whole").read_bytes()
    assert len(whole) == after
    for cut in [*range(1, 8), *range(before - 3, before + 450), *range(after - 40, after)]:
        folder = tmp_path / f"cut{cut}"
        folder.mkdir()
        path = folder / only_segment(tmp_path / "whole").name
        path.write_bytes(whole[:cut])
        kept = [] if cut < before else [made[0].signal_id]
        assert ids(JournalReader(folder)) == kept
        with Journal(folder, fsync="never") as journal:
            good = {True: 0, False: 432}[cut < 432] if cut < before else before
            assert ids(journal) == kept
            if cut == before:
                assert journal.recovered is None
            else:
                assert journal.recovered is not None
                assert (journal.recovered.offset, journal.recovered.bytes_cut) == (good, cut - good)
                assert journal.recovered.kept.read_bytes() == whole[good:cut]
            journal.append_signals(made[3:])
            journal.check_invariants()
        assert ids(JournalReader(folder)) == [*kept, made[3].signal_id]


@pytest.mark.parametrize(
    "tail", [b"\0", b"\0" * 5000, b"garbage", b"\xff" * 4096, b"\xff\xff\xff\xff\xa8\x01\0\0" * 99]
)
def test_garbage_behind_the_last_record_is_cut_and_kept(tmp_path: Path, tail: bytes) -> None:
    made = make(2)
    with Journal(tmp_path) as journal:
        journal.append_signals(made[:1])
    with only_segment(tmp_path).open("ab") as file:
        file.write(tail)
    with Journal(tmp_path) as journal:
        assert journal.recovered is not None
        assert journal.recovered.kept.read_bytes() == tail
        journal.append_signals(made[1:])
    assert ids(JournalReader(tmp_path)) == [each.signal_id for each in made]


def test_damage_in_the_middle_names_the_place_and_changes_nothing(tmp_path: Path) -> None:
    made = make(3)
    sizes = []
    with Journal(tmp_path) as journal:
        for each in made:
            sizes.append(journal.size)
            journal.append_signals([each])
    path = only_segment(tmp_path)
    good = path.read_bytes()
    for at in range(sizes[1], sizes[2], 7):
        damaged = bytearray(good)
        damaged[at] ^= 4
        path.write_bytes(damaged)
        for attempt in (lambda: Journal(tmp_path), lambda: ids(JournalReader(tmp_path))):
            with pytest.raises(JournalError) as caught:
                attempt()
            assert caught.value.code == "DAMAGED"
            assert caught.value.value == sizes[1]
            assert f"byte {sizes[1]}, after record 0" in str(caught.value)
        assert path.read_bytes() == damaged
    path.write_bytes(good)
    assert len(ids(JournalReader(tmp_path))) == 3


def test_a_header_that_is_none_is_refused(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.append_signals(make(1))
    path = only_segment(tmp_path)
    path.write_bytes(b"PAR1" + path.read_bytes()[4:])
    for attempt in (lambda: Journal(tmp_path), lambda: ids(JournalReader(tmp_path))):
        with pytest.raises(JournalError, match="does not begin as a journal"):
            attempt()


def test_segments_are_bounded_and_read_as_one(tmp_path: Path) -> None:
    made = make(100)
    with Journal(tmp_path, segment_bytes=20_000) as journal:
        for each in made:
            journal.append_signals([each])
        journal.check_invariants()
    sizes = [path.stat().st_size for path in tmp_path.glob("*.arrows")]
    assert len(sizes) > 4
    assert max(sizes) <= 20_000
    reader = JournalReader(tmp_path)
    assert ids(reader) == [each.signal_id for each in made]
    assert [record.seq for record in reader.records(from_seq=77)] == list(range(77, 100))
    found = reader.find(made[3].signal_id)
    assert found is not None
    assert found.seq == 3
    with Journal(tmp_path, segment_bytes=20_000) as journal:
        assert journal.next_seq == 100


def test_an_append_larger_than_a_segment_gets_its_own(tmp_path: Path) -> None:
    body = '"' + "x" * 3_000_000 + '"'
    with Journal(tmp_path, segment_bytes=1 << 16) as journal:
        for _ in range(2):
            journal.append("counts", ts=0, body=body)
    assert [record.body for record in JournalReader(tmp_path).records()] == [body, body]
    assert len(list(tmp_path.glob("*.arrows"))) == 2


def test_a_missing_or_shortened_older_segment_is_damage(tmp_path: Path) -> None:
    with Journal(tmp_path, segment_bytes=20_000) as journal:
        for each in make(60):
            journal.append_signals([each])
    paths = sorted(tmp_path.glob("*.arrows"))
    good = paths[1].read_bytes()
    paths[1].write_bytes(good[:-8])
    with pytest.raises(JournalError, match=": short"):
        ids(JournalReader(tmp_path))
    frame = len(_core.journal_encode(0, 6, "signal", "0" * 32, make(1)[0].json))
    paths[1].write_bytes(good[:-frame])
    with pytest.raises(JournalError, match="are missing"):
        ids(JournalReader(tmp_path))
    paths[1].unlink()
    with pytest.raises(JournalError, match="are missing"):
        ids(JournalReader(tmp_path))


def test_kinds_are_closed_and_sizes_bounded(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        for kind in KINDS[1:]:
            journal.append(kind, ts=0, body="{}")
        for kind in ("signal", "veto", ""):
            with pytest.raises(JournalError) as caught:
                journal.append(kind, ts=0, body="{}")
            assert caught.value.code == "KIND"
        with pytest.raises(JournalError) as caught:
            journal.append("feed", ts=0, body="x" * (17 << 20))
        assert caught.value.code == "TOO_LARGE"
        assert journal.append("feed", ts=0, body="{}") == len(KINDS) - 1


def test_one_writer_many_readers(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        with pytest.raises(JournalError) as caught:
            Journal(tmp_path)
        assert caught.value.code == "LOCKED"
        made = make(300)
        seen: list[list[str]] = []
        failures: list[BaseException] = []
        done = threading.Event()

        def read() -> None:
            try:
                while not done.is_set():
                    seen.append(ids(JournalReader(tmp_path)))
            except BaseException as error:  # noqa: BLE001  told below
                failures.append(error)

        thread = threading.Thread(target=read)
        thread.start()
        for each in made:
            journal.append_signals([each])
        while len(seen) < 3:
            assert not failures
        done.set()
        thread.join()
        wanted = [each.signal_id for each in made]
        assert not failures
        assert all(part == wanted[: len(part)] for part in seen)
        assert ids(journal) == wanted
    with pytest.raises(JournalError) as caught:
        journal.append("close", ts=0, body="{}")
    assert caught.value.code == "CLOSED"
    journal.close()
    Journal(tmp_path).close()


def test_a_reader_needs_a_journal(tmp_path: Path) -> None:
    with pytest.raises(JournalError) as caught:
        JournalReader(tmp_path / "none").last()
    assert caught.value.code == "NOT_FOUND"
    (tmp_path / "backup.arrows").touch()
    with pytest.raises(JournalError, match="not a segment's name"):
        Journal(tmp_path)


@pytest.mark.parametrize("fsync", ["never", "interval", "always"])
def test_every_sync_policy_keeps_everything(tmp_path: Path, fsync: Any) -> None:
    made = make(40)
    with Journal(tmp_path, fsync=fsync, fsync_interval_ns=1, segment_bytes=20_000) as journal:
        for each in made:
            journal.append_signals([each])
        journal.sync()
    assert ids(JournalReader(tmp_path)) == [each.signal_id for each in made]


def test_a_failed_sync_stops_the_journal(tmp_path: Path) -> None:
    journal = Journal(tmp_path, fsync_interval_ns=1)
    pipe, other = os.pipe()  # which no disk holds: each sync of it fails
    journal._syncer._written = lambda: 1
    journal._syncer.use(pipe)
    thread = journal._syncer._thread
    assert thread is not None
    thread.join(60)  # it ends when a sync fails
    for _ in range(2):
        with pytest.raises(JournalError) as caught:
            journal.append("feed", ts=0, body="{}")
        assert caught.value.code == "SYNC"
    assert journal.next_seq == 0
    os.close(other)


_FULL = """
import resource, sys
sys.path.insert(0, sys.argv[3])
from pathlib import Path
from signal_stream.errors import JournalError
from signal_stream.store import Journal
from test_journal import make
made = make(50)
room = int(sys.argv[2])
if room:
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
journal = Journal(Path(sys.argv[1]), segment_bytes=30_000)
for each in made:
    try:
        journal.append_signals([each])
    except JournalError as error:
        print(error.code, journal.next_seq)
        break
    print(each.signal_id, flush=True)
for attempt in range(2):
    try:
        journal.append("close", ts=0, body="{}")
    except JournalError as error:
        print(error.code, journal.next_seq)
try:
    journal.check_invariants()
finally:
    journal.close()
"""


def run_until_full(folder: Path, room: int) -> tuple[list[str], list[str]]:
    command = [sys.executable, "-c", _FULL, str(folder), str(room), str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = done.stdout.split("\n")[:-1]
    return [line for line in lines if len(line) == 32], [line for line in lines if len(line) != 32]


@pytest.mark.parametrize("room", [433, 6_000, 12_000, 12_008, 29_000])
def test_a_record_that_did_not_fit_was_not_written(tmp_path: Path, room: int) -> None:
    """A file size limit fails a write half way, as a full disk does."""
    acknowledged, refused = run_until_full(tmp_path, room)
    assert refused == [f"DISK_FULL {len(acknowledged)}"] * 3
    assert (len(acknowledged) > 0) == (room > 433)
    assert ids(JournalReader(tmp_path)) == acknowledged
    with Journal(tmp_path) as journal:
        assert journal.recovered is None, "the half record was taken back at once"
        journal.append_signals(make(1, start=len(acknowledged)))
    assert ids(JournalReader(tmp_path)) == [each.signal_id for each in make(len(acknowledged) + 1)]


def test_a_full_file_system_stops_the_journal(tmp_path: Path) -> None:
    """The same on a real file system of 48 KiB, also while a segment is begun; where nobody may mount one, a limit of
    the size of files stands in for it."""
    inner = f'mount -t tmpfs -o size=48k none {tmp_path} && exec "$@"'
    probe = subprocess.run(
        ["unshare", "-rm", "sh", "-c", f"mount -t tmpfs none {tmp_path}"], capture_output=True, check=False
    )
    mounts = ["unshare", "-rm", "sh", "-c", inner, "sh"] if probe.returncode == 0 else []
    room = "0" if mounts else "29000"
    command = [*mounts, sys.executable, "-c", _FULL]
    done = subprocess.run(
        [*command, str(tmp_path / "j"), room, str(Path(__file__).parent)], capture_output=True, text=True, check=True
    )
    lines = done.stdout.split("\n")[:-1]
    acknowledged = [line for line in lines if len(line) == 32]
    assert lines[-3:] == [f"DISK_FULL {len(acknowledged)}"] * 3
    assert 20 < len(acknowledged) < 50


_WRITER = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from signal_stream.store import Journal
from test_journal import make
with Journal(Path(sys.argv[1]), segment_bytes=40_000) as journal:
    journal.resume(0)
    for each in make(5_000):
        if not journal.seen(each):
            journal.append_signals([each])
            sys.stdout.write(each.signal_id + "\\n")
            sys.stdout.flush()
    assert journal.recovery_ended
"""


def test_kill_at_any_moment_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    draw = random.Random(3)
    wanted = [each.signal_id for each in make(5_000)]
    acknowledged = 0
    for _ in range(12):
        command = [sys.executable, "-c", _WRITER, str(tmp_path), str(Path(__file__).parent)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            for _ in range(draw.randrange(1, 350)):
                assert writer.stdout.readline().strip() == wanted[acknowledged]
                acknowledged += 1
            writer.send_signal(signals.SIGKILL)
            for line in writer.stdout:
                if len(line) == 33:
                    assert line.strip() == wanted[acknowledged]
                    acknowledged += 1
        found = ids(JournalReader(tmp_path))
        assert found == wanted[: len(found)]
        assert acknowledged <= len(found) <= acknowledged + 1
        acknowledged = len(found)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    assert ids(JournalReader(tmp_path)) == wanted


def repeated(made: Sequence[Signal], **more: Any) -> Replayed:
    records = (JournalRecord(seq, 6, "signal", each.signal_id, each.json) for seq, each in enumerate(made))
    return Replayed(records, **more)


def test_a_repeated_run_is_compared_signal_by_signal(tmp_path: Path) -> None:
    made = make(30)
    replayed = repeated(made[:20])
    assert [replayed.seen(each) for each in made] == [True] * 20 + [False] * 10
    assert replayed.ended

    for run in ([made[1]], [made[0], made[2]], [made[0], made[1], made[0]], made[20:]):
        replayed = repeated(made[:20])
        with pytest.raises(JournalError) as caught:
            for each in run:
                replayed.seen(each)
        assert caught.value.code == "DIFFERS"
        assert "Nothing was sent" in str(caught.value)

    replayed = repeated(made, after_offset=9)
    assert [replayed.seen(each) for each in made[10:]] == [True] * 20

    with Journal(tmp_path) as journal:
        journal.append_signals(made[:20])
        journal.resume(10)
        assert [journal.seen(each) for each in made[10:]] == [True] * 10 + [False] * 10


def test_another_value_of_the_same_inputs_is_another_signal() -> None:
    made = make(3)
    other = json.loads(made[1].json) | {"value": 0.25}
    records = [JournalRecord(0, 6, "signal", made[1].signal_id, json.dumps(other))]
    with pytest.raises(JournalError, match=r"value 0\.25 in the journal, 0\.125 now"):
        Replayed(iter(records)).seen(made[1])
    for moment in ({"latency_ns": {"features": 9}}, {"verdict": "VETO", "codes": ["KILLED"], "value": None}):
        text = json.dumps(json.loads(made[1].json) | moment)
        assert Replayed(iter([JournalRecord(0, 6, "signal", made[1].signal_id, text)])).seen(made[1])


def test_a_lost_record_stands_for_one_signal_at_most() -> None:
    made = make(12)
    kept = [JournalRecord(seq, 6, "signal", each.signal_id, each.json) for seq, each in enumerate(made[:10])]
    for first in range(10):
        for count in range(1, 10 - first + 1):
            lost = [JournalRecord(seq, 6, "lost", "", "{}") for seq in range(first, first + count)]
            records = [*kept[:first], *lost, *kept[first + count :]]
            seen = [Replayed(iter(records)).seen, Replayed(iter(records), tape_end=9).seen]
            for see in seen:
                assert [see(each) for each in made] == [True] * 10 + [False] * 2, (first, count)
    more = [*kept[:5], *(JournalRecord(5 + i, 6, "lost", "", "{}") for i in range(9)), kept[8]]
    see = Replayed(iter(more)).seen  # 9 lost records, of which 3 were signals
    assert [see(each) for each in (*made[:9], made[9])] == [True] * 9 + [False]


def test_what_lay_in_removed_segments_is_not_sent_again() -> None:
    made = make(10)
    replayed = repeated(made[4:8], begins_late=True)
    assert [replayed.seen(each) for each in made] == [True] * 8 + [False] * 2
    replayed = repeated(made[4:8], begins_late=True)
    with pytest.raises(JournalError, match="is another one"):
        for each in (*made[:4], *made[5:]):
            replayed.seen(each)


def test_what_a_run_appends_itself_is_no_repetition(tmp_path: Path) -> None:
    made = make(70_000)
    with Journal(tmp_path, fsync="never") as journal:
        for at in range(0, 66_000, 1000):
            journal.append_signals(made[at : at + 1000])
        journal.resume(0)
        journal.append_signals(made[66_000:])
        assert all(journal.seen(each) for each in made[:66_000])
        assert not any(journal.seen(each) for each in made[66_000:])


def test_a_frame_that_was_being_written_is_no_damage(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.append_signals(make(1))
        half = journal.size + 500
        for each in make(3, start=1):
            journal.append_signals([each])
    path = only_segment(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:half])
    scan = SegmentScan(Segment(path, 0)).finish()
    assert scan.fault == "short"
    path.write_bytes(whole)
    assert not scan.is_damaged()


def test_snapshots_are_whole_or_passed_over(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path / "snapshots")
    assert snapshots.latest() is None
    first = Snapshot(10, {"engine": b"\0\n\xff", "gate": b""})
    second = Snapshot(200, {"engine": b"two"})
    snapshots.put(first)
    assert snapshots.latest() == first
    path = snapshots.put(second)
    good = path.read_bytes()
    assert snapshots.latest() == second
    for spoiled in (good[:-1], good + b"x", good.replace(b"two", b"tw0"), b"", b"[]\n", b"{}\n"):
        path.write_bytes(spoiled)
        assert snapshots.latest() == first
    path.write_bytes(good)
    snapshots.put(Snapshot(3000, {}))
    assert len(list((tmp_path / "snapshots").iterdir())) == 2
