"""One worker process as its supervisor sees it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from signal_stream._core import Ring
from signal_stream.errors import ModelError
from signal_stream.models.session import VALUES_MAX, SessionInfo

TAIL_BYTES = 8192
# Runs the worker from the very package that this process runs, wherever that and the user's folder are. -P: a file of
# the user's folder cannot pass for a module.
PACKAGE_ROOT = Path(__file__).parents[2]
START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from signal_stream.models.worker import main; main()"


def _shared_file() -> int:
    """A descriptor of memory that both processes read and write."""
    fd = os.memfd_create("signal-stream-state")
    os.set_inheritable(fd, True)
    return fd


def _inherited(data: bytes) -> int:
    """A descriptor from which a child may read the bytes: a command line is too short for thousands of columns."""
    fd = os.memfd_create("signal-stream-order")
    os.write(fd, data)
    os.lseek(fd, 0, os.SEEK_SET)
    os.set_inheritable(fd, True)
    return fd


class WorkerProcess:
    """One generation of a model's worker: its ring, its process and what it has said.

    Made, listened to and reaped on the supervisor's thread, which must outlive it; only `ring` is used elsewhere.
    Invariants: the process is reaped exactly once, by `reap`; its descriptors are open until then.
    """

    def __init__(
        self,
        order: dict[str, Any],
        *,
        slots: int,
        row_bytes: int,
        spin_ns_max: int,
        generation: int,
        now_ns: int,
    ) -> None:
        """Starts the process. Raises OSError if the system refuses."""
        self.model: str = order["spec"]["path"]
        self.generation = generation
        self.started_ns = now_ns
        self.info: SessionInfo | None = None
        self.refused: ModelError | None = None
        self.killed_because: ModelError | None = None
        self.replaced_because = ""
        self.suspected_ns: int | None = None
        self.progress_seen = 0
        self.ring = Ring(slots=slots, request_bytes=row_bytes, values_max=VALUES_MAX, spin_ns_max=spin_ns_max)
        self.state_fd = _shared_file() if order["kind"] != "onnx" else -1
        """Of a model that may carry state: where its snapshot goes through."""
        told = {**order, "parent_pid": os.getpid(), "state_fd": self.state_fd}
        order_fd = _inherited(json.dumps(told).encode())
        try:
            argv = [sys.executable, "-P", "-c", START, str(PACKAGE_ROOT), str(order_fd)]
            self.pid, self.stdout, self.stderr = self.ring.spawn(argv)
        finally:
            os.close(order_fd)
            if self.state_fd >= 0:
                os.set_inheritable(self.state_fd, False)
        try:
            os.set_blocking(self.stdout, False)
            os.set_blocking(self.stderr, False)
            self.pidfd = os.pidfd_open(self.pid)
        except OSError:  # no descriptor is left: what was started ends here
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            os.close(self.stdout)
            os.close(self.stderr)
            raise
        self.files = (self.pidfd, self.stdout, self.stderr)
        self._said = bytearray()
        self._complained = bytearray()

    @property
    def is_usable(self) -> bool:
        """Ready, alive, and not silent since a deadline that it missed."""
        return self.info is not None and self.suspected_ns is None and self.ring.is_alive()

    def listen(self, fd: int) -> bool:
        """Reads what the process has printed to `fd`, one of its two pipes. False once that has ended."""
        try:
            said = os.read(fd, 65_536)
        except BlockingIOError:
            return True
        if fd == self.stderr:
            self._complained += said
            del self._complained[:-TAIL_BYTES]
        elif self.info is None and self.refused is None:
            self._said += said
            line, newline, _ = self._said.partition(b"\n")
            if newline:
                self._understand(json.loads(line))
        return said != b""

    def _understand(self, said: dict[str, Any]) -> None:
        if "ready" in said:
            self.info = SessionInfo(**said["ready"])
        else:
            self.refused = ModelError(**said["refused"])

    def run_on(self, cpus: frozenset[int]) -> None:
        """Moves its main thread to other CPUs; a process that has just ended stays where it was."""
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(self.pid, cpus)

    def kill(self, because: ModelError) -> None:
        """Ends the process at once, stopped or hung as it may be. Its caller is order_fd by the ring; the reaping comes later."""
        self.killed_because = because
        self._end_group()
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def reap(self) -> ModelError:
        """Gives everything of a process that has ended back, and says how it ended."""
        self._end_group()
        _, status = os.waitpid(self.pid, 0)
        self.listen(self.stdout)
        self.listen(self.stderr)
        for fd in self.files:
            os.close(fd)
        if self.state_fd >= 0:
            os.close(self.state_fd)
        if self.killed_because is not None:
            return self.killed_because
        if self.refused is not None:
            return self.refused
        code = os.waitstatus_to_exitcode(status)
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        last = self.last_words
        return self.error(how, f"It said last: {last}" if last else "It said nothing; see the system's log.")

    @property
    def last_words(self) -> str:
        """The last line that it has complained."""
        return self._complained.decode(errors="replace").strip().rpartition("\n")[2][:300]

    def _end_group(self) -> None:
        """Ends what a user's module has started; the process itself, not reaped yet, keeps the group's number taken."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(self.pid) == self.pid:
                os.killpg(self.pid, signal.SIGKILL)

    def error(self, how: str, next_step: str = "") -> ModelError:
        """An error about this process."""
        return ModelError("WORKER", f"the worker (pid {self.pid}) {how}", where=self.model, next_step=next_step)
