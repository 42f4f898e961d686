"""A source of somebody's own as one of several feeds: as the core asks it."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from signal_stream import _core
    from signal_stream.roles import Source


class MergedPart:
    """What the core calls, on the thread of this feed. Positions are bytes that only the source reads: here they are text."""

    def __init__(self, source: Source) -> None:
        """Opens nothing."""
        self._source = source

    def open(self, position: str | None) -> None:
        """Begins, behind a position if there is one."""
        self._source.open(None if position is None else base64.b64decode(position, validate=True))

    def next(self, wait_ns: int) -> _core.EventBatch | None:
        """The next whole messages, if any come in time."""
        return self._source.next(wait_ns)

    def position(self) -> str:
        """Where the source stands; empty where nothing can be resumed."""
        return base64.b64encode(self._source.position).decode()

    def ended(self) -> bool:
        """Whether there will be no more."""
        return self._source.ended

    def stats(self) -> str:
        """What it has done, as JSON."""
        return json.dumps(self._source.stats(), default=str)

    def notice(self, instrument: str, kind: str, ts_recv: int) -> None:
        """Something is wrong with an instrument's messages, for a source that can do something about it."""
        if hasattr(self._source, "notice"):
            self._source.notice(instrument, kind, ts_recv)

    def close(self) -> None:
        """Gives everything back."""
        self._source.close()
