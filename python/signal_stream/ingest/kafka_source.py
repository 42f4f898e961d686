"""A Kafka topic as a source: events of all its partitions, each once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import Field

from signal_stream.core_errors import core_error
from signal_stream.errors import TapeError
from signal_stream.records import InputOffset, Inputs
from signal_stream.settings import Problem, SourceSettings
from signal_stream.settings.kafka import KafkaTopic, client_properties
from signal_stream.settings.values import Name, Share

from .intake import Intake

if TYPE_CHECKING:
    from collections.abc import Iterator

    from signal_stream import _core

OURS: Final = frozenset((
    *("bootstrap.servers", "group.id", "group.instance.id", "isolation.level", "enable.auto.commit"),
    *("enable.auto.offset.store", "enable.partition.eof", "auto.offset.reset", "partition.assignment.strategy"),
))  # fmt: skip
"""Properties that the guarantee rests on."""
_CHECK_CALLS: Final = 256
_CHECK_LINES: Final = 1_000


class KafkaSource:
    """`kafka://HOST:PORT/TOPIC`. What was read is written down by the pipeline together with the offsets behind it, so that a
    restart goes on there."""

    class Settings(SourceSettings):
        """`[source] url = "kafka://HOST:PORT/TOPIC"`."""

        payload: Literal["frame", "line", "event", "arrow"]
        """What a message holds: a venue's "frame" (its header `ts_recv` says when it was received, in nanoseconds, else the
        message's time), a "line" of a capture (`<ns> <frame>`), an "event" in our own encoding (its key is the instrument), or
        an "arrow" stream of a tape's columns."""
        venue: str | None = None
        """Whose frames they are, for "frame" and "line": "binance", "kraken", …"""
        begin: Literal["oldest", "newest"] = Field(default="oldest", alias="from")
        """Where a partition is begun of which this pipeline knows no place."""
        until: Literal["forever", "end"] = "forever"
        """"end": what is in the topic now, then the pipeline stops."""
        dead_letters: Name | None = None
        """A topic for messages that cannot be decoded, with their bytes, place and reason; absent: they are counted, and the
        first are shown."""
        max_rejected: Share = 0.01
        """Share of the messages, from 1,000 on and at the end, that may be broken; beyond it the pipeline stops."""
        properties: Path | None = Field(default=None, strict=False)
        """A file of client properties, a line each: `fetch.max.bytes=10485760`."""

        @property
        def is_live(self) -> bool:
            """Whether events come as they happen."""
            return self.until == "forever"

        def problems(self) -> Iterator[Problem]:
            """A URL without brokers or topic; frames of nobody."""
            try:
                KafkaTopic.of(self.url)
            except ValueError as error:
                yield Problem("url", str(error))
            if (self.payload in ("frame", "line")) != (self.venue is not None):
                what = f'payload = "{self.payload}" ' + ("is of no one venue" if self.venue else "is of a venue")
                yield Problem("payload", what, "Leave venue out." if self.venue else 'Name it: venue = "binance".')
            yield from super().problems()

    tape = None

    def __init__(self, settings: Settings) -> None:
        """Opens nothing. Raises SettingsError for properties that cannot be used."""
        self._settings = settings
        self._topic = KafkaTopic.of(settings.url)
        self._properties = client_properties(settings.properties, ours=OURS)
        self.name = self._topic.name
        self.live = settings.is_live
        self.rate = 1.0 if self.live else float("inf")
        self._feed: _core.KafkaFeed | None = None
        self._position = b""
        self._closed: dict[str, Any] | None = None
        self._stopped = False
        self._calls = 0

    def open(self, position: bytes | None) -> None:
        """Begins behind a position. Raises TapeError: no broker answers, or there is no such topic."""
        from signal_stream import _core

        settings = self._settings
        self._position = position or b""
        try:
            self._feed = _core.KafkaFeed(
                self._topic.servers,
                self._topic.name,
                payload=settings.payload,
                venue=settings.venue,
                oldest=settings.begin == "oldest",
                to_end=settings.until == "end",
                dead_letters=settings.dead_letters,
                properties=list(self._properties.items()),
                position=position.decode() if position else None,
            )
        except _core.CoreError as error:
            raise core_error(error, "feed", where=settings.url) from None

    @property
    def position(self) -> bytes:
        """The next offset of each partition."""
        return self._position

    def inputs_at(self, position: bytes, snapshot: str) -> Inputs | None:
        """A position as offsets, beside the name of a snapshot."""
        offsets = json.loads(position)["offsets"]
        places = tuple(
            InputOffset(self._topic.name, int(partition), offset, given)
            for partition, (offset, given) in offsets.items()
        )
        return Inputs(places, snapshot)

    def next(self, wait_ns: int) -> _core.EventBatch | None:
        """The next messages; None if none came in time. Raises TapeError."""
        from signal_stream import _core

        if self._stopped:
            return None
        try:
            batch = self._open.next(wait_ns / 1e9)
        except _core.CoreError as error:
            raise core_error(error, "feed", where=self._settings.url) from None
        self._calls += 1
        if batch is not None:
            self._position = self._open.position.encode()
        elif self._open.ended:
            self._check_refused(lines_min=1)
        if self._calls % _CHECK_CALLS == 0:
            self._check_refused(lines_min=_CHECK_LINES)
        return batch

    @property
    def ended(self) -> bool:
        """Whether there will be no more."""
        return self._stopped or self._open.ended

    def stop(self) -> None:
        """Reads no further."""
        self._stopped = True

    def stats(self) -> dict[str, Any]:
        """Messages, refusals, partitions, and how far behind their ends they were read."""
        if self._closed is not None:
            return self._closed
        counts = self._open.counts()
        records = [json.loads(record) for record in counts["records"]]
        return {
            "url": self._settings.url,
            "lines": sum(record["inputs"] for record in records),
            "messages": sum(record["messages"] for record in records),
            "refused": counts["rejects"]["counts"],
            "refused_first": counts["rejects"]["first"],
            "partitions": counts["partitions"],
            "lag_messages": sum(counts["lags"].values()),
            "trouble": counts["trouble"],
            "ended": self.ended and not self._stopped,
            "stopped": self._stopped,
        }

    def close(self) -> None:
        """Gives the connection back. May be called twice."""
        if self._feed is not None and self._closed is None:
            self._closed = self.stats()
            self._feed.close()

    @property
    def _open(self) -> _core.KafkaFeed:
        if self._feed is None:
            raise TapeError("UNREADABLE", "the source was not opened", where=self._settings.url)
        return self._feed

    def _check_refused(self, *, lines_min: int) -> None:
        """Raises TapeError REJECTED if more messages are broken than allowed, of so many at least."""
        counts = self._open.counts()
        intake = Intake()
        intake.take(counts["rejects"], sum(json.loads(record)["inputs"] for record in counts["records"]))
        if intake.lines >= lines_min:
            intake.check(self._settings.max_rejected)
