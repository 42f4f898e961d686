"""Sources, guards and observers of a user's own, as the tests of the pipeline name them."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from signal_stream.ingest import read_tape
from signal_stream.records import Finding
from signal_stream.settings import GuardSettings, ObserverSettings, SourceSettings
from signal_stream.testing import MemorySource

if TYPE_CHECKING:
    from signal_stream import _core
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


class Plain(MemorySource):
    """A source that does not say whether it can be merged."""

    class Settings(SourceSettings):
        """A file, and how many messages are in a batch."""

        path: Path = Field(strict=False)
        size: int = 7

        @property
        def is_live(self) -> bool:
            return False

    def __init__(self, settings: Settings) -> None:
        batches = [
            batch.slice(begin, min(begin + settings.size, batch.messages))
            for batch in read_tape(settings.path)
            for begin in range(0, batch.messages, settings.size)
        ]
        super().__init__(batches, name=settings.path.name)


class Replayed(Plain):
    """One that says it: the same messages follow each position."""

    rereads = True


class Torn(Plain):
    """One that fails."""

    rereads = False

    def next(self, wait_ns: int) -> _core.EventBatch | None:
        """Half of it, then an error."""
        batch = super().next(wait_ns)
        if batch is None:
            raise ValueError("the line is torn")
        return batch
