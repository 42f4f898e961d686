"""A capture in memory, and what was true in the market at each of its lines."""

from bisect import bisect_right
from dataclasses import dataclass, field

from signal_stream.testing.binance_frames import Frame
from signal_stream.testing.fair_value import Regime, Step
from signal_stream.testing.fault_log import FaultLog


@dataclass(frozen=True)
class TrueBook:
    """The whole order book: (price in ticks, quantity in lots), from the best level outward."""

    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]


@dataclass(kw_only=True)
class Capture:
    """Lines as a reader would get them, and the truth behind them, which faults do not touch.

    Line numbers count from 1, as in the fault log.
    """

    frames: list[Frame]
    faults: FaultLog
    changes: list[tuple[int, int, int]] = field(repr=False)
    """Each change of a level: (update id, price in ticks, below 0 for asks; quantity now in lots), in order.
    """
    latent: list[tuple[int, Step]] = field(repr=False)
    """(update id, the latent state common to all instruments from then on), in order."""

    def __post_init__(self) -> None:
        self._applied = 0
        self._levels: dict[int, int] = {}

    @property
    def lines(self) -> list[bytes]:
        """The lines, newlines included."""
        return [frame.line for frame in self.frames]

    def book(self, line: int) -> TrueBook:
        """The venue's book just after the last change that the frame in this line tells of, or that
        preceded it.

        Quick where lines rise from call to call.
        """
        return self.book_after(self.frames[line - 1].update_id)

    def book_after(self, update_id: int) -> TrueBook:
        """The venue's book just after its change number `update_id`, as counted in `Frame.update_id`."""
        if self._applied and self.changes[self._applied - 1][0] > update_id:
            self._applied = 0
            self._levels.clear()
        while self._applied < len(self.changes) and self.changes[self._applied][0] <= update_id:
            _, key, qty = self.changes[self._applied]
            if qty:
                self._levels[key] = qty
            else:
                del self._levels[key]
            self._applied += 1
        keys = sorted(self._levels, reverse=True)
        split = bisect_right(keys, 0, key=lambda key: -key)
        bids = [(key, self._levels[key]) for key in keys[:split]]
        return TrueBook(bids, [(-key, self._levels[key]) for key in keys[split:]])

    def regime(self, line: int) -> Regime:
        """The regime of the market at the moment of the line's frame."""
        return self._latent(line).regime

    def pressure(self, line: int) -> float:
        """The hidden pressure, -1 to 1, at the moment of the line's frame."""
        return self._latent(line).pressure

    def _latent(self, line: int) -> Step:
        update_id = self.frames[line - 1].update_id
        return self.latent[bisect_right(self.latent, update_id, key=lambda row: row[0]) - 1][1]
