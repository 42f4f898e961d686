"""Does `check_observer` pass observers that are right, ours first, and fail one that is wrong in one rule?"""

from __future__ import annotations

import dataclasses
import os
import sqlite3
import threading
import time
from typing import Any

import pytest

from signal_stream.testing import (
    check_observer,
    sample_decisions,
)

LEFT: list[threading.Event] = []


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
