"""What a fault of a feed is, and when it strikes.

The market behind the feed is the same with and without faults (`Burst` and a `Freeze` of the market itself
excepted), so a clean capture of the same seed is the yardstick. Faults are applied in the order in which
they are given, and none strikes a frame that another has marked.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import ClassVar, Literal

from signal_stream.testing.binance_frames import BinanceFrames, Frame
from signal_stream.testing.draws import Draws
from signal_stream.testing.fault_log import FaultLog
from signal_stream.testing.pace import Stretch

NS_PER_S = 1_000_000_000
Stream = Literal["depth", "quote", "trade"]


@dataclass(frozen=True)
class Scene:
    """What a fault works with: randomness of its own, the start (ns), the log and the venue's wording."""

    draws: Draws
    start_ns: int
    log: FaultLog
    wire: BinanceFrames


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A way for a feed to go wrong: a small record of what, when and how much."""

    file_only: ClassVar[bool] = False
    """Whether it spoils the file and not the lines."""

    @property
    def name(self) -> str:
        """The name under which the log lists it."""
        return type(self).__name__

    def stretches(self, start_ns: int) -> tuple[Stretch, ...]:
        """How it changes the market's pace in a capture from `start_ns` on; most faults do not."""
        return ()

    def apply(self, frames: Iterator[Frame], scene: Scene) -> Iterator[Frame]:
        """The frames with the fault among them, its lines marked for the log."""
        return frames

    def damage(self, path: Path, log: FaultLog) -> None:
        """Spoil the written file; most faults do not."""


@dataclass(frozen=True, kw_only=True)
class MomentFault(Fault):
    """Strikes the first unmarked frame of its stream at or after a moment of the receive axis.

    The moment is `at_s` seconds after the capture's start, or moments come at random, `rate_hz` times a
    second on average. Exactly one of the two is given.
    """

    at_s: float | None = None
    rate_hz: float | None = None

    def __post_init__(self) -> None:
        if (self.at_s is None) == (self.rate_hz is None):
            raise ValueError(f"{self.name} needs at_s or rate_hz, and not both")
        if (self.at_s is not None and self.at_s < 0.0) or (self.rate_hz is not None and self.rate_hz <= 0.0):
            raise ValueError(f"{self.name}: at_s is at least 0, and rate_hz above 0")

    def moments(self, scene: Scene) -> "Moments":
        """When it strikes in this capture."""
        if self.at_s is not None:
            return Moments(scene.start_ns + int(self.at_s * NS_PER_S), inf, scene.draws)
        assert self.rate_hz is not None
        first_ns = scene.start_ns + scene.draws.wait(NS_PER_S / self.rate_hz)
        return Moments(first_ns, NS_PER_S / self.rate_hz, scene.draws)


class Moments:
    """`first_ns`, and then further moments every `mean_ns` on average; none if that is infinite."""

    def __init__(self, first_ns: int, mean_ns: float, draws: Draws) -> None:
        self._due_ns: float = first_ns
        self._mean_ns, self._draws = mean_ns, draws

    def strike(self, frame: Frame) -> bool:
        """Whether a moment has come and the frame is free to take it; if so the next moment is set."""
        if frame.ts_recv < self._due_ns or frame.marks:
            return False
        self._due_ns = inf if self._mean_ns == inf else frame.ts_recv + self._draws.wait(self._mean_ns)
        return True


@dataclass(frozen=True, kw_only=True)
class SpanFault(Fault):
    """Lasts from `at_s` seconds after the capture's start for `duration_s` seconds."""

    at_s: float
    duration_s: float

    def __post_init__(self) -> None:
        if self.at_s < 0.0 or self.duration_s <= 0.0:
            raise ValueError(f"{self.name}: at_s is at least 0, and duration_s above 0")

    def span_ns(self, start_ns: int) -> tuple[int, int]:
        """Its first ns, and the first ns after it."""
        begin_ns = start_ns + int(self.at_s * NS_PER_S)
        return begin_ns, begin_ns + int(self.duration_s * NS_PER_S)
