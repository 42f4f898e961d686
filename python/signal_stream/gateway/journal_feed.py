"""The newest signals of a journal, read once for all who follow it."""

from __future__ import annotations

import asyncio
import bisect
from collections import deque
from contextlib import suppress
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from signal_stream._core import FolderWatch
from signal_stream.errors import JournalError
from signal_stream.store import JournalListener

from .sent_signal import SentSignal

if TYPE_CHECKING:
    from signal_stream.store import State

KEPT_SIGNALS: Final = 4096
KEPT_BYTES: Final = 8 << 20
LOOK_S: Final = 1.0
"""How often the journal is looked at where nothing says that it was written: a folder that is not there yet, or that cannot be
watched."""


class JournalFeed:
    """Follows the journal's end and keeps the newest signals; who is further behind reads the journal for itself.

    Invariants: at most KEPT_SIGNALS and KEPT_BYTES are kept; they are the newest signals from `kept_from` to `end_seq`.
    One event loop.
    """

    def __init__(self, place: State) -> None:
        self.end_seq = 0
        """How many records the journal has, as far as it was read."""
        self.kept_from = 0
        """Every signal from this record on is kept."""
        self.error: JournalError | None = None
        """Why the journal cannot be read now."""
        self._place = place
        self._listener: JournalListener | None = None
        self._watch: FolderWatch | None = None
        self._watched = 0
        """Inode of the folder that is watched. The kernel does not say that a folder is gone as long as a file of it is open."""
        self._kept: deque[SentSignal] = deque()
        self._bytes = 0
        self._waiting: set[asyncio.Future[None]] = set()

    def since(self, seq: int, most: int) -> list[SentSignal]:
        """Up to so many of the kept signals from record `seq` on, which must not be before `kept_from`."""
        kept = self._kept
        first = bisect.bisect_left(kept, seq, key=attrgetter("seq"))
        return [kept[at] for at in range(first, min(first + most, len(kept)))]

    async def news(self, seq: int, *, for_s: float) -> None:
        """Returns when there are records from `seq` on, the journal cannot be read, or the time is over."""
        if self.end_seq > seq or self.error is not None:
            return
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[None] = loop.create_future()
        self._waiting.add(waiting)
        over = loop.call_later(for_s, _set, waiting)
        try:
            await waiting
        finally:
            over.cancel()
            self._waiting.discard(waiting)

    def begin(self) -> None:
        """Goes to the journal's end and waits for its bell. Called again and again: makes good what failed, and finds what
        no notice told of."""
        with suppress(OSError):  # it is looked at every LOOK_S then
            inode = self._place.folder.stat().st_ino
            if self._watch is not None and inode != self._watched:
                self._unwatch()
            if self._watch is None:
                self._watched = inode
                self._watch = FolderWatch(self._place.folder)  # where the bell is
                asyncio.get_running_loop().add_reader(self._watch.fileno(), self._noticed)
        self.look()

    def look(self) -> None:
        """Takes the next piece of the journal and wakes who waits for it; more is looked for soon."""
        end, error = self.end_seq, self.error
        try:
            if self._listener is None:
                self._listener = self._at_end()
            listener = self._listener
            if listener is not None:
                for row in listener.read():
                    self._keep(SentSignal(row))
                self.end_seq = listener.seq
            self.error = None
        except JournalError as fault:
            if fault.code == "NOT_FOUND" and not self._place.journal_folder.is_dir():
                return
            self.error = fault
            self._forget()
        if self.end_seq != end:
            self._wake()
            asyncio.get_running_loop().call_soon(self.look)  # behind those who wait for this piece
        elif self.error is not error:
            self._wake()

    def close(self) -> None:
        """Gives everything back. May be called twice."""
        self._unwatch()
        self._forget()
        self._wake()

    def check_invariants(self) -> None:
        """Raises AssertionError unless what is kept is within its bounds and in order."""
        assert len(self._kept) <= KEPT_SIGNALS
        assert self._bytes == sum(each.size for each in self._kept) <= KEPT_BYTES
        numbers = [each.seq for each in self._kept]
        assert numbers == sorted(set(numbers))
        assert not numbers or self.kept_from <= numbers[0] <= numbers[-1] < self.end_seq

    def _at_end(self) -> JournalListener | None:
        if not self._place.journal_folder.is_dir():
            return None
        end = self._place.reader().check_end()
        listener = JournalListener(self._place.journal_folder)
        listener.seek(end)
        before = -1
        while before < listener.seq < end:
            before = listener.seq
            listener.read(known_end=end)
        self.end_seq = self.kept_from = listener.seq
        return listener

    def _keep(self, signal: SentSignal) -> None:
        kept = self._kept
        kept.append(signal)
        self._bytes += signal.size
        while len(kept) > KEPT_SIGNALS or self._bytes > KEPT_BYTES:
            gone = kept.popleft()
            self._bytes -= gone.size
            self.kept_from = gone.seq + 1

    def _wake(self) -> None:
        for waiting in self._waiting:
            _set(waiting)

    def _noticed(self) -> None:
        assert self._watch is not None
        try:
            stays = self._watch.take()
        except OSError:
            stays = False
        if not stays:
            self._unwatch()
        self.look()

    def _unwatch(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            asyncio.get_running_loop().remove_reader(watch.fileno())

    def _forget(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
        self._kept.clear()
        self._bytes = 0
        self.kept_from = self.end_seq


def _set(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
