"""Standard input as a source: captures that another program writes into a pipe."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from signal_stream.errors import TapeError
from signal_stream.settings import Problem

from .feed import Feed, FeedSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from signal_stream import _core


class StdinSource:
    """`stdin:`. Another stream at each start: a position in an earlier one means nothing."""

    class Settings(FeedSettings):
        """`[source] url = "stdin:"`."""

        def problems(self) -> Iterator[Problem]:
            """A pace for what comes as it comes."""
            if self.pace not in (1.0, inf):
                what = f'pace = "{self.pace:g}x" is for recorded files; {self.url} comes as it comes'
                yield Problem("pace", what, 'Leave pace out, or write "recorded".')
            yield from super().problems()

    name = "stdin"
    live = True
    rate = 1.0
    tape = None
    position = b""

    def __init__(self, settings: Settings) -> None:
        """Opens nothing."""
        self._settings = settings
        self._feed: Feed | None = None

    def open(self, position: bytes | None) -> None:  # noqa: ARG002  another stream each time
        """Begins to read."""
        self._feed = Feed(self._settings, {"stdin": True}, pace=inf, skip=0)

    def next(self, wait_ns: int) -> _core.EventBatch | None:
        """The next messages; None if none came in time, or ever will. Raises TapeError."""
        return self._open.next(wait_ns)

    @property
    def ended(self) -> bool:
        """Whether there will be no more."""
        return self._open.ended

    def stop(self) -> None:
        """Ends the reading; what is in the queue is still given."""
        if self._feed is not None:
            self._feed.stop()

    def stats(self) -> dict[str, Any]:
        """Lines, messages, refusals, queue."""
        return self._open.stats()

    def close(self) -> None:
        """Ends the reading."""
        self.stop()

    @property
    def _open(self) -> Feed:
        if self._feed is None:
            raise TapeError("UNREADABLE", "the source was not opened", where="stdin:")
        return self._feed
