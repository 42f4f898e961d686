"""A signal of the journal as it is sent: encoded once, whoever gets it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from signal_stream.records import speaks
from signal_stream.wire import signals_pb2 as pb

if TYPE_CHECKING:
    from signal_stream.records import JournalRecord

_STAGE = '"stage": "'


class SentSignal:
    """`encoded` is the field `signals` of an `Update`: several behind each other are an `Update` with several signals."""

    __slots__ = ("_fields", "body", "encoded", "seq")

    def __init__(self, record: JournalRecord) -> None:
        self.seq = record.seq
        self.body = record.body
        message = to_message(record)
        self.encoded = pb.Update(signals=[message]).SerializeToString()
        self._fields: dict[str, Any] | None = None

    @property
    def size(self) -> int:
        """Bytes that it is counted with."""
        return 2 * len(self.encoded)

    @property
    def stage(self) -> str | None:
        """Its model's stage, of the text alone: quotes within values are escaped."""
        _, found, rest = self.body.partition(_STAGE)
        return rest.partition('"')[0] if found else None

    @property
    def speaks(self) -> bool:
        """Whether it may be acted upon."""
        return speaks(self.stage)

    @property
    def fields(self) -> dict[str, Any]:
        """Its JSON, read when a filter asks first."""
        if self._fields is None:
            found: dict[str, Any] = json.loads(self.body)
            self._fields = {name: found[name] for name in ("model_id", "instrument", "verdict", "codes")}
        return self._fields


def to_message(record: JournalRecord) -> pb.Signal:
    """A record as clients get it."""
    return pb.Signal(seq=record.seq, ts_recv_ns=record.ts, signal_id=record.key, json=record.body.encode())
