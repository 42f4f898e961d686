"""`/metrics`, `/livez`, `/readyz` and `/status` over plain HTTP, for this machine."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from signal_stream.errors import SignalStreamError
from signal_stream.monitor.exposition import CONTENT_TYPE, exposition
from signal_stream.settings import Address

if TYPE_CHECKING:
    from signal_stream.monitor.watch import Watch

_REQUEST_S: Final = 5.0
"""Whoever has not asked, or not read the answer, after so long is cut off."""
_ASKERS_MAX: Final = 32
"""Requests that are answered at once; others are refused."""
_TEXT: Final = "text/plain; charset=utf-8"


class Answer(NamedTuple):
    """What is sent back."""

    code: int
    kind: str
    body: bytes


class MetricsServer:
    """Serves how the pipeline is that `watch` watches, as it is at the moment of each request."""

    name = "metrics"

    def __init__(self, listen: str, *, pipeline: str, watch: Watch) -> None:
        self.listen = listen
        self._pipeline = pipeline
        self._watch = watch
        self._server: _HttpServer | None = None

    def start(self) -> str:
        """Begins to listen; returns the address. Raises OSError."""
        address = Address.of(self.listen)
        self._server = _HttpServer(address, self._answer)
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="metrics", daemon=True).start()
        return str(Address(address.host, self._server.server_address[1]))

    def stop(self) -> None:
        """Ends: who asks meanwhile is answered, for a second at most."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            server.wait(1.0)

    def _answer(self, path: str) -> Answer:
        match path:
            case "/metrics":
                body = exposition(self._found(), pipeline=self._pipeline, events=self._watch.events)
                return Answer(200, CONTENT_TYPE, body)
            case "/livez":
                return self._health("is_live")
            case "/readyz":
                return self._health("is_ready")
            case "/status":
                return Answer(200, "application/json", json.dumps(self._found(), indent=1).encode() + b"\n")
            case _:
                return Answer(404, _TEXT, b"Here are /metrics, /livez, /readyz and /status.\n")

    def _health(self, what: str) -> Answer:
        found = self._found()
        health = found["health"]
        why = "; ".join(health["reasons"]) if found["state"] == "SERVING" else found["reason"]
        text = f"{found['state']} {why}".rstrip()
        return Answer(200 if health[what] else 503, _TEXT, f"{text}\n".encode(errors="backslashreplace"))

    def _found(self) -> dict[str, Any]:
        return self._watch.lookout.look(now=time.time_ns())


class _HttpServer(ThreadingHTTPServer):
    """One thread a request, so many at once at most."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: Address, answer: Any) -> None:
        self.address_family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        self.answer = answer
        self._room = threading.Semaphore(_ASKERS_MAX)
        self._due: dict[Any, float] = {}
        super().__init__((address.host, address.port), _Request)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answers on a thread of its own, or closes at once where too many ask."""
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        self._due[request] = time.monotonic() + _REQUEST_S
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # the system has no thread for it
            self._left(request)
            self.shutdown_request(request)

    def service_actions(self) -> None:
        """Several times a second: cuts off who asks for too long, a byte now and then, say, for as long as it likes."""
        now = time.monotonic()
        for request, due in list(self._due.items()):
            if now > due:
                with suppress(OSError):  # it has gone by itself
                    request.shutdown(socket.SHUT_RDWR)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """One request, on its thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._left(request)

    def _left(self, request: Any) -> None:
        self._due.pop(request, None)
        self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever asked went away, or sent what is no HTTP: that is its own affair."""

    def wait(self, seconds: float) -> None:
        """Until everybody is answered, for so long at most."""
        until = time.monotonic() + seconds
        for _ in range(_ASKERS_MAX):
            if not self._room.acquire(timeout=max(0.0, until - time.monotonic())):
                return


class _Request(BaseHTTPRequestHandler):
    """One GET or HEAD; the connection ends with its answer."""

    server: _HttpServer
    timeout = _REQUEST_S

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        try:
            answer = self.server.answer(path)
        except (OSError, SignalStreamError) as error:
            answer = Answer(500, _TEXT, f"{error}\n".encode(errors="backslashreplace"))
        except Exception as error:  # noqa: BLE001  a defect is told to whoever asks, and nobody is left without an answer
            answer = Answer(
                500, _TEXT, f"This is a defect of signal-stream: {error!r}\n".encode(errors="backslashreplace")
            )
        self.send_response(answer.code)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not news."""
