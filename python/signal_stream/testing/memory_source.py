"""A source that gives what a test puts into it."""

from __future__ import annotations

import time
from collections import deque
from math import inf
from tempfile import NamedTemporaryFile
from threading import Condition
from typing import TYPE_CHECKING, Any

from signal_stream.ingest import read_tape

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import Self

    from signal_stream import _core


class MemorySource:
    """A source of whole messages in memory, with the role of `signal_stream.roles.Source`.

    It gives `batches` and has ended. With `live` it has not: it waits for what `put` adds, from any thread, until `end`. Its
    position is the number of messages given, so that another one of the same messages goes on where it stood.

    Needs no `close`; a test looks at `stopped` and `closed`.

    >>> source = MemorySource([])
    >>> source.open(None)
    >>> source.next(0) is None, source.ended
    (True, True)
    """

    tape: Path | None = None

    def __init__(self, batches: Iterable[_core.EventBatch], *, name: str = "memory", live: bool = False) -> None:
        """`live` is what the role says: whether events come as they happen."""
        self.name = name
        self.live = live
        self.rate = 1.0 if live else inf
        self.stopped = False
        self.closed = False
        self._waiting = deque(batch for batch in batches if batch.messages)
        self._ending = not live
        self._given = 0
        self._changed = Condition()

    @classmethod
    def of_tape(cls, *paths: str | Path, name: str = "memory") -> Self:
        """All messages of tapes and captures. Raises TapeError."""
        return cls(list(read_tape(*paths)), name=name)

    @classmethod
    def of_lines(cls, lines: Iterable[bytes], *, name: str = "memory") -> Self:
        """All messages of a capture's lines, as those of `MarketSimulator.lines`. Raises TapeError."""
        with NamedTemporaryFile(suffix=".capture") as file:
            file.writelines(lines)
            file.flush()
            return cls.of_tape(file.name, name=name)

    def put(self, batch: _core.EventBatch) -> None:
        """Adds messages behind the others. From any thread."""
        with self._changed:
            if batch.messages:
                self._waiting.append(batch)
            self._changed.notify_all()

    def end(self) -> None:
        """There will be no more. From any thread."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()

    def open(self, position: bytes | None) -> None:
        """Begins behind the first messages, as many as `position` says."""
        skip = int(position or b"0")
        with self._changed:
            while self._waiting and skip:
                batch = self._waiting.popleft()
                if skip < batch.messages:
                    self._waiting.appendleft(batch.slice(skip, batch.messages))
                taken = min(skip, batch.messages)
                skip -= taken
                self._given += taken

    @property
    def position(self) -> bytes:
        """How many messages were given."""
        return str(self._given).encode()

    def next(self, wait_ns: int) -> _core.EventBatch | None:
        """The next batch; None if none was put in time, or ever will be."""
        until = time.monotonic_ns() + wait_ns
        with self._changed:
            while not self._waiting and not self._ending and not self.stopped:
                left_ns = until - time.monotonic_ns()
                if left_ns <= 0 or not self._changed.wait(left_ns / 1e9):
                    return None
            if not self._waiting or self.stopped:
                return None
            batch = self._waiting.popleft()
            self._given += batch.messages
            return batch

    @property
    def ended(self) -> bool:
        """Whether there will be no more."""
        return self.stopped or (self._ending and not self._waiting)

    def stop(self) -> None:
        """Ends at once: nothing was read that was not given."""
        self.stopped = True

    def stats(self) -> dict[str, Any]:
        """Messages given."""
        return {
            "url": f"memory:{self.name}",
            "messages": self._given,
            "refused": {},
            "queue_rows": sum(map(len, self._waiting)),
            "queue_rows_max": 0,
            "shed_messages": 0,
            "ended": self.ended and not self.stopped,
            "stopped": self.stopped,
        }

    def close(self) -> None:
        """Notes that it was closed."""
        self.closed = True
