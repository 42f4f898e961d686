"""Faults of time: too much of it at once, none at all, or running backwards."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from signal_stream.testing.binance_frames import Frame
from signal_stream.testing.fault_log import FaultEntry, Mark
from signal_stream.testing.faults import NS_PER_S, MomentFault, Scene, SpanFault
from signal_stream.testing.pace import Stretch


@dataclass(frozen=True, kw_only=True)
class Burst(SpanFault):
    """The market's order flow runs `factor` times as fast."""

    factor: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.factor <= 0.0:
            raise ValueError("Burst: factor is above 0; Freeze stops a market")

    def stretches(self, start_ns: int) -> tuple[Stretch, ...]:
        """Its share of the market's pace."""
        begin_ns, end_ns = self.span_ns(start_ns)
        return (Stretch(start_ns=begin_ns, stop_ns=end_ns, factor=self.factor),)

    def apply(self, frames: Iterator[Frame], scene: Scene) -> Iterator[Frame]:
        """Marks the first and the last frame whose event lies in the burst."""
        begin_ns, end_ns = self.span_ns(scene.start_ns)
        entry = scene.log.open(self.name, "BURST", detail=f"order flow {self.factor:g} times as fast")
        before: Frame | None = None
        for frame in frames:
            inside = begin_ns <= frame.ts_event < end_ns
            was_inside = before is not None and begin_ns <= before.ts_event < end_ns
            if inside and not was_inside:
                frame.marks.append(Mark(entry, last=False))
            if before is not None:
                if was_inside and not inside:
                    before.marks.append(Mark(entry, first=False))
                yield before
            before = frame
        if before is not None:
            if begin_ns <= before.ts_event < end_ns:
                before.marks.append(Mark(entry, first=False))
            yield before


@dataclass(frozen=True, kw_only=True)
class Freeze(SpanFault):
    """No frame is received for a while; then the feed goes on.

    `missed` says what became of the frames of that time: "late" they all come at its end with their old
    event times (none if the capture ends before), "lost" they never come, "none" there were none, for the
    market itself stood still.
    """

    missed: Literal["late", "lost", "none"] = "late"

    def stretches(self, start_ns: int) -> tuple[Stretch, ...]:
        """Stops the market where nothing is to be missed."""
        begin_ns, end_ns = self.span_ns(start_ns)
        return (Stretch(start_ns=begin_ns, stop_ns=end_ns, factor=0.0),) if self.missed == "none" else ()

    def apply(self, frames: Iterator[Frame], scene: Scene) -> Iterator[Frame]:
        """`line` is the first after the silence, `until_line` the last that was held back."""
        begin_ns, end_ns = self.span_ns(scene.start_ns)
        expect = ("STALE", "GAP") if self.missed == "lost" else ("STALE",)
        entry = scene.log.open(self.name, *expect, detail="")
        missed: list[Frame] = []
        released_ns = 0
        for frame in frames:
            if begin_ns <= frame.ts_recv < end_ns and self.missed != "none":
                missed.append(frame)
                continue
            if frame.ts_recv >= end_ns and not released_ns:
                entry.detail = f"silent for {self.duration_s:g} s, {len(missed)} frames {self.missed}"
                late = missed if self.missed == "late" else []
                released = [*late, frame]
                released[0].marks.append(Mark(entry, last=False))
                released[max(0, len(late) - 1)].marks.append(Mark(entry, first=False))
                released_ns = end_ns
                for held in late:
                    held.ts_recv = released_ns = released_ns + HELD_SPACING_NS
                yield from late
            if released_ns:
                frame.ts_recv = released_ns = max(frame.ts_recv, released_ns + HELD_SPACING_NS)
            yield frame


@dataclass(frozen=True, kw_only=True)
class ClockJump(MomentFault):
    """The recorder's clock is off by `by_s` seconds for `frames` lines; below 0 it goes back."""

    by_s: float
    frames: int = 1

    def apply(self, frames: Iterator[Frame], scene: Scene) -> Iterator[Frame]:
        """Shifts the receive times; the event times stay."""
        moments, left = self.moments(scene), 0
        entry: FaultEntry | None = None
        for frame in frames:
            if left == 0 and moments.strike(frame):
                left = self.frames
                expect = "LATE" if self.by_s < 0.0 else "FUTURE"
                detail = f"{self.frames} lines off by {self.by_s:g} s"
                entry = scene.log.open(self.name, expect, detail=detail)
                frame.marks.append(Mark(entry, last=False))
            if left > 0 and entry is not None:
                frame.ts_recv += int(self.by_s * NS_PER_S)
                left -= 1
                if left == 0:
                    frame.marks.append(Mark(entry, first=False))
            yield frame


HELD_SPACING_NS = 300
