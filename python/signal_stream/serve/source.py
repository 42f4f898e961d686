"""Where a pipeline's events come from: a file to its end, or a stream that is written down as it is used."""

from __future__ import annotations

import json
import stat
import time
from math import inf
from typing import TYPE_CHECKING, Any, Final, Protocol

from signal_stream.errors import SettingsError, TapeError
from signal_stream.ingest import Intake

from .axis_clock import RECORDING_NS
from .followed import FollowedFile, FollowedStart, find_followed, note_followed
from .tape_log import TapeLog, check_log, log_paths

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from signal_stream import _core
    from signal_stream.settings import SourceSettings


STDIN: Final = "stdin:"
_IDLE_MARK_NS: Final = 1_000_000_000
_DELAYS_NS: Final = 60_000_000_000
_WALL_WITHIN_NS: Final[dict[str, float]] = {"auto": RECORDING_NS, "wall": inf, "recorded": -1}

# How often, in calls, a feed looks at what was refused, and of how many lines a share is taken before the end.
_CHECK_CALLS: Final = 256
_CHECK_LINES: Final = 1_000

# Files that are remembered of a source that is followed over rotations.
_FILES_MAX: Final = 32


class Source(Protocol):
    """Events in the order of their use. One thread asks; `stop` may come from a signal handler of that thread."""

    rate: float
    """Axis nanoseconds in one of ours; infinity where events come as fast as they are taken."""
    wall_within_ns: float
    """Events at most so far behind the wall clock are judged by it; -1 where none are."""

    def next(self, wait_ns: int) -> _core.EventBatch | None:
        """The next messages, waiting for them so long at most; None if none came. Raises TapeError."""

    @property
    def ended(self) -> bool:
        """Whether there will be no more."""

    def stop(self) -> None:
        """Reads no further; what is in the queue is still given, then the source has ended."""

    def stats(self) -> dict[str, Any]:
        """What the source has done: for the status."""

    def sync(self) -> None:
        """Forces what was written down to the disk."""

    def close(self) -> None:
        """Gives everything back. May be called twice."""


class FileSource:
    """A tape or capture, from message number `skip` to its end. A restart reads the same file again."""

    wall_within_ns: float = -1

    def __init__(self, settings: SourceSettings, *, skip: int) -> None:
        self.rate = settings.pace
        self._feed = _Feed(settings, pace=settings.pace, start=FollowedStart.at(skip))

    def next(self, wait_ns: int) -> _core.EventBatch | None:
        """The next messages."""
        return self._feed.next(wait_ns)

    @property
    def ended(self) -> bool:
        """Whether there will be no more."""
        return self._feed.ended

    def stop(self) -> None:
        """Ends the reading."""
        self._feed.stop()

    def stats(self) -> dict[str, Any]:
        """Lines, messages, refusals, queue."""
        return self._feed.stats()

    def sync(self) -> None:
        """Nothing was written."""

    def close(self) -> None:
        """Ends the reading."""
        self._feed.stop()


class RecordedSource:
    """Standard input, a growing file, or one whose queue may shed: what cannot be read again in the same way.

    Each batch is in the log before it is given, so a restart takes everything up to the crash from the log, from its
    message `skip` on, and goes on with the stream: from a file's message `skip_feed` on, while standard input is
    another stream each time.

    A live stream, standard input or a growing file, that is silent brings marks: the clock goes on although nothing
    comes, and inputs grow old. `idle_mark` says after how long; by default a second, where the wall clock rules. A mark
    stays behind the present by as much as events came late in the last minutes (a recorder may write in blocks), by
    `lateness`, and by `idle_mark`: what is still on its way is not late because of it. Marks are in the log as well.
    """

    def __init__(self, settings: SourceSettings, *, log: TapeLog, skip: int, skip_feed: int) -> None:
        stream = is_live(settings)
        start = FollowedStart.at(skip_feed)
        if settings.follow and settings.path is not None:
            start = find_followed(log.folder, settings.path, skip_feed)
        self.rate = 1.0 if stream else settings.pace
        self.wall_within_ns = _WALL_WITHIN_NS[settings.clock] if stream else -1
        self._log = log
        self._recorded: Iterator[_core.EventBatch] | None = log_batches(log.folder, skip)
        self._feed = _Feed(settings, pace=inf if stream else settings.pace, start=start)
        self._silence = Silence(settings, wall_within_ns=self.wall_within_ns) if stream else None
        self._stopped = False

    @property
    def ended(self) -> bool:
        """Whether there will be no more."""
        return self._stopped if self._recorded is not None else self._feed.ended

    def next(self, wait_ns: int) -> _core.EventBatch | None:
        """The next messages, from the log first."""
        silence = self._silence
        if self._recorded is not None:
            batch = None if self._stopped else next(self._recorded, None)
            if batch is not None:
                if silence is not None:
                    silence.passed(batch)
            elif not self._stopped:
                self._recorded = None
            return batch
        if silence is not None and silence.idle_mark_ns is not None:
            wait_ns = min(wait_ns, silence.idle_mark_ns)
        batch = self._feed.next(wait_ns)
        self._feed.note(self._log.folder)  # before a message of a new file is in the log
        if silence is None:
            if batch is not None:
                self._log.append(batch)
        elif batch is not None:
            silence.heard(batch)
            self._log.append(batch)
        elif not self._feed.ended:
            batch = silence.mark()
            if batch is not None:
                self._log.append_mark(batch)
        return batch

    def stop(self) -> None:
        """Ends the feed. What the log still holds is left for the next start, and so is what follows it."""
        self._stopped = True
        self._feed.stop()

    def stats(self) -> dict[str, Any]:
        """What the feed has done, and where it is written down."""
        live = {} if self._silence is None else self._silence.stats()
        return self._feed.stats() | {"recorded": str(self._log.folder)} | live

    def sync(self) -> None:
        """Forces the log to the disk."""
        self._log.sync()

    def close(self) -> None:
        """Ends the feed and the log."""
        self._feed.stop()
        self._log.close()


class Silence:
    """How long a live stream has been silent, and how far the clock may go on meanwhile.

    Invariants: a mark is never behind the newest event or mark; it is at least `idle_mark_ns` after it.
    """

    def __init__(self, settings: SourceSettings, *, wall_within_ns: float) -> None:
        self._wall_within_ns = wall_within_ns
        self._idle_mark_ns = settings.idle_mark_ns
        self._lateness_ns = settings.lateness_ns
        self._newest_ns: int | None = None
        self._heard_ns = time.monotonic_ns()
        self._heard_newest_ns: int | None = None
        self._delay_ns = 0
        """Between the newest event's receive time and now, when it came."""
        self._delays_max_ns = [0, 0]
        """The largest delay in this span of time and in the one before."""
        self._span_began_ns = self._heard_ns
        self.by_wall = wall_within_ns >= 0
        """Whether the newest event is judged by the wall clock."""

    @property
    def idle_mark_ns(self) -> int | None:
        """After how long a silence the clock goes on; None if it does not."""
        if self._idle_mark_ns is None and self.by_wall:
            return _IDLE_MARK_NS
        return self._idle_mark_ns

    def passed(self, batch: _core.EventBatch) -> None:
        """Events of an earlier process."""
        newest = batch.last_recv
        if newest is not None and (self._newest_ns is None or newest > self._newest_ns):
            self._newest_ns = newest

    def heard(self, batch: _core.EventBatch) -> None:
        """Events that came now."""
        first, newest = batch.first_recv, batch.last_recv
        if first is None or newest is None:
            return
        now, wall = time.monotonic_ns(), time.time_ns()
        self._heard_ns = now
        self._delay_ns = wall - newest
        self.by_wall = self._delay_ns <= self._wall_within_ns
        if now - self._span_began_ns > _DELAYS_NS:
            twice = now - self._span_began_ns > 2 * _DELAYS_NS
            self._delays_max_ns = [self._delay_ns, self._delay_ns if twice else self._delays_max_ns[0]]
            self._span_began_ns = now
        self._delays_max_ns[0] = max(self._delays_max_ns[0], self._delay_ns, wall - first)
        if self._newest_ns is None or newest > self._newest_ns:
            self._newest_ns = newest
        self._heard_newest_ns = self._newest_ns

    def mark(self) -> _core.EventBatch | None:
        """A mark, if the stream has been silent for long enough since the last event or mark."""
        from signal_stream import _core

        idle_ns = self.idle_mark_ns
        if idle_ns is None or self._newest_ns is None or self._heard_newest_ns is None:
            return None
        waits_ns = max(self._delays_max_ns) - self._delay_ns if self.by_wall else 0
        silent_ns = time.monotonic_ns() - self._heard_ns
        reached = self._heard_newest_ns + silent_ns - self._lateness_ns - max(waits_ns, 0) - idle_ns
        if reached < self._newest_ns + idle_ns:
            return None
        self._newest_ns = reached
        return _core.EventBatch.mark(reached)

    def stats(self) -> dict[str, Any]:
        """For the status."""
        return {
            "clock": "wall" if self.by_wall else "recorded",
            "newest_recv": self._heard_newest_ns or self._newest_ns,
            "silent_ns": time.monotonic_ns() - self._heard_ns,
        }


class _Feed:
    """The core's live source, with errors of the tree."""

    def __init__(self, settings: SourceSettings, *, pace: float, start: FollowedStart) -> None:
        from signal_stream import _core

        self._settings = settings
        self._stopped = False
        self._calls = 0
        self._before = start.before
        self._noted = 0
        self.ended = False
        path = settings.path
        where: dict[str, Any]
        if path is None:
            where = {"stdin": True}
        elif settings.follow:
            where = {"follow": path, "begin": start.begin, "base": start.base}
        else:
            where = {"paths": [path]}
        try:
            self._source = _core.LiveSource(
                **where,
                pace=_pace_text(pace),
                queue_rows=settings.queue_rows,
                when_full=settings.when_full,
                skip_messages=start.skip,
            )
        except _core.CoreError as error:
            raise feed_error(error) from None

    def next(self, wait_ns: int) -> _core.EventBatch | None:
        """The next messages; None if none came in time, or ever will. Raises TapeError."""
        from signal_stream import _core

        try:
            batch = self._source.next(wait_ns / 1e9)
        except _core.CoreError as error:
            raise feed_error(error) from None
        self._calls += 1
        if batch is None and self._source.end is not None:
            self.ended = True
            self._check_refused(lines_min=_CHECK_LINES if self._stopped else 1)
            if self._source.end == "halted":
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

    def _check_refused(self, *, lines_min: int) -> None:
        """Raises TapeError REJECTED if more lines are broken than allowed, of so many at least."""
        counts = self._source.counts()
        intake = Intake()
        intake.take(counts["rejects"], sum(json.loads(record)["inputs"] for record in counts["records"]))
        if intake.lines >= lines_min:
            intake.check(self._settings.max_rejected)

    def note(self, folder: Path) -> None:
        """Writes down which files are followed, if they are others than before. Raises TapeError WRITE."""
        changes = self._source.followed_changes
        if changes == self._noted:
            return
        files = [FollowedFile(dev, ino, head.hex(), at) for dev, ino, head, at in self._source.followed]
        files = [*self._before, *files][-_FILES_MAX:]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            note_followed(folder, files)
        except OSError as error:
            raise TapeError("WRITE", f"cannot be written: {error.strerror}", where=str(folder)) from error
        self._noted = changes

    def stop(self) -> None:
        """Reads no further."""
        self._stopped = self._stopped or not self.ended
        self._source.stop()

    def stats(self) -> dict[str, Any]:
        """Lines, messages and refusals of the files, and the queue."""
        counts = self._source.counts()
        records = [json.loads(record) for record in counts["records"]]
        return {
            "url": self._settings.url,
            "lines": sum(record["inputs"] for record in records),
            "messages": sum(record["messages"] for record in records),
            "refused": counts["rejects"]["counts"],
            "refused_first": counts["rejects"]["first"],
            "queue_rows": counts["queue_rows"],
            "queue_rows_max": self._settings.queue_rows,
            "shed_rows": counts["shed_rows"],
            "shed_messages": counts["shed_messages"],
            "skipped_messages": counts["skipped_messages"],
            "ended": self.ended and not self._stopped,
            "stopped": self._stopped,
        }


def check_source(settings: SourceSettings) -> None:
    """Raises SettingsError for settings that contradict each other or that no source can keep."""
    stream = is_live(settings)
    if stream and settings.pace not in (1.0, inf):
        raise SettingsError(
            "BAD_VALUE",
            f'[source] pace = "{settings.pace:g}x" is for recorded files; {settings.url} comes as it comes',
            next_step='Leave pace out, or write "recorded".',
        )
    _check_file(settings.path)
    if settings.follow and settings.url == STDIN:
        raise SettingsError("BAD_VALUE", "[source] follow = true is for files; stdin: is followed anyway")
    if settings.late == "amend":
        raise SettingsError(
            "BAD_VALUE",
            '[source] late = "amend" is not there yet: signals that were emitted are not amended',
            next_step='Write "drop" (late rows are kept aside and counted) or "refuse" (the pipeline stops).',
        )
    if settings.idle_mark_ns is not None and not stream:
        raise SettingsError(
            "BAD_VALUE",
            "[source] idle_mark is for live streams; a file brings its own marks",
            next_step="Leave it out.",
        )
    if settings.clock != "auto" and not stream:
        raise SettingsError(
            "BAD_VALUE",
            f'[source] clock = "{settings.clock}" is for live streams; a file that is replayed runs on its own clock',
            next_step="Leave it out.",
        )


def _check_file(path: Path | None) -> None:
    """Raises TapeError if something else than a file lies there: reading it could wait for ever, or never end."""
    try:
        mode = path.stat().st_mode if path is not None else stat.S_IFREG
    except OSError:
        return  # whoever opens it says so
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise TapeError("UNREADABLE", "it is a folder", where=str(path), next_step="Name a file in it.")
    what = "a named pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
    advice = f'Serve it as a stream: write url = "stdin:", and start `signal-stream serve … < {path}`.'
    raise TapeError("UNREADABLE", f"it is {what}, and no regular file", where=str(path), next_step=advice)


def is_live(settings: SourceSettings) -> bool:
    """Whether events come as they happen: standard input, a file that still grows."""
    return settings.url == STDIN or settings.follow


def is_recorded(settings: SourceSettings) -> bool:
    """Whether the source cannot be read again in the same way, or was asked to be written down."""
    return is_live(settings) or settings.when_full == "shed_oldest" or settings.record is not None


def log_batches(folder: Path, skip: int = 0) -> Iterator[_core.EventBatch]:
    """What a log holds, segment by segment, from message `skip` on. Raises TapeError, for damage before it gives any."""
    check_log(folder)
    for path in log_paths(folder):
        for batch in tape_batches(str(path)):
            messages = batch.messages
            if skip >= messages:
                skip -= messages
            elif skip:
                yield batch.slice(skip, messages)
                skip = 0
            else:
                yield batch


def tape_batches(path: str) -> Iterator[_core.EventBatch]:
    """What one file holds. Raises TapeError."""
    from signal_stream import _core

    try:
        reader = _core.Reader([path])
        while (batch := reader.next()) is not None:
            yield batch
    except _core.CoreError as error:
        raise feed_error(error) from None


def feed_error(error: _core.CoreError) -> TapeError:
    """The error of the tree for a refusal of the core's feeds."""
    code, message, _ = error.args
    return TapeError(code if code in TapeError.codes else "UNREADABLE", message)


def _pace_text(pace: float) -> str:
    if pace == inf:
        return "max"
    return "recorded" if pace == 1 else f"{pace!r}x"
