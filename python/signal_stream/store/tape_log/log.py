"""Events written down as they are used, so that they can be used again: the writer of a folder of tape segments."""

from __future__ import annotations

import errno
import os
import threading
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from signal_stream.errors import TapeError
from signal_stream.locks import try_lock

from ..durable import sync_folder
from .bytes_taken import BytesTaken
from .contents import POSITION
from .index import LogIndex
from .reading import check_log
from .recovery import LogCut, cut_newest
from .segment import Segment, list_segments
from .sums import Append, Sums, sums_header, sums_row
from .survey import Survey, survey

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from signal_stream import _core

_NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DAY_NS: Final = 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class LogPosition:
    """A place in a log that is not compressed: the number of a segment, and so many bytes of it."""

    segments: int
    bytes: int


class TapeLog:
    """Appends events to Arrow IPC streams, each a tape of its own: `tape info` and every reader take them.

    A segment is named by its number and its first message, `00000003-00000000000000120000.arrow`. A writer begins a new one,
    and another whenever an instrument is new (a stream names its instruments at its start), an event needs a column that
    the segment does not have, the segment holds `segment_bytes`, or its first event is `segment_age_ns` older than the next.
    What is full is for `seal` and `remove_before`, on another thread.

    Beside each segment lie the checksums of its appends (`.NAME.sums`), so that bytes which are not as they were written are
    never taken for events. An append is two writes and survives kill -9 when it returns; if `durable`, a power cut as
    well. Opening reads the newest segment, and of the others names, sizes and index: how many messages there are (`messages`)
    and where the source stood (`source_position`). It cuts what is no whole append from the end of the newest segment
    (`recovered` tells), and makes an index anew that contradicts the segments (`index_lies` tells); anything else that is not
    as written raises TapeError DAMAGED with file and byte. One process writes a log: TapeError LOCKED for another.

    Invariants: segments are numbered without holes; every one but the newest is whole.
    """

    def __init__(
        self,
        folder: Path,
        *,
        durable: bool = False,
        segment_bytes: int = 64 << 20,
        segment_age_ns: int = _DAY_NS,
    ) -> None:
        self.folder = folder
        self.recovered: LogCut | None = None
        self._durable = durable
        self._segment_bytes = segment_bytes
        self._segment_age_ns = segment_age_ns
        self._file = -1
        self._sums = -1
        self._lock = threading.Lock()
        self._schema: pa.Schema | None = None
        self._taken = BytesTaken()
        self._stream: pa.ipc.RecordBatchStreamWriter | None = None
        self._bytes = self._sums_bytes = 0
        self._begun_ns: int | None = None
        self._folder_lock = self._take_lock()
        try:
            self.recovered = cut_newest(folder)
            seen = survey(folder)
            if seen.lies:
                seen.index().write(folder)
            self.index_lies = seen.lies
            """What the index said wrongly when the log was opened; it was made anew."""
            self.first_message = seen.begin.message
            """Messages before the first that is still there."""
            self.source_position = seen.position()
            """Where the source stood behind the last append; None if nobody knows."""
            self._end(seen)
        except BaseException:
            os.close(self._folder_lock)
            raise

    def paths(self) -> list[Path]:
        """The segments, oldest first."""
        return [segment.path for segment in list_segments(self.folder)]

    @property
    def position(self) -> LogPosition:
        """The end of the log."""
        return LogPosition(max(0, self._next - 1), self._bytes)

    def cut(self, position: LogPosition) -> None:
        """Forgets what lies behind a position of a log that is not compressed."""
        self._close_segment()
        index = LogIndex.read(self.folder)
        kept = [] if index is None else [entry for entry in index.entries if entry.number < position.segments]
        if index is not None and len(kept) < len(index.entries):
            LogIndex(index.begin, tuple(kept)).write(self.folder)
        for segment in reversed(list_segments(self.folder)):
            if segment.number > position.segments or (segment.number == position.segments and not position.bytes):
                segment.remove()
            elif segment.number == position.segments:
                os.truncate(segment.path, position.bytes)
                sums = Sums.read(segment)
                os.truncate(sums.path, sums.size(sum(each.end <= position.bytes for each in sums.appends)))
        self._end(survey(self.folder))

    def append(self, batch: _core.EventBatch, position: bytes = b"") -> None:
        """Writes whole messages, with the position of their source behind them. Raises TapeError WRITE if they were not
        written."""
        import pyarrow as pa

        schema = self._schema
        if schema is None or not batch.fits(schema):
            schema = _with_columns_of(schema, pa.schema(batch))
        self._write(pa.record_batch(batch, schema), batch.messages, position, batch.last_recv)

    def note(self, position: bytes) -> None:
        """Writes where the source begins, before any message of it."""
        import pyarrow as pa

        from signal_stream import _core

        self._write(pa.record_batch(_core.EventBatch.mark(0)).slice(0, 0), 0, position)

    def append_mark(self, mark: _core.EventBatch) -> None:
        """Writes a mark, which is nobody's: under the instruments of the events before it."""
        import pyarrow as pa

        self._write(pa.record_batch(mark, self._schema), mark.messages, b"", mark.last_recv)

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
        """Ends the segment, on the disk, and gives the folder back. May be called twice."""
        self._close_segment()
        lock, self._folder_lock = self._folder_lock, -1
        if lock >= 0:
            os.close(lock)

    def check_invariants(self) -> None:
        """Raises AssertionError unless the log ends where the writer believes; TapeError if it is not as it was written."""
        seen = survey(self.folder)
        assert seen.messages == self.messages, "the segments hold another number of messages"
        assert self._bytes == (seen.pieces[-1].segment.path.stat().st_size if seen.pieces else 0), "another length"
        check_log(self.folder)

    def _write(self, batch: pa.RecordBatch, messages: int, position: bytes, recv_ns: int | None = None) -> None:
        if (
            self._schema is None
            or not batch.schema.equals(self._schema, check_metadata=True)
            or self._bytes >= self._segment_bytes
            or (recv_ns is not None and recv_ns - (self._begun_ns or recv_ns) >= self._segment_age_ns)
        ):
            self._begin(batch.schema)
        stream = self._stream
        assert stream is not None
        stream.write_batch(batch, custom_metadata={POSITION: position} if position else None)
        self._put(self._taken.taken(), messages, len(position))
        self.messages += messages
        self._begun_ns = self._begun_ns or recv_ns
        if position:
            self.source_position = position

    def _begin(self, schema: pa.Schema) -> None:
        import pyarrow as pa

        self._close_segment()
        segment = Segment.named(self.folder, self._next, self.messages)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        header = sums_header()
        try:
            with self._lock:
                self._sums = os.open(segment.sums_path, flags | os.O_TRUNC, 0o644)
                _write_at(self._sums, header, 0)
                self._file = os.open(segment.path, flags | os.O_EXCL, 0o644)
            sync_folder(self.folder)
        except OSError as error:
            raise _unwritten(segment.path, error) from error
        self._next += 1
        self._bytes, self._sums_bytes = 0, len(header)
        self._begun_ns = None
        self._schema = schema
        self._taken = BytesTaken()
        self._stream = pa.ipc.new_stream(self._taken, schema)
        self._path = segment.path

    def _put(self, data: bytes, messages: int, position_bytes: int) -> None:
        row = sums_row(Append(self._bytes + len(data), zlib.crc32(data), messages, position_bytes))
        try:
            _write_at(self._file, data, self._bytes)
            _write_at(self._sums, row, self._sums_bytes)
            if self._durable:
                os.fdatasync(self._file)
                os.fdatasync(self._sums)
        except OSError as error:
            raise _unwritten(self._path, error) from error
        self._bytes += len(data)
        self._sums_bytes += len(row)

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

    def _end(self, seen: Survey) -> None:
        """Takes over where the log ends."""
        newest = seen.pieces[-1] if seen.pieces else None
        self.messages = seen.messages
        """Messages that were ever written, the removed ones included."""
        self._next = seen.begin.number if newest is None else newest.segment.number + 1
        self._bytes = 0 if newest is None else newest.segment.path.stat().st_size

    def _take_lock(self) -> int:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.folder, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise _unwritten(self.folder, error) from error
        if try_lock(lock):
            return lock
        os.close(lock)
        raise TapeError(
            "LOCKED",
            "another process writes this log",
            where=str(self.folder),
            next_step="End the other `signal-stream serve` first, or name another [source] record.",
        )


def _with_columns_of(before: pa.Schema | None, needed: pa.Schema) -> pa.Schema:
    """What events need, and the columns that those before them needed: they may come again."""
    import pyarrow as pa

    if before is None:
        return needed
    rare = [field for field in before if field.name not in needed.names]
    return pa.schema([*needed, *rare], metadata=needed.metadata)


def _write_at(file: int, data: bytes, at: int) -> None:
    written = os.pwrite(file, data, at)
    while written < len(data):
        written += os.pwrite(file, data[written:], at + written)


def _unwritten(path: Path, error: OSError) -> TapeError:
    advice = "Free space and restart the pipeline." if error.errno in _NO_SPACE else ""
    message = f"events were not written: {error.strerror}"
    return TapeError("WRITE", message, where=str(path), next_step=advice)
