"""What a process holds open: whoever closes a part may leave nothing of it behind."""

from __future__ import annotations

import gc
import os
import threading
import time
from typing import NamedTuple, Self

_GRACE_S = 1.0
"""Threads need a moment to end."""


class Held(NamedTuple):
    """Open files and threads of this process."""

    files: int
    threads: int

    @classmethod
    def now(cls) -> Self:
        """What is held at this moment."""
        return cls(len(os.listdir("/proc/self/fd")), threading.active_count())  # noqa: PTH208  names are enough

    def check(self) -> None:
        """Raises AssertionError if more is held now, and a moment later still."""
        until = time.monotonic() + _GRACE_S
        while True:
            gc.collect()
            files, threads = Held.now()
            if files <= self.files and threads <= self.threads:
                return
            left = f"{max(files - self.files, 0)} files and {max(threads - self.threads, 0)} threads"
            assert time.monotonic() < until, f"after close {left} are left"
            time.sleep(0.005)
