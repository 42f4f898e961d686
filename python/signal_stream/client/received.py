"""Signals and amendments as they came over the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

from signal_stream.records import Amendment, SignalRecord

if TYPE_CHECKING:
    from signal_stream.wire import signals_pb2 as pb


class ReceivedSignal(NamedTuple):
    """`json` is the signal, byte for byte as the journal holds it; `seq` its record's number there (numbers have holes),
    `ts_recv` nanoseconds UTC. `record` reads it into fields."""

    seq: int
    ts_recv: int
    signal_id: str
    json: bytes

    @classmethod
    def of(cls, message: pb.Signal) -> Self:
        """What a message holds."""
        return cls(message.seq, message.ts_recv_ns, message.signal_id, message.json)

    @property
    def record(self) -> SignalRecord:
        """The signal's fields; `value` is None unless its verdict is PASS. Raises JournalError for what is no signal."""
        return SignalRecord.from_json(self.json.decode())


class ReceivedAmendment(NamedTuple):
    """`json` is the amendment, byte for byte as the journal holds it; `seq` its record's number there, `ts_recv` nanoseconds UTC.
    `record` reads it into fields."""

    seq: int
    ts_recv: int
    amendment_id: str
    json: bytes

    @classmethod
    def of(cls, message: pb.Amendment) -> Self:
        """What a message holds."""
        return cls(message.seq, message.ts_recv_ns, message.amendment_id, message.json)

    @property
    def record(self) -> Amendment:
        """The amendment's fields. Raises JournalError for what is no amendment."""
        return Amendment.from_json(self.json.decode())
