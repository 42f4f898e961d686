"""The core's live source with errors of the tree: a thread that reads a feed, and a bounded queue behind it."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import Field, field_validator

from signal_stream.core_errors import core_error
from signal_stream.errors import TapeError, did_you_mean
from signal_stream.settings import Problem, SourceSettings
from signal_stream.settings.values import Pace, Share

from .files import check_regular
from .instruments_file import read_instruments
from .intake import Intake

if TYPE_CHECKING:
    from collections.abc import Iterator

    from signal_stream import _core

# How often, in calls, a feed looks at what was refused, and of how many lines a share is taken before the end.
_CHECK_CALLS: Final = 256
_CHECK_LINES: Final = 1_000


class FeedSettings(SourceSettings):
    """What sources share that are read by the core: files, pipes, connections."""

    of_one: ClassVar[frozenset[str]] = frozenset({"url", "kind", "instruments"})

    pace: Pace = 1.0
    """Times recorded pace: "recorded" is 1, "8x" is 8, "max" is infinity."""
    queue_rows: int = Field(ge=1, le=100_000_000)
    """Most event rows between source and engine."""
    when_full: Literal["block", "shed_oldest", "halt"] = "block"
    """What the source does when the queue is full."""
    conflate: Literal["none", "latest"] = "none"
    """When the pipeline is behind and several states of one stream wait in the queue (quotes, book snapshots, reference data):
    "latest" leaves out those that a newer one replaces. Trades, diffs and orders are never left out. What was is counted, and on
    the tape."""
    history: tuple[str, ...] = ()
    """Tapes or captures of what came before, as `"file://PATH"`, several as a list: they are read first, as fast as possible
    and without signals, so that every window is warm at the first signal. A restart behind them needs them no more."""
    instruments: Path | None = Field(default=None, strict=False)
    """TOML or Parquet file of instruments: their decimal places, and what they are."""
    max_rejected: Share = 0.01
    """Share of the lines, from 1,000 on and at the end, that may be broken; beyond it the pipeline stops."""

    @field_validator("history", mode="before")
    @classmethod
    def _several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value

    @property
    def known_instruments(self) -> str | None:
        """What the instruments file says, as a tape holds it. Raises TapeError."""
        return None if self.instruments is None else read_instruments(self.instruments)

    @property
    def history_paths(self) -> tuple[Path, ...]:
        """The files of the history."""
        return tuple(Path(url.removeprefix("file://")) for url in self.history)

    def problems(self) -> Iterator[Problem]:
        """A history that is no file, or of what is no live source; two ways to leave out what does not fit."""
        if self.conflate != "none" and not self.is_live:
            what = 'conflate = "latest" is for live sources; a recorded file waits until it is read'
            yield Problem("conflate", what, "Leave it out.")
        if self.conflate != "none" and self.when_full == "shed_oldest":
            what = (
                'conflate = "latest" leaves out what newer states replace, when_full = "shed_oldest" whatever is oldest'
            )
            yield Problem("when_full", what, 'Write "block" or "halt", or leave conflate out.')
        wrong = self.history_problem()
        if wrong is not None:
            yield Problem("history", wrong)
        if self.history and not self.is_live:
            what = "history is for live sources; a file that is read from its beginning is its own"
            yield Problem("history", what, "Leave it out, or merge the files: signal-stream tape merge.")
        yield from super().problems()

    def history_problem(self) -> str | None:
        """What is wrong with the history by itself."""
        wrong = [url for url in self.history if not url.startswith("file://") or url == "file://"]
        return f'history = "{wrong[0]}" is not "file://PATH"' if wrong else None


def venue_problems(venue: str | None) -> Iterator[Problem]:
    """A venue whose frames nobody can decode."""
    from signal_stream import _core

    known = _core.capture_venues()
    if venue is not None and venue not in known:
        yield Problem("venue", f'venue = "{venue}" is none whose frames are known', did_you_mean(venue, known))


class LiveFeed:
    """Messages of a feed as the core's thread reads them. One thread asks."""

    def __init__(self, settings: FeedSettings, feed: _core.Feed, *, pace: float, position: bytes | None) -> None:
        """Opens the feed, at its beginning or behind a position of it. Raises TapeError."""
        from signal_stream import _core

        self._settings = settings
        self._stopped = False
        self._calls = 0
        self.ended = False
        try:
            self.core = _core.LiveSource(
                feed,
                pace=_pace_text(pace),
                queue_rows=settings.queue_rows,
                when_full=settings.when_full,
                conflate=settings.conflate,
                position=position or None,
            )
        except _core.CoreError as error:
            raise core_error(error, "feed") from None

    def next(self, wait_ns: int) -> _core.EventBatch | None:
        """The next messages; None if none came in time, or ever will. Raises TapeError."""
        from signal_stream import _core

        try:
            batch = self.core.next(wait_ns / 1e9)
        except _core.CoreError as error:
            raise core_error(error, "feed") from None
        self._calls += 1
        if batch is None and self.core.end is not None:
            self.ended = True
            self._check_refused(lines_min=_CHECK_LINES if self._stopped else 1)
            if self.core.end == "halted":
                rows = self._settings.queue_rows
                raise TapeError(
                    "QUEUE_FULL",
                    f'the queue of {rows:,} rows was full, and when_full = "halt"',
                    where=self._settings.url,
                    next_step="Find out why the pipeline is slower than its feed, then re-arm and restart.",
                )
        elif self._calls % _CHECK_CALLS == 0:
            self._check_refused(lines_min=_CHECK_LINES)
        return batch

    def stop(self) -> None:
        """Reads no further."""
        self._stopped = self._stopped or not self.ended
        self.core.stop()

    def close(self) -> None:
        """Closes the feed. May be called twice."""
        self.stop()
        self.core.close()

    def stats(self) -> dict[str, Any]:
        """Lines, messages and refusals of the files, and the queue."""
        counts = self.core.counts()
        records = [json.loads(record) for record in counts["records"]]
        return {
            "url": self._settings.url,
            "lines": sum(record["inputs"] for record in records),
            "messages": sum(record["messages"] for record in records),
            "refused": counts["rejects"]["counts"],
            "refused_first": counts["rejects"]["first"],
            "queue_rows": counts["queue_rows"],
            "queue_age_ns": counts["queue_age_ns"],
            "queue_rows_max": self._settings.queue_rows,
            "shed_rows": counts["shed_rows"],
            "shed_messages": counts["shed_messages"],
            "conflated_messages": counts["conflated_messages"],
            **(json.loads(counts["stats"]) or {}),
            "ended": self.ended and not self._stopped,
            "stopped": self._stopped,
        }

    def _check_refused(self, *, lines_min: int) -> None:
        """Raises TapeError REJECTED if more lines are broken than allowed, of so many at least."""
        counts = self.core.counts()
        intake = Intake()
        intake.take(counts["rejects"], sum(json.loads(record)["inputs"] for record in counts["records"]))
        if intake.lines >= lines_min:
            intake.check(self._settings.max_rejected)


class FeedSource(ABC):
    """What the sources have in common that the core reads: made without opening anything, used after `open`. A source of this
    kind says what its feed is: `core_feed`."""

    name: str
    live: bool
    rate: float
    tape: Path | None = None

    def __init__(self, settings: FeedSettings) -> None:
        """Opens nothing."""
        self.settings = settings
        self._feed: LiveFeed | None = None
        self._in_history = False

    @abstractmethod
    def core_feed(self) -> _core.Feed:
        """The feed, not opened. Raises TapeError."""

    def open(self, position: bytes | None) -> None:
        """Begins, behind a position if one is given. Raises TapeError."""
        from signal_stream import _core

        feed, paths = self.core_feed(), self.settings.history_paths
        if paths:
            for path in paths:
                check_regular(path)
            feed = _core.Feed.handover(
                _core.Feed.files(paths, self.settings.known_instruments), feed, self.settings.queue_rows
            )
        pace = inf if self.live else self.rate
        self._feed = LiveFeed(self.settings, feed, pace=pace, position=position)
        self._in_history = _is_within_history(self._feed.core.position)

    @property
    def position(self) -> bytes:
        """Behind the last batch that was given; what it means is the feed's to know. Empty where nothing can be resumed."""
        return self._open.core.position

    @property
    def in_history(self) -> bool:
        """Whether what was given so far is all history: no signals are made of that."""
        return self._in_history

    def next(self, wait_ns: int) -> _core.EventBatch | None:
        """The next messages; None if none came in time, or ever will. Raises TapeError."""
        batch = self._open.next(wait_ns)
        if batch is not None and self._in_history:
            self._in_history = _is_within_history(self._open.core.position)
        return batch

    @property
    def ended(self) -> bool:
        """Whether there will be no more."""
        return self._open.ended

    def stop(self) -> None:
        """Ends the reading; what is in the queue is still given."""
        if self._feed is not None:
            self._feed.stop()

    def notice(self, instrument: str, kind: str, ts_recv: int) -> None:
        """Something is wrong with an instrument's messages since `ts_recv`: the feed may fetch its book."""
        self._open.core.notice(instrument, kind, ts_recv)

    def stats(self) -> dict[str, Any]:
        """Lines, messages, refusals, queue."""
        return self._open.stats()

    def close(self) -> None:
        """Ends the reading. May be called twice."""
        if self._feed is not None:
            self._feed.close()

    @property
    def _open(self) -> LiveFeed:
        if self._feed is None:
            raise TapeError("UNREADABLE", "the source was not opened", where=self.settings.url)
        return self._feed


def _is_within_history(position: bytes) -> bool:
    """Whether the position of a feed lies within what its deployment names as history: files, or the beginning of a topic;
    of merged feeds, of any of them."""
    if b"history" not in position:
        return False
    text = json.loads(position[position.index(b"{") :])
    if "history_messages" in text:
        return "live" not in text or _is_within_history(text["live"].encode())
    if "feeds" in text:
        return any(_is_within_history(own.encode()) for own in text["feeds"])
    return bool(text.get("history"))


def _pace_text(pace: float) -> str:
    if pace == inf:
        return "max"
    return "recorded" if pace == 1 else f"{pace!r}x"
