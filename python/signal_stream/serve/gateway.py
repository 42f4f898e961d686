"""The gateway's process, as the pipeline that starts it sees it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from signal_stream.errors import SettingsError

if TYPE_CHECKING:
    from signal_stream.settings import Deployment

_PACKAGE_ROOT: Final = Path(__file__).parents[2]
# The very package that this process runs, wherever that and the user's folder are. -P: a file of the user's folder cannot pass
# for a module.
_START: Final = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from signal_stream.gateway.process import main; main()"
)
BACKOFF_FIRST_S: Final = 0.1
BACKOFF_MAX_S: Final = 10.0
_WELL_S: Final = 30.0
"""One that lived so long is started again at once."""
_END_S: Final = 3.0


_NEEDS: Final[dict[str, str | None]] = {"metrics": None, "grpc": "grpc"}
"""The package that each section needs which asks for a server, None where it needs none: an extra of the same name brings it."""


def asked_servers(deployment: Deployment) -> list[str]:
    """The sections of the deployment that ask for a server."""
    return [name for name in _NEEDS if getattr(deployment, name).listen is not None]


def start_gateway(deployment: Deployment, *, path: Path) -> GatewayProcess | None:
    """The gateway of the deployment file `path`, None where nothing is to be served to others. Raises SettingsError where a
    package is missing that it needs."""
    asked = asked_servers(deployment)
    for name in asked:
        package = _NEEDS[name]
        if package is not None and importlib.util.find_spec(package) is None:
            what = f"[{name}] listen needs the package {package}, which is not installed"
            advice = f'Install it: pip install "signal-stream[{name}]", or leave [{name}] out.'
            raise SettingsError("PART", what, where=str(path), value=package, next_step=advice)
    return GatewayProcess(path) if asked else None


class GatewayProcess:
    """Starts the gateway, starts it again when it dies, and ends it. Its thread only waits.

    Nothing that happens to the gateway ends the pipeline: `stats` says how it is.
    """

    def __init__(self, deployment: Path) -> None:
        """`deployment` is the file's path."""
        self._argv = [sys.executable, "-P", "-c", _START, str(_PACKAGE_ROOT), str(deployment.absolute())]
        self._closing = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._said: dict[str, Any] = {}
        self._error = ""
        self._restarts = 0
        self._thread = threading.Thread(target=self._run, name="signal-stream-gateway", daemon=True)
        self._thread.start()

    def stats(self) -> dict[str, Any]:
        """For the status: its state (STARTING, OK, WAITING where another gateway serves this folder, DEGRADED), why, its process,
        restarts and servers."""
        said, process = self._said, self._process
        servers = said.get("servers", [])
        errors = [self._error, *(each["error"] for each in servers)]
        error = next((each for each in errors if each), "")
        state = "DEGRADED" if error else "WAITING" if said.get("waits_for") else "OK" if servers else "STARTING"
        return {
            "state": state,
            "error": error,
            "pid": None if process is None else process.pid,
            "restarts": self._restarts,
            "waits_for": said.get("waits_for"),
            "servers": servers,
        }

    def close(self) -> None:
        """Ends the process: it is asked, and killed if it does not. May be called twice."""
        self._closing.set()
        process = self._process
        if process is not None and process.stdin is not None:
            with suppress(OSError):
                process.stdin.close()
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
        self._thread.join(_END_S)

    def _run(self) -> None:
        wait_s = BACKOFF_FIRST_S
        while not self._closing.is_set():
            began = time.monotonic()
            try:
                process = self._process = subprocess.Popen(
                    self._argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0
                )
            except OSError as error:
                self._error = f"the gateway cannot be started: {error}"
            else:
                if self._closing.is_set() and process.stdin is not None:
                    process.stdin.close()  # `close` did not see it
                self._listen(process)
                code = process.wait()
                how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
                self._error = self._said.get("error") or f"the gateway {how}"
                self._process, self._said = None, {}
            if time.monotonic() - began > _WELL_S:
                wait_s = BACKOFF_FIRST_S
            if self._closing.wait(wait_s):
                return
            self._restarts += 1
            wait_s = min(2 * wait_s, BACKOFF_MAX_S)

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        """Reads what the process says of itself, until it ends."""
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                with suppress(ValueError):
                    self._said = json.loads(line)
                    self._error = self._said.get("error", "")
