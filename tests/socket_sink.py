"""A sink of our own: another process (`socket_place`) keeps what it is sent."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from tests.socket_place import receive, send

from signal_stream.records import JournalRecord
from signal_stream.settings import SinkSettings


class SocketSink:
    """Sends pieces of lines and waits until the other process has them in its file."""

    class Settings(SinkSettings):
        """`[[sink]] url = "test-socket://PATH"`."""

    def __init__(self, settings: Settings) -> None:
        self._path = settings.url.removeprefix("test-socket://")
        self._socket: socket.socket | None = None

    def open(self, last_id: str | None) -> str:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(5)
        self._socket.connect(self._path)
        return receive(self._socket).decode()

    def send(self, records: Sequence[JournalRecord]) -> None:
        assert self._socket is not None
        send(self._socket, "".join(f"{record.body}\n" for record in records).encode())
        assert receive(self._socket) == b"kept"

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
