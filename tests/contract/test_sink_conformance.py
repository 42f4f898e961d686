"""Does `check_sink` pass what is right, ours first, and fail a sink that is wrong in one rule?"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from signal_stream.emit import FileSink
from signal_stream.records import JournalRecord, SkippedRange
from signal_stream.testing import MemorySink, check_sink, sample_amendments


@pytest.mark.parametrize("suffix", ["jsonl", "arrow"])
def test_files_are_sinks(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"signals.{suffix}"
    settings = FileSink.Settings(url=f"file://{path}")

    def read() -> list[str]:
        if suffix == "jsonl":
            return [json.loads(line)["signal_id"] for line in path.read_text().splitlines()]
        ids: list[str] = pa.ipc.open_stream(path.read_bytes()).read_all()["signal_id"].to_pylist()
        return ids

    assert check_sink(lambda: FileSink(settings), read=read) == 308


def test_files_of_amendments_are_sinks(tmp_path: Path) -> None:
    """Of Arrow, a row is a vector: an amendment has one or several."""
    for suffix in ("jsonl", "arrow"):
        path = tmp_path / f"amendments.{suffix}"
        settings = FileSink.Settings(url=f"file://{path}", gets="amendments")

        def read(path: Path = path) -> list[str]:
            if path.suffix == ".jsonl":
                return [json.loads(line)["amendment_id"] for line in path.read_text().splitlines()]
            return list(dict.fromkeys(pa.ipc.open_stream(path.read_bytes()).read_all()["amendment_id"].to_pylist()))

        assert check_sink(lambda settings=settings: FileSink(settings), read=read, gets="amendments") == 308
    found = pa.ipc.open_stream((tmp_path / "amendments.arrow").read_bytes()).read_all()
    assert found.num_rows == sum(len(json.loads(record.body)["vectors"]) for record in sample_amendments(308))
    assert found["ts_event"][3].value == json.loads(sample_amendments(3)[2].body)["vectors"][0]["ts_event"]
    assert (found["values"][0].as_py(), found["reasons"][0].as_py()) == ([0.0, None], [None, "EMPTY"])


def test_memory_is_a_sink() -> None:
    sink = MemorySink()
    assert check_sink(lambda: sink, read=lambda: sink.ids) == 308


class Silent:
    """A right sink with as little as there may be: it cannot tell what its place holds."""

    def __init__(self, ids: list[str]) -> None:
        self.ids = ids

    def open(self, last_id: str | None) -> str | None:
        return None

    def send(self, records: Sequence[JournalRecord]) -> None:
        self.ids += [record.key for record in records]

    def close(self) -> None:
        pass


def test_a_sink_need_not_tell_what_it_holds() -> None:
    ids: list[str] = []
    assert check_sink(lambda: Silent(ids), read=lambda: ids) == 308


class Wrong(MemorySink):
    def raises(self, what: str) -> Any:
        raise RuntimeError(what)


class ClosesNotUnopened(Wrong):
    def close(self) -> None:
        if not self._is_open:
            self.raises("not open")
        super().close()


class ClosesOnce(Wrong):
    closed = 0

    def close(self) -> None:
        self.closed += self.opened
        if self.closed > 1 and not self._is_open:
            self.raises("closed already")
        super().close()


class OpensOnce(Wrong):
    def open(self, last_id: str | None) -> str:
        if self.opened:
            self.raises("opened already")
        return super().open(last_id)


class Echoes(Wrong):
    def open(self, last_id: str | None) -> str:
        super().open(last_id)
        return last_id or ""


class SaysSomethingOfNothing(Wrong):
    def open(self, last_id: str | None) -> str:
        return super().open(last_id) or "0" * 32


class ForgetsWhatItHolds(Wrong):
    def open(self, last_id: str | None) -> str:
        super().open(last_id)
        return ""


class WantsSome(Wrong):
    def send(self, records: Sequence[JournalRecord]) -> None:
        super().send([records[0], *records[1:]])


class TakesHalf(Wrong):
    def send(self, records: Sequence[JournalRecord]) -> None:
        super().send(records[: len(records) // 2 or 1])


class TakesTwice(Wrong):
    def send(self, records: Sequence[JournalRecord]) -> None:
        super().send(records)
        super().send(records[-1:])


class TurnsRound(Wrong):
    def send(self, records: Sequence[JournalRecord]) -> None:
        super().send(records[::-1])

    def open(self, last_id: str | None) -> Any:
        super().open(last_id)


class KeepsUntilClose(Wrong):
    kept: tuple[JournalRecord, ...] = ()

    def send(self, records: Sequence[JournalRecord]) -> None:
        self.kept += tuple(records)

    def close(self) -> None:
        if self.kept:
            super().send(self.kept)
            self.kept = ()
        super().close()


class ChangesTexts(Wrong):
    def tail(self) -> list[str]:
        return [text.replace("PASS", "pass") for text in super().tail()]


class NewestFirst(Wrong):
    def tail(self) -> list[str]:
        return super().tail()[::-1]


class KnowsNoTail(Wrong):
    def tail(self) -> list[str]:
        return []


class CannotSync(Wrong):
    def sync(self) -> None:
        self.raises("no sync")


class CannotMark(Wrong):
    def skipped(self, mark: SkippedRange) -> None:
        self.raises("no mark")


class OneThread(Wrong):
    def __init__(self) -> None:
        super().__init__()
        self.thread = threading.get_ident()

    def send(self, records: Sequence[JournalRecord]) -> None:
        if threading.get_ident() != self.thread:
            self.raises("another thread")
        super().send(records)


class LeavesThreads(Wrong):
    def open(self, last_id: str | None) -> str:
        threading.Thread(target=threading.Event().wait, args=(20,), daemon=True).start()
        return super().open(last_id)


WRONG: dict[Callable[[], Wrong], str] = {
    ClosesNotUnopened: "close without open raises",
    ClosesOnce: "close a second time raises",
    OpensOnce: "open after close raises",
    Echoes: "open answers with the id that it was given",
    SaysSomethingOfNothing: "of an empty place",
    ForgetsWhatItHolds: "open after close says ''",
    WantsSome: "send of 0 signals raises",
    TakesHalf: "3 of 6 signals are not there",
    TakesTwice: "1 signals are there twice",
    TurnsRound: "not in the order",
    KeepsUntilClose: "before close 1 of 1 signals are not there",
    ChangesTexts: "as they were sent",
    NewestFirst: "oldest first",
    KnowsNoTail: "tail gives 0 signals",
    CannotSync: "sync raises",
    CannotMark: "skipped raises",
    OneThread: "send of 1 signals raises",
    LeavesThreads: "threads are left",
}


@pytest.mark.parametrize("make", WRONG, ids=lambda make: make.__name__)
def test_a_sink_that_is_wrong_in_one_rule_fails(make: Callable[[], Wrong]) -> None:
    sink = make()
    with pytest.raises(AssertionError) as caught:
        check_sink(lambda: sink, read=lambda: sink.ids)
    assert WRONG[make] in str(caught.value)
