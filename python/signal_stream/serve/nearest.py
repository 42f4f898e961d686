"""Engines for replays: restored from the nearest snapshot before a message."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .checkpoint import engine_states

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from signal_stream import _core
    from signal_stream.store import Snapshot, Snapshots

    from .run_record import ServedGraph


class Nearest:
    """The snapshots of one graph, as it was served."""

    def __init__(self, snapshots: Snapshots, plan: _core.Plan, graph: ServedGraph) -> None:
        self._snapshots = snapshots
        self._plan = plan
        self._graph = graph

    def engine(self, message: int) -> _core.Engine:
        """An engine that has read less than so many messages: restored, or new where the graph's engine began on the tape."""
        from signal_stream import _core

        graph = self._graph
        for snapshot in self._snapshots.before(message):
            state = engine_states(snapshot).get(graph.digest)
            if state is None or _begins(snapshot, graph.digest) != graph.begins:
                continue
            try:
                engine = _core.Engine.restore(self._plan, state, lateness_ns=graph.lateness_ns)
            except _core.CoreError:
                continue  # of another version: the one before, or the tape, gives the same state
            if engine.messages < message:
                return engine
        return _core.Engine(self._plan, lateness_ns=graph.lateness_ns, messages=graph.begins)

    def legs(self, messages: Sequence[int], *, jumps: bool) -> Iterator[Sequence[int]]:
        """Cuts what is wanted, in order, where a snapshot lies between one and the next: what is between need not be read.
        Without `jumps` all is one leg: of a file everything before has to be read anyway."""
        name = f"engine:{self._graph.digest}"
        places = [
            place.messages for place in self._snapshots.places() if name in place.parts and place.messages is not None
        ]
        leg: list[int] = []
        for message in messages:
            if jumps and leg and any(leg[-1] <= place < message for place in places):
                yield leg
                leg = []
            leg.append(message)
        yield leg


def _begins(snapshot: Snapshot, digest: str) -> int:
    """Where the engine began on the tape whose state this is."""
    begins: dict[str, int] = json.loads(snapshot.parts["rest"]).get("begins", {})
    return begins.get(digest, 0)
