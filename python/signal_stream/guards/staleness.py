"""The guard that a signal rests on fresh input."""

from __future__ import annotations

from signal_stream.records import Finding, Prediction, VectorRow


class Staleness:
    """Vetoes STALE if the oldest input is older than `max_age_ns` in receive time or in event time.

    The age at the moment of judgement counts: the vector's own, and what passed between `ts_recv` and `now`, with what
    the model took. An age of exactly the limit passes. Without an event time only the receive time is judged; without
    any input ever, both are stale.

    With `max_venue_delay_ns`, STALE too where an input was longer than that on its way, from the venue's time to ours; how
    far the two clocks stand apart is part of it.
    """

    __slots__ = ("max_age_ns", "max_venue_delay_ns")

    def __init__(self, *, max_age_ns: int, max_venue_delay_ns: int | None = None) -> None:
        if max_age_ns <= 0:
            raise AssertionError(f"max_age_ns {max_age_ns} is not positive")
        self.max_age_ns = max_age_ns
        self.max_venue_delay_ns = max_venue_delay_ns

    def check(self, _prediction: Prediction | None, vector: VectorRow, now: int) -> Finding | None:
        """STALE with age and limit, or None."""
        age = vector.age_recv_ns
        if age is None:
            return Finding("STALE", "an input never came")
        left = self.max_age_ns
        waited = now - vector.ts_recv
        if waited > 0:
            left -= waited
        if age > left:
            return self._stale("receive", age + max(waited, 0))
        event = vector.age_event_ns
        if event is not None and event > left:
            return self._stale("event", event + max(waited, 0))
        allowed = self.max_venue_delay_ns
        if allowed is not None and event is not None and event - age > allowed:
            what = f"an input was {(event - age) / 1e9:.3f} s on its way from the venue, {allowed / 1e9:g} s allowed"
            return Finding("STALE", what)
        return None

    def _stale(self, axis: str, age: int) -> Finding:
        limit = self.max_age_ns / 1e9
        return Finding("STALE", f"the oldest input is {age / 1e9:.3f} s old in {axis} time, {limit:g} s allowed")
