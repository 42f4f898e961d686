"""Captures as an emulator serves them: frame by frame, with what was answered by HTTP among them."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

from .venues import CONTROL, Channel, VenueProtocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_GZIP: Final = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class WireFrame:
    """A frame of a capture, or a whole book that was answered by HTTP (`url` is set)."""

    ts_recv: int
    text: str
    channel: Channel = CONTROL
    url: str = ""

    @property
    def is_depth(self) -> bool:
        """Whether it changes a book."""
        return self.channel.kind == "depth" and not self.url

    @property
    def is_book(self) -> bool:
        """Whether it is a whole book that was answered by HTTP."""
        return bool(self.url)


def frames_of(lines: Iterable[str], protocol: VenueProtocol) -> list[WireFrame]:
    """The frames of a capture (lines of a time and a frame, or a recording), in order of their times, and what `protocol` may
    answer. A book stands behind the first frame of its symbol's depth: before it nobody would have asked. What the
    venue says of itself is left out. The protocol learns which symbols there are."""
    raw = [frame for line in lines for frame in _of_line(line.rstrip("\n"))]
    raw.sort(key=lambda frame: frame.ts_recv)
    asked = (_asked_for(protocol, frame.url) for frame in raw if frame.url)
    protocol.symbols = frozenset(symbol for symbol in asked if symbol is not None)
    named = [frame if frame.url else replace(frame, channel=protocol.channel(frame.text)) for frame in raw]
    sent = [frame for frame in named if frame.channel.kind != "control"]
    protocol.symbols |= {frame.channel.symbol for frame in sent if frame.channel.kind != "other"}
    if protocol.answers_books:
        sent = _with_books(sent, [frame for frame in named if frame.channel.kind == "control"], protocol)
    return sent


def _asked_for(protocol: VenueProtocol, url: str) -> str | None:
    asked = urlsplit(url)
    return protocol.asked_for(asked.path, dict(parse_qsl(asked.query)))


def _with_books(sent: list[WireFrame], others: list[WireFrame], protocol: VenueProtocol) -> list[WireFrame]:
    """Puts books that were answered by HTTP behind the first diff; in a capture of lines nobody says what was asked."""
    first: dict[str, int] = {}
    reader = type(protocol)(protocol.symbols)
    for frame in sent:
        if frame.is_depth and frame.channel.symbol not in first:
            depth = reader.depth(frame.text)
            if depth is None or depth.levels:  # one that changes nothing is no reason to ask
                first[frame.channel.symbol] = frame.ts_recv
    placed = list(sent)
    for frame in others:
        if frame.url and _asked_for(protocol, frame.url) is None:
            continue
        book = reader.answered(frame.url, frame.text)
        since = first.get(book.symbol) if book is not None else None
        if book is not None and since is not None:
            ts_recv, channel = max(frame.ts_recv, since + 1), Channel("depth", book.symbol)
            placed.append(replace(frame, ts_recv=ts_recv, channel=channel, url=frame.url or "book"))
    return sorted(placed, key=lambda frame: frame.ts_recv)


def lines_of(path: Path) -> list[str]:
    """The lines of a capture, plain or packed by gzip or zstd."""
    with path.open("rb") as file:
        head = file.read(4)
    if head[:2] == _GZIP:
        with gzip.open(path, "rt") as unpacked:
            return unpacked.readlines()
    if head == _ZSTD:
        import pyarrow as pa

        with pa.CompressedInputStream(str(path), "zstd") as packed:
            return bytes(packed.read()).decode().splitlines()
    return path.read_text().splitlines()


def _of_line(line: str) -> Iterator[WireFrame]:
    """`<receive time in ns> <frame>`, or an envelope of a recording."""
    if not line.startswith("{"):
        ts_recv, _, text = line.partition(" ")
        yield WireFrame(int(ts_recv), text)
        return
    envelope = json.loads(line, parse_float=str)
    if envelope["t"] not in ("recv", "http"):
        return
    whole, _, part = str(envelope["ts"]).partition(".")
    ts_recv_ns = int(whole) * 1_000_000_000 + int(part[:9].ljust(9, "0"))
    yield WireFrame(ts_recv_ns, envelope["data"], url=envelope.get("url", ""))
