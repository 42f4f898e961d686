"""A Kafka topic as a source: events of all its partitions, or of those that a group gives, each once."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import Field

from signal_stream.core_errors import core_error
from signal_stream.durations import duration_ns
from signal_stream.records import InputOffset, Inputs
from signal_stream.settings import Problem
from signal_stream.settings.kafka import KafkaTopic, client_properties
from signal_stream.settings.values import Name, Pace

from .feed import FeedSettings, FeedSource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from signal_stream import _core

OURS: Final = frozenset((
    *("bootstrap.servers", "group.id", "group.instance.id", "isolation.level", "enable.auto.commit"),
    *("enable.auto.offset.store", "enable.partition.eof", "auto.offset.reset", "partition.assignment.strategy"),
))  # fmt: skip
"""Properties that the guarantee rests on."""


class KafkaSource(FeedSource):
    """`kafka://HOST:PORT/TOPIC`. What was read is written down by the pipeline together with the offsets behind it, so that a
    restart goes on there. A group's committed offsets are for others: who takes a partition over, or watches lags."""

    class Settings(FeedSettings):
        """`[source] url = "kafka://HOST:PORT/TOPIC"`."""

        of_one: ClassVar[frozenset[str]] = frozenset({"url", "kind", "history"})
        left_out: ClassVar[frozenset[str]] = frozenset({"instruments"})

        payload: Literal["frame", "line", "event", "arrow"]
        """What a message holds: a venue's "frame" (its header `ts_recv` says when it was received, in nanoseconds, else the
        message's time), a "line" of a capture (`<ns> <frame>`), an "event" in our own encoding (its key is the instrument), or
        an "arrow" stream of a tape's columns."""
        venue: str | None = None
        """Whose frames they are, for "frame" and "line": "binance", "kraken", …"""
        group: Name | None = None
        """The consumer group that shares the partitions among its members; absent: this pipeline reads all of them."""
        member: Name | None = None
        """This pipeline's name within the group: it keeps its partitions over a restart of less than `session.timeout.ms`."""
        begin: Literal["oldest", "newest"] = Field(default="oldest", alias="from")
        """Where a partition is begun of which neither this pipeline nor the group knows a place."""
        until: Literal["forever", "end"] = "forever"
        """"end": what is in the topic now, then the pipeline stops."""
        dead_letters: Name | None = None
        """A topic for messages that cannot be decoded, with their bytes, place and reason; absent: they are counted, and the
        first are shown."""
        properties: Path | None = Field(default=None, strict=False)
        """A file of client properties, a line each: `fetch.max.bytes=10485760`."""
        pace: Pace = inf
        """Messages are taken as they come: leave it out."""
        history: tuple[str, ...] = ()
        """What came before, read first, as fast as possible and without signals, so that every window is warm at the first
        signal: the topic itself, for so long back ("6h") or from a moment on ("2026-11-27T06:00:00Z"), or tapes and captures
        as `"file://PATH"`. A restart behind it needs it no more."""

        @property
        def is_live(self) -> bool:
            """Whether events come as they happen."""
            return self.until == "forever"

        @property
        def history_paths(self) -> tuple[Path, ...]:
            """The files of the history."""
            return () if self.is_own_history else super().history_paths

        @property
        def is_own_history(self) -> bool:
            """Whether the history is in the topic itself."""
            return len(self.history) == 1 and not self.history[0].startswith("file:")

        def history_begins_ms(self, now_ns: int) -> int | None:
            """From which time of its messages on the topic is its own history; None where it is not. Raises ValueError."""
            if not self.is_own_history:
                return None
            text = self.history[0]
            if text[-1:].isalpha() and not text.endswith("Z"):
                return max(0, now_ns - duration_ns(text)) // 1_000_000
            moment = datetime.fromisoformat(text)
            return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000)

        def problems(self) -> Iterator[Problem]:
            """A URL without brokers or topic; frames of nobody; a group that could never be read to its end."""
            try:
                KafkaTopic.of(self.url)
            except ValueError as error:
                yield Problem("url", str(error))
            if (self.payload in ("frame", "line")) != (self.venue is not None):
                what = f'payload = "{self.payload}" ' + ("is of no one venue" if self.venue else "is of a venue")
                yield Problem("payload", what, "Leave venue out." if self.venue else 'Name it: venue = "binance".')
            if self.member is not None and self.group is None:
                yield Problem("member", "member is a name within a group, and no group is named", "Name the group.")
            if self.group is not None and self.until == "end":
                what = 'until = "end" reads all partitions, and a group gives some of them'
                yield Problem("until", what, "Leave the group out.")
            if self.group is not None and self.is_own_history:
                what = f'history = "{self.history[0]}" is of all partitions, and a group gives some of them'
                yield Problem("history", what, "Leave the group out, or name files.")
            if self.pace not in (1.0, inf):
                what = f'pace = "{self.pace:g}x" is for recorded files; messages of a topic are taken as they come'
                yield Problem("pace", what, "Leave pace out.")
            if self.instruments is not None:
                what = "instruments is for files and pipes; a topic's messages say their scales"
                yield Problem("instruments", what, "Leave it out.")
            yield from super().problems()

        def history_problem(self) -> str | None:
            """What is wrong with the history, if it is not that of a file."""
            now_ns = time.time_ns()
            try:
                begins_ms = self.history_begins_ms(now_ns)
                if begins_ms is None:
                    return super().history_problem()
                if begins_ms >= now_ns // 1_000_000:
                    return f'history = "{self.history[0]}" holds nothing: it would begin now, or later'
                return None
            except (ValueError, OverflowError):
                return f'history = "{self.history[0]}" is no duration ("6h"), moment ("2026-11-27T06:00:00Z") or "file://PATH"'

    def __init__(self, settings: Settings) -> None:
        """Opens nothing. Raises SettingsError for properties that cannot be used."""
        super().__init__(settings)
        self._settings = settings
        self._topic = KafkaTopic.of(settings.url)
        self._properties = client_properties(settings.properties, ours=OURS)
        self.name = self._topic.name
        self.live = settings.is_live
        self.rate = 1.0 if self.live else inf

    def core_feed(self) -> _core.Feed:
        """The topic, not connected yet. Raises TapeError."""
        from signal_stream import _core

        settings = self._settings
        begins_ms = settings.history_begins_ms(time.time_ns())
        try:
            return _core.kafka(
                self._topic.servers,
                self._topic.name,
                payload=settings.payload,
                venue=settings.venue,
                group=settings.group,
                member=settings.member,
                begin=settings.begin if begins_ms is None else str(begins_ms),
                history=begins_ms is not None,
                to_end=settings.until == "end",
                dead_letters=settings.dead_letters,
                properties=list(self._properties.items()),
            )
        except _core.CoreError as error:
            raise core_error(error, "feed", where=settings.url) from None

    def inputs_at(self, position: bytes, snapshot: str) -> Inputs | None:
        """A position as offsets, beside the name of a snapshot. None in a group: its partitions may be another's by now, whose
        offsets these would take back. None within a history of files."""
        text: dict[str, Any] = json.loads(position)
        if "history_messages" in text:
            text = json.loads(text.get("live") or "{}")
        if self._settings.group is not None or "offsets" not in text:
            return None
        places = tuple(
            InputOffset(self._topic.name, int(partition), offset, given)
            for partition, (offset, given) in text["offsets"].items()
        )
        return Inputs(places, snapshot)
