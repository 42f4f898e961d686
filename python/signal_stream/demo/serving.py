"""The live part of the demo: a deployment served by a process of its own, and its signals as they come."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from signal_stream.errors import CommandError
from signal_stream.records import SignalRecord

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from signal_stream.demo.folder import DemoFolder

MODEL: Final = "demo"
_LOOK_S: Final = 0.02
_PATIENCE_S: Final = 30.0
_STOP_S: Final = 20.0
_LOG_LINES: Final = 12
# The very package that this process runs. -P: a file of the folder where the user stands cannot pass for a module.
_PACKAGE_ROOT: Final = Path(__file__).parents[2]
_START: Final = "import sys; sys.path.insert(0, sys.argv.pop(1)); from signal_stream.__main__ import main; main()"

DEPLOYMENT: Final = """\
# What `signal-stream serve` runs. Paths are relative to this file.

[pipeline]
name = "demo"
state = "state/"
registry = "registry/"

[source]
url = "file://live.parquet"
pace = "{pace:.1f}x"           # times recorded pace; "recorded" is 1x, "max" as fast as it goes
queue_rows = 65536
when_full = "block"
lateness = "0ms"
late = "drop"

[[model]]
ref = "{model}@live"
deadline = "10ms"
fallback = "veto"

[guards]
max_age = "3s"
completeness = 1.0

[[sink]]
url = "file://signals.jsonl"
"""


class Serving:
    """The deployment in a child process, from `with` to its end: stopped gracefully, or ended if something fails.

    Raises CommandError if the child ends by itself, or does not stop.
    """

    def __init__(self, folder: DemoFolder) -> None:
        from signal_stream.store import JournalTail

        self._folder = folder
        self._tail = JournalTail(folder.state / "journal")
        self._log = folder.log.open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START, str(_PACKAGE_ROOT), "serve", str(folder.deployment)],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the demo, which stops the child
        )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._process.poll() is None:
                self._process.terminate()
                self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            self._log.close()

    def signals(self, *, for_s: float) -> Iterator[SignalRecord]:
        """The signals since the last call, as they come, for so many seconds from the first of them on.

        Raises CommandError if the process has ended, or if none comes.
        """
        until, began = time.monotonic() + _PATIENCE_S, False
        while time.monotonic() < until:
            ended = self._process.poll() is not None
            for record in self._tail.read():
                if not began:
                    until, began = time.monotonic() + for_s, True
                yield SignalRecord.from_json(record.body)
            if ended:
                raise self._ended("the serving process ended too early")
            time.sleep(_LOOK_S)
        if not began:
            raise self._ended(f"no signal came within {_PATIENCE_S:.0f} s")

    def skip(self) -> None:
        """Passes over the signals up to now."""
        for _ in self._tail.read():
            pass

    def stop(self) -> None:
        """Ends it as an operator would, by SIGTERM; returns when everything is journaled."""
        self._process.send_signal(signal.SIGTERM)
        try:
            if self._process.wait(_STOP_S) != 0:
                raise self._ended("the serving process failed")
        except subprocess.TimeoutExpired:
            raise self._ended("the serving process does not stop") from None

    def _ended(self, what: str) -> CommandError:
        said = self._folder.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]
        words = " / ".join(line.strip() for line in said if line.strip())
        return CommandError("STEP", f"{what}; it said: {words or 'nothing'}", where=str(self._folder.log))
