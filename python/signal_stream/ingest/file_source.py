"""A tape or capture as a source: to its end, or followed while another program writes it."""

from __future__ import annotations

import json
from dataclasses import asdict
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from signal_stream.errors import TapeError
from signal_stream.settings import Problem

from .feed import Feed, FeedSettings, FeedSource
from .files import check_regular
from .followed import FollowedFile, FollowedStart, find_followed, noted_beside

if TYPE_CHECKING:
    from collections.abc import Iterator


# Files that are remembered of a source that is followed over rotations.
_FILES_MAX: Final = 32


class FileSource(FeedSource):
    """`file://PATH`. Without `follow` the file is read again at each start, unless its queue may shed what came."""

    class Settings(FeedSettings):
        """`[source] url = "file://PATH"`."""

        follow: bool = False
        """The file is still being written: wait for more at its end."""

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
            yield from super().problems()

    def __init__(self, settings: Settings) -> None:
        """Opens nothing."""
        super().__init__(settings)
        self._settings = settings
        self._before: tuple[FollowedFile, ...] = ()
        self.name = settings.path.name
        self.live = settings.follow
        self.rate = 1.0 if self.live else settings.pace
        again = not settings.follow and settings.when_full != "shed_oldest"
        self.tape: Path | None = settings.path if again else None

    def open(self, position: bytes | None) -> None:
        """Begins behind a position. Raises TapeError: what lies there is no file, or not the one that was followed."""
        settings = self._settings
        check_regular(settings.path)
        begun = {} if position is None else json.loads(position)
        start = FollowedStart.at(begun.get("messages", 0))
        where: dict[str, Any] = {"paths": [settings.path]}
        if settings.follow:
            if begun:
                files = [FollowedFile(**file) for file in begun["files"]]
                start = find_followed(files, settings.path, begun["messages"])
            where = {"follow": settings.path, "begin": start.begin, "base": start.base}
        elif not settings.path.exists():
            raise TapeError("NOT_FOUND", "there is no such file", where=str(settings.path))
        self._before = start.before
        self._feed = Feed(settings, where, pace=inf if self.live else settings.pace, skip=start.skip)
        self._base = start.base

    def position_of_old_log(self, log: Path, messages: int) -> bytes:
        """The position behind `messages` of its messages in a log of before logs held positions. Raises TapeError DAMAGED."""
        files = noted_beside(log) if self.live else []
        return json.dumps({"messages": messages, "files": [asdict(file) for file in files]}).encode()

    @property
    def position(self) -> bytes:
        """How many messages were given; of a followed file also which files they came from."""
        feed = self._open
        where: dict[str, Any] = {"messages": self._base + feed.messages}
        if self.live:
            files = [FollowedFile(dev, ino, head.hex(), at) for dev, ino, head, at in feed.core.followed]
            where["files"] = [asdict(file) for file in [*self._before, *files][-_FILES_MAX:]]
        return json.dumps(where).encode()
