"""A child process with a log file: started, watched, ended."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from signal_stream.errors import ComponentError

from .descendants import Descendants

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_LOG_BYTES_MAX: Final = 8 << 20
_TAIL_BYTES: Final = 4096
_SAID_MAX: Final = 300
_KILLED_S: Final = 5.0


class Child:
    """One process at a time. It leads a process group, so that Ctrl-C is for whoever started it, which ends it in its turn; where
    the system has `setpriv`, it is also ended when that one is killed. What it has started ends with it, in whatever group or
    session that is by now.

    What it prints is added to `log`; `trim_log` puts the last 8 MB of a longer one aside (`.1`), as does a start.
    """

    def __init__(self, name: str, command: Sequence[str], *, folder: Path, log: Path) -> None:
        self.name = name
        self.command = tuple(command)
        self.log = log
        self._folder = folder
        self._descendants = Descendants(f"{log.absolute()} {name}")
        self._process: subprocess.Popen[bytes] | None = None
        self._started_ns = 0

    @property
    def pid(self) -> int | None:
        """The process, None while there is none."""
        return None if self._process is None else self._process.pid

    @property
    def exit_code(self) -> int | None:
        """What it ended with: None while it runs or was not started."""
        return None if self._process is None else self._process.poll()

    @property
    def age_ns(self) -> int:
        """How long ago it was started."""
        return time.monotonic_ns() - self._started_ns

    def start(self) -> None:
        """Starts the process. On the thread that lives as long as this process does: the system ends the child with it. Raises
        ComponentError NO_PROGRAM, OSError."""
        program = self.command[0]
        if shutil.which(program, path=None) is None and shutil.which(self._folder / program) is None:
            raise ComponentError("NO_PROGRAM", f'there is no program "{program}" here', where=self.name, value=program,
                                 next_step="Install it, or give its path.")  # fmt: skip
        self.trim_log()
        self._descendants.kill()  # what it left when it died, or when its stack was killed
        until_we_end = ("setpriv", "--pdeathsig", "TERM", "--") if shutil.which("setpriv") else ()
        self._started_ns = time.monotonic_ns()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                (*until_we_end, *self.command),
                cwd=self._folder,
                env=self._descendants.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )

    def trim_log(self) -> None:
        """Puts the end of a log aside that has grown too long, also while the process writes it: what it prints in between is
        lost. Where that fails, on a full disk say, the log is emptied all the same. Raises nothing."""
        with suppress(OSError):
            if self.log.stat().st_size <= _LOG_BYTES_MAX:
                return
            with suppress(OSError), self.log.open("rb") as log:
                log.seek(-_LOG_BYTES_MAX, os.SEEK_END)
                self.log.with_name(f"{self.log.name}.1").write_bytes(log.read(_LOG_BYTES_MAX))
            os.truncate(self.log, 0)  # the process appends: it goes on at the beginning

    def how_it_ended(self) -> str:
        """In words, with the last line of its log."""
        code = self.exit_code
        if code is None:
            return "it runs"
        said = self._last_line()
        how = f"it was ended by {_signal(-code)}" if code < 0 else f"it ended with exit code {code}"
        return f"{how}: {said}" if said and code > 0 else how

    def stop(self, wait_s: float) -> None:
        """Asks the process to end, and kills it if it does not in `wait_s` seconds; then what it has started and left."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            with suppress(ProcessLookupError):
                process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(wait_s)
        self.kill()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_KILLED_S)

    def kill(self) -> None:
        """Ends it at once, and whatever it has started and left, in its group or anywhere."""
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._descendants.kill()

    def _last_line(self) -> str:
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
                lines = log.read().decode("utf-8", "replace").split("\n")
        except OSError:
            return ""
        return next((each.strip()[:_SAID_MAX] for each in reversed(lines) if each.strip()), "")


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
