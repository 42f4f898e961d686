"""A small file of JSON lines that says what larger files hold: each line with its checksum, the whole replaced at once."""

from __future__ import annotations

import json
import os
import zlib
from typing import TYPE_CHECKING, Any, Final

from .durable import sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FORMAT: Final = 1
_CRC32: Final = ', "crc32": '


class BrokenIndex(ValueError):
    """A line of an index is not as it was written."""


def read_lines(path: Path) -> list[dict[str, Any]] | None:
    """The lines in order; None where there is no file. Fields that nobody knows are kept. Raises BrokenIndex, OSError."""
    try:
        data = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    found = []
    for number, line in enumerate(data.splitlines(), 1):
        text, _, crc32 = line.rpartition(_CRC32)
        if crc32 != f"{zlib.crc32(text.encode())}}}":
            raise BrokenIndex(f"line {number} is not as it was written")
        found.append(json.loads(f"{text}}}"))
    return found


def write_lines(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    """Replaces the file, on the disk when this returns; a crash leaves the old one or the new one. Raises OSError."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    with unfinished.open("w", encoding="utf-8") as file:
        file.writelines(f"{_line({'format': FORMAT} | fields)}\n" for fields in lines)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    sync_folder(path.parent)


def _line(fields: dict[str, Any]) -> str:
    text = json.dumps(fields)[:-1]
    return f"{text}{_CRC32}{zlib.crc32(text.encode())}}}"
