"""`[[sink]]`: what is true of every sink. Keys of one sink alone are in its own settings class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from .section import Problem, Section
from .values import PositiveNs, Within

if TYPE_CHECKING:
    from collections.abc import Iterator


class SinkSettings(Section):
    """`[[sink]]`: a place that signals go to, besides the journal. A sink's own settings class is made from this one."""

    url: str = ""
    """Its scheme names the sink: `file://PATH` ending in .jsonl or .arrow."""
    kind: str = ""
    """Names a sink that has no URL."""
    gets: Literal["signals", "amendments"] = "signals"
    """What it is sent: signals, or what late events changed of the vectors that signals rest on ([source] late = "amend")."""
    begin: Literal["oldest", "newest"] = Field(default="oldest", alias="from")
    """Where a sink begins that was never sent anything: at the oldest record that the journal keeps, or at what comes from now
    on. What its place holds already decides before that."""
    lag_max_ns: Annotated[PositiveNs, Within("1ns", "30d")] = Field(default=60_000_000_000, alias="lag_max")
    """How long the oldest signal may wait for it before `when_lagging` counts."""
    when_lagging: Literal["wait", "halt", "skip"] = "halt"
    """Beyond `lag_max`: "wait" until it comes back, "halt" the pipeline, or "skip" to the newest signal and mark the range
    that was left out."""

    takes_amendments: ClassVar[bool] = False
    """Whether the sink has a place for amendments."""

    def problems(self) -> Iterator[Problem]:
        """Amendments for a sink that takes none."""
        if self.gets == "amendments" and not self.takes_amendments:
            yield Problem(
                "gets", 'gets = "amendments" is for files and topics', 'Write url = "file://amendments.jsonl".'
            )
