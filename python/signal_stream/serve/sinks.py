"""The threads of a pipeline's sinks and how far each lags; what a thread does is in sink_follower.py."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from signal_stream.errors import SinkError

from .journal_times import JournalTimes
from .sink_cursor import SinkCursor
from .sink_follower import REST_NS, SinkFollower

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from signal_stream.roles import Sink
    from signal_stream.settings import SinkSettings
    from signal_stream.store import Bell, Journal

    from .input_places import InputPlaces

WAKE_NS: Final = REST_NS
"""While events come without a pause, sinks are woken so often: what came meanwhile goes as one piece."""
CLOSE_NS: Final = 5_000_000_000
"""How long the end of a pipeline waits for its sinks."""


class Sinks:
    """Followers and their threads. The pipeline's thread calls everything here; the only thing that it shares with the sinks'
    threads on the way of a signal is `wake`, which costs nothing where nobody sleeps.

    A sink that fails is DEGRADED and tried again; `look` raises SinkError LAGGING where a sink whose `when_lagging` is "halt"
    is behind by more than its `lag_max`. `close` waits for what is left, but not for ever.
    """

    def __init__(
        self,
        sinks: Sequence[tuple[Sink, SinkSettings]],
        *,
        journal: Journal,
        folder: Path,
        seed: int | None = None,
        bell: Bell | None = None,
        places: InputPlaces | None = None,
    ) -> None:
        """Opens no sink. `folder` is for their cursors; `seed` is that of the pauses between attempts; `bell` is for processes
        that follow the journal as sinks do; `places` for sinks that commit what signals rest on."""
        self._journal = journal
        self._bell = bell
        self._times = JournalTimes()
        self._noted = -1
        self._threads: list[_SinkThread] = []
        for sink, settings in sinks:
            name = self._named(settings)
            draw = random.Random(f"{name} {seed}" if seed is not None else None)
            cursor = SinkCursor(folder, name)
            follower = SinkFollower(sink, settings, name=name, journal=journal, cursor=cursor, draw=draw, places=places)
            self._threads.append(_SinkThread(follower, journal))

    @property
    def oldest_seq(self) -> int:
        """The first record that a sink still has to read: what lies before it may go."""
        return min((each.follower.seq for each in self._threads), default=self._journal.next_seq)

    def recover(self) -> None:
        """Puts signals into the journal that a sink's place has and a power cut took from it, as they were sent: made again, a
        veto could become a pass. Before anything is made again; raises JournalError."""
        ahead = [each.follower.ahead(time.monotonic_ns()) for each in self._threads]
        self._journal.take_over(max(ahead, key=len, default=[]))

    def start(self) -> None:
        """Begins to follow."""
        for each in self._threads:
            each.start()

    def wake(self) -> None:
        """Has those look that wait for the journal to grow."""
        if self._journal.next_seq != self._noted:
            self._noted = self._journal.next_seq
            for each in self._threads:
                each.wake()
            if self._bell is not None:
                self._bell.ring()

    def look(self, now: int) -> None:
        """Measures lags by the monotonic time `now`, and writes down what a sink will not get. Raises JournalError, and SinkError
        LAGGING."""
        self._times.note(self._journal.next_seq, now)
        self._times.forget(self.oldest_seq)
        for each in self._threads:
            follower, settings = each.follower, each.follower.settings
            skip = follower.skip
            if skip is not None and not each.is_told:
                self._journal.append("skip", ts=time.time_ns(), body=skip.mark.to_json())
                each.tell()
            behind = follower.seq < self._journal.next_seq
            follower.lag_ns = now - self._times.written_ns(follower.seq, now) if behind else 0
            if settings.when_lagging == "halt" and follower.lag_ns > settings.lag_max_ns:
                raise _lagging(follower, now)

    def stats(self) -> tuple[dict[str, Any], ...]:
        """Each sink's state, lag and error, for the status."""
        now = time.monotonic_ns()
        return tuple(each.follower.stats(now) for each in self._threads)

    def close(self, wait_ns: int = CLOSE_NS) -> None:
        """Has the sinks take what the journal holds, waiting so long at most for all of them; what is left is sent by the next
        start. May be called twice."""
        if self._bell is not None:
            self._bell.ring()
            self._bell.close()
        for each in self._threads:
            each.end()
        until = time.monotonic_ns() + wait_ns
        for each in self._threads:
            each.join(max(0, until - time.monotonic_ns()))

    def _named(self, settings: SinkSettings) -> str:
        """The sink's name: its URL or kind, with a number where several have it."""
        name = settings.url or settings.kind
        taken = sum(each.follower.name.partition("#")[0] == name for each in self._threads)
        return f"{name}#{taken + 1}" if taken else name


class _SinkThread:
    """Steps one follower. Daemonic: a sink that never returns does not keep the process."""

    def __init__(self, follower: SinkFollower, journal: Journal) -> None:
        self.follower = follower
        self._journal = journal
        self._awake = threading.Event()
        self._sleeps = False
        self._ends = self._is_over = False
        self._told: object = None
        self._thread = threading.Thread(target=self._run, name=f"sink {follower.name}", daemon=True)

    @property
    def is_told(self) -> bool:
        """Whether the follower knows that the journal holds its `skip` record."""
        return self._told is self.follower.skip

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        if self._sleeps and self.follower.is_due:
            self._awake.set()

    def tell(self) -> None:
        self._told = self.follower.skip
        self.follower.skip_is_written()
        self._awake.set()

    def end(self) -> None:
        self._ends = True
        self._awake.set()

    def join(self, wait_ns: int) -> None:
        if self._thread.ident is None:  # the pipeline did not open
            self.follower.close()
            return
        self._thread.join(wait_ns / 1e9)
        self._is_over = True

    def _run(self) -> None:
        follower, tries = self.follower, 1
        while not self._is_over:
            if self._ends and tries:
                tries -= 1
                follower.try_now()
            due = follower.step(time.monotonic_ns())
            if self._ends and not tries and (follower.is_current or follower.is_failing or follower.skip is not None):
                break
            self._wait(due)
        follower.close()

    def _wait(self, due: int | None) -> None:
        wait_s = None if due is None else (due - time.monotonic_ns()) / 1e9
        if wait_s is not None and wait_s < 0.01:
            time.sleep(max(0.0, wait_s))
            return
        self._awake.clear()
        self._sleeps = True
        # what was written before `_sleeps` was seen is found here, what comes later wakes
        if not (self._ends or self.follower.is_due):
            self._awake.wait(wait_s)
        self._sleeps = False


def _lagging(follower: SinkFollower, now: int) -> SinkError:
    found = follower.stats(now)
    error = f": {found['error']}" if found["error"] else ""
    lag_max = f"{follower.settings.lag_max_ns / 1e9:g} s"
    return SinkError(
        "LAGGING",
        f"its oldest signal waits since {follower.lag_ns / 1e9:.1f} s, and lag_max is {lag_max}{error}",
        where=follower.name,
        value=follower.lag_ns,
        next_step='The journal has every signal. Mend it, or allow more with when_lagging = "wait" or "skip"; then re-arm.',
    )
