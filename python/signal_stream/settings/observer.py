"""`[[observer]]`: somebody who is shown each decision after the fact."""

from __future__ import annotations

from pydantic import Field

from .section import Section


class ObserverSettings(Section):
    """`[[observer]]`: is shown each decision on a thread of its own. Its own settings class is made from this one."""

    kind: str
    """Which observer."""
    queue: int = Field(default=4096, ge=1, le=1_000_000)
    """Decisions that may wait for it; what comes beyond is dropped and counted."""
