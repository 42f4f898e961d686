"""What late events changed, on its way from an engine into the journal."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from signal_stream.records import AmendedVector, Amendment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from signal_stream import _core
    from signal_stream.store import JournalReader

    from .run_record import ServedGraph

VECTORS_MAX: Final = 500
"""Vectors in one record of the journal at most."""
VALUES_MAX: Final = 20_000
"""Values in one record at most, unless a single vector has more: half a megabyte, which a topic takes as one message."""


class Amended:
    """Makes records of the amendments of one graph's engine.

    An engine that goes on from a snapshot makes those since then again: those up to and with message `written_through` are in the
    journal already, and are not given.
    """

    def __init__(self, graph: ServedGraph, *, written_through: int = -1) -> None:
        self._name = graph.name
        self._digest = graph.digest
        self._written_through = written_through

    def take(self, engine: _core.Engine) -> Sequence[Amendment]:
        """What the engine found since the last call, in the order of the messages at which it did."""
        vectors, changes = engine.take_amendments()
        return list(self._records(vectors, changes)) if changes else ()

    def _records(
        self, vectors: _core.Vectors, changes: list[tuple[int, bytes | None, bytes | None]]
    ) -> Iterator[Amendment]:
        features = tuple(vectors.features)
        start, count = 0, len(changes)
        most = max(1, min(VECTORS_MAX, VALUES_MAX // len(features)))
        while start < count:
            offset = vectors.offset(start)
            end = start + 1
            while end < count and vectors.offset(end) == offset:
                end += 1
            if offset > self._written_through:
                for number, first in enumerate(range(start, end, most)):
                    last = min(first + most, end)
                    yield Amendment(
                        amendment_id=sha256(f"{self._digest} {offset} {number}".encode()).hexdigest()[:32],
                        graph=self._name,
                        graph_digest=self._digest,
                        offset=offset,
                        ts_recv=vectors.ts_recv(first),
                        features=features,
                        vectors=tuple(_vector(vectors.row(i), *changes[i]) for i in range(first, last)),
                    )
            start = end


def _vector(row: _core.Row, revision: int, old: bytes | None, new: bytes | None) -> AmendedVector:
    assert row.ts_event is not None  # on venue time each vector has one
    return AmendedVector(
        instrument=row.instrument,
        ts_event=row.ts_event,
        revision=revision,
        old=None if old is None else old.hex(),
        new=None if new is None else new.hex(),
        values=tuple(row.values),
        reasons=tuple(row.reasons),
    )


def amended_through(journal: JournalReader, from_seq: int) -> dict[str, int]:
    """By the graphs' digests, the message up to which the records from `from_seq` on hold amendments."""
    through: dict[str, int] = {}
    for record in journal.records(kind="amendment", from_seq=from_seq):
        data = json.loads(record.body)
        through[data["graph_digest"]] = max(data["offset"], through.get(data["graph_digest"], -1))
    return through
