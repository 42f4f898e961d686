"""The journal: append-only, checksummed, one writer."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Final, Literal, Self

from signal_stream._core import journal_encode, journal_encode_rows, journal_header
from signal_stream.errors import JournalError
from signal_stream.records import Signal

from .durable import sync_folder
from .reader import JournalReader
from .replayed import Replayed
from .segment import Segment, SegmentScan, segments
from .syncer import Syncer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

KINDS: Final = ("signal", "latch", "feed", "counts", "open", "close")
"""What a record can be. A veto is a signal whose verdict is VETO."""

_NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class Recovery:
    """What opening cut from the end of the journal: a write that a crash left unfinished. Kept in `kept`."""

    segment: Path
    offset: int
    bytes_cut: int
    fault: str
    kept: Path


class Journal(JournalReader):
    """Appends records to segments of at most `segment_bytes`; each append is one write and is whole or absent.

    Opening takes the folder's lock, reads the newest segment and cuts an unfinished write from its end (`recovered`
    tells). A fault anywhere else raises JournalError DAMAGED and nothing is changed.

    An append has happened when it returns; kill -9 after that loses nothing. Against a power cut, `fsync` says
    "never", "interval" (a thread syncs every `fsync_interval_ns`) or "always" (every append waits for the disk). A
    failed append is undone and raises JournalError; after it the journal takes no more records, and the pipeline has
    to halt. One thread appends.

    Invariants: records are numbered without holes; `size` is the length of the newest segment's good part; nothing
    lies behind it unless an append failed.
    """

    def __init__(
        self,
        folder: Path,
        *,
        fsync: Literal["never", "interval", "always"] = "interval",
        fsync_interval_ns: int = 1_000_000_000,
        segment_bytes: int = 256 << 20,
    ) -> None:
        super().__init__(folder)
        self.recovered: Recovery | None = None
        self.next_seq = 0
        self.size = 0
        self._segment_bytes = segment_bytes
        self._always = fsync == "always"
        self._failure: JournalError | None = None
        self._replayed: Replayed | None = None
        self._header = journal_header()
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = self._take_lock()
        try:
            self._segment, self._file = self._open_newest()
        except BaseException:
            os.close(self._lock)
            raise
        self._never = fsync == "never"
        self._syncer = Syncer(fsync_interval_ns if fsync == "interval" else None)
        self._syncer.use(self._file)

    def append(self, kind: str, *, ts: int, body: str, key: str = "") -> int:
        """Writes one record and returns its sequence number. Signals go through `append_signals`."""
        if kind not in KINDS or kind == "signal":
            raise JournalError("KIND", f'"{kind}" is not one of {", ".join(KINDS[1:])}')
        try:
            frame = journal_encode(self.next_seq, ts, kind, key, body)
        except ValueError as error:
            raise JournalError("TOO_LARGE", str(error), where=f"record {self.next_seq}") from error
        self._write(frame, 1)
        return self.next_seq - 1

    def append_signals(self, signals: Sequence[Signal]) -> int:
        """Writes signals as one append, all or none; returns the last one's sequence number.

        Raises GateError for anything that the Gate did not make.
        """
        if not signals:
            return self.next_seq - 1
        try:
            if len(signals) == 1:
                one = Signal.check(signals[0])
                frame = journal_encode(self.next_seq, one.ts_recv, "signal", one.signal_id, one.json)
            else:
                checked = [Signal.check(each) for each in signals]
                rows = [(each.ts_recv, "signal", each.signal_id, each.json) for each in checked]
                frame = journal_encode_rows(self.next_seq, rows)
        except ValueError as error:
            raise JournalError("TOO_LARGE", str(error), where=f"record {self.next_seq}") from error
        self._write(frame, len(signals))
        return self.next_seq - 1

    def resume(self, from_seq: int) -> None:
        """Prepares `seen`: the run that follows repeats the signals recorded from `from_seq` on."""
        end = self.next_seq
        recorded = takewhile(lambda record: record.seq < end, self.records(kind="signal", from_seq=from_seq))
        self._replayed = Replayed(record.key for record in recorded)

    def seen(self, signal_id: str) -> bool:
        """Whether a signal of the repeated run is in the journal already, and must not be appended again."""
        return self._replayed is not None and self._replayed.seen(signal_id)

    @property
    def skipped(self) -> int:
        """Recorded signals that the repeated run did not make; not zero means that it is another run."""
        return 0 if self._replayed is None else self._replayed.skipped

    def sync(self) -> None:
        """Forces what was appended to the newest segment, and to those not yet forced, to the disk, whatever the
        policy. Any thread may ask. Raises JournalError SYNC."""
        try:
            self._syncer.sync()
        except OSError as error:
            raise self._fail("SYNC", f"what was written may not be on the disk: {error}") from error

    def close(self) -> None:
        """Syncs (unless the policy is "never"), closes and gives the lock back. May be called twice."""
        if self._lock < 0:
            return
        lock, self._lock = self._lock, -1
        broken = self._failure
        self._failure = JournalError("CLOSED", "the journal is closed", where=str(self.folder))
        try:
            self._syncer.close(sync=not self._never)
        except OSError as error:
            if broken is None:
                raise JournalError("SYNC", f"the last sync failed: {error}", where=str(self.folder)) from error
        finally:
            os.close(lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def check_invariants(self) -> None:
        """Raises AssertionError unless the newest segment is as the writer believes."""
        scan = SegmentScan(self._segment).finish()
        assert (scan.offset, scan.next_seq) == (self.size, self.next_seq), "size or number differ from the file"
        assert self._failure is not None or scan.fault is None, "something lies behind the last record"

    def _write(self, frame: bytes, records: int) -> None:
        if self._failure is not None:
            raise self._failure
        if self._syncer.error is not None:
            raise self._fail("SYNC", f"what was written may not be on the disk: {self._syncer.error}")
        try:
            if self.size + len(frame) > self._segment_bytes and self.size > len(self._header):
                self._roll()
            # at a known place, so that what an interrupted append left there is written over
            written = os.pwrite(self._file, frame, self.size)
            while written < len(frame):
                written += os.pwrite(self._file, frame[written:], self.size + written)
            if self._always:
                os.fdatasync(self._file)
        except OSError as error:
            self._undo()
            code = "DISK_FULL" if error.errno in _NO_SPACE else "WRITE"
            raise self._fail(code, f"record {self.next_seq} was not written: {error.strerror}") from error
        self.size += len(frame)
        self.next_seq += records
        self._syncer.dirty = True

    def _undo(self) -> None:
        with suppress(OSError):  # else the next opening cuts it
            os.ftruncate(self._file, self.size)

    def _fail(self, code: str, message: str) -> JournalError:
        advice = "Free space and restart the pipeline." if code == "DISK_FULL" else "Check the disk and restart."
        self._failure = JournalError(code, message, where=str(self._segment.path), next_step=advice)
        return self._failure

    def _roll(self) -> None:
        """Begins the next segment; the full one is synced and closed."""
        segment = Segment.named(self.folder, self.next_seq)
        file = self._create(segment)
        self._segment, self._file = segment, file
        self.size = len(self._header)
        self._syncer.use(file)

    def _create(self, segment: Segment) -> int:
        """A segment with its header, on the disk before its first record."""
        file = os.open(segment.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            if os.pwrite(file, self._header, 0) != len(self._header):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            sync_folder(self.folder)
        except OSError:
            os.close(file)
            segment.path.unlink(missing_ok=True)
            raise
        return file

    def _open_newest(self) -> tuple[Segment, int]:
        found = segments(self.folder)
        if not found:
            segment = Segment.named(self.folder, 0)
            return segment, self._first(segment)
        segment = found[-1]
        scan = SegmentScan(segment).finish()
        if scan.is_damaged():
            raise scan.damage()
        file = os.open(segment.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._cut(file, scan)
        except OSError as error:
            os.close(file)
            raise JournalError("WRITE", f"cannot be repaired: {error}", where=str(segment.path)) from error
        self.next_seq = scan.next_seq
        return segment, file

    def _first(self, segment: Segment) -> int:
        try:
            file = self._create(segment)
        except OSError as error:
            code = "DISK_FULL" if error.errno in _NO_SPACE else "WRITE"
            raise JournalError(code, f"cannot be begun: {error.strerror}", where=str(segment.path)) from error
        self.size = len(self._header)
        return file

    def _cut(self, file: int, scan: SegmentScan) -> None:
        """Cuts what lies behind the last good frame, after keeping it; writes the header if it was cut off."""
        tail = scan.tail()
        if tail:
            kept = scan.segment.path.with_suffix(f".{scan.offset}.cut")
            kept.write_bytes(tail)
            self.recovered = Recovery(scan.segment.path, scan.offset, len(tail), scan.fault or "", kept)
        self.size = scan.offset or len(self._header)
        if tail or not scan.offset:
            if not scan.offset:
                os.pwrite(file, self._header, 0)
            os.ftruncate(file, self.size)
            os.fsync(file)

    def _take_lock(self) -> int:
        path = self.folder / "lock"
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise JournalError(
                "LOCKED",
                "another process writes this journal",
                where=str(self.folder),
                next_step="End the other `signal-stream serve` first; a journal has one writer.",
            ) from error
        return lock
