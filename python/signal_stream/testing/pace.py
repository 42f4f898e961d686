"""Market time, in which order flow is steady, against wall time, in which it bursts and falls silent."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """From `start_ns` to `stop_ns` of wall time the order flow runs `factor` times as fast; 0 stops it."""

    start_ns: int
    stop_ns: int
    factor: float


class Pace:
    """A piecewise linear, never falling map between the two clocks, both in ns since 1970."""

    def __init__(self, start_ns: int, activity: float, stretches: tuple[Stretch, ...] = ()) -> None:
        self._knots = [(start_ns, start_ns, activity)]
        for stretch in sorted(stretches, key=lambda stretch: stretch.start_ns):
            if stretch.start_ns < self._knots[-1][1]:
                raise ValueError("bursts and silences must not overlap, nor begin before the capture")
            self._knots.append((self.market_ns(stretch.start_ns), stretch.start_ns, activity * stretch.factor))
            self._knots.append((self.market_ns(stretch.stop_ns), stretch.stop_ns, activity))

    def market_ns(self, wall_ns: int) -> int:
        """Market time at a moment of wall time."""
        for market, wall, speed in reversed(self._knots):
            if wall_ns >= wall:
                return market + int((wall_ns - wall) * speed)
        market, wall, speed = self._knots[0]
        return market - int((wall - wall_ns) * speed)

    def wall_ns(self, market_ns: int) -> int:
        """Wall time at a moment of market time."""
        for market, wall, speed in reversed(self._knots):
            if market_ns >= market and speed > 0.0:
                return wall + int((market_ns - market) / speed)
        market, wall, speed = self._knots[0]
        return wall - int((market - market_ns) / speed)
