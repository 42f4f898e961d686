"""Guards and observers of a user's own, as the tests of the pipeline name them."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, ClassVar

from signal_stream.records import Finding
from signal_stream.settings import GuardSettings, ObserverSettings

if TYPE_CHECKING:
    from signal_stream.records import Decision, Prediction, VectorRow


class EveryNth:
    """Lets every nth pass through, and remembers where it is."""

    class Settings(GuardSettings):
        """`n`."""

        n: int

    def __init__(self, settings: Settings) -> None:
        self._n = settings.n
        self._seen = 0

    def check(self, _prediction: Prediction | None, _vector: VectorRow, _now: int) -> Finding | None:
        """An objection, but for every nth."""
        return None if self._seen % self._n == 0 else Finding("GUARD", f"number {self._seen} of {self._n}")

    def observe(self, decision: Decision) -> None:
        """Counts what no other guard objected to."""
        self._seen += set(decision.verdict.codes) <= {"GUARD"}

    def snapshot(self) -> bytes:
        """The count."""
        return json.dumps(self._seen).encode()

    def restore(self, snapshot: bytes) -> None:
        """Takes the count over."""
        self._seen = json.loads(snapshot)


class Raising:
    """Raises where its settings say."""

    class Settings(GuardSettings):
        """`where`."""

        where: str

    def __init__(self, settings: Settings) -> None:
        self._where = settings.where
        if self._where == "made":
            raise ValueError("no")

    def check(self, _prediction: Prediction | None, _vector: VectorRow, _now: int) -> Finding | None:
        """Nothing, or an exception."""
        if self._where == "check":
            raise ValueError("no")
        return None

    def observe(self, _decision: Decision) -> None:
        """Nothing, or an exception."""
        if self._where == "observe":
            raise ValueError("no")

    def snapshot(self) -> bytes:
        """Nothing."""
        return b""

    def restore(self, snapshot: bytes) -> None:
        """Nothing."""


class Watching:
    """Keeps what it is shown; may block or raise."""

    class Settings(ObserverSettings):
        """`how`: "keep", "block" or "raise"."""

        how: str = "keep"

    shown: ClassVar[list[Decision]] = []
    held: ClassVar[threading.Event] = threading.Event()
    closed: ClassVar[int] = 0

    def __init__(self, settings: Settings) -> None:
        self._how = settings.how

    def observe(self, decision: Decision) -> None:
        """Keeps it."""
        if self._how == "block":
            self.held.wait()
        if self._how == "raise":
            raise ValueError("no")
        self.shown.append(decision)

    def close(self) -> None:
        """Counts."""
        type(self).closed += 1
