"""A signal as it came over the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

from signal_stream.records import SignalRecord

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
