"""A pipeline's state folder: what lies where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from signal_stream.records import FORMAT, canonical_json

from .journal import Journal
from .latches import Latches
from .reader import JournalReader
from .snapshots import Snapshots
from .status import Status
from .tail import JournalTail

if TYPE_CHECKING:
    from pathlib import Path

    from .repair import Mended


@dataclass(frozen=True, slots=True)
class State:
    """The folder that `[pipeline] state` names."""

    folder: Path

    @property
    def journal_folder(self) -> Path:
        """Segments, lock and what recovery cut."""
        return self.folder / "journal"

    @property
    def latches_path(self) -> Path:
        """The kill switch's file."""
        return self.folder / "latches.jsonl"

    def latches(self) -> Latches:
        """The kill switch as others see it: without its file, everything is killed."""
        return Latches(self.latches_path)

    def repair(self, *, by: str, reason: str, now: int) -> list[Mended]:
        """Makes a damaged journal whole: see `signal_stream.store.repair`. Nobody may serve meanwhile. Raises
        JournalError."""
        from .repair import repair

        return repair(self.journal_folder, body=canonical_json({"format": FORMAT, "by": by, "reason": reason}), now=now)

    def check_logs(self) -> None:
        """Looks at the events that signals rest on, and at those that came late. Raises TapeError where they are not as they were
        written, as far as a look tells; StateError where the status cannot be read."""
        from .tape_log import LogLook, log_folders

        status = Status.read(self.folder)
        for each in log_folders(self.folder, None if status is None else status.source.get("recorded")):
            LogLook(each).check()

    def reader(self) -> JournalReader:
        """The journal, to read while a pipeline may be writing it."""
        return JournalReader(self.journal_folder)

    def tail(self, *kinds: str) -> JournalTail:
        """The newest signals, or records of these kinds, and those that follow."""
        return JournalTail(self.journal_folder, *kinds)

    def snapshots(self) -> Snapshots:
        """Where a restarted pipeline goes on."""
        return Snapshots(self.folder / "snapshots")

    def open(
        self,
        *,
        fsync: Literal["never", "interval", "always"] = "interval",
        fsync_interval_ns: int = 1_000_000_000,
        segment_bytes: int = 64 << 20,
        segment_age_ns: int = 86_400_000_000_000,
    ) -> tuple[Latches, Journal]:
        """Latches and journal for the one process that serves. Raises JournalError.

        The latches are begun in a folder without a trace of an earlier run only: if they are missing later, somebody
        removed them, and everything is killed.
        """
        latches = Latches(self.latches_path, create=True)
        snapshot = self.snapshots().latest() if fsync != "never" else None  # without syncs it may be ahead
        journal = Journal(
            self.journal_folder,
            fsync=fsync,
            fsync_interval_ns=fsync_interval_ns,
            segment_bytes=segment_bytes,
            segment_age_ns=segment_age_ns,
            at_least=0 if snapshot is None else snapshot.journal_seq,
        )
        return latches, journal
