"""The gateway: a few servers that are kept listening, and what is said of them to whoever started the process."""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from signal_stream.errors import SignalStreamError
from signal_stream.locks import OwnerLock, owner
from signal_stream.monitor.events import ListenerDegraded, Listening
from signal_stream.records import FORMAT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from signal_stream.monitor.watch import Watch
    from signal_stream.settings import Deployment

    from .servers import Server

LOOK_S: Final = 0.25
"""How often it is looked whether a server can listen, or the state folder is free."""
WATCH_S: Final = 1.0
"""How often the pipeline is looked at: as often as it writes its status."""
RETRY_FIRST_S: Final = 0.25
RETRY_MAX_S: Final = 5.0
LOCK: Final = "gateway.lock"


@dataclass(slots=True)
class _Listener:
    """A server, and whether it listens. `error` says why it does not; it is tried again at `due`."""

    server: Server
    address: str | None = None
    error: str = ""
    due: float = 0.0
    wait_s: float = RETRY_FIRST_S

    def listen(self, now: float) -> bool:
        """Tries to listen if that is due; whether anything is different now."""
        if self.address is not None or now < self.due:
            return False
        before = self.error
        try:
            self.address, self.error = self.server.start(), ""
        except (OSError, SignalStreamError) as error:
            self.error = _why(error, self.server.listen)
            self.due, self.wait_s = now + self.wait_s, min(2 * self.wait_s, RETRY_MAX_S)
        return self.error != before or self.address is not None

    def stats(self) -> dict[str, Any]:
        """For the status."""
        state = "OK" if self.address is not None else "DEGRADED" if self.error else "STARTING"
        listen = self.address or self.server.listen
        return {"name": self.server.name, "listen": listen, "state": state, "error": self.error}


class Gateway:
    """Keeps servers listening until it is stopped, and watches the pipeline.

    One gateway serves a state folder at a time: a second waits until the first has ended, so that the one that a pipeline starts
    and one that runs on its own do not fight for a port. `say` is told, as one JSON object, what is different now.
    """

    def __init__(
        self,
        servers: Sequence[Server],
        *,
        folder: Path,
        say: Callable[[str], None],
        watch: Watch,
    ) -> None:
        self._listeners = [_Listener(server) for server in servers]
        self._folder = folder
        self._say = say
        self._watch = watch

    def run(self, stopped: threading.Event) -> None:
        """Serves until `stopped` is set. Raises OSError where the state folder cannot be made or written."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if (lock := self._wait_turn(stopped)) is None:
            return
        due = 0.0
        try:
            while True:
                if self._listen():
                    self._tell(waits_for=None)
                if (now := time.monotonic()) >= due:
                    due = now + WATCH_S
                    self._look()
                if stopped.wait(LOOK_S):
                    return
        finally:
            for each in self._listeners:
                each.server.stop()
            lock.close()

    def _listen(self) -> bool:
        """Has those listen that do not; whether anything is different now."""
        now, changed = time.monotonic(), False
        for each in self._listeners:
            if each.listen(now):
                changed = True
                stats = each.stats()
                event = (
                    ListenerDegraded(server=stats["name"], error=stats["error"])
                    if stats["error"]
                    else Listening(server=stats["name"], listen=stats["listen"])
                )
                self._watch.note(event, now=time.time_ns())
        return changed

    def _look(self) -> None:
        with suppress(OSError, SignalStreamError):  # what cannot be read now, who asks is told of
            self._watch.look(now=time.time_ns())

    def _wait_turn(self, stopped: threading.Event) -> OwnerLock | None:
        """The folder's lock; None if the gateway was stopped before it was free."""
        path = self._folder / LOCK
        told: int | None = None
        while (lock := OwnerLock.take(path)) is None:
            if (pid := owner(path)) != told:
                told = pid
                self._tell(waits_for=pid)
            if stopped.wait(LOOK_S):
                return None
        return lock

    def _tell(self, *, waits_for: int | None) -> None:
        """`waits_for` is the process that serves this state folder already."""
        said = {"format": FORMAT, "waits_for": waits_for, "servers": [each.stats() for each in self._listeners]}
        self._say(json.dumps(said))


def _why(error: Exception, listen: str) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return f"cannot listen at {listen}: {os.strerror(error.errno)}"
    return error.one_line.rstrip(".") if isinstance(error, SignalStreamError) else str(error)


def stop_when_input_ends(stopped: threading.Event) -> None:
    """Sets `stopped` when standard input ends: whoever started this process has closed it, or is gone."""

    def wait() -> None:
        while os.read(0, 4096):
            pass
        stopped.set()

    threading.Thread(target=wait, name="signal-stream-input", daemon=True).start()


def main() -> None:
    """The process that `serve` starts: `sys.argv[1]` is the deployment file. Ends with its standard input."""
    from pathlib import Path

    from signal_stream.settings import load_deployment

    stopped = threading.Event()
    stop_when_input_ends(stopped)
    leave_the_lines_cpu()
    _allow_many_files()
    try:
        open_gateway(load_deployment(Path(sys.argv[1])), say=_print).run(stopped)
    except (OSError, SignalStreamError) as error:
        _print(json.dumps({"format": FORMAT, "error": str(error).rstrip(".")}))
        sys.exit(2)


def leave_the_lines_cpu() -> None:
    """Keeps this process off the CPU that the pipeline and its first model share, where CPUs are scarce: what is read and sent
    here would push the line's data out of that CPU's caches."""
    from signal_stream.models.placement import Placement

    with suppress(OSError):  # it may run anywhere, only less well
        os.sched_setaffinity(0, Placement.choose("auto", allowed=os.sched_getaffinity(0)).elsewhere)


def _allow_many_files() -> None:
    """As many connections as the system allows this process: the usual 1,024 are soon taken by callers that come and stay."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def open_gateway(deployment: Deployment, *, say: Callable[[str], None]) -> Gateway:
    """The gateway of a deployment, with its log on standard error."""
    from signal_stream.monitor.log import EventLog
    from signal_stream.monitor.watch import Watch

    from .servers import make_servers

    form = deployment.metrics.log
    if form == "auto":
        form = "console" if sys.stderr.isatty() else "json"
    folder = deployment.pipeline.state
    watch = Watch(folder, log=EventLog(sys.stderr, form=form, pipeline=deployment.pipeline.name))
    return Gateway(make_servers(deployment, watch), folder=folder, say=say, watch=watch)


def _print(text: str) -> None:
    print(text, flush=True)
