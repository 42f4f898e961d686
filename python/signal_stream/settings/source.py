"""`[source]`: what is true of every source. Keys of one source alone are in its own settings class."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from signal_stream.durations import LATENESS_MAX

from .section import Problem, Section
from .values import DurationNs, PositiveNs, Within

if TYPE_CHECKING:
    from collections.abc import Iterator


class SourceSettings(Section):
    """`[source]`: where events come from, and what happens to those that come late. A source's own settings class is made
    from this one."""

    folders: ClassVar[frozenset[str]] = frozenset({"record"})
    of_one: ClassVar[frozenset[str]] = frozenset({"url", "kind"})
    """Keys that every source has, and that each of several merged feeds says for itself. The others are said once, in
    `[source]`."""
    left_out: ClassVar[frozenset[str]] = frozenset()
    """Keys said once for all feeds that are not for this one."""

    url: str = ""
    """Its scheme names the source: `file://PATH` (a tape or capture), `stdin:`, `wss://HOST` (a venue)."""
    kind: str = ""
    """Names a source that has no URL."""
    lateness_ns: Annotated[DurationNs, Within("0s", LATENESS_MAX)] = Field(alias="lateness")
    """How far the watermark trails the newest event time."""
    late: Literal["drop", "amend", "refuse"]
    """What happens to an event behind the watermark: "drop" keeps it aside and counts it, "amend" has it take its place, and
    what it changes is written down as amendments, "refuse" stops the pipeline."""
    amend_within_ns: Annotated[PositiveNs, Within("1ns", LATENESS_MAX)] | None = Field(
        default=None, alias="amend_within"
    )
    """How far behind the watermark an event still takes its place: needed with late = "amend", for nothing else. What is later
    yet is dropped and counted. So much of the stream is kept in memory and in each snapshot."""
    idle_mark_ns: Annotated[PositiveNs, Within("1ms", "1d")] | None = Field(default=None, alias="idle_mark")
    """A live source silent for this long puts a clock mark on the tape; absent: 1 s, never for what is no live source."""
    clock: Literal["auto", "wall", "recorded"] = "auto"
    """What a live source's events are old by: the wall clock, or a clock that runs with them as for a recording that is
    played through a pipe. "auto" is the wall clock for events of the last 30 days."""
    record: Path | None = Field(default=None, strict=False)
    """Folder in which the events are kept as they were used; absent: one in the state folder, if the source cannot be read
    again."""

    @property
    def is_live(self) -> bool:
        """Whether events come as they happen."""
        return True

    def problems(self) -> Iterator[Problem]:
        """Keys that only live sources have, and what no source can do yet."""
        if self.late == "amend" and self.amend_within_ns is None:
            yield Problem(
                "late",
                'late = "amend" needs amend_within: how late an event may be to change what was given',
                'Write amend_within = "5m", say.',
            )
        if self.late != "amend" and self.amend_within_ns is not None:
            yield Problem(
                "amend_within",
                f'amend_within is for late = "amend", and late is "{self.late}"',
                'Leave it out, or write late = "amend".',
            )
        if self.is_live:
            return
        if self.idle_mark_ns is not None:
            what = "idle_mark is for live streams; a file brings its own marks"
            yield Problem("idle_mark", what, "Leave it out.")
        if self.clock != "auto":
            what = f'clock = "{self.clock}" is for live streams; a file that is replayed runs on its own clock'
            yield Problem("clock", what, "Leave it out.")
