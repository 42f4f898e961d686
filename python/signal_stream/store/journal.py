"""The journal: append-only, checksummed, one writer."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from itertools import takewhile
from typing import TYPE_CHECKING, Final, Literal, Self

from signal_stream._core import JournalFile, journal_encode, journal_encode_rows, journal_header
from signal_stream.errors import JournalError
from signal_stream.locks import try_lock
from signal_stream.records import Signal, SignalRecord

from .durable import sync_folder
from .head import Head
from .reader import JournalReader
from .recovery import Recovery, lost, recover
from .replayed import Replayed
from .segment import Segment, SegmentScan
from .syncer import Syncer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType

KINDS: Final = ("signal", "why", "latch", "feed", "counts", "open", "close", "lost", "skip", "amendment")
"""What a record can be. A veto is a signal whose verdict is VETO; `lost` stands where a repair found none, `skip` names
signals that a sink will not get, `amendment` has vectors that late events changed."""

_NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Journal(JournalReader):
    """Appends records to segments of at most `segment_bytes`, whose first record is at most `segment_age_ns` older than the
    last; each append is one write and is whole or absent.

    Opening takes the folder's lock, reads the newest segment and cuts what is no record from its end (`recovered`
    tells), as far as it was not on the disk for certain: a witness beside the folder says how far that is. A fault
    anywhere else raises JournalError LOST or DAMAGED and nothing is changed. `at_least` is how many records another
    witness has seen on the disk.

    `heading`, once set, is the body of an `open` record with which each new segment begins, so that the segments
    before it can be removed.

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
        segment_bytes: int = 64 << 20,
        segment_age_ns: int = 86_400_000_000_000,
        at_least: int = 0,
    ) -> None:
        super().__init__(folder)
        self.recovered: Recovery | None = None
        self.heading: str | None = None
        self._segment_bytes = segment_bytes
        self._segment_age_ns = segment_age_ns
        self._always = fsync == "always"
        self._failure: JournalError | None = None
        self._replayed: Replayed | None = None
        self._head = Head.beside(folder)
        self._header = journal_header()
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = self._take_lock()
        try:
            self.synced = self._known(at_least)
            """Records that were on the disk for certain when the journal was opened; None if nobody knows."""
            self._segment, self._file, self.tail = self._open_newest(self.synced)
            self._segment_ts = next((record.ts for record in SegmentScan(self._segment)), None)
        except BaseException:
            os.close(self._lock)
            raise
        self._never = fsync == "never"
        self._syncer = Syncer(
            fsync_interval_ns if fsync == "interval" else None, self._head, written=lambda: self.tail.next_seq
        )
        self._syncer.use(self._file)

    @property
    def next_seq(self) -> int:
        """Number of the next record."""
        return self.tail.next_seq

    @property
    def size(self) -> int:
        """Length of the newest segment's good part."""
        return self.tail.size

    @property
    def takes_more(self) -> bool:
        """Whether an append may be tried: none has failed, nor a sync."""
        return self._failure is None and self._syncer.error is None

    def append(self, kind: str, *, ts: int, body: str, key: str = "") -> int:
        """Writes one record and returns its sequence number. Signals go through `append_signals`."""
        if kind not in KINDS or kind == "signal":
            raise JournalError("KIND", f'"{kind}" is not one of {", ".join(KINDS[1:])}')
        self._append([(ts, kind, key, body)])
        return self.next_seq - 1

    def append_signals(self, signals: Sequence[Signal], *, why: str | None = None) -> int:
        """Writes signals as one append, all or none; returns the last one's sequence number. `why` is written behind the last
        one, as a record of its own: what a veto was for.

        Raises GateError for anything that the Gate did not make.
        """
        if signals:
            checked = map(Signal.check, signals)
            rows = [(each.ts_recv, "signal", each.signal_id, each.json) for each in checked]
            if why is not None:
                rows.append((signals[-1].ts_recv, "why", signals[-1].signal_id, why))
            self._append(rows)
        return self.next_seq - 1 - (why is not None)

    def append_amendments(self, rows: Sequence[tuple[int, str, str]]) -> None:
        """Writes amendments (receive time, id, JSON) as one append, all or none."""
        self._append([(ts, "amendment", key, body) for ts, key, body in rows])

    def take_over(self, texts: Sequence[str]) -> None:
        """Writes signals that were sent, and whose records a power cut took, as they were sent: a run that makes them
        again may judge them otherwise. Raises JournalError DAMAGED for a text that is no signal's."""
        for text in texts:
            sent = SignalRecord.from_json(text)
            self._append([(sent.lineage.ts_recv, "signal", sent.signal_id, text)])

    def resume(self, from_seq: int, *, after_offset: int = 0, tape_end: int | None = None) -> None:
        """Prepares `seen`: the run that follows makes the signals again that were recorded from `from_seq` on, apart
        from those that rest on the tape's first `after_offset` messages. Behind message `tape_end` nothing repeats."""
        end = self.next_seq
        recorded = takewhile(lambda record: record.seq < end, self.records(from_seq=from_seq))
        self._replayed = Replayed(
            recorded, after_offset=after_offset, tape_end=tape_end, begins_late=from_seq < self.first_seq
        )

    def seen(self, signal: Signal) -> bool:
        """Whether a signal of the repeated run is in the journal already, and must not be appended again. Raises
        JournalError DIFFERS if the run is another one than the recorded."""
        return self._replayed is not None and self._replayed.seen(signal)

    @property
    def seen_body(self) -> str:
        """The recorded JSON of the signal that `seen` found; empty where the record itself is lost."""
        return "" if self._replayed is None else self._replayed.body

    @property
    def recovery_ended(self) -> bool:
        """Whether the run has made again all that the journal held."""
        return self._replayed is None or self._replayed.ended

    def sync_first(self, force: Callable[[], None]) -> None:
        """Has `force` called before each sync that the journal makes by itself: it forces to the disk what the records
        rest on."""
        self._syncer.before = force

    def sync(self) -> None:
        """Forces what was appended to the newest segment, and to those not yet forced, to the disk, whatever the
        policy. Any thread may ask. Raises JournalError SYNC."""
        try:
            self._syncer.sync()
        except OSError as error:
            raise self._fail("SYNC", f"what was written may not be on the disk: {error}") from error

    def sync_lag(self) -> dict[str, int | None]:
        """How many records are not on the disk for certain (`unsynced_records`), and for how long at most (`unsynced_ns`): what a
        power cut would take. None where the policy is "never"."""
        if self._never:
            return {"unsynced_records": None, "unsynced_ns": None}
        records, ns = (0, 0) if self._always else self._syncer.lag()
        return {"unsynced_records": records, "unsynced_ns": ns}

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

    def check_place(self) -> None:
        """Raises JournalError LOST where the newest segment was deleted: nobody could read what is appended."""
        if self._failure is None and os.fstat(self._file).st_nlink == 0:
            raise self._fail(
                "LOST", "it was deleted while it was written: its records, and those that follow, are nowhere"
            )

    def roll_when_old(self, ts: int) -> None:
        """Begins a new segment if the first record is too old at `ts`: for signals that are not appended by this object's own
        methods. Raises JournalError."""
        if self._failure is None and self._is_full(0, ts):
            try:
                self._begin_segment(ts)
            except OSError as error:
                raise self.unwritten(error) from error

    def _append(self, rows: Sequence[tuple[int, str, str, str]]) -> None:
        if self._failure is not None:
            raise self._failure
        if self._syncer.error is not None:
            raise self._fail("SYNC", f"what was written may not be on the disk: {self._syncer.error}")
        frame = self._encode(rows)
        try:
            if self._is_full(len(frame), rows[0][0]):
                self._begin_segment(rows[0][0])
                frame = self._encode(rows)
            self._write(frame, len(rows))
            if self._segment_ts is None:
                self._segment_ts = rows[0][0]
        except OSError as error:
            raise self.unwritten(error) from error

    def unwritten(self, error: OSError) -> JournalError:
        """Ends the journal after an append that failed, with what it left cut away; gives what to raise."""
        with suppress(OSError):  # else the next opening cuts it
            self.tail.cut()
        code = "DISK_FULL" if error.errno in _NO_SPACE else "WRITE"
        return self._fail(code, f"record {self.next_seq} was not written: {error.strerror}")

    def _encode(self, rows: Sequence[tuple[int, str, str, str]]) -> bytes:
        try:
            if len(rows) == 1:
                ts, kind, key, body = rows[0]
                return journal_encode(self.next_seq, ts, kind, key, body)
            return journal_encode_rows(self.next_seq, rows)
        except ValueError as error:
            raise JournalError("TOO_LARGE", str(error), where=f"record {self.next_seq}") from error

    def _write(self, frame: bytes, records: int) -> None:
        self.tail.append(frame, records)
        if self._always:
            self._head.write(self.next_seq)

    def _fail(self, code: str, message: str) -> JournalError:
        advice = {
            "DISK_FULL": "Free space and restart the pipeline.",
            "LOST": "Find out who deletes there, and restart.",
        }
        self._failure = JournalError(code, message, where=str(self._segment.path),
                                     next_step=advice.get(code, "Check the disk and restart."))  # fmt: skip
        return self._failure

    def _is_full(self, more: int, ts: int) -> bool:
        """Whether the next append, of so many bytes, belongs into another segment."""
        if self.size <= len(self._header):
            return False
        too_old = self._segment_ts is not None and ts - self._segment_ts >= self._segment_age_ns
        return too_old or self.size + more > self._segment_bytes

    def _begin_segment(self, ts: int) -> None:
        """The next segment, with what is served at its beginning. Raises OSError."""
        self._roll()
        self._segment_ts = ts
        if self.heading is not None:
            self._write(self._encode([(ts, "open", "", self.heading)]), 1)

    def _roll(self) -> None:
        """Begins the next segment; the full one is synced and closed."""
        segment = Segment.named(self.folder, self.next_seq)
        file = self._create(segment)
        self.tail = self._tail(segment, len(self._header), self.next_seq)
        self._segment, self._file = segment, file
        self._segment_ts = None
        self._syncer.use(file)

    def _tail(self, segment: Segment, size: int, next_seq: int) -> JournalFile:
        """The segment as appends see it. Raises OSError."""
        return JournalFile(segment.path, size, next_seq, self._segment_bytes, self._always)

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

    def _known(self, at_least: int) -> int | None:
        """The records that were on the disk, as far as somebody knows."""
        synced = self._head.read()
        return max(synced or 0, at_least) if synced is not None or at_least else None

    def _open_newest(self, synced: int | None) -> tuple[Segment, int, JournalFile]:
        end = recover(self.folder, synced)
        if end is None:
            segment = Segment.named(self.folder, 0)
            return segment, self._first(segment), self._tail(segment, len(self._header), 0)
        if synced is not None and end.next_seq < synced:
            raise lost(end.segment.path, end.next_seq, synced)
        self.recovered = end.recovery
        if end.segment.is_sealed:  # the one that followed did not reach the disk
            segment = Segment.named(self.folder, end.next_seq)
            return segment, self._first(segment), self._tail(segment, len(self._header), end.next_seq)
        file = os.open(end.segment.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            if not end.bytes:  # its header was cut off
                os.pwrite(file, self._header, 0)
                os.fsync(file)
        except OSError as error:
            os.close(file)
            raise JournalError("WRITE", f"cannot be repaired: {error}", where=str(end.segment.path)) from error
        return end.segment, file, self._tail(end.segment, end.bytes or len(self._header), end.next_seq)

    def _first(self, segment: Segment) -> int:
        try:
            file = self._create(segment)
        except OSError as error:
            code = "DISK_FULL" if error.errno in _NO_SPACE else "WRITE"
            raise JournalError(code, f"cannot be begun: {error.strerror}", where=str(segment.path)) from error
        return file

    def _take_lock(self) -> int:
        path = self.folder / "lock"
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if try_lock(lock):
            return lock
        os.close(lock)
        raise JournalError(
            "LOCKED",
            "another process writes this journal",
            where=str(self.folder),
            next_step="End the other `signal-stream serve` first; a journal has one writer.",
        )
