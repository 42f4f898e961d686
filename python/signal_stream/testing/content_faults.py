"""Faults of content: frames that cannot be read, or that say what cannot be."""

import gzip
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from signal_stream.testing.binance_frames import Frame
from signal_stream.testing.fault_log import FaultEntry, FaultLog, Mark
from signal_stream.testing.faults import Fault, MomentFault, Scene, Stream


@dataclass(frozen=True, kw_only=True)
class Crossed(MomentFault):
    """A diff carries a bid half a percent above the best ask; the diff `frames` later takes it back."""

    frames: int = 1

    def apply(self, frames: Iterator[Frame], scene: Scene) -> Iterator[Frame]:
        """`line` crosses the book, `until_line` uncrosses it."""
        moments, left, bid = self.moments(scene), 0, ""
        entry: FaultEntry | None = None
        for frame in frames:
            if frame.kind == "depth":
                if entry is None and moments.strike(frame):
                    bid, left = scene.wire.price(frame.best_ask + frame.best_ask // 200), self.frames
                    entry = scene.log.open(self.name, "CROSSED", detail=f"bid {bid}")
                    frame.json = _with_bid(frame.json, bid, scene.wire.qty(1), scene.wire.bids_fall)
                    frame.marks.append(Mark(entry, last=False))
                elif entry is not None:
                    left -= 1
                    if left <= 0 and not frame.marks:
                        frame.json = _with_bid(frame.json, bid, scene.wire.qty(0), scene.wire.bids_fall)
                        frame.marks.append(Mark(entry, first=False))
                        entry = None
            yield frame


def _with_bid(json: str, price: str, qty: str, first: bool) -> str:
    """The diff with one more bid, above all its others."""
    head, bids, tail = _split_bids(json)
    level = f'["{price}","{qty}"]'
    joined = ",".join(part for part in ((level, bids) if first else (bids, level)) if part)
    return f'{head}"b":[{joined}],"a":{tail}'


def _split_bids(json: str) -> tuple[str, str, str]:
    head, _, rest = json.partition('"b":[')
    bids, _, tail = rest.partition('],"a":')
    return head, bids, tail


@dataclass(frozen=True, kw_only=True)
class BrokenJson(MomentFault):
    """A line is cut somewhere in its JSON."""

    stream: Stream = "trade"

    def apply(self, frames: Iterator[Frame], scene: Scene) -> Iterator[Frame]:
        """A diff or trade that cannot be read is missing too."""
        moments = self.moments(scene)
        for frame in frames:
            if frame.kind == self.stream and moments.strike(frame):
                kept = 1 + int(scene.draws.uniform() * (len(frame.json) - 1))
                detail = f"{self.stream} frame cut after {kept} of {len(frame.json)} bytes"
                frame.json = frame.json[:kept]
                frame.marks.append(Mark(scene.log.open(self.name, *_rejected(frame), detail=detail)))
            yield frame


@dataclass(frozen=True, kw_only=True)
class BadQuantity(MomentFault):
    """A quantity is below zero, or has more decimals than the tape can hold."""

    kind: Literal["negative", "over-precise"]
    stream: Stream = "trade"

    def apply(self, frames: Iterator[Frame], scene: Scene) -> Iterator[Frame]:
        """Spoils the first quantity of the frame."""
        moments = self.moments(scene)
        for frame in frames:
            found = QUANTITY[self.stream].search(frame.json) if frame.kind == self.stream else None
            if found and moments.strike(frame):
                good = found["qty"]
                bad = f"-{good}" if self.kind == "negative" else f"{good}0000001"
                frame.json = frame.json[: found.start("qty")] + bad + frame.json[found.end("qty") :]
                detail = f"{self.stream} quantity {good} became {bad}"
                frame.marks.append(Mark(scene.log.open(self.name, *_rejected(frame), detail=detail)))
            yield frame


def _rejected(frame: Frame) -> tuple[str, ...]:
    """What follows when a frame is refused: a stream with continuous ids also has a gap at its next frame."""
    return ("REJECT",) if frame.kind == "quote" else ("REJECT", "GAP")


# A depth level with quantity 0 is no candidate: minus nothing is nothing.
QUANTITY = {
    "depth": re.compile(r'\["[0-9.]+","(?P<qty>(?=[0-9.]*[1-9])[0-9.]+)"\]'),
    "quote": re.compile(r'"B":"(?P<qty>[0-9.]+)"'),
    "trade": re.compile(r'"q":"(?P<qty>[0-9.]+)"'),
}


@dataclass(frozen=True, kw_only=True)
class TruncatedGzip(Fault):
    """The compressed file ends early: only `keep`, a share between 0 and 1, of its bytes is there."""

    file_only: ClassVar[bool] = True
    keep: float

    def __post_init__(self) -> None:
        if not 0.0 < self.keep < 1.0:
            raise ValueError("TruncatedGzip: keep is between 0 and 1")

    def damage(self, path: Path, log: FaultLog) -> None:
        """The log's line is the first that is not whole; which one that is depends on the zlib at hand."""
        size = path.stat().st_size
        os.truncate(path, int(size * self.keep))
        whole = 0
        with gzip.open(path) as lines, suppress(EOFError):
            for line in lines:
                whole += line.endswith(b"\n")
        entry = log.open(self.name, "TRUNCATED", detail=f"{int(size * self.keep)} of {size} bytes are left")
        entry.line = entry.until_line = whole + 1
