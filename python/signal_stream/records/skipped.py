"""Signals that a sink will never get, and why: a record of the journal."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

from .text import FORMAT, canonical_json, known_fields, read_as


@dataclass(frozen=True, slots=True)
class SkippedRange:
    """The body of a journal's `skip` record: `signals` signals among the records `first_seq` to `last_seq`, both included,
    were not sent to `sink`. `first_id` and `last_id` are the ids of the first and the last of them."""

    sink: str
    first_seq: int
    last_seq: int
    first_id: str
    last_id: str
    signals: int
    reason: str

    def to_json(self) -> str:
        """Canonical JSON with its format number; `from_json` reads it back."""
        return canonical_json({"format": FORMAT, **asdict(self)})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote; fields that are not known are passed over. Raises JournalError DAMAGED."""
        import json

        with read_as("a skip record", text):
            data: dict[str, Any] = json.loads(text)
            return cls(**known_fields(cls, data))
