"""One feature vector of the core as guards and Gate read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from signal_stream import _core

_NEVER: Final = (1 << 63) - 1


class Row:
    """Vector number `i` of what the engine gave. Everything that each emission needs is read once, here."""

    __slots__ = (
        "_i",
        "_vectors",
        "age_event_ns",
        "age_recv_ns",
        "data_window_end",
        "digest",
        "graph_digest",
        "instrument",
        "offset",
        "reasons",
        "schema_digest",
        "ts_event",
        "ts_recv",
    )

    def __init__(
        self, vectors: _core.Vectors, i: int, graph_digest: str, schema_digest: str, all_valid: tuple[None, ...]
    ) -> None:
        """`all_valid` are the reasons of a vector in which everything is valid, made once."""
        self._vectors = vectors
        self._i = i
        self.graph_digest = graph_digest
        self.schema_digest = schema_digest
        self.instrument = vectors.instrument(i)
        self.ts_event = vectors.ts_event(i)
        self.ts_recv = vectors.ts_recv(i)
        self.offset = vectors.offset(i)
        self.data_window_end = vectors.data_window_end(i)
        age = vectors.age_recv_ns(i)
        self.age_recv_ns = None if age == _NEVER else age
        self.age_event_ns = vectors.age_event_ns(i)
        self.reasons: tuple[str | None, ...] = vectors.reasons(i) if vectors.invalid(i) else all_valid
        self.digest = vectors.digest(i)

    @property
    def values(self) -> tuple[float | None, ...]:
        """Values in column order; None where invalid."""
        return self._vectors.values(self._i)
