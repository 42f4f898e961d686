"""The processes that a part of a stack has started, and those that they have, wherever they have gone."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from signal_stream.settings.environment import is_marked, with_mark

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROC: Final = Path("/proc")
_ROUNDS_MAX: Final = 20


class Descendants:
    """Finds processes by a mark in the environment that a part is started with. A process that has begun a session of its own
    (`setsid`, a daemon), or whose parents have ended, still has it; one that was given another environment has not.

    The mark is the same at each start: what an earlier run has left is found too. A stack within a stack has both marks.
    """

    def __init__(self, part: str) -> None:
        """`part` tells it from every other part on this machine."""
        self._mark = sha256(part.encode()).hexdigest()[:32]

    def environment(self) -> dict[str, str]:
        """What the part is to be started with."""
        return with_mark(self._mark)

    def pids(self) -> Iterator[int]:
        """Those that are there now. Where the system does not show the environment of processes, none."""
        for each in _PROC.iterdir() if _PROC.is_dir() else ():
            if each.name.isdecimal() and int(each.name) != os.getpid() and is_marked(int(each.name), self._mark):
                yield int(each.name)

    def kill(self) -> None:
        """Ends them at once, also those that they start meanwhile."""
        for _ in range(_ROUNDS_MAX):
            found = 0
            for pid in self.pids():
                found += self._kill(pid)
            if not found:
                return

    def _kill(self, pid: int) -> bool:
        """Kills a process if it is still the one that was found: a number may be given to another."""
        with suppress(OSError):
            process = os.pidfd_open(pid)
            try:
                if is_marked(pid, self._mark):
                    signal.pidfd_send_signal(process, signal.SIGKILL)
                    return True
            finally:
                os.close(process)
        return False
