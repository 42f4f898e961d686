"""Several feeds as one source, in order of arrival: markets of a venue, or several venues."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Self

from pydantic import Field, ValidationError

from signal_stream import parts
from signal_stream.errors import SettingsError, did_you_mean
from signal_stream.settings import Problem
from signal_stream.settings.values import PositiveNs

from .feed import FeedSettings, FeedSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from signal_stream import _core

_KINDS: Final = ("file", "stdin", "ws", "wss")
"""Sources that may be one of several. A topic commits its offsets itself."""
_OF_ALL: Final = frozenset(FeedSettings.keys()) - {"url", "instruments"}
"""Keys that are said once, for all feeds."""


class MergedSource(FeedSource):
    """`kind = "merged"`. Each feed is read by a thread of its own; one that is silent holds the others up for `patience` at
    most, and what it sends later goes on at once."""

    class Settings(FeedSettings):
        """`[source] kind = "merged"`: Several feeds: each a `[[source.feed]]` with its `url` and the keys of its own."""

        feed: tuple[Mapping[str, Any], ...] = Field(strict=False)
        """The feeds, two at least; those that are equally early keep this order."""
        patience_ns: PositiveNs = Field(default=1_000_000_000, alias="patience")
        """How long the others wait for a feed that is silent."""

        @property
        def feeds(self) -> list[FeedSettings]:
            """The settings of each feed. Raises ValidationError or SettingsError for the first that cannot be read."""
            return [self._feed(own) for own in self.feed]

        def _feed(self, own: Mapping[str, Any]) -> FeedSettings:
            kind = str(own.get("url", "")).partition(":")[0]
            settings = parts.factory("source", kind).Settings
            if kind not in _KINDS:
                what = f'a source "{kind}" cannot be one of several'
                raise SettingsError("BAD_VALUE", what, value=kind, next_step="Give it a pipeline of its own.")
            said = (_OF_ALL | {"instruments"}) - {"kind", "history"}
            shared = {key: value for key, value in self.raw.items() if key in said}
            read: FeedSettings = settings.read(shared | dict(own))
            return read

        @property
        def is_live(self) -> bool:
            """Whether events come as they happen, from any of them."""
            return any(feed.is_live for feed in self._readable())

        def _readable(self) -> Iterator[FeedSettings]:
            for own in self.feed:
                try:
                    yield self._feed(own)
                except (SettingsError, ValidationError):
                    continue

        def placed(self, place: Callable[[Path, str], Path]) -> Self:
            """With absolute paths, in the feeds too."""
            placed = super().placed(place)
            feeds = []
            for own in self.feed:
                try:
                    raw = self._feed(own).placed(place).raw
                    feeds.append({key: raw[key] for key in own})
                except (SettingsError, ValidationError):
                    feeds.append(dict(own))  # `problems` says what is wrong with it
            moved = placed.model_copy(update={"feed": tuple(feeds)})
            moved._raw = {**placed.raw, "feed": feeds}
            return moved

        def problems(self) -> Iterator[Problem]:
            """A feed that is none, and whatever is wrong with one; live ones beside recorded ones."""
            if len(self.feed) < 2:
                yield Problem(
                    "feed", f"{len(self.feed)} feed to merge", "Write two [[source.feed]] at least, or one url."
                )
            for at, own in enumerate(self.feed):
                yield from self._problems_of(at, own)
            live = [feed.is_live for feed in self._readable()]
            if any(live) and not all(live):
                what = "a recorded file stands beside a live feed, whose events are of today"
                yield Problem("feed", what, "Name it as history, or follow it.", (live.index(False),))
            yield from super().problems()

        def _problems_of(self, at: int, own: Mapping[str, Any]) -> Iterator[Problem]:
            named = f"feed {at + 1}"
            for key in own:
                if key in _OF_ALL:
                    yield Problem(
                        "feed", f"{named}: {key} is said once for all feeds", "Write it in [source].", (at, key)
                    )
                    return
            try:
                settings = self._feed(own)
            except SettingsError as error:
                yield Problem("feed", f"{named}: {error.message}", error.next_step, (at, "url"))
                return
            except ValidationError as error:
                yield _unread(named, at, error, parts.factory("source", str(own["url"]).partition(":")[0]).Settings)
                return
            for problem in settings.problems():
                yield Problem("feed", f"{named}: {problem.message}", problem.next_step, (at, problem.key))

    def __init__(self, settings: Settings) -> None:
        """Opens nothing."""
        super().__init__(settings)
        self._patience_s = settings.patience_ns / 1e9
        self._feeds: list[FeedSource] = [parts.make("source", feed) for feed in settings.feeds]
        self.name = "+".join(feed.name for feed in self._feeds)
        self.live = settings.is_live
        self.rate = 1.0 if self.live else settings.pace

    def core_feed(self) -> _core.Feed:
        """All of them, not opened. Raises TapeError."""
        from signal_stream import _core

        return _core.Feed.fan_in([feed.core_feed() for feed in self._feeds], self._patience_s)

    def stats(self) -> dict[str, Any]:
        """Lines, messages, refusals and queue; the same of each feed in `feeds`."""
        stats = super().stats()
        stats["url"] = self.name
        # Behind a history the figures are those of what is read.
        for feed, figures in zip(self._feeds, stats.get("feeds", ()), strict=False):
            figures |= {"name": feed.name, "url": feed.settings.url}
        return stats


def _unread(named: str, at: int, error: ValidationError, settings: type[FeedSettings]) -> Problem:
    """What pydantic found in a feed, in words."""
    found = min(error.errors(include_url=False), key=lambda each: each["type"] != "extra_forbidden")
    key = str(found["loc"][0])
    if found["type"] == "extra_forbidden":
        own = [each for each in settings.keys() if each not in _OF_ALL]  # noqa: SIM118
        return Problem("feed", f'{named}: unknown key "{key}"', did_you_mean(key, own), (at, key))
    if found["type"] == "missing":
        return Problem("feed", f'{named}: missing key "{key}", which has no default', "", (at, key))
    return Problem("feed", f"{named}: {key} = {found['input']!r}: {found['msg']}", "", (at, key))
