"""The checksums of a segment's appends, in a file beside it."""

from __future__ import annotations

import os
import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, Self

from signal_stream.errors import TapeError

from .segment import RESTORE, Segment, damaged

if TYPE_CHECKING:
    from pathlib import Path

_MAGIC: Final = int.from_bytes(b"sssums\0\0", "little")
_FORMAT: Final = 1
_ROW: Final = struct.Struct(
    "<QIIII"
)  # end of an append, its checksum, messages, length of its position, checksum of these
_ROW_0: Final = struct.Struct("<QII")  # in format 0: end of an append, its checksum, checksum of these two
_CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Append:
    """One append: where its bytes end, their CRC-32, how many messages they hold, and the length of the source's position
    in them. In logs of format 0 the last two are unknown: None."""

    end: int
    crc: int
    messages: int | None = None
    position_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Sums:
    """What a segment's file of checksums says. `row_bytes` is the length of one row, `header_bytes` of what stands first."""

    path: Path
    appends: tuple[Append, ...]
    header_bytes: int
    row_bytes: int

    @classmethod
    def read(cls, segment: Segment) -> Self:
        """Reads the checksums, up to the first that is not whole itself. Raises TapeError DAMAGED if there are none, or
        if whole ones follow; UNKNOWN_FORMAT for those of a later version."""
        path = segment.sums_path
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise TapeError("DAMAGED", "its checksums are missing", where=str(path), next_step=RESTORE) from error
        except OSError as error:
            raise TapeError("UNREADABLE", f"cannot be read: {error.strerror}", where=str(path)) from error
        row = _ROW if segment.first is not None else _ROW_0
        size = row.size
        rows = [_row(row, data, at) for at in range(0, len(data) - size + 1, size)]
        whole = next((i for i, found in enumerate(rows) if found is None), len(rows))
        if any(found is not None for found in rows[whole:]):
            raise damaged(path, whole * size)
        good = [found for found in rows[:whole] if found is not None]
        if row is _ROW_0:
            return cls(path, tuple(good), 0, size)
        if good and good[0].end == _MAGIC and good[0].crc > _FORMAT:
            what = f"it has format {good[0].crc}, and this version reads up to {_FORMAT}"
            advice = "Use the version of signal-stream that wrote it, or a newer one."
            raise TapeError("UNKNOWN_FORMAT", what, where=str(path), value=good[0].crc, next_step=advice)
        if good and (good[0].end, good[0].crc) != (_MAGIC, _FORMAT):
            raise damaged(path, 0)
        return cls(path, tuple(good[1:]), size, size)

    @property
    def messages(self) -> int | None:
        """Messages of all appends; None where they are not said."""
        return None if self.header_bytes == 0 else sum(each.messages or 0 for each in self.appends)

    def size(self, appends: int) -> int:
        """The length of the file with so many appends."""
        return self.header_bytes + appends * self.row_bytes if appends else 0

    def check(self, path: Path, number: int = 0) -> tuple[int, int, int]:
        """The end of the whole appends at a segment's start, how many they are, and the segment's size. The first `number` are
        known to be whole."""
        begin = self.appends[number - 1].end if number else 0
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(begin)
            for each in self.appends[number:]:
                if each.end > size or _crc(file, each.end - begin) != each.crc:
                    break
                begin = each.end
                number += 1
        return begin, number, size

    def check_whole(self, path: Path) -> None:
        """Raises TapeError DAMAGED unless the segment holds the appends and nothing else."""
        end, whole, size = self.check(path)
        if whole < len(self.appends) or end < size:
            raise damaged(path, end)

    def check_reach(self, path: Path) -> None:
        """Raises TapeError DAMAGED unless the checksums are for all of a segment that is full, and no more. Reads none of it."""
        size, end = path.stat().st_size, self.appends[-1].end if self.appends else 0
        if size < end:
            raise damaged(path, size)
        if size > end:
            what = f"damaged: it has the checksums of {end:,} bytes, and {path.name} has {size:,}"
            raise TapeError("DAMAGED", what, where=str(self.path), value=end, next_step=RESTORE)

    def any_whole(self, path: Path, number: int) -> bool:
        """Whether an append from `number` on is as it was written."""
        with path.open("rb") as file:
            for before, each in zip(self.appends[number - 1 :], self.appends[number:], strict=False):
                file.seek(before.end)
                if _crc(file, each.end - before.end) == each.crc:
                    return True
        return False


def newest_with_sums(folder: Path) -> int | None:
    """The number of the newest segment that has the checksum of an append, whether itself is there or not; None if none has."""
    for path in sorted(folder.glob(".[0-9]*.sums"), reverse=True):
        with suppress(FileNotFoundError):  # removed meanwhile, with its segment
            if path.stat().st_size > _ROW.size:
                return int(path.name[1:9])
    return None


def sums_header() -> bytes:
    """What a file of checksums begins with: what it is, and its format."""
    return _packed(_MAGIC, _FORMAT, 0, 0)


def sums_row(each: Append) -> bytes:
    """The row of an append."""
    return _packed(each.end, each.crc, each.messages or 0, each.position_bytes or 0)


def _packed(end: int, crc: int, messages: int, position_bytes: int) -> bytes:
    row = struct.pack("<QIII", end, crc, messages, position_bytes)
    return row + struct.pack("<I", zlib.crc32(row))


def _row(row: struct.Struct, data: bytes, at: int) -> Append | None:
    """A row, None if it is not as it was written."""
    *fields, own = row.unpack_from(data, at)
    return Append(*fields) if own == zlib.crc32(data[at : at + row.size - 4]) else None


def _crc(file: BinaryIO, size: int) -> int:
    crc = 0
    while size > 0:
        chunk = file.read(min(size, _CHUNK_BYTES))
        if not chunk:
            return -1
        crc = zlib.crc32(chunk, crc)
        size -= len(chunk)
    return crc
