"""Several feeds as one source, in order of arrival: markets of a venue, or several venues."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

from pydantic import Field, ValidationError

from signal_stream import parts
from signal_stream.errors import SettingsError, did_you_mean
from signal_stream.records import InputOffset, Inputs
from signal_stream.settings import Problem, SourceSettings
from signal_stream.settings.values import PositiveNs, Within

from .feed import FeedSettings, FeedSource
from .kafka_source import KafkaSource
from .merged_part import MergedPart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from signal_stream import _core
    from signal_stream.roles import Source

_OF_ALL: Final = frozenset(FeedSettings.keys())
"""Keys that are said once, for all feeds, but for those that a source has for itself."""


class MergedSource(FeedSource):
    """`kind = "merged"`. Each feed is read by a thread of its own; one that is silent holds the others up for `patience` at
    most, and what it sends later goes on at once.

    A source can be one of several if the core reads it (`FeedSource`), or if its class says by `rereads` whether the same
    messages follow a position each time."""

    class Settings(FeedSettings):
        """`[source] kind = "merged"`: Several feeds: each a `[[source.feed]]` with its `url` and the keys of its own."""

        feed: tuple[Mapping[str, Any], ...] = Field(strict=False)
        """The feeds, two at least; those that are equally early keep this order."""
        patience_ns: Annotated[PositiveNs, Within("1ns", "1h")] = Field(default=1_000_000_000, alias="patience")
        """How long the others wait for a feed that is silent."""

        @property
        def feeds(self) -> list[SourceSettings]:
            """The settings of each feed. Raises ValidationError or SettingsError for the first that cannot be read."""
            return [self._feed(own) for own in self.feed]

        def _feed(self, own: Mapping[str, Any]) -> SourceSettings:
            settings = _settings_of(own)
            said = (set(settings.keys()) & _OF_ALL) - {"url", "kind", "history"}
            shared = {key: value for key, value in self.raw.items() if key in said - settings.left_out}
            return settings.read(shared | dict(own))

        @property
        def is_live(self) -> bool:
            """Whether events come as they happen, from any of them."""
            return any(feed.is_live for feed in self._readable())

        def _readable(self) -> Iterator[SourceSettings]:
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
            try:
                mine = _settings_of(own).of_one
            except SettingsError as error:
                yield Problem(
                    "feed", f"{named}: {error.message}", error.next_step, (at, "kind" if "kind" in own else "url")
                )
                return
            for key in own:
                if key in _OF_ALL - mine:
                    yield Problem(
                        "feed", f"{named}: {key} is said once for all feeds", "Write it in [source].", (at, key)
                    )
                    return
            try:
                settings = self._feed(own)
            except ValidationError as error:
                yield _unread(named, at, error, _settings_of(own))
                return
            if any(str(each).startswith("file:") for each in getattr(settings, "history", ())):
                what = f"{named}: a history of files is of all feeds"
                yield Problem("feed", what, "Write it in [source].", (at, "history"))
                return
            for problem in settings.problems():
                yield Problem("feed", f"{named}: {problem.message}", problem.next_step, (at, problem.key))

    def __init__(self, settings: Settings) -> None:
        """Opens nothing."""
        super().__init__(settings)
        self._patience_s = settings.patience_ns / 1e9
        self._sources: list[Source] = [parts.make("source", feed) for feed in settings.feeds]
        self._urls = [feed.url or feed.kind for feed in settings.feeds]
        self.name = "+".join(source.name for source in self._sources)
        self.live = settings.is_live
        self.rate = 1.0 if self.live else settings.pace

    def core_feed(self) -> _core.Feed:
        """All of them, not opened. Raises TapeError."""
        from signal_stream import _core

        return _core.Feed.fan_in([_core_feed(source) for source in self._sources], self._patience_s)

    def inputs_at(self, position: bytes, snapshot: str) -> Inputs | None:
        """The offsets of all topics among the feeds, beside the name of a snapshot; None where none are to be kept by others."""
        text: dict[str, Any] = json.loads(position or b"{}")
        if "history_messages" in text:
            text = json.loads(text.get("live") or "{}")
        places: list[InputOffset] = []
        for source, own in zip(self._sources, text.get("feeds", ()), strict=False):
            if isinstance(source, KafkaSource) and own:
                inputs = source.inputs_at(own.encode(), snapshot)
                places += () if inputs is None else inputs.offsets
        return Inputs(tuple(places), snapshot) if places else None

    def stats(self) -> dict[str, Any]:
        """Lines, messages, refusals and queue; the same of each feed in `feeds`."""
        stats = super().stats()
        stats["url"] = self.name
        # Behind a history the figures are those of what is read.
        for source, url, figures in zip(self._sources, self._urls, stats.get("feeds", ()), strict=False):
            figures |= {"name": source.name, "url": url}
        histories = [figures["history"] for figures in stats.get("feeds", ()) if figures.get("history")]
        if histories and "history" not in stats:
            ends = [each["ends"] for each in histories if each["ends"] is not None]
            stats["history"] = histories[0] | {
                "messages": sum(each["messages"] for each in histories),
                "ended": all(each["ended"] for each in histories),
                "ends": max(ends, default=None),
            }
        return stats


def _settings_of(own: Mapping[str, Any]) -> type[SourceSettings]:
    """The settings class of a feed. Raises SettingsError for one that cannot be merged."""
    kind = str(own.get("kind") or str(own.get("url", "")).partition(":")[0])
    factory = parts.factory("source", kind)
    if factory is MergedSource:
        what, advice = "merged feeds within merged feeds", "Write its feeds beside the others."
        raise SettingsError("BAD_VALUE", what, value=kind, next_step=advice)
    if not hasattr(factory, "core_feed") and not isinstance(getattr(factory, "rereads", None), bool):
        what = f'a source "{kind}" does not say whether it can be one of several'
        advice = "Say by rereads = True or False in its class whether the same messages follow a position each time."
        raise SettingsError("BAD_VALUE", what, value=kind, next_step=advice)
    settings: type[SourceSettings] = factory.Settings
    return settings


def _core_feed(source: Source) -> _core.Feed:
    from signal_stream import _core

    if isinstance(source, FeedSource):
        return source.core_feed()
    return _core.Feed.source(MergedPart(source), source.name, bool(source.rereads))  # type: ignore[attr-defined]


def _unread(named: str, at: int, error: ValidationError, settings: type[SourceSettings]) -> Problem:
    """What pydantic found in a feed, in words."""
    found = min(error.errors(include_url=False), key=lambda each: each["type"] != "extra_forbidden")
    key = str(found["loc"][0])
    if found["type"] == "extra_forbidden":
        own = [each for each in settings.keys() if each not in _OF_ALL - settings.of_one]  # noqa: SIM118
        return Problem("feed", f'{named}: unknown key "{key}"', did_you_mean(key, own), (at, key))
    if found["type"] == "missing":
        return Problem("feed", f'{named}: missing key "{key}", which has no default', "", (at, key))
    return Problem("feed", f"{named}: {key} = {found['input']!r}: {found['msg']}", "", (at, key))
