"""What a pipeline reads: its source, and the log in which events are written down that cannot be read again."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, Final

from signal_stream.core_errors import core_error
from signal_stream.store.tape_log import log_batches, marks_in

from .axis_clock import RECORDING_NS
from .silence import Silence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from signal_stream import _core
    from signal_stream.roles import Source
    from signal_stream.settings import SourceSettings
    from signal_stream.store.tape_log import TapeLog

    from .input_places import InputPlaces

_WALL_WITHIN_NS: Final[dict[str, float]] = {"auto": RECORDING_NS, "wall": inf, "recorded": -1}

_STATS: Final[dict[str, Any]] = {
    "url": "",
    "messages": 0,
    "refused": {},
    "queue_rows": 0,
    "queue_age_ns": 0,
    "queue_rows_max": 0,
    "shed_messages": 0,
    "conflated_messages": 0,
}
"""What a status shows of every source, where the source says nothing of it."""


Notice = tuple[str, str, int, str]
"""Instrument, what is wrong in a word, receive time of the message that showed it, and what is wrong in words."""

_ANSWERED: Final = frozenset({"BOOK_GAP", "CHECKSUM_MISMATCH"})
"""What a source can answer. Orders that a book does not know are only counted."""


class SourceReader:
    """What a pipeline reads: its source, or first the log of what came before.

    With a log (standard input, a growing file, one whose queue may shed) each batch is in it before it is given, with the
    source's position behind it. A restart takes everything up to the crash from the log, from its message `skip` on, and
    goes on with the source where the log ends. Without one the source is read again from `position` on.

    A live source that is silent brings marks: the clock goes on although nothing comes, and inputs grow old. `idle_mark`
    says after how long; by default a second, where the wall clock rules. A mark stays behind the present by as much as
    events came late in the last minutes (a recorder may write in blocks), and by `idle_mark`: what is still on its way is
    not late because of it. On venue time the watermark trails the mark by `lateness`. Marks are in the log as well.
    """

    def __init__(
        self,
        source: Source,
        settings: SourceSettings,
        *,
        log: TapeLog | None,
        skip: int,
        position: bytes | None,
        places: InputPlaces | None = None,
    ) -> None:
        """Opens the source. Raises TapeError."""
        self.rate = source.rate
        self.wall_within_ns = _WALL_WITHIN_NS[settings.clock] if source.live else -1
        """Events at most so far behind the wall clock are judged by it; -1 where none are."""
        self._source = source
        self._log = log
        self._places = places
        self._recorded: Iterator[_core.EventBatch] | None = None
        self._silence = Silence(settings, wall_within_ns=self.wall_within_ns) if source.live else None
        self._stopped = False
        self._notice: Callable[[str, str, int], None] | None = getattr(source, "notice", None)
        self.answers = self._notice is not None
        """Whether the source can do something about messages that are wrong."""
        if log is None:
            source.open(position)
            return
        self._recorded = log_batches(log.folder, skip)
        source.open(self._position_in(log))
        if log.source_position is None and source.position:
            log.note(source.position)

    def _position_in(self, log: TapeLog) -> bytes | None:
        """Where the source stood at the log's end. A log of format 0 does not say: a source that was read then can tell from how
        many of its messages are in it."""
        of_old: Callable[[Path, int], bytes] | None = getattr(self._source, "position_of_old_log", None)
        if log.source_position is not None or of_old is None or log.messages == 0:
            return log.source_position
        return of_old(log.folder, log.messages - marks_in(log.folder))

    @property
    def in_history(self) -> bool:
        """Whether the source has given nothing but what its deployment names as history: no signals are made of that."""
        return bool(getattr(self._source, "in_history", False))

    @property
    def ended(self) -> bool:
        """Whether there will be no more."""
        return self._stopped if self._recorded is not None else self._source.ended

    @property
    def position(self) -> bytes:
        """Where the source stands, behind the last batch that it gave."""
        return self._source.position

    def next(self, wait_ns: int) -> _core.EventBatch | None:
        """The next messages, waiting for them so long at most; None if none came. From the log first. Raises TapeError."""
        silence = self._silence
        if self._recorded is not None:
            return self._next_recorded(self._recorded)
        if silence is not None and silence.idle_mark_ns is not None:
            wait_ns = min(wait_ns, silence.idle_mark_ns)
        batch = self._source.next(wait_ns)
        if batch is not None:
            if silence is not None:
                silence.heard(batch)
            if self._log is not None:
                self._log.append(batch, self._source.position)
                if self._places is not None:
                    self._places.note(self._log.messages, self._source.position)
        elif silence is not None and self._log is not None and not self._source.ended:
            batch = silence.mark()
            if batch is not None:
                self._log.append_mark(batch)
        return batch

    def tell(self, notices: Iterable[Notice]) -> None:
        """Tells the source what its messages showed to be wrong: it may subscribe again or fetch a snapshot. What the log shows
        is past."""
        if self._notice is None or self._recorded is not None:
            return
        for instrument, kind, ts_recv, _ in notices:
            if kind in _ANSWERED:
                self._notice(instrument, kind, ts_recv)

    def stop(self) -> None:
        """Ends the source. What the log still holds is left for the next start, and so is what follows it."""
        self._stopped = True
        self._source.stop()

    def stats(self) -> dict[str, Any]:
        """What the source has done, and where it is written down."""
        recorded = {} if self._log is None else {"recorded": str(self._log.folder)}
        live = {} if self._silence is None else self._silence.stats()
        return _STATS | {"ended": self.ended, "stopped": self._stopped} | self._source.stats() | recorded | live

    def sync(self) -> None:
        """Forces the log to the disk."""
        if self._log is not None:
            self._log.sync()

    def close(self) -> None:
        """Ends the source and the log."""
        self._source.close()
        if self._log is not None:
            self._log.close()

    def _next_recorded(self, recorded: Iterator[_core.EventBatch]) -> _core.EventBatch | None:
        batch = None if self._stopped else next(recorded, None)
        if batch is not None:
            if self._silence is not None:
                self._silence.passed(batch)
        elif not self._stopped:
            self._recorded = None
        return batch


def tape_batches(path: str) -> Iterator[_core.EventBatch]:
    """What one file holds. Raises TapeError."""
    from signal_stream import _core

    try:
        reader = _core.Reader([path])
        while (batch := reader.next()) is not None:
            yield batch
    except _core.CoreError as error:
        raise core_error(error, "feed") from None


def from_message(batches: Iterator[_core.EventBatch], skip: int) -> Iterator[_core.EventBatch]:
    """Batches from message `skip` on."""
    for batch in batches:
        if skip >= batch.messages:
            skip -= batch.messages
            continue
        yield batch.slice(skip, batch.messages) if skip else batch
        skip = 0
