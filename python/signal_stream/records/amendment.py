"""Vectors that late events changed after they were given: a record of the journal."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

from .text import FORMAT, canonical_json, known_fields, read_as


@dataclass(frozen=True, slots=True)
class AmendedVector:
    """A vector as it is now. `revision` says how often it has changed, `old` and `new` are the digests of the vector as it was
    given last and as it is now: `old` is None for one that is there only now, `new` for one that is no more. `values` are in the
    order of the graph's features, None where `reasons` says why."""

    instrument: str
    ts_event: int
    revision: int
    old: str | None
    new: str | None
    values: tuple[float | None, ...]
    reasons: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Amendment:
    """The body of a journal's `amendment` record: what was found at message `offset` of the tape, received at `ts_recv`, to be
    other than it was given. No model is asked for these vectors again."""

    amendment_id: str
    graph: str
    graph_digest: str
    offset: int
    ts_recv: int
    features: tuple[str, ...]
    vectors: tuple[AmendedVector, ...]

    def to_json(self) -> str:
        """Canonical JSON with its format number; `from_json` reads it back."""
        return canonical_json({"format": FORMAT, **asdict(self)})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote; fields that are not known are passed over. Raises JournalError DAMAGED."""
        import json

        with read_as("an amendment", text):
            data: dict[str, Any] = json.loads(text)
            data["vectors"] = tuple(
                AmendedVector(
                    **known_fields(AmendedVector, each) | {name: tuple(each[name]) for name in ("values", "reasons")}
                )
                for each in data["vectors"]
            )
            return cls(**known_fields(cls, data) | {"features": tuple(data["features"])})
