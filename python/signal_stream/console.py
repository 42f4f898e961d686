"""What a process of the command line is in before anything else: standard streams that cannot fail it, and stop signals.

What is printed is no part of the work. Whoever reads it may go away, its disk may be full, its encoding may know ASCII
only: the work goes on, and where the output is the product the exit code says so.
"""

from __future__ import annotations

import errno
import io
import os
import select
import signal
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_STOPPING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class OutputFile(io.RawIOBase):
    """A descriptor to print to. The first error is kept in `error`, and what is printed after it is dropped."""

    def __init__(self, descriptor: int) -> None:
        self.error: OSError | None = None
        self._descriptor = descriptor

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        """Takes everything, whatever becomes of it."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        while rest and self.error is None:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                select.select((), (self._descriptor,), ())
            except OSError as error:
                self.error = error
        return size

    def writable(self) -> bool:
        """Yes."""
        return True

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._descriptor)


class Output:
    """Standard output and error, forgiving: `sys.stdout` and `sys.stderr` are theirs from now on.

    Characters that the encoding does not know are written as escapes. A descriptor that was closed is /dev/null, so
    that no file of ours takes its number.
    """

    def __init__(self) -> None:
        self.is_stuck = False
        """Whether something waits for standard output, and will for ever."""
        _open_closed_descriptors()
        encodings = [getattr(stream, "encoding", None) or "utf-8" for stream in (sys.stdout, sys.stderr)]
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        self._out, self._err = OutputFile(1), OutputFile(2)
        sys.stdout, sys.stderr = (
            io.TextIOWrapper(
                io.BufferedWriter(raw),  # type: ignore[type-var]
                encoding=encoding,
                errors="backslashreplace",
                line_buffering=raw is self._err or raw.isatty(),
            )
            for raw, encoding in zip((self._out, self._err), encodings, strict=True)
        )

    @property
    def lost(self) -> OSError | None:
        """Why standard output was lost, None if it was not, or its reader went away on purpose, as `| head` does."""
        sys.stdout.flush()
        error = self._out.error
        return None if error is None or error.errno == errno.EPIPE else error

    @property
    def reader_is_gone(self) -> bool:
        """Whether nobody reads standard output any more."""
        return self._out.error is not None


_output: Output | None = None


def forgiving_output() -> Output:
    """Standard output and error of this process, made forgiving once."""
    global _output
    if _output is None:
        _output = Output()
    return _output


def reader_is_gone() -> bool:
    """Whether nobody reads standard output any more; what prints for ever ends then."""
    return _output is not None and _output.reader_is_gone


def abandon_output() -> None:
    """Standard output stands still, with a thread that waits for it: the process ends without it."""
    if _output is not None:
        _output.is_stuck = True


def _open_closed_descriptors() -> None:
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one


class StopRequest:
    """SIGTERM, SIGINT and SIGHUP ask the process to end gracefully, from `listen` on, however early they come.

    What is asked is kept in `reason`; whoever can act on it at once is named by `then`. A second SIGINT is a
    KeyboardInterrupt. SIGHUP is left alone where it is ignored, as under nohup; where `reload` is named, it asks for that
    instead, as of a service, also under nohup.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self.then: Callable[[str], None] | None = None
        self.reload: Callable[[], None] | None = None
        self.is_reload_asked = False
        """Whether a reload was asked for before anybody could do it."""

    def listen(self) -> None:
        """Takes the signals over, for the life of the process."""
        for number in _STOPPING:
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._asked)

    def expect_reload(self) -> None:
        """SIGHUP asks for a reload from now on, also while there is nothing yet to reload: a service that is told so while it
        starts must not end."""
        self.reload = self._later
        signal.signal(signal.SIGHUP, self._asked)  # nobody who sends it to a service means that it be ignored

    def _later(self) -> None:
        self.is_reload_asked = True

    def _asked(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP and self.reload is not None:
            self.reload()
            return
        if number == signal.SIGINT:
            signal.signal(number, signal.default_int_handler)
        self.reason = self.reason or signal.Signals(number).name
        if self.then is not None:
            self.then(self.reason)


STOP: Final = StopRequest()
"""The one of this process. Nothing listens before `listen`."""
