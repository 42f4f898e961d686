"""Does `check_guard` pass guards that are right, ours first, and fail one that is wrong in one rule?"""

from __future__ import annotations

import time
from typing import Any

import pytest

from signal_stream.guards import Completeness, KillSwitch, SchemaDigest, Staleness
from signal_stream.records import Finding
from signal_stream.testing import (
    check_guard,
    sample_vectors,
)


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
