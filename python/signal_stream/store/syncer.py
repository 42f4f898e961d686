"""Forces what was written to the disk, beside the hot path."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .head import Head


class Syncer:
    """Syncs the file in use, and closes those that are full: every interval in a thread, or only when asked (None).

    `use` is the writer's and does not wait for the disk; `written` says how many records it has given to the file; `sync` may be
    called by any thread. A failed sync
    of the thread is kept in `error`: what was written may not be on the disk, so the writer has to stop.

    The thread calls `before` first: it forces what the records rest on. When a sync has ended, `head` says how many
    records are on the disk.
    """

    def __init__(self, interval_ns: int | None, head: Head, *, written: Callable[[], int]) -> None:
        self.error: OSError | None = None
        self._written = written
        self.before: Callable[[], None] | None = None
        self._head = head
        self._synced = -1
        self._begun = written()
        self._synced_at = time.monotonic_ns()
        self._file: int | None = None
        self._full: deque[int] = deque()
        self._wake = threading.Event()
        self._stop = False
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        if interval_ns is not None:
            self._thread = threading.Thread(
                target=self._run, args=(interval_ns / 1e9,), name="journal-sync", daemon=True
            )
            self._thread.start()

    def use(self, file: int) -> None:
        """The file to sync from now on. The one before is closed: after a sync by the thread, at once without one."""
        before, self._file = self._file, file
        if before is None:
            return
        if self._thread is not None:
            self._full.append(before)
            self._wake.set()
        else:
            with self._lock:
                os.close(before)

    def sync(self) -> None:
        """Syncs now, in the caller's thread. Raises OSError."""
        with self._lock:
            begun_at, written = time.monotonic_ns(), self._written()
            if written == self._synced:
                self._synced_at = begun_at
                return
            file = self._file  # before the full ones: it may become one of them meanwhile
            while self._full:
                full = self._full[0]
                os.fdatasync(full)
                os.close(self._full.popleft())
                if full == file:
                    file = None
            if file is not None:
                os.fdatasync(file)
            self._head.write(written)
            self._synced, self._synced_at = written, begun_at

    def lag(self) -> tuple[int, int]:
        """How many records of this process are not on the disk for certain, and for how long at most, in nanoseconds."""
        waiting = self._written() - max(self._synced, self._begun)
        return (waiting, time.monotonic_ns() - self._synced_at) if waiting > 0 else (0, 0)

    def close(self, *, sync: bool) -> None:
        """Ends the thread, syncs unless told otherwise, and closes the files. Raises OSError."""
        self._stop = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        try:
            if sync:
                self._force()
                self._head.force()
        finally:
            with self._lock:
                for file in (*self._full, self._file):
                    if file is not None:
                        os.close(file)
                self._full.clear()
                self._file = None
                self._head.close()

    def _run(self, interval_s: float) -> None:
        while not self._stop:
            self._wake.wait(interval_s)
            self._wake.clear()
            try:
                self._force()
            except OSError as error:
                self.error = error
                return

    def _force(self) -> None:
        if self.before is not None and self._written() != self._synced:
            self.before()
        self.sync()
