"""Engines for replays: restored from the nearest snapshot before a message."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .checkpoint import engine_states, model_states

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence, Set

    from signal_stream import _core
    from signal_stream.store import Snapshot, Snapshots

    from .run_record import ServedGraph


class Nearest:
    """The snapshots of one graph, as it was served, that hold the state of these models too."""

    def __init__(
        self,
        snapshots: Snapshots,
        plan: _core.Plan,
        graph: ServedGraph,
        *,
        models: Set[str] = frozenset(),
        after: int = -1,
    ) -> None:
        """`models` are those that carry state, by name@version: they began behind message `after`."""
        self._models = models
        self._after = after
        self._snapshots = snapshots
        self._plan = plan
        self._graph = graph

    def start(self, message: int) -> tuple[_core.Engine, Mapping[str, bytes]]:
        """An engine that has read less than so many messages, with the states of the models then: restored, or new where the
        graph's engine began on the tape, and no states."""
        from signal_stream import _core

        graph = self._graph
        options = _core.EngineOptions(lateness_ns=graph.lateness_ns, amend_ns=graph.amend_ns)
        for snapshot in self._snapshots.before(message):
            state = engine_states(snapshot).get(graph.digest)
            if state is None or _begins(snapshot, graph.digest) != graph.begins:
                continue
            states = model_states(snapshot)
            if self._models and not (self._models <= states.keys() and (snapshot.messages or 0) > self._after):
                continue
            try:
                engine = _core.Engine.restore(self._plan, state, options)
            except _core.CoreError:
                continue  # of another version: the one before, or the tape, gives the same state
            if engine.messages < message:
                return engine, states
        return _core.Engine(self._plan, options, messages=graph.begins), {}

    def legs(self, messages: Sequence[int], *, jumps: bool) -> Iterator[Sequence[int]]:
        """Cuts what is wanted, in order, where a snapshot lies between one and the next: what is between need not be read.
        Without `jumps` all is one leg: of a file everything before has to be read anyway."""
        names = {f"engine:{self._graph.digest}", *(f"model:{ref}" for ref in self._models)}
        places = [
            place.messages
            for place in self._snapshots.places()
            if names <= set(place.parts) and place.messages is not None and place.messages > self._after
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
