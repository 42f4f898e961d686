"""What a sink is, and which one a URL names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from signal_stream.errors import SinkError
from signal_stream.settings import Problem, SinkSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from signal_stream.records import JournalRecord, Signal


class SignalHistory(Protocol):
    """The signals that were emitted, oldest first: what the journal is to a sink."""

    def find(self, key: str) -> JournalRecord | None:
        """The record of the signal with this id."""

    def records(self, *, kind: str | None = None, from_seq: int = 0) -> Iterator[JournalRecord]:
        """Records from a sequence number on."""


class Sink(Protocol):
    """Takes signals that are in the journal already, in its order. One thread sends."""

    def ahead(self, history: SignalHistory) -> list[str]:
        """The JSON of signals that the sink has and the history lost, which stand behind all that it knows."""

    def resume(self, history: SignalHistory) -> int:
        """Adds what the history has and the sink lacks, before the first `send`; returns how many that were."""

    def send(self, signals: Sequence[Signal]) -> None:
        """Adds signals. Raises SinkError, and GateError for anything that the Gate did not make."""

    def sync(self) -> None:
        """Forces what was sent to where it stays. Any thread may ask. Raises OSError."""

    def close(self) -> None:
        """Ends the sink with everything on the disk. May be called twice."""


class FileSink:
    """`file://PATH`: signals as JSON lines or as an Arrow stream, by the path's suffix."""

    class Settings(SinkSettings):
        """`[[sink]] url = "file://PATH"`: PATH ends in .jsonl or .arrow."""

        def problems(self) -> Iterator[Problem]:
            """A path without one of the two suffixes."""
            if Path(self.url.removeprefix("file://")).suffix not in (".jsonl", ".arrow"):
                yield Problem("url", f'url = "{self.url}" ends in neither .jsonl nor .arrow')

    def __new__(cls, settings: Settings) -> Sink:  # type: ignore[misc]
        """The sink for the path."""
        return sink_from_url(settings.url)


def sink_from_url(url: str) -> Sink:
    """The sink behind `file://PATH.jsonl` or `file://PATH.arrow`. Raises SinkError for any other URL.

    >>> sink_from_url("kafka://broker/signals")
    Traceback (most recent call last):
    signal_stream.errors.SinkError: no sink for "kafka://broker/signals". Known are: file://PATH.arrow, file://PATH.jsonl.
    """
    from .arrow_file import ArrowFileSink
    from .json_lines import JsonLinesSink

    path = Path(url.removeprefix("file://"))
    if url.startswith("file://") and path.suffix == ".jsonl":
        return JsonLinesSink(path)
    if url.startswith("file://") and path.suffix == ".arrow":
        return ArrowFileSink(path)
    advice = "Known are: file://PATH.arrow, file://PATH.jsonl."
    raise SinkError("UNKNOWN_URL", f'no sink for "{url}"', value=url, next_step=advice)
