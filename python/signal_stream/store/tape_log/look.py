"""Whether a log is as it was written, as far as a look tells: again and again, while a pipeline writes it."""

from __future__ import annotations

import zlib
from contextlib import suppress
from pathlib import Path
from typing import Final

from signal_stream.errors import TapeError

from .contents import Contents
from .segment import RESTORE, Segment, damaged
from .sums import Sums
from .survey import survey

_HEAD_BYTES: Final = 1 << 20
_TRIES: Final = 3


def log_folders(state: Path, recorded: object) -> tuple[Path, Path]:
    """Where a pipeline with this state folder keeps the events that its signals rest on, and those that came late. `recorded` is
    where its status says that it records them."""
    return Path(recorded) if isinstance(recorded, str) and recorded else state / "tape", state / "late"


class LogLook:
    """Checks names, sizes and index of a log, the beginning of each segment that is compressed, and of the others every byte;
    what was checked before is not read again. A byte within a compressed segment that is not as it was written is found by
    `check_log`, which reads all, and by whoever replays it. One thread.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, int] = {}
        """Segments that begin as they were written, by name, with their sizes."""
        self._newest: tuple[str, int] = "", 0
        """The newest segment, and how many of its appends are as they were written."""

    def check(self) -> None:
        """Raises TapeError DAMAGED with the file; of a log that is not there, nothing."""
        for left in reversed(range(_TRIES)):
            try:
                self._check()
            except (TapeError, OSError) as error:  # the writer may have sealed or removed what was just listed
                self._known.clear()
                self._newest = "", 0
                if left:
                    continue
                if isinstance(error, TapeError):
                    raise
                where = str(error.filename or self.folder)
                raise TapeError("UNREADABLE", f"cannot be read: {error.strerror}", where=where) from error
            return

    def _check(self) -> None:
        seen = survey(self.folder, count_newest=False)
        if seen.lies:
            advice = "The next `signal-stream serve` makes the index anew."
            raise TapeError("DAMAGED", "; ".join(seen.lies), where=str(self.folder), next_step=advice)
        known: dict[str, int] = {}
        for piece in seen.pieces:
            name, size = piece.segment.path.name, piece.segment.path.stat().st_size
            if piece is seen.pieces[-1] and not piece.segment.sealed:
                self._check_newest(piece.segment)
            elif self._known.get(name) != size:
                _check_head(piece.segment) if piece.segment.sealed else _check_whole(piece.segment)
            known[name] = size
        self._known = known

    def _check_newest(self, segment: Segment) -> None:
        """Compares what was added since the last look."""
        name, done = self._newest
        done = done if name == segment.path.name else 0
        with Contents.open(segment) as contents:
            appends, path = contents.sums.appends, contents.segment.path
            if len(appends) < done:
                raise damaged(contents.sums.path, contents.sums.size(len(appends)))
            end, whole, size = contents.sums.check(path, done)
            if whole < len(appends):  # an append is written before its checksum
                raise damaged(path, end)
            being_written = 1 if end else 2  # an append, and the schema before the first
            unchecked = _messages(path, end) if size > end else 0
            if unchecked > being_written and len(Sums.read(segment).appends) == len(appends):  # else it is written to
                what = f"damaged: the events from byte {end:,} of {path.name} on have no checksum"
                advice = "Restore it from a copy: the next `signal-stream serve` puts events without checksums aside, unused."
                raise TapeError("DAMAGED", what, where=str(contents.sums.path), value=end, next_step=advice)
        self._newest = segment.path.name, whole


def _check_head(segment: Segment) -> None:
    """Compares the first append, or, of a long one, the message that the segment begins with."""
    import pyarrow as pa

    with Contents.open(segment) as contents, contents.segment.path.open("rb") as file:
        appends = contents.sums.appends
        if not appends:
            raise TapeError("DAMAGED", "it holds no whole checksum", where=str(contents.sums.path), next_step=RESTORE)
        data = file.read(min(appends[0].end, _HEAD_BYTES))
        if appends[0].end <= _HEAD_BYTES:
            good = len(data) == appends[0].end and zlib.crc32(data) == appends[0].crc
        else:
            try:
                good = bool(pa.ipc.read_schema(pa.py_buffer(data)).names)
            except (pa.ArrowException, OSError):
                good = False
        if not good:
            raise damaged(contents.segment.path, 0)


def _check_whole(segment: Segment) -> None:
    with Contents.open(segment) as contents:
        contents.sums.check_whole(contents.segment.path)


def _messages(path: Path, begin: int) -> int:
    """How many whole messages of an Arrow stream lie in a file from a byte on."""
    import pyarrow as pa

    found = 0
    with pa.OSFile(str(path), "rb") as file:
        file.seek(begin)
        with suppress(pa.ArrowException, EOFError, OSError):
            while pa.ipc.read_message(file):
                found += 1
    return found
