"""Which signals a subscriber wants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from signal_stream.errors import GatewayError, did_you_mean

from .sent_signal import SentSignal

if TYPE_CHECKING:
    from collections.abc import Collection

    from signal_stream.records import JournalRecord
    from signal_stream.wire import signals_pb2 as pb

OUTCOMES: Final = ("PASS", "VETO", "HALT")
STAGES: Final = ("live", "canary", "shadow")
_VALUES_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class SignalFilter:
    """A signal matches that is in every set that is not empty; without `stages`, only one that may be acted upon."""

    kind: ClassVar = "signal"
    models: frozenset[str] = frozenset()
    instruments: frozenset[str] = frozenset()
    outcomes: frozenset[str] = frozenset()
    codes: frozenset[str] = frozenset()
    stages: frozenset[str] = frozenset()

    @classmethod
    def read(cls, wanted: pb.Filter, *, models: Collection[str]) -> SignalFilter:
        """The filter of a request. `models` are those that the pipeline has. Raises GatewayError REQUEST for one that nothing can
        match."""
        lists = (wanted.models, wanted.instruments, wanted.outcomes, wanted.codes, wanted.stages)
        if sum(map(len, lists)) > _VALUES_MAX:
            raise GatewayError("REQUEST", f"the filter has more than {_VALUES_MAX} values")
        for what, values, known in (
            ("outcome", wanted.outcomes, OUTCOMES),
            ("stage", wanted.stages, STAGES),
            ("model", wanted.models, models),
        ):
            for value in values:
                if value not in known:
                    message = f'the filter names {what} "{value}", which this pipeline does not have'
                    raise GatewayError("REQUEST", message, value=value, next_step=did_you_mean(value, known))
        return cls(*map(frozenset, lists))

    def encoded(self, record: JournalRecord) -> bytes | None:
        """The field `signals` of an `Update`; None for a signal that is not wanted."""
        signal = SentSignal(record)
        return signal.encoded if self.matches(signal) else None

    def matches(self, signal: SentSignal) -> bool:
        """Whether a signal is wanted."""
        if not ((signal.stage or STAGES[0]) in self.stages if self.stages else signal.speaks):
            return False
        if not (self.models or self.instruments or self.outcomes or self.codes):
            return True
        fields = signal.fields
        return (
            (not self.models or fields["model_id"] in self.models)
            and (not self.instruments or fields["instrument"] in self.instruments)
            and (not self.outcomes or fields["verdict"] in self.outcomes)
            and (not self.codes or not self.codes.isdisjoint(fields["codes"]))
        )
