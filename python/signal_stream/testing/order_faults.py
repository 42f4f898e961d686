"""Faults of order: frames that are missing, come twice, or come in the wrong place."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from signal_stream.testing.binance_frames import Frame
from signal_stream.testing.fault_log import FaultEntry, Mark
from signal_stream.testing.faults import Fault, MomentFault, Scene, Stream


@dataclass(frozen=True, kw_only=True)
class Gap(MomentFault):
    """`frames` successive frames of a stream are lost, and their ids with them."""

    frames: int = 1
    stream: Stream = "depth"

    def apply(self, frames: Iterator[Frame], scene: Scene) -> Iterator[Frame]:
        """The log's line is the next frame of the stream."""
        moments, left = self.moments(scene), 0
        entry: FaultEntry | None = None
        first = 0
        for frame in frames:
            if frame.kind != self.stream:
                yield frame
                continue
            if entry is None and moments.strike(frame):
                entry, left, first = (
                    scene.log.open(self.name, "GAP", detail=""),
                    self.frames,
                    frame.venue_ids[0],
                )
            if entry is not None and left > 0 and not frame.marks:
                left -= 1
                entry.detail = f"{self.stream} ids {first} to {frame.venue_ids[1]} are missing"
                continue
            if entry is not None:
                frame.marks.append(Mark(entry))
                entry, left = None, 0
            yield frame


@dataclass(frozen=True, kw_only=True)
class Duplicate(MomentFault):
    """A frame comes again, `copies` times, a few ns after itself."""

    copies: int = 1
    stream: Stream = "depth"

    def apply(self, frames: Iterator[Frame], scene: Scene) -> Iterator[Frame]:
        """One entry a copy."""
        moments = self.moments(scene)
        for frame in frames:
            strikes = frame.kind == self.stream and moments.strike(frame)
            yield frame
            for n in range(self.copies if strikes else 0):
                first, last = frame.venue_ids
                entry = scene.log.open(self.name, "DUPLICATE", detail=f"{self.stream} ids {first} to {last} again")
                yield replace(frame, ts_recv=frame.ts_recv + n + 1, marks=[Mark(entry)])


@dataclass(frozen=True, kw_only=True)
class Reorder(MomentFault):
    """A frame comes late, after the next `by` frames of its stream; 1 swaps neighbours.

    Receive times keep rising: the late frame is received just after the one that overtook it last.
    """

    by: int = 1
    stream: Stream = "depth"

    def apply(self, frames: Iterator[Frame], scene: Scene) -> Iterator[Frame]:
        """`line` is the frame that came too early, `until_line` the late one."""
        moments = self.moments(scene)
        entry: FaultEntry | None = None
        late: Frame | None = None
        passed, newest_ns = 0, 0
        for frame in frames:
            newest_ns = frame.ts_recv
            if late is None or entry is None:
                if frame.kind != self.stream or not moments.strike(frame):
                    yield frame
                    continue
                first, last = frame.venue_ids
                detail = f"{self.stream} ids {first} to {last} come {self.by} frames late"
                expect = ("LATE",) if self.stream == "quote" else ("GAP", "LATE")
                entry, late, passed = scene.log.open(self.name, *expect, detail=detail), frame, 0
                continue
            if frame.kind == self.stream:
                passed += 1
                if passed == 1:
                    frame.marks.append(Mark(entry, last=False))
            yield frame
            if passed == self.by:
                yield replace(late, ts_recv=newest_ns + 1, marks=[Mark(entry, first=False)])
                late = None
        if late is not None and entry is not None:
            marks = [Mark(entry, first=False)] if passed else []
            yield replace(late, ts_recv=newest_ns + 1, marks=marks)


@dataclass(frozen=True, kw_only=True)
class SnapshotMissing(Fault):
    """The order-book snapshot never comes."""

    def apply(self, frames: Iterator[Frame], scene: Scene) -> Iterator[Frame]:
        """The log's line is the frame that came instead."""
        entry: FaultEntry | None = None
        shown = False
        for frame in frames:
            if frame.kind == "snapshot":
                entry = entry or scene.log.open(self.name, "BUILDING", detail="no snapshot of the order book")
                continue
            if entry is not None and not shown:
                frame.marks.append(Mark(entry))
                shown = True
            yield frame
