"""Standard input as a source: captures that another program writes into a pipe."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from signal_stream.settings import Problem

from .feed import FeedSettings, FeedSource, venue_problems

if TYPE_CHECKING:
    from collections.abc import Iterator

    from signal_stream import _core


class StdinSource(FeedSource):
    """`stdin:`. Another stream at each start: a position in an earlier one means nothing."""

    class Settings(FeedSettings):
        """`[source] url = "stdin:"`."""

        venue: str | None = None
        """Whose frames they are, where they are not recognised: `binance`, `kraken`, …"""

        def problems(self) -> Iterator[Problem]:
            """More than the scheme in the URL; a pace for what comes as it comes."""
            if self.url not in ("", "stdin:"):
                yield Problem("url", f'url = "{self.url}" is not "stdin:"')
            if self.pace not in (1.0, inf):
                what = f'pace = "{self.pace:g}x" is for recorded files; {self.url} comes as it comes'
                yield Problem("pace", what, 'Leave pace out, or write "recorded".')
            yield from venue_problems(self.venue)
            yield from super().problems()

    name = "stdin"
    live = True
    rate = 1.0

    def __init__(self, settings: Settings) -> None:
        """Opens nothing."""
        super().__init__(settings)
        self._venue = settings.venue

    def core_feed(self) -> _core.Feed:
        """Standard input."""
        from signal_stream import _core

        return _core.Feed.stdin(self.settings.known_instruments, self._venue)
