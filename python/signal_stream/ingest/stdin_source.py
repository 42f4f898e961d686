"""Standard input as a source: captures that another program writes into a pipe."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from signal_stream.settings import Problem

from .feed import FeedSettings, FeedSource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from signal_stream import _core


class StdinSource(FeedSource):
    """`stdin:`. Another stream at each start: a position in an earlier one means nothing."""

    class Settings(FeedSettings):
        """`[source] url = "stdin:"`."""

        def problems(self) -> Iterator[Problem]:
            """More than the scheme in the URL; a pace for what comes as it comes."""
            if self.url not in ("", "stdin:"):
                yield Problem("url", f'url = "{self.url}" is not "stdin:"')
            if self.pace not in (1.0, inf):
                what = f'pace = "{self.pace:g}x" is for recorded files; {self.url} comes as it comes'
                yield Problem("pace", what, 'Leave pace out, or write "recorded".')
            yield from super().problems()

    name = "stdin"
    live = True
    rate = 1.0

    def core_feed(self) -> _core.Feed:
        """Standard input."""
        from signal_stream import _core

        return _core.Feed.stdin(self.settings.known_instruments)
