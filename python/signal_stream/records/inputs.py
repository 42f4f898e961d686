"""What signals rest on, as a sink can commit it beside them."""

from __future__ import annotations

from typing import NamedTuple


class InputOffset(NamedTuple):
    """A place in a partition: the next message, and how many of its events were used already."""

    topic: str
    partition: int
    offset: int
    events: int = 0


class Inputs(NamedTuple):
    """Everything before `offsets` was used, and what came of it is among the signals up to these. `snapshot` names the newest
    snapshot from which a pipeline could continue at or before them, empty if there is none."""

    offsets: tuple[InputOffset, ...]
    snapshot: str = ""
