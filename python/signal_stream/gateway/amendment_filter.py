"""Which amendments a subscriber wants."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from signal_stream.wire import signals_pb2 as pb

if TYPE_CHECKING:
    from signal_stream.records import JournalRecord


@dataclass(frozen=True, slots=True)
class AmendmentFilter:
    """An amendment matches that has a vector of one of the instruments; where none is named, each."""

    kind: ClassVar = "amendment"
    instruments: frozenset[str] = frozenset()

    def encoded(self, record: JournalRecord) -> bytes | None:
        """The field `amendments` of an `AmendmentsUpdate`; None for one that is not wanted."""
        if self.instruments and not self._matches(record.body):
            return None
        message = pb.Amendment(seq=record.seq, ts_recv_ns=record.ts, amendment_id=record.key, json=record.body.encode())
        return pb.AmendmentsUpdate(amendments=[message]).SerializeToString()

    def matches(self, _signal: object) -> bool:
        """No signal is wanted."""
        return False

    def _matches(self, body: str) -> bool:
        return any(vector["instrument"] in self.instruments for vector in json.loads(body)["vectors"])
