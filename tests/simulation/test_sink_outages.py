"""Sinks that are away, slow, flapping or choosy: each signal once in the end, and nothing left out in silence."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from signal_stream.emit import FileSink
from signal_stream.errors import JournalError, SinkError
from signal_stream.records import JournalRecord, SkippedRange
from signal_stream.serve.journal_times import JournalTimes
from signal_stream.serve.sink_cursor import SinkCursor, SinkPosition
from signal_stream.serve.sink_follower import REFUSALS, RETRY_NS_MAX, SinkFollower, is_for_sinks
from signal_stream.serve.sinks import Sinks
from signal_stream.settings import SinkSettings
from signal_stream.store import Journal, JournalFollower
from signal_stream.testing import ManualClock, MemorySink, sample_signals

SECOND = 1_000_000_000
HOUR = 3600 * SECOND


class World:
    """A journal, one sink that follows it, and a clock that a test moves."""

    def __init__(
        self,
        folder: Path,
        sink: Any,
        *,
        when_lagging: Any = "wait",
        lag_max: str = "60s",
        begin: Any = "oldest",
        first: int = 0,
    ) -> None:
        self.clock = ManualClock()
        self.folder = folder
        self.sink = sink
        self.settings = SinkSettings(kind="memory", when_lagging=when_lagging, lag_max=lag_max, **{"from": begin})
        self.journal = Journal(folder / "journal", segment_bytes=65536, fsync="never")
        self.times = JournalTimes()
        self.written = self.tries = 0
        self.due: int | None = 0
        self.write(first)
        self.follower = self.opened()

    def opened(self) -> SinkFollower:
        cursor = SinkCursor(self.folder / "sinks", "memory")
        return SinkFollower(
            self.sink, self.settings, name="memory", journal=self.journal, cursor=cursor, draw=random.Random(3)
        )

    def reopen(self) -> None:
        """As a restart after kill -9: nothing is closed in order."""
        self.follower = self.opened()
        self.due = 0

    def write(self, count: int) -> None:
        records = sample_signals(count, first=self.written)
        self.journal.take_over([record.body for record in records])
        self.written += count
        self.times.note(self.journal.next_seq, self.clock.monotonic_ns())
        if self.due is None:
            self.due = 0

    def pass_time(self, ns: int) -> None:
        """Lets the follower do everything that is due in that time, as its thread and the pipeline would."""
        end = self.clock.monotonic_ns() + ns
        while True:
            now = self.clock.monotonic_ns()
            self.look(now)
            while self.due is not None and self.due <= now:
                self.due = self.follower.step(now)
                self.tries += self.follower.is_failing
                self.look(now)
            if now >= end:
                break
            self.clock.advance(min(end, self.due or end) - now)
        self.follower.check_invariants()

    def look(self, now: int) -> None:
        follower = self.follower
        behind = follower.seq < self.journal.next_seq
        follower.lag_ns = now - self.times.written_ns(follower.seq, now) if behind else 0
        if follower.skip is not None and self.due is None:
            self.journal.append("skip", ts=now, body=follower.skip.mark.to_json())
            follower.skip_is_written()
            self.due = now

    def stats(self) -> dict[str, Any]:
        return self.follower.stats(self.clock.monotonic_ns())

    def marks(self) -> list[SkippedRange]:
        return [SkippedRange.from_json(record.body) for record in self.journal.records(kind="skip")]

    def ids(self) -> list[str]:
        return [record.key for record in self.journal.records(kind="signal")]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, MemorySink())


def test_an_hour_away_and_everything_comes(world: World) -> None:
    world.write(10)
    world.pass_time(SECOND)
    assert world.sink.ids == world.ids()
    assert (world.stats()["state"], world.stats()["lag_records"]) == ("OK", 0)
    world.sink.down = "no route to the bus"
    for _ in range(60):
        world.write(10)
        world.pass_time(HOUR // 60)
    stats = world.stats()
    assert (stats["state"], stats["lag_records"]) == ("DEGRADED", 600)
    assert "no route to the bus" in stats["error"]
    assert HOUR - 60 * SECOND <= stats["lag_ns"] <= HOUR
    assert 0 < stats["retry_in_ns"] <= RETRY_NS_MAX
    assert HOUR / RETRY_NS_MAX <= world.tries < 2 * HOUR / RETRY_NS_MAX + 20, "it knocks, and not too often"
    world.sink.down = ""
    world.pass_time(RETRY_NS_MAX)
    assert world.sink.ids == world.ids()
    assert len(world.ids()) == 610
    assert world.stats() | {"sent": 0} == {
        "sink": "memory", "state": "OK", "error": None, "retry_in_ns": None, "began_seq": 0, "lag_records": 0, "lag_ns": 0,
        "sent": 0, "skipped": 0, "failures": 0,
    }  # fmt: skip


@pytest.mark.parametrize(("begin", "gets"), [("oldest", 15), ("newest", 5)])
@pytest.mark.parametrize("killed", [False, True])
def test_a_new_sink_begins_where_it_is_told(tmp_path: Path, begin: str, gets: int, killed: bool) -> None:
    world = World(tmp_path, MemorySink(), begin=begin, first=10)
    if killed:  # before it was sent anything: the second start does not take what came meanwhile for old
        world.write(2)
        world.reopen()
        world.write(3)
    else:
        world.write(5)
    world.pass_time(SECOND)
    assert world.sink.ids == world.ids()[-gets:]
    assert world.stats()["began_seq"] == 15 - gets


def test_a_place_that_was_emptied_gets_what_the_sink_was_sent_again_and_no_more(tmp_path: Path) -> None:
    world = World(tmp_path, MemorySink(), begin="newest", first=10)
    world.write(5)
    world.pass_time(SECOND)
    world.sink = MemorySink()
    world.reopen()
    world.write(1)
    world.pass_time(SECOND)
    assert world.sink.ids == world.ids()[10:]


def test_a_place_that_knows_what_it_holds_goes_on_there_whatever_from_says(tmp_path: Path) -> None:
    world = World(tmp_path, MemorySink(), first=10)
    world.pass_time(SECOND)
    for path in (tmp_path / "sinks").iterdir():  # the state of its cursor is lost
        path.unlink()
    world.write(3)
    world.settings = SinkSettings(kind="memory", **{"from": "newest"})  # type: ignore[arg-type]
    world.reopen()
    world.write(2)
    world.pass_time(SECOND)
    assert world.sink.ids == world.ids()


class CannotTell(MemorySink):
    """A place that does not know what it holds."""

    def open(self, last_id: str | None) -> None:  # type: ignore[override]
        super().open(last_id)


def test_after_a_power_cut_and_a_kill_a_place_that_cannot_tell_is_not_sent_everything_again(tmp_path: Path) -> None:
    world = World(tmp_path, CannotTell(), first=10)
    world.pass_time(SECOND)
    sent = world.ids()
    cursor = SinkCursor(tmp_path / "sinks", "memory")
    cursor.read()
    cursor.write(SinkPosition(15, "f" * 32, None))  # the journal lost five records that were sent
    cursor.close()
    world.reopen()
    world.reopen()
    world.write(3)
    world.pass_time(SECOND)
    assert world.sink.ids == [*sent, *world.ids()[10:]]


def test_pauses_double_and_are_drawn(world: World) -> None:
    world.sink.down = "away"
    world.write(1)
    pauses = []
    for _ in range(12):
        now = world.clock.monotonic_ns()
        due = world.follower.step(now)
        assert due is not None
        pauses.append(due - now)
        world.clock.advance(due - now)
    for number, pause in enumerate(pauses):
        whole = min(100_000_000 << number, RETRY_NS_MAX)
        assert whole // 2 <= pause < whole
    assert len({pause / min(100_000_000 << number, RETRY_NS_MAX) for number, pause in enumerate(pauses)}) == 12


@pytest.mark.parametrize("seed", range(5))
def test_flapping_and_killed_in_between_each_signal_comes_once(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)

    class Flapping(MemorySink):
        """Fails before or after it took what it was sent."""

        def open(self, last_id: str | None) -> str:
            if draw.random() < 0.3:
                raise ConnectionError("refused")
            return super().open(last_id)

        def send(self, records: Sequence[JournalRecord]) -> None:
            fate = draw.random()
            if fate < 0.2:
                raise ConnectionError("reset before")
            super().send(records if fate > 0.3 else records[: len(records) // 2])
            if fate < 0.5:
                raise ConnectionError("reset after")

    world = World(tmp_path, Flapping())
    for _ in range(60):
        world.write(draw.randrange(40))
        world.pass_time(draw.randrange(10 * SECOND))
        if draw.random() < 0.2:
            world.reopen()
    draw.random = lambda: 0.9  # type: ignore[method-assign]
    world.pass_time(10 * RETRY_NS_MAX)
    assert world.sink.ids == world.ids()


def test_one_refused_signal_stands_named_and_holds_back_what_follows(world: World) -> None:
    world.write(20)
    refused = world.ids()[7]
    world.sink.refuses = {refused}
    world.pass_time(HOUR)
    assert world.sink.ids == world.ids()[:7], "what lies before it arrives"
    stats = world.stats()
    assert stats["state"] == "DEGRADED"
    assert f"signal {refused} (record 7) was refused" in stats["error"]
    assert world.marks() == []
    world.sink.refuses = set()
    world.pass_time(RETRY_NS_MAX)
    assert world.sink.ids == world.ids()
    assert world.stats()["state"] == "OK"


def test_one_refused_signal_is_skipped_with_a_mark_where_that_is_asked_for(tmp_path: Path) -> None:
    world = World(tmp_path, MemorySink(), when_lagging="skip")
    world.write(20)
    refused = world.ids()[7]
    world.sink.refuses = {refused}
    world.pass_time(30 * SECOND)
    assert world.sink.ids == [each for each in world.ids() if each != refused]
    [mark] = world.marks()
    assert (mark.sink, mark.first_seq, mark.last_seq, mark.signals) == ("memory", 7, 7, 1)
    assert (mark.first_id, mark.last_id) == (refused, refused)
    assert f"refused {REFUSALS} times" in mark.reason
    assert world.sink.marks == [mark]
    assert (world.stats()["state"], world.stats()["skipped"]) == ("OK", 1)
    world.reopen()
    world.pass_time(SECOND)
    assert refused not in world.sink.ids, "a restart does not go back"


def test_an_error_of_ones_own_for_one_signal_names_it(world: World) -> None:
    class Choosy(MemorySink):
        def send(self, records: Sequence[JournalRecord]) -> None:
            if any(record.seq == 5 for record in records):
                raise ValueError("cannot encode 'ö'")
            super().send(records)

    world.sink = Choosy()
    world.reopen()
    world.write(20)
    world.pass_time(HOUR)
    assert world.sink.ids == world.ids()[:5]
    assert f"cannot encode 'ö' It stands at signal {world.ids()[5]} (record 5)." in world.stats()["error"]


def test_beyond_lag_max_the_range_is_skipped_and_marked(tmp_path: Path) -> None:
    world = World(tmp_path, MemorySink(), when_lagging="skip", lag_max="10s")
    world.write(5)
    world.pass_time(SECOND)
    world.sink.down = "away"
    world.write(300)  # several pieces
    world.pass_time(9 * SECOND)
    assert world.marks() == []
    world.pass_time(2 * RETRY_NS_MAX)
    [mark] = world.marks()
    assert (mark.first_seq, mark.last_seq, mark.signals) == (5, 304, 300)
    assert (mark.first_id, mark.last_id) == (world.ids()[5], world.ids()[304])
    assert "lag_max is 10 s" in mark.reason
    assert "away" in mark.reason
    world.sink.down = ""
    world.write(5)
    world.pass_time(RETRY_NS_MAX)
    assert world.sink.ids == world.ids()[:5] + world.ids()[305:]
    assert world.sink.marks == [mark]


def test_a_journal_that_cannot_be_read_while_a_range_is_counted_leaves_nothing_out_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, MemorySink(), when_lagging="skip", lag_max="10s")
    world.sink.down = "away"
    world.write(30)
    world.pass_time(SECOND)
    world.clock.advance(10 * SECOND)
    world.look(world.clock.monotonic_ns())
    world.follower.step(world.clock.monotonic_ns())
    assert world.follower._left_out.is_counting
    world.write(5)
    with monkeypatch.context() as broken:
        broken.setattr(JournalFollower, "read", lambda self: (_ for _ in ()).throw(JournalError("DAMAGED", "a frame")))
        world.follower.step(world.clock.monotonic_ns())
    assert "a frame" in world.stats()["error"]
    assert world.follower.seq == 0
    world.pass_time(60 * SECOND)
    world.sink.down = ""
    world.pass_time(60 * SECOND)
    told = {mark.first_seq for mark in world.marks()}
    assert 0 in told
    assert sum(mark.signals for mark in world.marks()) + len(world.sink.ids) == 35


def test_a_mark_that_the_journal_does_not_hold_leaves_nothing_out(tmp_path: Path) -> None:
    world = World(tmp_path, MemorySink(), when_lagging="skip", lag_max="10s")
    world.sink.down = "away"
    world.write(5)
    world.pass_time(SECOND)
    world.follower.lag_ns = 20 * SECOND
    while world.follower.skip is None:
        world.follower.step(world.clock.monotonic_ns())
    world.reopen()  # killed before the journal had it
    world.sink.down = ""
    world.pass_time(SECOND)
    assert world.sink.ids == world.ids()
    assert world.marks() == []


def test_a_slow_sink_catches_up_in_pieces_and_says_how_far_it_is(world: World) -> None:
    class Slow(MemorySink):
        def send(self, records: Sequence[JournalRecord]) -> None:
            world.clock.advance(SECOND)
            super().send(records)

    world.sink = Slow()
    world.reopen()
    world.write(1000)
    world.pass_time(4 * SECOND)
    stats = world.stats()
    assert stats["state"] == "CATCHING UP"
    assert 0 < stats["lag_records"] < 1000
    assert stats["lag_ns"] >= 2 * SECOND
    world.pass_time(60 * SECOND)
    assert world.sink.ids == world.ids()
    assert max(world.sink.pieces) < 200, "in bounded memory"


def test_a_disk_that_is_full_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    path = tmp_path / "out" / "s.jsonl"
    world = World(tmp_path, FileSink(FileSink.Settings(url=f"file://{path}")))
    world.write(10)
    world.pass_time(SECOND)
    room, pwrite = 700, os.pwrite

    def short(file: int, data: bytes, at: int) -> int:
        if Path(f"/proc/self/fd/{file}").readlink() != path:
            return pwrite(file, data, at)
        if at + len(data) > size + room:
            pwrite(file, data[: max(0, size + room - at)], at)
            raise OSError(28, "No space left on device")
        return pwrite(file, data, at)

    size = path.stat().st_size
    monkeypatch.setattr(os, "pwrite", short)
    world.write(100)
    world.pass_time(60 * SECOND)
    assert "No space left" in world.stats()["error"]
    lines = path.read_text().splitlines()
    assert 10 <= len(lines) < 110
    room = 10**9
    world.pass_time(2 * RETRY_NS_MAX)
    assert world.stats()["state"] == "OK"
    assert [line[15:47] for line in path.read_text().splitlines()] == world.ids()


def test_records_that_are_no_signals_are_no_lag(world: World) -> None:
    world.sink.down = "away"
    world.journal.append("latch", ts=0, body="{}")
    world.due = 0
    world.pass_time(SECOND)
    world.journal.append("latch", ts=0, body="{}")
    assert world.follower.is_due
    world.follower.step(world.clock.monotonic_ns())
    assert (world.stats()["lag_records"], world.stats()["state"]) == (0, "DEGRADED")


@pytest.mark.parametrize(
    ("stage", "goes"), [("live", True), ("canary", True), ("shadow", False), ("candidate", False), (None, True)]
)
def test_only_what_may_be_acted_upon_goes_to_sinks(world: World, stage: str | None, goes: bool) -> None:
    [record] = sample_signals(1)
    body = record.body.replace('"stage": "live", ', "" if stage is None else f'"stage": "{stage}", ')
    assert is_for_sinks(JournalRecord(0, 0, "signal", record.key, body)) == goes
    world.journal.take_over([body])
    world.due = 0
    world.pass_time(SECOND)
    assert world.sink.ids == ([record.key] if goes else [])
    assert world.follower.is_current


def test_beyond_lag_max_the_pipeline_is_told_to_halt(tmp_path: Path) -> None:
    sink = MemorySink()
    sink.down = "no route"
    settings = SinkSettings(kind="memory", lag_max="10s")
    assert settings.when_lagging == "halt"
    with Journal(tmp_path / "journal", fsync="never") as journal:
        sinks = Sinks([(sink, settings)], journal=journal, folder=tmp_path / "sinks")
        journal.take_over([record.body for record in sample_signals(3)])
        sinks.look(SECOND)
        sinks.look(11 * SECOND)
        with pytest.raises(SinkError, match=r"waits since 10\.0 s, and lag_max is 10 s") as caught:
            sinks.look(11 * SECOND + 1)
        assert caught.value.code == "LAGGING"
        assert sinks.oldest_seq == 0
        sinks.close()


def test_a_cursor_that_was_half_written_is_the_one_before(tmp_path: Path) -> None:
    cursor = SinkCursor(tmp_path, "bus")
    assert cursor.read() is None
    first, second = (SinkPosition(seq, f"{seq:032x}", None) for seq in (5, 9))
    cursor.write(first)
    cursor.write(second)
    cursor.close()
    assert SinkCursor(tmp_path, "bus").read() == second
    whole = cursor.path.read_bytes()
    for cut in range(257, 256 + 90):
        cursor.path.write_bytes(whole[:cut])
        assert SinkCursor(tmp_path, "bus").read() == first
    cursor.path.write_bytes(bytes(512))
    assert SinkCursor(tmp_path, "bus").read() is None


def test_a_follower_reads_on_over_segments_from_any_record(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal", segment_bytes=65536, fsync="never") as journal:
        journal.take_over([record.body for record in sample_signals(400)])
        assert len(list((tmp_path / "journal").glob("*.arrows"))) > 3
        for start in (0, 1, 57, 399, 400):
            follower = JournalFollower(journal)
            follower.seek(start)
            found = []
            while follower.seq < journal.next_seq:
                found += [record.seq for record in follower.read()]
                near = follower.place
                if near is not None and draw_near(near.seq):  # as a restart would, with a place and with a wrong one
                    follower.seek(near.seq, near)
                    follower.seek(near.seq, near._replace(offset=near.offset - 3))
            assert found == list(range(start, 400))
            follower.close()


def draw_near(seq: int) -> bool:
    return seq % 2 == 0


def test_times_of_records_are_kept_in_bounded_memory() -> None:
    times = JournalTimes()
    for number in range(100_000):
        times.note(number * 10 + 10, number)
    assert len(times._samples) <= 4096
    assert times.written_ns(0, 10**9) == 0
    assert 50_000 <= times.written_ns(500_000, 10**9) <= 51_000
    times.forget(999_995)
    assert times.written_ns(999_996, 10**9) == 10**9, "nobody has looked since"
    assert times.written_ns(10**9, 7) == 7
