"""What one sink does not get, since it is too far behind or refuses it: counted, written down, passed over, told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from signal_stream.records import SkippedRange

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from signal_stream.records import JournalRecord
    from signal_stream.roles import Sink


@dataclass(frozen=True, slots=True)
class Skip:
    """A range that will not be sent once the journal says so, and the record behind it."""

    mark: SkippedRange
    end_seq: int


class LeftOut:
    """The signals that a sink does not get. Nothing is passed over before the journal says so: `asked` is what it has to say,
    `written` answers, from any thread; everything else is the follower's.
    """

    def __init__(self, sink: str) -> None:
        self.asked: Skip | None = None
        self.is_written = False
        """Whether the journal says what was asked."""
        self.signals = 0
        """How many were passed over since the start."""
        self._sink = sink
        self._first: JournalRecord | None = None
        self._last: JournalRecord | None = None
        self._count = 0
        self._untold: list[SkippedRange] = []

    @property
    def is_counting(self) -> bool:
        """Whether it is being found out how far the range goes."""
        return self._first is not None

    @property
    def first_seq(self) -> int | None:
        """The first record of the range that is counted or asked; None where there is none."""
        if self.asked is not None:
            return self.asked.mark.first_seq
        return None if self._first is None else self._first.seq

    def count(self, records: Sequence[JournalRecord]) -> None:
        """These belong to the range."""
        if self._first is None:
            self._first, self._count = records[0], 0
        self._last = records[-1]
        self._count += len(records)

    def forget_count(self) -> None:
        """The range has to be counted anew."""
        self._first = self._last = None

    def ask_counted(self, reason: str, *, end_seq: int) -> None:
        """Asks for the range that was counted, up to record `end_seq`."""
        first, last = self._first, self._last
        assert first is not None
        assert last is not None
        self.ask(first, last, self._count, reason, end_seq=end_seq)
        self.forget_count()

    def ask(self, first: JournalRecord, last: JournalRecord, signals: int, reason: str, *, end_seq: int) -> None:
        """Asks for so many signals from the first to the last."""
        self.is_written = False
        mark = SkippedRange(self._sink, first.seq, last.seq, first.key, last.key, signals, reason)
        self.asked = Skip(mark, end_seq)

    def written(self) -> None:
        """The journal holds the record that was asked for. Any thread."""
        self.is_written = True

    def pass_over(self) -> int:
        """The range is done with, but for telling the sink; gives the record behind it."""
        skip = self.asked
        assert skip is not None
        self.signals += skip.mark.signals
        self._untold.append(skip.mark)
        self.asked = None
        return skip.end_seq

    def tell(self, sink: Sink) -> None:
        """Tells a sink that carries remarks what it does not get. Raises what the sink raises: what was not told is told
        later."""
        tell: Callable[[SkippedRange], None] | None = getattr(sink, "skipped", None)
        while self._untold:
            if tell is not None:
                tell(self._untold[0])
            self._untold.pop(0)
