"""A sink of our own behind a socket, and the process that keeps what it is sent: `python socket_sink.py SOCKET FILE`."""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

from signal_stream.records import JournalRecord
from signal_stream.settings import SinkSettings

_ID_CHARS = 32


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
        return _receive(self._socket).decode()

    def send(self, records: Sequence[JournalRecord]) -> None:
        assert self._socket is not None
        _send(self._socket, "".join(f"{record.body}\n" for record in records).encode())
        assert _receive(self._socket) == b"kept"

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()


def _send(connection: socket.socket, data: bytes) -> None:
    connection.sendall(struct.pack("<I", len(data)) + data)


def _receive(connection: socket.socket) -> bytes:
    return _exactly(connection, *struct.unpack("<I", _exactly(connection, 4)))


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise ConnectionError("the other end is gone")
        data += more
    return data


def keep(path: Path, file: Path) -> None:
    """Answers one connection after the other, until it is killed."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    unready = path.with_suffix(f".{os.getpid()}")
    listener.bind(str(unready))
    listener.listen()
    unready.rename(path)  # who finds it can connect
    while True:
        connection, _ = listener.accept()
        with connection, file.open("a+b") as kept:
            kept.seek(0)
            whole = kept.read().rpartition(b"\n")[0]
            os.truncate(file, len(whole) + bool(whole))  # what a kill tore
            last = whole.rpartition(b"\n")[2]
            _send(connection, last.partition(b'"signal_id": "')[2][:_ID_CHARS])
            try:
                while True:
                    data = _receive(connection)
                    kept.write(data[: len(data) // 2])
                    kept.flush()
                    kept.write(data[len(data) // 2 :])
                    kept.flush()
                    _send(connection, b"kept")
            except ConnectionError:
                continue


if __name__ == "__main__":
    keep(Path(sys.argv[1]), Path(sys.argv[2]))
