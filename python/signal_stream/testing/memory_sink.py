"""A sink that keeps what it is sent, and fails when a test says so."""

from __future__ import annotations

import json
from threading import Lock
from typing import TYPE_CHECKING

from signal_stream.errors import SinkError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from signal_stream.records import JournalRecord, SkippedRange


class MemorySink:
    """A sink whose place is this object: what was sent stays over `close` and `open`, and whoever wraps it in a pipeline finds
    it there. It has the roles Sink, DurableSink and MarkingSink of `signal_stream.roles`.

    `down` is a text while the place is to be away: `open` and `send` raise it. `refuses` holds ids that are not taken. From any
    thread.

    >>> from signal_stream.testing import MemorySink, sample_signals
    >>> sink = MemorySink()
    >>> sink.open(None)
    ''
    >>> sink.send(sample_signals(2))
    >>> sink.close()
    >>> sink.open(None) == sink.ids[-1], len(sink.ids)
    (True, 2)
    """

    def __init__(self) -> None:
        """An empty place, not opened."""
        self.down = ""
        self.refuses: set[str] = set()
        self.marks: list[SkippedRange] = []
        self.opened = 0
        """How often it was opened."""
        self.pieces: list[int] = []
        """How many signals each `send` brought."""
        self._texts: list[str] = []
        self._is_open = False
        self._lock = Lock()

    @property
    def ids(self) -> list[str]:
        """The ids of all signals that it was sent, in order."""
        with self._lock:
            return [json.loads(text)["signal_id"] for text in self._texts]

    def open(self, last_id: str | None) -> str:
        """The id of the last signal; "" while there is none. Raises SinkError WRITE while it is `down`."""
        self._check_up()
        self._is_open = True
        self.opened += 1
        return self.ids[-1] if self._texts else ""

    def tail(self) -> list[str]:
        """The JSON of all signals."""
        with self._lock:
            return list(self._texts)

    def send(self, records: Sequence[JournalRecord]) -> None:
        """Keeps signals, all or none. Raises SinkError WRITE while it is `down`, REFUSED for one of `refuses`."""
        self._check_up()
        assert self._is_open, "send before open"
        for record in records:
            if record.key in self.refuses:
                raise SinkError("REFUSED", f"will not take signal {record.key}", where="memory", value=record.key)
        with self._lock:
            self._texts += [record.body for record in records]
            self.pieces.append(len(records))

    def skipped(self, mark: SkippedRange) -> None:
        """Keeps a mark."""
        self.marks.append(mark)

    def sync(self) -> None:
        """Memory needs none."""

    def close(self) -> None:
        """What was sent stays."""
        self._is_open = False

    def _check_up(self) -> None:
        if self.down:
            raise SinkError("WRITE", self.down, where="memory")
