"""Does `check_source` pass sources that are right, ours first, and fail one that is wrong in one rule?"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from signal_stream.ingest import read_tape
from signal_stream.ingest.file_source import FileSource
from signal_stream.ingest.stdin_source import StdinSource
from signal_stream.testing import (
    MarketSimulator,
    MemorySource,
    check_source,
)

LINES = list(MarketSimulator(seed=3, duration_s=0.8).lines())
KEYS: dict[str, Any] = {"queue_rows": 64, "lateness": "0ms", "late": "drop"}


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("capture") / "some.capture"
    path.write_bytes(b"".join(LINES))
    return path


@pytest.fixture
def standard_input() -> Iterator[Callable[[Path], None]]:
    """Puts a file on standard input; what was there comes back."""
    kept = os.dup(0)

    def put(path: Path) -> None:
        file = os.open(path, os.O_RDONLY)
        os.dup2(file, 0)
        os.close(file)

    yield put
    os.dup2(kept, 0)
    os.close(kept)


# What is right


@pytest.mark.parametrize("keys", [{"pace": "max"}, {"pace": "max", "when_full": "shed_oldest", "queue_rows": 10**6}])
def test_the_file_source_is_a_source(capture: Path, keys: dict[str, Any]) -> None:
    settings = FileSource.Settings.model_validate(KEYS | {"url": f"file://{capture}"} | keys)
    assert check_source(lambda: FileSource(settings)) == len(LINES)


def test_the_standard_input_is_a_source(capture: Path, standard_input: Callable[[Path], None]) -> None:
    settings = StdinSource.Settings.model_validate(KEYS | {"url": "stdin:"})

    def make() -> StdinSource:
        standard_input(capture)
        return StdinSource(settings)

    assert check_source(make) == len(LINES)


def test_a_source_in_memory_is_a_source(capture: Path) -> None:
    batches = list(read_tape(capture))
    pieces = [batch.slice(i, min(i + 7, batch.messages)) for batch in batches for i in range(0, batch.messages, 7)]
    assert check_source(lambda: MemorySource(pieces)) == len(LINES)


# A source that is wrong in one rule


class Right(MemorySource):
    def __init__(self) -> None:
        [batch] = MemorySource.of_lines(LINES)._waiting
        self.whole = batch
        super().__init__([batch.slice(i, min(i + 12, batch.messages)) for i in range(0, batch.messages, 12)])


def test_the_source_that_the_wrong_ones_are_made_of_is_right() -> None:
    check_source(Right)


class Nameless(Right):
    name = ""

    def __init__(self) -> None:
        super().__init__()
        self.name = ""


class LiveInWords(Right):
    def __init__(self) -> None:
        super().__init__()
        self.live = "no"  # type: ignore[assignment]


class LiveAtAnyRate(Right):
    def __init__(self) -> None:
        super().__init__()
        self.live = True


class Standing(Right):
    def __init__(self) -> None:
        super().__init__()
        self.rate = 0.0


class NoPath(Right):
    tape = "some.capture"  # type: ignore[assignment]


class StopNeedsOpen(Right):
    begun = False

    def open(self, position: bytes | None) -> None:
        self.begun = True
        super().open(position)

    def stop(self) -> None:
        if not self.begun:
            raise RuntimeError("not opened")
        super().stop()


class ClosedOnce(Right):
    def close(self) -> None:
        if self.closed:
            raise RuntimeError("closed")
        super().close()


class Empty(Right):
    asked = 0

    def next(self, wait_ns: int) -> Any:
        self.asked += 1
        return self.whole.slice(0, 0) if self.asked == 2 else super().next(wait_ns)


class Slow(Right):
    def next(self, wait_ns: int) -> Any:
        if self.position == b"0":
            time.sleep(wait_ns / 1e9 + 0.6)
        return super().next(wait_ns)


class Endless(Right):
    ended = False  # type: ignore[assignment]


class EndedBeforeItsEnd(Right):
    @property
    def ended(self) -> bool:
        return len(self._waiting) < 3


class EndsAndGoesOn(Right):
    looks = 0

    @property
    def ended(self) -> bool:
        self.looks += super().ended
        return super().ended and self.looks < 2


class TextPosition(Right):
    @property
    def position(self) -> Any:
        return "0"


class RestlessPosition(Right):
    """It moves with each look at it, as the time of day would."""

    asked = 0

    @property
    def position(self) -> bytes:
        return f"{super().position.decode()}{' ' * self.asked}".encode()

    def next(self, wait_ns: int) -> Any:
        self.asked += 1
        return None if self.asked == 2 else super().next(wait_ns)


class MovesAfterTheEnd(Right):
    looks = 0

    @property
    def position(self) -> bytes:
        self.looks += self.ended
        return super().position + b" " * (self.looks > 1)


class Renamed(Right):
    def next(self, wait_ns: int) -> Any:
        self.name = "other"
        return super().next(wait_ns)


class LatePosition(Right):
    """It can be gone on with, but for its beginning."""

    @property
    def position(self) -> bytes:
        return super().position if self._given else b""


class FromTheBeginning(Right):
    def open(self, position: bytes | None) -> None:
        super().open(None)


class OneMore(Right):
    """The usual mistake: the position is behind the next message, not behind the last."""

    @property
    def position(self) -> bytes:
        given = int(super().position)
        return str(given + (0 < given < len(LINES))).encode()


class OtherMessages(Right):
    def open(self, position: bytes | None) -> None:
        super().open(position)
        if int(position or 0) == 0:
            return
        waiting = list(self._waiting)
        self._waiting.clear()
        self._waiting.extend(reversed(waiting))


class NoTape(Right):
    tape = Path("/nonexistent/some.capture")


class OtherTape(Right):
    def __init__(self) -> None:
        super().__init__()
        self.tape = HALF


class BrokenTape(Right):
    def __init__(self) -> None:
        super().__init__()
        self.tape = BROKEN


HALF, BROKEN = Path(), Path()


@pytest.fixture(autouse=True)
def tapes(tmp_path: Path) -> None:
    global HALF, BROKEN
    HALF, BROKEN = tmp_path / "half.capture", tmp_path / "broken.parquet"
    HALF.write_bytes(b"".join(LINES[: len(LINES) // 2]))
    BROKEN.write_bytes(b"PAR1 and nothing else")


class StatsOfNothing(Right):
    def stats(self) -> dict[str, Any]:
        return {}


class StatsThatCountWrong(Right):
    def stats(self) -> dict[str, Any]:
        return super().stats() | {"messages": 1}


class StatsThatAreNoJson(Right):
    def stats(self) -> dict[str, Any]:
        return super().stats() | {"path": Path()}


class StatsOfReasonsUncounted(Right):
    def stats(self) -> dict[str, Any]:
        return super().stats() | {"refused": {"BAD_JSON": ["line 3"]}}


class SilentAfterStop(Right):
    def stats(self) -> dict[str, Any]:
        return {} if self.stopped else super().stats()


class NeverStops(Right):
    @property
    def ended(self) -> bool:
        return not self.stopped and super().ended


class StopsWithAJump(Right):
    def next(self, wait_ns: int) -> Any:
        if self.stopped and len(self._waiting) > 1:
            return self._waiting.pop()
        return super().next(wait_ns)

    @property
    def ended(self) -> bool:
        return len(self._waiting) < 2 if self.stopped else super().ended

    def stop(self) -> None:
        super().stop()


class LeavesAFile(Right):
    def open(self, position: bytes | None) -> None:
        super().open(position)
        self.file = os.open("/dev/null", os.O_RDONLY)


class LeavesAThread(Right):
    def open(self, position: bytes | None) -> None:
        super().open(position)
        LEFT.append(threading.Event())
        threading.Thread(target=LEFT[-1].wait, daemon=True).start()


LEFT: list[threading.Event] = []

WRONG_SOURCES: list[tuple[type[Right], str]] = [
    (Nameless, "name is ''"),
    (LiveInWords, "live is 'no'"),
    (LiveAtAnyRate, "events that come as they happen come at 1"),
    (Standing, "rate is 0.0"),
    (NoPath, "not a Path or None"),
    (StopNeedsOpen, "stop before open raises"),
    (ClosedOnce, "close a second time raises"),
    (Empty, "gave no message, and not None"),
    (Slow, r"next\(20000000\) took 0\.\d s"),
    (Endless, "ended is still False"),
    (EndedBeforeItsEnd, "ended was True, and there was more"),
    (EndsAndGoesOn, "ended was True, and is not any more"),
    (TextPosition, "not bytes"),
    (RestlessPosition, "position moved, and nothing was given"),
    (MovesAfterTheEnd, "position moved after the end"),
    (Renamed, "name was 'memory' and is 'other'"),
    (LatePosition, "it can be gone on with, or it cannot"),
    (FromTheBeginning, r"gives \d+ messages, where \d+ followed"),
    (OneMore, r"gives \d+ messages, where \d+ followed"),
    (OtherMessages, "other messages than those that followed"),
    (NoTape, "which is no file"),
    (OtherTape, "a replay would differ"),
    (BrokenTape, "tape cannot be read"),
    (StatsOfNothing, r'stats\(\)\["url"\] is None'),
    (StatsThatCountWrong, r'stats\(\)\["messages"\] is 1'),
    (StatsThatAreNoJson, "is no JSON"),
    (StatsOfReasonsUncounted, "counts by reason"),
    (SilentAfterStop, "says nothing after stop"),
    (NeverStops, "ended is still False"),
    (StopsWithAJump, "do not follow those before"),
    (LeavesAFile, "files and 0 threads are left"),
    (LeavesAThread, "0 files and [1-9] threads are left"),
]


@pytest.mark.parametrize(("wrong", "said"), WRONG_SOURCES, ids=lambda each: getattr(each, "__name__", ""))
def test_a_wrong_source_fails(wrong: type[Right], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_source(wrong, patience_s=1.0, grace_s=0.5)
    while LEFT:
        LEFT.pop().set()


def test_a_source_that_gives_nothing_tries_nothing_out() -> None:
    with pytest.raises(AssertionError, match="nothing was tried out"):
        check_source(lambda: MemorySource([]))
