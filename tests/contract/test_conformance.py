"""Does each `check_*` pass what is right, ours first, and fail a part that is wrong in one rule?"""

from __future__ import annotations

import dataclasses
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from signal_stream.guards import Completeness, KillSwitch, SchemaDigest, Staleness
from signal_stream.ingest import read_tape
from signal_stream.ingest.file_source import FileSource
from signal_stream.ingest.stdin_source import StdinSource
from signal_stream.records import Finding
from signal_stream.testing import (
    MarketSimulator,
    MemorySource,
    check_guard,
    check_observer,
    check_source,
    sample_decisions,
    sample_vectors,
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


class NoLatches:
    def killed(self, model: str) -> str | None:
        return None

    def kill(self, model: str | None, *, by: str, reason: str, now: int) -> None:
        raise AssertionError


def test_the_built_in_guards_are_guards() -> None:
    row = sample_vectors(seconds=0.3)[0]
    columns = tuple(f"f{i}" for i in range(len(row.values)))
    digests = {"graph_digest": row.graph_digest, "schema_digest": row.schema_digest}
    assert check_guard(lambda: SchemaDigest(**digests, columns=len(columns))) == 0
    assert check_guard(lambda: SchemaDigest(**digests | {"graph_digest": "0" * 64}, columns=len(columns))) == 39
    assert 0 < check_guard(lambda: Completeness(columns=columns, defaults={}, completeness=1.0)) < 39
    assert check_guard(lambda: Staleness(max_age_ns=1)) == 39
    assert check_guard(lambda: KillSwitch(model="m", latches=NoLatches())) == 0


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


# A guard that is wrong in one rule


class Jump:
    """Objects where the book's imbalance differs from that of the vector before by more than `limit`."""

    limit = 0.01

    def __init__(self) -> None:
        self.last: float | None = None

    def check(self, prediction: Any, vector: Any, now: int) -> Finding | None:
        imbalance = vector.values[2]
        if imbalance is None or self.last is None or abs(imbalance - self.last) <= self.limit:
            return None
        return Finding("STALE", f"it jumped from {self.last} to {imbalance}")

    def observe(self, decision: Any) -> None:
        self.last = decision.vector.values[2]

    def snapshot(self) -> bytes:
        return repr(self.last).encode()

    def restore(self, snapshot: bytes) -> None:
        self.last = None if snapshot == b"None" else float(snapshot)


def test_a_guard_that_remembers_is_a_guard() -> None:
    assert check_guard(Jump) > 5


class WithoutPrediction(Jump):
    def check(self, prediction: Any, vector: Any, now: int) -> Finding | None:
        return Finding("STALE", "low") if prediction.status == "OK" and prediction.value < -99 else None


class WithoutFeatures(Jump):
    def check(self, prediction: Any, vector: Any, now: int) -> Finding | None:
        return None if vector.values[-1] > -99 else Finding("STALE", "low")


class SaysTrue(Jump):
    def check(self, prediction: Any, vector: Any, now: int) -> Any:
        return True


class OwnCode(Jump):
    def check(self, prediction: Any, vector: Any, now: int) -> Finding | None:
        return Finding("no such code", "why not")


class WithoutAWord(Jump):
    def check(self, prediction: Any, vector: Any, now: int) -> Finding | None:
        return Finding("STALE", "")


class MovesInCheck(Jump):
    def check(self, prediction: Any, vector: Any, now: int) -> Finding | None:
        found = super().check(prediction, vector, now)
        self.last = vector.values[2]
        return found


class Moody(Jump):
    """What it remembers in check is not in its snapshot."""

    asked = 0

    def check(self, prediction: Any, vector: Any, now: int) -> Finding | None:
        self.asked += 1
        return Finding("STALE", "even") if self.asked % 2 else None


class CountsInCheck:
    """Remembers, and has nothing to remember with."""

    def __init__(self) -> None:
        self.asked = 0

    def check(self, prediction: Any, vector: Any, now: int) -> Finding | None:
        self.asked += 1
        return Finding("STALE", "too many") if self.asked > 9 else None


class ByTheClock:
    """A new one answers otherwise than an older one."""

    made = 0

    def __init__(self) -> None:
        type(self).made += 1
        self.number = self.made

    def check(self, prediction: Any, vector: Any, now: int) -> Finding | None:
        return Finding("STALE", "odd") if self.number % 2 else None


class HalfAMemory:
    def check(self, prediction: Any, vector: Any, now: int) -> Finding | None:
        return None

    def observe(self, decision: Any) -> None:
        pass


class TextState(Jump):
    def snapshot(self) -> Any:
        return repr(self.last)


class ForgetsInRestore(Jump):
    def restore(self, snapshot: bytes) -> None:
        pass


class HalfAState(Jump):
    """What it has seen in all is not in its snapshot."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def check(self, prediction: Any, vector: Any, now: int) -> Finding | None:
        return Finding("STALE", "too many") if self.seen > 25 else None

    def observe(self, decision: Any) -> None:
        self.seen += 1


class ObserveRaises(Jump):
    def observe(self, decision: Any) -> None:
        if decision.verdict.outcome == "HALT":
            raise RuntimeError("halted")


class SlowGuard(Jump):
    def check(self, prediction: Any, vector: Any, now: int) -> Finding | None:
        until = time.perf_counter_ns() + 400_000
        while time.perf_counter_ns() < until:
            pass
        return None


WRONG_GUARDS: list[tuple[type, str]] = [
    (WithoutPrediction, "check raises AttributeError.* for prediction None"),
    (WithoutFeatures, "check raises TypeError.* features"),
    (SaysTrue, "check gives True, not a Finding or None"),
    (OwnCode, "code is 'no such code'"),
    (WithoutAWord, "people will ask why"),
    (MovesInCheck, "check changes what snapshot gives"),
    (Moody, "asked twice about one vector it says .* then None$"),
    (CountsInCheck, "asked twice about one vector .* has no observe to remember with"),
    (ByTheClock, "a new guard says None about vector 0.*: a replay would differ"),
    (HalfAMemory, "it has observe, and no snapshot and no restore"),
    (TextState, "snapshot gives str, not bytes"),
    (ForgetsInRestore, "another state than it was given"),
    (HalfAState, "restored after 0 decisions it says .*: a replay would differ"),
    (ObserveRaises, "observe raises RuntimeError"),
    (SlowGuard, r"check takes [4-9]\d\d,\d\d\d ns at the median"),
]


@pytest.mark.parametrize(("wrong", "said"), WRONG_GUARDS, ids=lambda each: getattr(each, "__name__", ""))
def test_a_wrong_guard_fails(wrong: type, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_guard(wrong)


# An observer that is wrong in one rule


class Keeps:
    """Keeps what it is shown in a database of its own, opened where it is used."""

    def __init__(self) -> None:
        self.base: sqlite3.Connection | None = None

    def observe(self, decision: Any) -> None:
        if self.base is None:
            self.base = sqlite3.connect(":memory:")
            self.base.execute("CREATE TABLE seen (id TEXT, value REAL)")
        self.base.execute("INSERT INTO seen VALUES (?, ?)", (decision.signal_id, decision.value))

    def close(self) -> None:
        if self.base is not None:
            self.base.close()
            self.base = None


def test_an_observer_with_a_database_is_one() -> None:
    assert check_observer(Keeps) == len(sample_decisions())


class OpenedElsewhere(Keeps):
    """SQLite does not let a thread use what another has opened."""

    def __init__(self) -> None:
        self.base = sqlite3.connect(":memory:")
        self.base.execute("CREATE TABLE seen (id TEXT, value REAL)")


class NeedsAPrediction(Keeps):
    def observe(self, decision: Any) -> None:
        assert decision.prediction is not None


class NeedsADecision(Keeps):
    def close(self) -> None:
        if self.base is None:
            raise RuntimeError("nothing was seen")
        self.base.close()


class ClosesOnce(Keeps):
    closed = 0

    def close(self) -> None:
        self.closed += 1
        if self.closed > 1:
            raise RuntimeError("closed")


class Changes(Keeps):
    def observe(self, decision: Any) -> None:
        object.__setattr__(decision, "verdict", dataclasses.replace(decision.verdict, outcome="PASS"))


class SlowObserver(Keeps):
    def observe(self, decision: Any) -> None:
        time.sleep(0.002)


class KeepsAFile(Keeps):
    def __init__(self) -> None:
        super().__init__()
        self.file = os.open("/dev/null", os.O_WRONLY)


class KeepsAThread(Keeps):
    def __init__(self) -> None:
        super().__init__()
        LEFT.append(threading.Event())
        threading.Thread(target=LEFT[-1].wait, daemon=True).start()


WRONG_OBSERVERS: list[tuple[type, str]] = [
    (OpenedElsewhere, "on a thread of its own, for a VETO, raises ProgrammingError"),
    (NeedsAPrediction, "for a VETO, raises AssertionError"),
    (NeedsADecision, "close without a decision raises"),
    (ClosesOnce, "close a second time raises"),
    (Changes, "observe changed the decision"),
    (SlowObserver, "observe takes"),
    (KeepsAFile, "files and 0 threads are left"),
    (KeepsAThread, "0 files and [1-9] threads are left"),
]


@pytest.mark.parametrize(("wrong", "said"), WRONG_OBSERVERS, ids=lambda each: getattr(each, "__name__", ""))
def test_a_wrong_observer_fails(wrong: type, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_observer(wrong)
    while LEFT:
        LEFT.pop().set()
