"""How far a sink is in the journal: two lines in a file, written in turn, so that one of them is whole whatever happens."""

from __future__ import annotations

import hashlib
import json
import os
import re
import zlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from signal_stream.records import FORMAT
from signal_stream.store import JournalPlace

if TYPE_CHECKING:
    from pathlib import Path

_LINE_BYTES: Final = 256


class SinkPosition(NamedTuple):
    """`seq` is the first record that was not sent, `last_id` the newest signal that was, empty if none was. `near` is a place
    before `seq` that saves reading a segment from its start. `began` is the record at which the sink began: none before it is
    ever sent."""

    seq: int
    last_id: str
    near: JournalPlace | None
    began: int = 0


class SinkCursor:
    """Keeps one sink's position, by the sink's name, in a folder. `write` costs one system call and does not wait for the
    disk: after a power cut the place that the sink writes to says more."""

    def __init__(self, folder: Path, name: str) -> None:
        """Opens nothing. Raises nothing."""
        readable = re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-")[-40:]
        self.path = folder / f"{readable}.{hashlib.sha256(name.encode()).hexdigest()[:12]}.cursor"
        self._file = -1
        self._turn = 0

    def read(self) -> SinkPosition | None:
        """The position written last, None if there is none that is whole. Raises OSError."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        lines = [_fields(data[at : at + _LINE_BYTES]) for at in (0, _LINE_BYTES)]
        newest = max(lines, key=lambda line: -1 if line is None else line["turn"])
        if newest is None:
            return None
        self._turn = newest["turn"] + 1
        near = newest["near"] and JournalPlace(*newest["near"])
        return SinkPosition(newest["seq"], newest["last_id"], near, newest.get("began", 0))

    def write(self, position: SinkPosition) -> None:
        """Replaces the older of the two lines. Raises OSError."""
        if self._file < 0:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        os.pwrite(self._file, _line(self._turn, position), self._turn % 2 * _LINE_BYTES)
        self._turn += 1

    def close(self) -> None:
        """Gives the file back. May be called twice."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)


def _line(turn: int, position: SinkPosition) -> bytes:
    near = None if position.near is None else list(position.near)
    fields = {"format": FORMAT, "turn": turn, **position._asdict(), "near": near}
    text = json.dumps(fields).encode()
    return b"%08x %s" % (zlib.crc32(text), text.ljust(_LINE_BYTES - 10)) + b"\n"


def _fields(line: bytes) -> dict[str, Any] | None:
    """What a line holds; None if it is not as it was written."""
    try:
        text = line[9:].strip()
        if int(line[:8], 16) != zlib.crc32(text):
            return None
        fields: dict[str, Any] = json.loads(text)
    except ValueError:
        return None
    return fields
