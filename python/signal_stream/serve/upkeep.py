"""A thread beside the pipeline: full segments of log and journal are compressed, old ones removed by the retention."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from signal_stream.errors import SignalStreamError
from signal_stream.store.journal_upkeep import seal_journal, unsealed_segments
from signal_stream.store.tape_log import seal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from signal_stream.store import Snapshots
    from signal_stream.store.retention import Retention

LOOK_S: Final = 2.0
RETENTION_S: Final = 600.0


@dataclass(slots=True)
class Upkeep:
    """What there is to keep in order: journal, tape log (None where the source can be read again), log of late rows.

    `begins` is where each graph's engine began on the tape, as far as that is not its start; `unsent` gives the first record
    that a sink still has to get: beyond all where none waits.
    """

    journal: Path
    tape: Path | None
    late: Path
    snapshots: Snapshots
    retention: Retention
    begins: Mapping[str, int] = field(default_factory=dict)
    unsent: Callable[[], int] = lambda: sys.maxsize
    _seen: dict[Path, int] = field(default_factory=dict)

    def seal(self, stopped: threading.Event) -> None:
        """Compresses and indexes what is full. Raises SignalStreamError, OSError."""
        made = self._changed(self.journal)
        if made is not None:
            seal_journal(self.journal, stopped=stopped.is_set)
            if not unsealed_segments(self.journal):  # else some are not on the disk yet
                self._seen[self.journal] = made
        for folder in (self.tape, self.late):
            made = None if folder is None else self._changed(folder)
            if folder is not None and made is not None:
                seal(folder, compress=folder is self.tape, stopped=stopped.is_set)
                self._seen[folder] = made

    def _changed(self, folder: Path) -> int | None:
        """When a file was made or removed in a folder last; None if that is known: a long log is not listed for nothing."""
        made = folder.stat().st_mtime_ns
        return None if self._seen.get(folder) == made else made

    def remove_old(self, now: int) -> None:
        """Removes what is kept no longer. Raises SignalStreamError, OSError."""
        self.retention.apply(
            journal=self.journal,
            tape=self.tape,
            snapshots=self.snapshots,
            begins=self.begins,
            unsent=self.unsent(),
            now=now,
        )


class UpkeepThread:
    """Does it now and then. Not at a lower priority: whoever holds the interpreter must not wait for a CPU, or the line waits
    with it. A failure is kept in `failure`, and tried again: a pipeline can live without, it only takes more room."""

    def __init__(self, upkeep: Upkeep) -> None:
        self.failure: str | None = None
        self._upkeep = upkeep
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="signal-stream-upkeep", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread after the segment that it is at. May be called twice."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        removed_s = -RETENTION_S
        while not self._stopped.wait(LOOK_S):
            try:
                self._upkeep.seal(self._stopped)
                if time.monotonic() - removed_s >= RETENTION_S:
                    removed_s = time.monotonic()
                    self._upkeep.remove_old(time.time_ns())
                self.failure = None
            except (OSError, SignalStreamError) as error:
                self.failure = f"{type(error).__name__}: {error}"
