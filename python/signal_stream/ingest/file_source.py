"""A tape or capture as a source: to its end, or followed while another program writes it."""

from __future__ import annotations

import json
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from signal_stream.errors import TapeError
from signal_stream.settings import Problem

from .feed import FeedSettings, FeedSource, venue_problems
from .files import check_regular

if TYPE_CHECKING:
    from collections.abc import Iterator

    from signal_stream import _core


class FileSource(FeedSource):
    """`file://PATH`. Without `follow` the file is read again at each start, unless its queue may shed what came."""

    class Settings(FeedSettings):
        """`[source] url = "file://PATH"`."""

        follow: bool = False
        """The file is still being written: wait for more at its end."""
        venue: str | None = None
        """Whose frames a capture holds, where they are not recognised: `binance`, `kraken`, …"""

        @property
        def path(self) -> Path:
            """The file."""
            return Path(self.url.removeprefix("file://"))

        @property
        def is_live(self) -> bool:
            """Whether events come as they happen."""
            return self.follow

        def problems(self) -> Iterator[Problem]:
            """A URL without a path; a pace for what comes as it comes."""
            if not self.url.startswith("file://") or self.url == "file://":
                yield Problem("url", f'url = "{self.url}" is not "file://PATH"')
            if self.follow and self.pace not in (1.0, inf):
                what = f'pace = "{self.pace:g}x" is for recorded files; {self.url} comes as it comes'
                yield Problem("pace", what, 'Leave pace out, or write "recorded".')
            yield from venue_problems(self.venue)
            yield from super().problems()

    def __init__(self, settings: Settings) -> None:
        """Opens nothing."""
        super().__init__(settings)
        self._path = settings.path
        self._venue = settings.venue
        self.name = settings.path.name
        self.live = settings.follow
        self.rate = 1.0 if self.live else settings.pace
        again = not settings.follow and settings.when_full != "shed_oldest"
        self.tape = settings.path if again else None

    def core_feed(self) -> _core.Feed:
        """The file. Raises TapeError: what lies there is no file."""
        from signal_stream import _core

        check_regular(self._path)
        if self.live:
            return _core.Feed.follow(self._path, self.settings.known_instruments, self._venue)
        if not self._path.exists():
            raise TapeError("NOT_FOUND", "there is no such file", where=str(self._path))
        return _core.Feed.files([self._path], self.settings.known_instruments, self._venue)

    def position_of_old_log(self, log: Path, messages: int) -> bytes:
        """The position behind `messages` of its messages in a log of before logs held positions: the files that were followed
        were noted in a file of the log's folder. Raises TapeError DAMAGED."""
        position: dict[str, Any] = {"messages": messages}
        noted = log / ".followed"
        if self.live and noted.exists():
            try:
                position["files"] = json.loads(noted.read_bytes())
            except (OSError, ValueError) as error:
                raise TapeError(
                    "DAMAGED",
                    "cannot be read: it says which file was followed",
                    where=str(noted),
                    next_step="Restore it from a copy, or name another [pipeline] state in the deployment file.",
                ) from error
        return json.dumps(position).encode()
