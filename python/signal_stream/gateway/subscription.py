"""One subscriber: a place in the journal that moves on as fast as the subscriber reads."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

import grpc

from signal_stream.store import JournalListener
from signal_stream.wire import signals_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from signal_stream.records import JournalRecord

    from .journal_feed import JournalFeed
    from .rpc import Call
    from .sent_signal import SentSignal

SIGNALS_MAX: Final = 128
"""Of one answer: some 90 KB."""


class Wanted(Protocol):
    """Which records a subscriber gets: of one kind, and of those what matches."""

    @property
    def kind(self) -> str:
        """The kind, as the journal names it."""

    def encoded(self, record: JournalRecord) -> bytes | None:
        """A record as it is sent; None where it is not wanted."""

    def matches(self, signal: SentSignal) -> bool:
        """Whether a signal is wanted that the feed keeps."""


class Subscription:
    """Sends from record `seq` on what the filter wants, until it is ended.

    It holds no queue: signals wait in the journal. While it is behind what the feed keeps it reads the journal for itself, a
    piece at a time. The feed keeps signals only: amendments, which few want, are always read like that. `end` has it end with
    a status; `is_stalled` says that the subscriber has not taken an answer for long.
    """

    def __init__(
        self, feed: JournalFeed, folder: Path, wanted: Wanted, *, seq: int, heartbeat_s: float, call: Call
    ) -> None:
        self.seq = seq
        self.sent = 0
        self.expires_ns: int | None = None
        """When the subscriber's certificate expires."""
        self._feed = feed
        self._folder = folder
        self._wanted = wanted
        self._heartbeat_s = heartbeat_s
        self._call = call
        self._clock = asyncio.get_running_loop().time
        self._heard = self._clock()
        self._listener: JournalListener | None = None
        self._writing_since: float | None = None
        self._ending: tuple[grpc.StatusCode, str] | None = None
        self._ending_since = 0.0
        task = asyncio.current_task()
        assert task is not None
        self._task = task

    async def run(self) -> None:
        """Serves it; ends with the status that `end` was given. Raises JournalError."""
        try:
            await self._write(())  # where it begins, and that it was accepted
            while True:
                if self._feed.error is not None:
                    raise self._feed.error
                if self.seq < self._kept_from:
                    await self._catch_up()
                else:
                    await self._follow()
        except asyncio.CancelledError:
            if self._ending is None:
                raise  # the subscriber has gone
            code, why = self._ending
            await self._call.end(code, why, next_seq=self.seq)
        finally:
            self._stop_reading()

    def is_stalled(self, for_s: float) -> bool:
        """Whether the subscriber has not taken an answer for so long."""
        return self._writing_since is not None and self._clock() - self._writing_since > for_s

    def is_ending(self, for_s: float = 0.0) -> bool:
        """Whether it was to end so long ago."""
        return self._ending is not None and self._clock() - self._ending_since >= for_s

    def end(self, code: grpc.StatusCode, why: str) -> None:
        """Has it end with this status, also where an answer waits for the subscriber."""
        if self._ending is None:
            self._ending = code, why
            self._ending_since = self._clock()
            self._task.cancel()

    def drop(self) -> None:
        """Gives up a subscriber that does not take the status either."""
        self._task.cancel()

    @property
    def _kept_from(self) -> int:
        """From which record on the feed keeps what is wanted."""
        return self._feed.kept_from if self._wanted.kind == "signal" else self._feed.end_seq

    @property
    def _silent_s(self) -> float:
        return self._clock() - self._heard

    async def _follow(self) -> None:
        """What the feed keeps, or else what comes."""
        feed = self._feed
        while self.seq >= self._kept_from and feed.error is None:
            if self.seq < feed.end_seq:
                found = feed.since(self.seq, SIGNALS_MAX)
                behind = found[-1].seq + 1 if len(found) == SIGNALS_MAX else feed.end_seq
                if matching := [each.encoded for each in found if self._wanted.matches(each)]:
                    await self._write(matching, behind)
                else:
                    self.seq = behind
            elif (left := self._heartbeat_s - self._silent_s) > 0:
                await feed.news(self.seq, for_s=left)
            else:
                await self._write(())

    async def _catch_up(self) -> None:
        """From the journal itself, until the feed keeps what is next."""
        listener = self._listener
        if listener is None:
            listener = self._listener = JournalListener(self._folder, self._wanted.kind)
            listener.seek(self.seq)
        while self.seq < self._kept_from:
            found = map(self._wanted.encoded, listener.read(known_end=self._feed.end_seq))
            matching = [each for each in found if each is not None]
            if matching or self._silent_s > self._heartbeat_s:
                await self._write(matching, max(self.seq, listener.seq))
            else:
                self.seq = max(self.seq, listener.seq)
                await asyncio.sleep(0)  # others come in between
        if self._wanted.kind == "signal":
            self._stop_reading()  # the feed goes on with it

    def _stop_reading(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()

    async def _write(self, signals: Sequence[bytes], behind: int | None = None) -> None:
        """One answer. `seq` moves on at once: a status that ends the call comes behind what was written before."""
        behind = self.seq if behind is None else behind
        self.seq = behind
        tail = pb.Update(next_seq=behind, end_seq=max(behind, self._feed.end_seq)).SerializeToString()
        self._writing_since = self._clock()
        await self._call.write(b"".join((*signals, tail)))
        self._writing_since = None
        self._heard = self._clock()
        self.sent += len(signals)
