"""Forces what was written to the disk, beside the hot path."""

from __future__ import annotations

import os
import threading
from collections import deque


class Syncer:
    """A thread that syncs one file every interval if it was written, and closes files that are full.

    `wrote` and `retire` are called by the writer and never wait. A failed sync is kept in `error`: what was written
    may not be on the disk, so the writer has to stop.
    """

    def __init__(self, interval_ns: int) -> None:
        self.error: OSError | None = None
        self._interval_s = interval_ns / 1e9
        self._file: int | None = None
        self._full: deque[int] = deque()
        self._wake = threading.Event()
        self._stop = False
        self._lock = threading.Lock()
        self.dirty = False
        self._thread = threading.Thread(target=self._run, name="journal-sync", daemon=True)
        self._thread.start()

    def use(self, file: int) -> None:
        """The file to sync from now on; the one before is synced once more and closed."""
        before, self._file = self._file, file
        if before is not None:
            self._full.append(before)
            self._wake.set()

    def sync(self) -> None:
        """Syncs now, in the caller's thread. Raises OSError."""
        with self._lock:
            self._sync()

    def close(self) -> None:
        """Syncs, closes the files and ends the thread. Raises OSError."""
        self._stop = True
        self._wake.set()
        self._thread.join()
        try:
            self.sync()
        finally:
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def _run(self) -> None:
        while not self._stop:
            self._wake.wait(self._interval_s)
            self._wake.clear()
            try:
                self.sync()
            except OSError as error:
                self.error = error
                return

    def _sync(self) -> None:
        while self._full:
            os.fdatasync(self._full[0])
            os.close(self._full.popleft())
        if self.dirty and self._file is not None:
            self.dirty = False
            os.fdatasync(self._file)
