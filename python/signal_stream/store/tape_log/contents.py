"""What a segment holds, read append by append, each compared with its checksum before anything of it is used."""

from __future__ import annotations

import zlib
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, Self

from signal_stream.core_errors import core_error
from signal_stream.errors import TapeError

from .segment import Segment, damaged
from .sums import Append, Sums

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from signal_stream import _core

POSITION: Final = b"signal_stream.position"
MARK: Final = 6  # of the tape's column `kind`
_GROUP_BYTES: Final = 4 << 20


class Group(NamedTuple):
    """Appends that were read together: their record batches with the position of the source that each carries."""

    appends: Sequence[Append]
    batches: Sequence[tuple[pa.RecordBatch, bytes | None]]

    def events(self) -> _core.EventBatch | None:
        """The messages; None if there are none. Raises TapeError SCHEMA."""
        import pyarrow as pa

        from signal_stream import _core

        rows = [batch for batch, _ in self.batches if batch.num_rows]
        if not rows:
            return None
        try:
            return _core.EventBatch.from_arrow(pa.Table.from_batches(rows))
        except _core.CoreError as error:
            raise core_error(error, "log") from None


class Contents:
    """An open segment. It stays readable while the writer seals or removes the file."""

    def __init__(self, segment: Segment, sums: Sums, file: BinaryIO) -> None:
        self.segment = segment
        self.sums = sums
        self._file = file

    @classmethod
    def open(cls, segment: Segment) -> Self:
        """Opens a segment, or what it became if it was sealed meanwhile. Raises TapeError."""
        try:
            sums = Sums.read(segment)
            return cls(segment, sums, segment.path.open("rb"))
        except (FileNotFoundError, TapeError) as error:
            sealed = None if segment.sealed or segment.first is None else Segment.named(
                segment.path.parent, segment.number, segment.first, sealed=True
            )  # fmt: skip
            if sealed is not None and sealed.path.exists():
                return cls.open(sealed)
            if isinstance(error, TapeError):
                raise
            raise damaged(segment.path, 0) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def groups(self, start: int = 0) -> Iterator[Group]:
        """Appends from number `start` on, in pieces of bounded size. Raises TapeError DAMAGED with file and byte."""
        appends = self.sums.appends
        while start < len(appends):
            begin = appends[start - 1].end if start else 0
            stop = start + 1
            while stop < len(appends) and appends[stop].end - begin <= _GROUP_BYTES:
                stop += 1
            yield self._group(begin, appends[start:stop])
            start = stop

    def last_position(self) -> bytes | None:
        """The newest position that was written with an append; None if none was."""
        appends = self.sums.appends
        for number in range(len(appends) - 1, -1, -1):
            if appends[number].position_bytes == 0:
                continue
            begin = appends[number - 1].end if number else 0
            found = [position for _, position in self._group(begin, appends[number : number + 1]).batches if position]
            if found:
                return found[-1]
        return None

    def _group(self, begin: int, appends: Sequence[Append]) -> Group:
        import pyarrow as pa

        data = self._checked(begin, appends)
        prefix = b"" if begin == 0 else self._schema()
        found: list[tuple[pa.RecordBatch, bytes | None]] = []
        try:
            with pa.ipc.open_stream(pa.py_buffer(prefix + data)) as stream:
                while True:
                    batch, metadata = stream.read_next_batch_with_custom_metadata()
                    found.append((batch, None if metadata is None else metadata.get(POSITION)))
        except StopIteration:
            pass
        except (pa.ArrowException, OSError) as error:
            raise damaged(self.segment.path, begin) from error
        return Group(appends, found)

    def _checked(self, begin: int, appends: Sequence[Append]) -> bytes:
        self._file.seek(begin)
        data = self._file.read(appends[-1].end - begin)
        view, at = memoryview(data), begin
        for each in appends:
            if zlib.crc32(view[at - begin : each.end - begin]) != each.crc or each.end - begin > len(data):
                raise damaged(self.segment.path, at)
            at = each.end
        return data

    def _schema(self) -> bytes:
        """The message that the stream begins with."""
        data = self._checked(0, self.sums.appends[:1])
        return data[: 8 + int.from_bytes(data[4:8], "little")]


@dataclass(frozen=True, slots=True)
class Summary:
    """What a segment holds: messages, how many of them are marks, the first and last receive time, and the newest position
    of the source in it; None where there is none."""

    messages: int
    marks: int
    recv_first: int | None
    recv_last: int | None
    position: bytes | None


def summary(segment: Segment) -> Summary:
    """Reads a whole segment and compares every byte. Raises TapeError DAMAGED."""
    import pyarrow.compute as pc

    messages = marks = 0
    first: int | None = None
    last: int | None = None
    position: bytes | None = None
    with ExitStack() as stack:
        contents = stack.enter_context(Contents.open(segment))
        contents.sums.check_whole(contents.segment.path)
        for group in contents.groups():
            events = group.events()
            if events is not None:
                messages += events.messages
                first = events.first_recv if first is None else first
                last = events.last_recv
            for batch, at in group.batches:
                marks += pc.sum(pc.equal(batch["kind"], MARK)).as_py() or 0
                position = position if at is None else at
    return Summary(messages, marks, first, last, position)
