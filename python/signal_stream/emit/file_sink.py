"""`file://PATH`: signals in a file, or amendments, as JSON lines or as an Arrow stream."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from signal_stream.errors import SinkError
from signal_stream.settings import Problem, SinkSettings

from .arrow_columns import AmendmentColumns, SignalColumns
from .arrow_file import ArrowStream
from .json_lines import JsonLines
from .signal_file import SignalFile

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIXES: Final = (".jsonl", ".arrow")


class FileSink(SignalFile):
    """Appends signals to a file: one a line as JSON (.jsonl: what `signals tail --json` prints), or as an Arrow IPC stream
    (.arrow)."""

    class Settings(SinkSettings):
        """`[[sink]] url = "file://PATH"`: PATH ends in .jsonl or .arrow."""

        when_lagging: Literal["wait", "halt", "skip"] = "wait"
        """Beyond `lag_max`: "wait" until it can be written again, "halt" the pipeline, or "skip" to the newest signal and
        mark the range that was left out."""

        takes_amendments: ClassVar[bool] = True

        def problems(self) -> Iterator[Problem]:
            """A path without one of the two suffixes."""
            if Path(self.url.removeprefix("file://")).suffix not in SUFFIXES:
                yield Problem("url", f'url = "{self.url}" ends in neither .jsonl nor .arrow')

    def __init__(self, settings: SinkSettings) -> None:
        """Opens nothing. Raises SinkError UNKNOWN_URL for another suffix."""
        path = Path(settings.url.removeprefix("file://"))
        if path.suffix not in SUFFIXES or not settings.url.startswith("file://"):
            advice = "Known are: file://PATH.arrow, file://PATH.jsonl."
            raise SinkError(
                "UNKNOWN_URL", f'no file of signals is behind "{settings.url}"', value=settings.url, next_step=advice
            )
        columns = AmendmentColumns() if settings.gets == "amendments" else SignalColumns()
        super().__init__(path, ArrowStream(columns) if path.suffix == ".arrow" else JsonLines(columns.key))
