"""Events written down as they are used, so that they can be used again: a folder of tape segments."""

from __future__ import annotations

import errno
import io
import os
import struct
import threading
import zlib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Self

from signal_stream.errors import TapeError

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from signal_stream import _core

_SUFFIX: Final = ".arrow"
_SUM: Final = struct.Struct("<QII")  # end of an append, checksum of its bytes, checksum of these two
_CHUNK_BYTES: Final = 1 << 20
_POSITION: Final = b"signal_stream.position"
_MARK: Final = 6  # of the tape's column `kind`
_NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_RESTORE: Final = "Restore it from a copy, or name another [pipeline] state in the deployment file."


@dataclass(frozen=True, slots=True)
class LogPosition:
    """A place in a log: so many whole segments, and so many bytes of the one after them."""

    segments: int
    bytes: int


@dataclass(frozen=True, slots=True)
class LogCut:
    """What opening a log cut from its end, and where it is kept: an append that a crash or power cut left unfinished."""

    path: Path
    offset: int
    bytes_cut: int
    kept: Path

    def __str__(self) -> str:
        return f"{self.path} ended with {self.bytes_cut:,} bytes that are no whole append: cut at byte {self.offset:,}"


class TapeLog:
    """Appends events to Arrow IPC streams, each a tape of its own: `tape info` and every reader take them.

    Beside each segment lie the checksums of its appends (`.NUMBER.sums`), so that bytes which are not as they were written are
    never taken for events. An append is two writes and survives kill -9 when it returns; if `durable`, a power cut as
    well. RunRecord cuts what is no whole append from the end of the newest segment (`recovered` tells); anything else
    that is not as written raises TapeError DAMAGED with file and byte. A writer begins a new segment, and another
    whenever an instrument is new, since a stream names its instruments at its start.

    Invariants: segments are numbered from 0 without holes; every one but the newest is whole.
    """

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self.folder = folder
        self.recovered: LogCut | None = None
        self._durable = durable
        self._file = -1
        self._sums = -1
        self._lock = threading.Lock()
        self._schema: pa.Schema | None = None
        self._messages = _Messages()
        self._stream: pa.ipc.RecordBatchStreamWriter | None = None
        self._bytes = 0
        self._count = len(_numbered(folder))
        if self._count:
            newest = self._path(self._count - 1)
            self._bytes = self._cut_unfinished(newest)
            if self._bytes == 0:
                _remove(newest)
                self._count -= 1
        self.source_position = self._last_position()
        """Where the source stood behind the last append; None if nobody knows."""

    def paths(self) -> list[Path]:
        """The segments, oldest first."""
        return log_paths(self.folder)

    @property
    def position(self) -> LogPosition:
        """The end of the log."""
        return LogPosition(max(0, self._count - 1), self._bytes)

    def cut(self, position: LogPosition) -> None:
        """Forgets what lies behind a position."""
        self._close_segment()
        for path in self.paths()[position.segments + 1 :]:
            _remove(path)
        self._count = len(self.paths())
        self._bytes = 0
        if self._count > position.segments:
            path = self._path(position.segments)
            self._bytes = position.bytes
            if position.bytes:
                os.truncate(path, position.bytes)
                sums = Sums.read(path)
                os.truncate(sums.path, _SUM.size * sum(end <= position.bytes for end, _ in sums.appends))
            else:
                _remove(path)
                self._count -= 1

    def append(self, batch: _core.EventBatch, position: bytes = b"") -> None:
        """Writes whole messages, with the position of their source behind them. Raises TapeError WRITE if they were not
        written."""
        import pyarrow as pa

        self._write(pa.record_batch(batch), position)

    def note(self, position: bytes) -> None:
        """Writes where the source begins, before any message of it."""
        import pyarrow as pa

        from signal_stream import _core

        self._write(pa.record_batch(_core.EventBatch.mark(0)).slice(0, 0), position)

    def append_mark(self, mark: _core.EventBatch) -> None:
        """Writes a mark, which is nobody's: under the instruments of the events before it."""
        import pyarrow as pa

        batch = pa.record_batch(mark)
        if self._schema is not None:
            batch = batch.replace_schema_metadata(self._schema.metadata)
        self._write(batch)

    def messages(self) -> tuple[int, int]:
        """How many messages the log holds, and how many of them are marks. Reads it, and checks every byte. Raises
        TapeError DAMAGED."""
        import pyarrow as pa
        import pyarrow.compute as pc

        check_log(self.folder)
        messages = marks = 0
        for path in self.paths():
            with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as stream:
                for batch in stream:
                    messages += pc.sum(batch["flags"]).as_py() or 0
                    marks += pc.sum(pc.equal(batch["kind"], _MARK)).as_py() or 0
        return messages, marks

    def sync(self) -> None:
        """Forces the newest segment to the disk. Any thread may ask. Raises OSError."""
        with self._lock:  # the writer may be beginning another one
            files = [os.dup(file) for file in (self._file, self._sums) if file >= 0]
        for file in files:
            try:
                os.fdatasync(file)
            finally:
                os.close(file)

    def close(self) -> None:
        """Ends the segment, on the disk. May be called twice."""
        self._close_segment()

    def check_invariants(self) -> None:
        """Raises AssertionError unless the segments are numbered without holes, and end where the log believes."""
        paths = self.paths()
        assert paths == [self._path(number) for number in range(self._count)], "a segment is missing, or one too many"
        assert self._bytes == (paths[-1].stat().st_size if paths else 0), "the newest segment has another length"
        check_log(self.folder)

    def _write(self, batch: pa.RecordBatch, position: bytes = b"") -> None:
        if self._schema is None or not batch.schema.equals(self._schema, check_metadata=True):
            self._begin(batch.schema)
        stream = self._stream
        assert stream is not None
        stream.write_batch(batch, custom_metadata={_POSITION: position} if position else None)
        self._put(self._messages.taken())
        if position:
            self.source_position = position

    def _begin(self, schema: pa.Schema) -> None:
        import pyarrow as pa

        self._close_segment()
        path = self._path(self._count)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._lock:
                self._sums = os.open(_sums_path(path), flags | os.O_TRUNC, 0o644)
                self._file = os.open(path, flags | os.O_EXCL, 0o644)
            folder = os.open(self.folder, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise _unwritten(path, error) from error
        self._count += 1
        self._bytes = self._sums_bytes = 0
        self._schema = schema
        self._messages = _Messages()
        self._stream = pa.ipc.new_stream(self._messages, schema)

    def _put(self, data: bytes) -> None:
        try:
            _write_at(self._file, data, self._bytes)
            _write_at(self._sums, _sum(self._bytes + len(data), zlib.crc32(data)), self._sums_bytes)
            if self._durable:
                os.fdatasync(self._file)
                os.fdatasync(self._sums)
        except OSError as error:
            raise _unwritten(self._path(self._count - 1), error) from error
        self._bytes += len(data)
        self._sums_bytes += _SUM.size

    def _close_segment(self) -> None:
        with self._lock:
            files, self._file, self._sums = (self._file, self._sums), -1, -1
        self._schema = self._stream = None
        try:
            for file in files:
                if file >= 0:
                    os.fsync(file)
        finally:
            for file in files:
                if file >= 0:
                    os.close(file)

    def _cut_unfinished(self, path: Path) -> int:
        """Cuts what lies behind the last whole append of a segment; returns its length then. Raises TapeError DAMAGED
        where whole appends follow, or where the checksums are gone."""
        sums = Sums.read(path)
        end, number, size = sums.check(path)
        if number < len(sums.appends) and sums.any_whole(path, number + 1):
            raise _damaged(path, end)
        if end < size:
            kept = path.with_suffix(f".{end}.cut")
            with path.open("rb") as file:
                file.seek(end)
                kept.write_bytes(file.read())
            self.recovered = LogCut(path, end, size - end, kept)
            os.truncate(path, end)
        os.truncate(sums.path, number * _SUM.size)
        return end

    def _last_position(self) -> bytes | None:
        """The newest position that was written with an append."""
        import pyarrow as pa

        for path in reversed(self.paths()):
            found = None
            try:
                with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as stream:
                    while True:
                        _, metadata = stream.read_next_batch_with_custom_metadata()
                        found = found if metadata is None else metadata.get(_POSITION, found)
            except StopIteration:
                pass
            except (pa.ArrowException, OSError) as error:
                raise _damaged(path, 0) from error
            if found is not None:
                return bytes(found)
        return None

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:08d}{_SUFFIX}"


class _Messages(io.RawIOBase):
    """Takes the bytes of an Arrow stream, so that they can be written as one append."""

    def __init__(self) -> None:
        self._data = bytearray()

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: Any) -> int:
        """Keeps the bytes."""
        self._data += data
        return len(data)

    def taken(self) -> bytes:
        """What was kept since the last time."""
        data, self._data = bytes(self._data), bytearray()
        return data


@dataclass(frozen=True, slots=True)
class Sums:
    """The checksums of a segment's appends: where each ends, and the CRC-32 of its bytes."""

    path: Path
    appends: tuple[tuple[int, int], ...]

    @classmethod
    def read(cls, segment: Path) -> Self:
        """Reads the checksums, up to the first that is not whole itself. Raises TapeError DAMAGED if there are none, or
        if whole ones follow."""
        path = _sums_path(segment)
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise TapeError("DAMAGED", "its checksums are missing", where=str(path), next_step=_RESTORE) from error
        except OSError as error:
            raise TapeError("UNREADABLE", f"cannot be read: {error.strerror}", where=str(path)) from error
        rows = [(end, crc) if own == zlib.crc32(data[at : at + 12]) else None for at, (end, crc, own) in _rows(data)]
        whole = next((i for i, row in enumerate(rows) if row is None), len(rows))
        if any(row is not None for row in rows[whole:]):
            raise _damaged(path, whole * _SUM.size)
        return cls(path, tuple(row for row in rows[:whole] if row is not None))

    def check(self, segment: Path) -> tuple[int, int, int]:
        """The end of the whole appends at the segment's start, how many they are, and the segment's size."""
        begin = number = 0
        with segment.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            for end, crc in self.appends:
                if end > size or _crc(file, end - begin) != crc:
                    break
                begin = end
                number += 1
        return begin, number, size

    def any_whole(self, segment: Path, number: int) -> bool:
        """Whether an append from `number` on is as it was written."""
        with segment.open("rb") as file:
            for (begin, _), (end, crc) in zip(self.appends[number - 1 :], self.appends[number:], strict=False):
                file.seek(begin)
                if _crc(file, end - begin) == crc:
                    return True
        return False


def _sums_path(segment: Path) -> Path:
    return segment.with_name(f".{segment.stem}.sums")


def _rows(data: bytes) -> list[tuple[int, tuple[int, int, int]]]:
    """Each row of a file of checksums with its place; the beginning of a row at the end is none."""
    return [(at, _SUM.unpack_from(data, at)) for at in range(0, len(data) - _SUM.size + 1, _SUM.size)]


def log_paths(folder: Path) -> list[Path]:
    """The segments of a log, oldest first, also while it is written; then the end of the newest may be unfinished."""
    return sorted(folder.glob(f"*{_SUFFIX}"))


def _numbered(folder: Path) -> list[Path]:
    """The segments, oldest first. Raises TapeError DAMAGED if one is missing before the newest."""
    paths = log_paths(folder)
    for number, path in enumerate(paths):
        if path.stem != f"{number:08d}":
            raise TapeError("DAMAGED", f"segment {number} is missing", where=str(folder), next_step=_RESTORE)
    return paths


def check_log(folder: Path) -> None:
    """Compares every byte with its checksum. The end of the newest segment may be an append that is being written.
    Raises TapeError DAMAGED with file and byte."""
    paths = _numbered(folder)
    for path in paths:
        sums = Sums.read(path)
        end, whole, size = sums.check(path)
        newest = path == paths[-1]
        if whole < len(sums.appends) or (end < size and not newest):
            raise _damaged(path, end)


def _damaged(path: Path, offset: int) -> TapeError:
    return TapeError(
        "DAMAGED",
        f"damaged at byte {offset:,}: what follows is not as it was written",
        where=str(path),
        value=offset,
        next_step=_RESTORE,
    )


def _crc(file: BinaryIO, size: int) -> int:
    crc = 0
    while size > 0:
        chunk = file.read(min(size, _CHUNK_BYTES))
        if not chunk:
            return -1
        crc = zlib.crc32(chunk, crc)
        size -= len(chunk)
    return crc


def _sum(end: int, crc: int) -> bytes:
    row = struct.pack("<QI", end, crc)
    return row + struct.pack("<I", zlib.crc32(row))


def _write_at(file: int, data: bytes, at: int) -> None:
    written = os.pwrite(file, data, at)
    while written < len(data):
        written += os.pwrite(file, data[written:], at + written)


def _remove(path: Path) -> None:
    path.unlink()
    with suppress(FileNotFoundError):
        _sums_path(path).unlink()


def _unwritten(path: Path, error: OSError) -> TapeError:
    advice = "Free space and restart the pipeline." if error.errno in _NO_SPACE else ""
    message = f"events were not written: {error.strerror}"
    return TapeError("WRITE", message, where=str(path), next_step=advice)
