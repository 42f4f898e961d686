"""What the served stream left behind: its signals, as the journal holds them, and the moment of the kill."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from signal_stream.records import PASS, SignalRecord

if TYPE_CHECKING:
    from signal_stream.store import JournalReader


@dataclass(frozen=True, slots=True)
class Story:
    """The signals in the order of the journal. `killed_at` is the receive time of the first one vetoed as KILLED."""

    signals: tuple[SignalRecord, ...]
    killed_at: int | None

    @classmethod
    def of(cls, journal: JournalReader) -> Self:
        """Reads the journal."""
        signals = tuple(SignalRecord.from_json(record.body) for record in journal.records(kind="signal"))
        killed = (signal.lineage.ts_recv for signal in signals if "KILLED" in signal.verdict.codes)
        return cls(signals, next(killed, None))

    @property
    def passed(self) -> tuple[SignalRecord, ...]:
        """The signals that passed."""
        return tuple(signal for signal in self.signals if signal.verdict.outcome == PASS)

    @property
    def passed_after_kill(self) -> int:
        """How many signals passed behind the first veto of the kill; none, if the switch works."""
        if self.killed_at is None:
            return 0
        return sum(signal.lineage.ts_recv > self.killed_at for signal in self.passed)

    @property
    def reasons(self) -> Counter[str]:
        """Signals by `reason`, the most frequent first."""
        return Counter(dict(Counter(map(reason, self.signals)).most_common()))

    @property
    def instrument(self) -> str:
        """The instrument with most signals that passed, or else with most signals: the one to look at."""
        return Counter(signal.instrument for signal in self.passed or self.signals).most_common(1)[0][0]

    def of_instrument(self, instrument: str) -> Self:
        """The signals of one instrument."""
        return type(self)(tuple(each for each in self.signals if each.instrument == instrument), self.killed_at)


def reason(signal: SignalRecord) -> str:
    """The one word for a signal's verdict: PASS, or the code that decided; a kill decides everything."""
    codes = signal.verdict.codes
    if signal.verdict.outcome == PASS:
        return PASS
    return "KILLED" if "KILLED" in codes else codes[0]
