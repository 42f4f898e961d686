"""Events written down as they are used, so that they can be used again: a folder of tape segments."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from signal_stream.errors import TapeError

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from signal_stream import _core

_SUFFIX: Final = ".arrow"
_MARK: Final = 6  # of the tape's column `kind`
_NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class LogPosition:
    """A place in a log: so many whole segments, and so many bytes of the one after them."""

    segments: int
    bytes: int


class TapeLog:
    """Appends events to Arrow IPC streams, each a tape of its own: `tape info` and every reader take them.

    An append is one write and survives kill -9 when it returns. Opening cuts an unfinished append from the end of the
    newest segment. A writer begins a new segment, and another whenever an instrument is new, since a stream names its
    instruments at its start.

    Invariants: segments are numbered from 0 without holes; every one but the newest is whole.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = -1
        self._schema: pa.Schema | None = None
        self._bytes = 0
        self._count = len(self.paths())
        if self._count:
            newest = self._path(self._count - 1)
            self._bytes = _cut_unfinished(newest)
            if self._bytes == 0:
                newest.unlink()
                self._count -= 1

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
            path.unlink()
        self._count = len(self.paths())
        self._bytes = 0
        if self._count > position.segments:
            self._bytes = position.bytes
            if position.bytes:
                os.truncate(self._path(position.segments), position.bytes)
            else:
                self._path(position.segments).unlink()
                self._count -= 1

    def append(self, batch: _core.EventBatch) -> None:
        """Writes whole messages. Raises TapeError WRITE if they were not written."""
        import pyarrow as pa

        self._write(pa.record_batch(batch))

    def append_mark(self, mark: _core.EventBatch) -> None:
        """Writes a mark, which is nobody's: under the instruments of the events before it."""
        import pyarrow as pa

        batch = pa.record_batch(mark)
        if self._schema is not None:
            batch = batch.replace_schema_metadata(self._schema.metadata)
        self._write(batch)

    def messages(self) -> tuple[int, int]:
        """How many messages the log holds, and how many of them are marks. Reads it."""
        import pyarrow as pa
        import pyarrow.compute as pc

        messages = marks = 0
        for path in self.paths():
            with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as stream:
                for batch in stream:
                    messages += pc.sum(batch["flags"]).as_py()
                    marks += pc.sum(pc.equal(batch["kind"], _MARK)).as_py()
        return messages, marks

    def sync(self) -> None:
        """Forces the newest segment to the disk."""
        if self._file >= 0:
            os.fdatasync(self._file)

    def close(self) -> None:
        """Ends the segment, on the disk. May be called twice."""
        self._close_segment()

    def check_invariants(self) -> None:
        """Raises AssertionError unless the segments are numbered without holes, and end where the log believes."""
        paths = self.paths()
        assert paths == [self._path(number) for number in range(self._count)], "a segment is missing, or one too many"
        assert self._bytes == (paths[-1].stat().st_size if paths else 0), "the newest segment has another length"

    def _write(self, batch: pa.RecordBatch) -> None:
        if self._schema is None or not batch.schema.equals(self._schema, check_metadata=True):
            self._begin(batch.schema)
        self._put(batch.serialize().to_pybytes())

    def _begin(self, schema: pa.Schema) -> None:
        self._close_segment()
        path = self._path(self._count)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise _unwritten(path, error) from error
        self._count += 1
        self._bytes = 0
        self._schema = schema
        self._put(schema.serialize().to_pybytes())

    def _put(self, data: bytes) -> None:
        try:
            written = os.pwrite(self._file, data, self._bytes)
            while written < len(data):
                written += os.pwrite(self._file, data[written:], self._bytes + written)
        except OSError as error:
            raise _unwritten(self._path(self._count - 1), error) from error
        self._bytes += len(data)

    def _close_segment(self) -> None:
        file, self._file = self._file, -1
        self._schema = None
        if file >= 0:
            try:
                os.fsync(file)
            finally:
                os.close(file)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:08d}{_SUFFIX}"


def log_paths(folder: Path) -> list[Path]:
    """The segments of a log, oldest first, also while it is written; then the end of the newest may be unfinished."""
    return sorted(folder.glob(f"*{_SUFFIX}"))


def _cut_unfinished(path: Path) -> int:
    """Cuts what lies behind the last whole message of a segment; returns its length then."""
    import pyarrow as pa

    end = 0
    with pa.memory_map(str(path)) as file:
        size = file.size()
        while end < size:
            try:
                pa.ipc.read_message(file)
            except (pa.ArrowInvalid, EOFError, OSError):
                break
            end = file.tell()
    if end < size:
        os.truncate(path, end)
    return end


def _unwritten(path: Path, error: OSError) -> TapeError:
    advice = "Free space and restart the pipeline." if error.errno in _NO_SPACE else ""
    message = f"events were not written: {error.strerror}"
    return TapeError("WRITE", message, where=str(path), next_step=advice)
