"""The process behind a `socket_sink`: keeps what it is sent, until it is killed. `python socket_place.py SOCKET FILE`; imports
nothing of ours, so that it is there at once."""

from __future__ import annotations

import os
import socket
import struct
import sys
from pathlib import Path

_ID_CHARS = 32


def send(connection: socket.socket, data: bytes) -> None:
    connection.sendall(struct.pack("<I", len(data)) + data)


def receive(connection: socket.socket) -> bytes:
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
            send(connection, last.partition(b'"signal_id": "')[2][:_ID_CHARS])
            try:
                while True:
                    data = receive(connection)
                    kept.write(data[: len(data) // 2])
                    kept.flush()
                    kept.write(data[len(data) // 2 :])
                    kept.flush()
                    send(connection, b"kept")
            except ConnectionError:
                continue


if __name__ == "__main__":
    keep(Path(sys.argv[1]), Path(sys.argv[2]))
