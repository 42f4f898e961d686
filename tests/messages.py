"""Messages of a tape or capture as plain Python, for tests that compare them with somebody else's."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from signal_stream import _core, read_tape

LAST, CUT = 1, 4
KINDS: Final = (
    "", "trade", "quote", "book_diff", "book_snapshot", "bar", "mark", "status", "order", "definition", "reference",
)  # fmt: skip
WORDS: Final = {
    "side": ("none", "bid", "ask"),
    "action": ("", "add", "change", "cancel", "fill", "clear", "match"),
    "condition": (
        "ordinary", "off_book", "insurance_fund", "settlement", "block", "odd_lot", "auction", "correction",
    ),
    "code": ("", "connected", "disconnected", "halted", "resumed", "conflated"),
    "scope": ("", "instrument", "venue", "all"),
    "stream": KINDS,
}  # fmt: skip
HEADER: Final = ("ts_recv", "ts_event", "sequence", "sequence_prev", "instrument", "kind")


@dataclass
class Message:
    """One message; its rows hold only what is not at its default, with codes as words."""

    kind: str
    instrument: str | None
    ts_recv: int
    ts_event: int | None
    rows: list[dict[str, Any]]


def messages_of(*paths: Path) -> list[Message]:
    """The messages of files, in order."""
    return [message for batch in read_tape(*paths) for message in messages_of_batch(pa.record_batch(batch))]


@functools.cache
def fields(kind: str) -> tuple[str, ...]:
    """The names of the fields of bars or reference data, by their codes less 1: the columns of the kind's records."""
    return tuple(pa.record_batch(_core.EventBatch.mark(0).records(kind)).schema.names[3:])


def messages_of_batch(batch: pa.RecordBatch) -> list[Message]:
    """The messages of one batch in the tape's columns."""
    known = json.loads((batch.schema.metadata or {})[b"signal_stream.instruments"])
    names = {number: each["id"] for number, each in enumerate(known)}
    plain = {
        name: column.cast(pa.int64()) if name in ("ts_recv", "ts_event") else column
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
    }
    out: list[Message] = []
    rows: list[dict[str, Any]] = []
    for cells in pa.record_batch(plain).to_pylist():
        kind = KINDS[cells["kind"]]
        row: dict[str, Any] = {"cut": True} if cells["flags"] & CUT else {}
        for name, value in cells.items():
            if name in WORDS and value:
                row[name] = WORDS[name][value]
            elif name == "field" and value:
                row[name] = fields(kind)[value - 1]
            elif name == "definition" and value is not None:
                row[name] = json.loads(value)
            elif name not in (*WORDS, *HEADER, "field", "definition", "flags") and value:
                row[name] = value
        rows.append(row)
        if cells["flags"] & LAST:
            out.append(Message(kind, names.get(cells["instrument"]), cells["ts_recv"], cells["ts_event"], rows))
            rows = []
    assert not rows, "a batch holds whole messages"
    return out
