"""A venue on this machine: real sockets, recorded frames, and whatever can go wrong."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from .venue_book import VenueBook
from .wire_faults import (
    Closed,
    Dropped,
    Fragmented,
    Frozen,
    Oversized,
    Refused,
    Repeated,
    Severed,
    StaleBook,
    Swapped,
    WireFault,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Sequence

    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request, Response

_PATIENCE_S: Final = 60.0
_LEVELS: Final = 1_000


@dataclass(frozen=True, slots=True)
class WireFrame:
    """One line of a capture: its receive time, its channel ("" for a book by HTTP) and its JSON."""

    ts_recv: int
    channel: str
    text: str

    @classmethod
    def of_line(cls, line: str) -> WireFrame:
        """From `<receive time in ns> <JSON>`."""
        ts_recv, _, text = line.rstrip("\n").partition(" ")
        start = '{"stream":"'
        channel = text[len(start) : text.index('"', len(start))] if text.startswith(start) else ""
        return cls(int(ts_recv), channel, text)

    @property
    def is_depth(self) -> bool:
        """Whether it changes the book."""
        return "@depth" in self.channel


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault that struck, before the frame of this receive time."""

    fault: WireFault
    ts_recv: int


class VenueEmulator:
    """Serves one instrument's raw Binance capture as the venue did: a WebSocket to subscribe at, and whole books by HTTP.

    Frames go out as fast as they are taken, from the first on, to one connection at a time; while nobody is connected the
    capture waits. The book of the capture is the answer to the first request for one, and frames behind it wait until it was
    given: so a reader that stamps nothing itself (`stamped=True`, as a relay would) has the messages of the file, in
    its order. Later requests are answered with the book as it is after the frames sent so far; a reader that lost diffs, or
    connects anew, gets two more, by which it can know, and the rest when it has asked for that book.

    Needs the package `websockets`. Use it as a context manager; its threads end with it.

    >>> from signal_stream.testing import MarketSimulator, VenueEmulator
    >>> lines = [line.decode() for line in MarketSimulator(seed=1, duration_s=0.2).lines()]
    >>> with VenueEmulator(lines, stamped=True) as venue:
    ...     venue.url.startswith("ws://127.0.0.1:"), venue.frames_sent
    (True, 0)
    """

    def __init__(
        self,
        capture: str | Path | Iterable[str],
        *,
        faults: Sequence[WireFault] = (),
        stamped: bool = False,
        tls: ssl.SSLContext | None = None,
        until: int | None = None,
    ) -> None:
        """Reads a capture, or its lines. With `until` frames from that number on wait for `go_on`."""
        lines = _lines(Path(capture)) if isinstance(capture, str | Path) else capture
        self.frames = [WireFrame.of_line(line) for line in lines]
        """The capture's lines in their order, the book among them."""
        self.book: VenueBook | None = None
        """The venue's book as far as frames were sent; None before that of the capture."""
        self.struck: list[Struck] = []
        """Faults that struck, in order."""
        self.frames_sent = 0
        """Frames that were sent: repeated ones twice, oversized ones too."""
        self.answers_sent = 0
        """Answers to subscriptions, on the WebSocket."""
        self.books_sent = 0
        """Books that were answered by HTTP."""
        self.connections = 0
        """Handshakes that were accepted."""
        self.refusals = 0
        """Handshakes and requests that were answered with 429."""
        self._first_book = next((i for i, frame in enumerate(self.frames) if not frame.channel), None)
        self._faults = sorted(faults, key=lambda fault: fault.at)
        self._refused = {"handshakes": 0, "requests": 0}
        self._retry_after_s = 0
        self._stale = 0
        self._diffs_left: int | None = None
        """Diffs that go out before the reader has asked for a book; None where it has the one that it needs."""
        self._next = 0
        self._late: tuple[int, WireFrame] | None = None
        self._stamped = stamped
        self._tls = tls
        self._until = until
        self._port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="venue-emulator", daemon=True)
        self._started = threading.Event()
        self._failure: BaseException | None = None

    @property
    def url(self) -> str:
        """Where the WebSocket is."""
        return f"{'ws' if self._tls is None else 'wss'}://127.0.0.1:{self._port}"

    @property
    def rest(self) -> str:
        """Where books are asked for."""
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self._port}"

    @property
    def position(self) -> int:
        """Number of the next frame."""
        return self._next

    @property
    def is_done(self) -> bool:
        """Whether all frames have passed."""
        return self._next == len(self.frames)

    def go_on(self, until: int | None = None) -> None:
        """Sends what waited, up to another frame."""

        def change() -> None:
            self._until = until
            self._moved.set()

        self._loop.call_soon_threadsafe(change)

    def __enter__(self) -> Self:
        """Listens on a free port."""
        self._thread.start()
        self._started.wait(_PATIENCE_S)
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        """Ends every connection."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(_PATIENCE_S)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._listen())
        except BaseException as error:  # noqa: BLE001  the thread that made it raises it
            self._failure = error
        finally:
            self._started.set()
            self._loop.close()

    async def _listen(self) -> None:
        from websockets.asyncio.server import serve

        self._stopping = asyncio.Event()
        self._moved = asyncio.Event()
        """Something changed for which somebody may wait."""
        async with serve(
            self._serve, "127.0.0.1", 0, process_request=self._asked, ssl=self._tls, compression=None,
            max_size=None, ping_interval=None, open_timeout=_PATIENCE_S, close_timeout=1,
        ) as server:  # fmt: skip
            self._port = next(iter(server.sockets)).getsockname()[1]
            self._started.set()
            await self._stopping.wait()

    async def _asked(self, connection: ServerConnection, request: Request) -> Response | None:
        """The answer by HTTP; None for what becomes a WebSocket."""
        path = request.path.partition("?")[0]
        if path.endswith("/depth"):
            if self._refuses("requests"):
                return self._too_many(connection)
            text = await self._book_text()
            self.books_sent += 1
            return connection.respond(HTTPStatus.OK, text)
        if self._refuses("handshakes"):
            return self._too_many(connection)
        return None

    def _refuses(self, what: str) -> bool:
        if self._refused[what] == 0:
            return False
        self._refused[what] -= 1
        self.refusals += 1
        return True

    def _too_many(self, connection: ServerConnection) -> Response:
        response = connection.respond(HTTPStatus.TOO_MANY_REQUESTS, "too many requests\n")
        response.headers["Retry-After"] = str(self._retry_after_s)
        return response

    async def _book_text(self) -> str:
        """The book that is answered now, or as soon as the capture has come to its own."""
        assert self._first_book is not None, "the capture holds no book"
        while self._next < self._first_book:
            await self._wait()
        frame = self.frames[self._first_book]
        if self.book is None:
            text, ts_recv = frame.text, frame.ts_recv
            self._pass()
            self._moved.set()
        else:
            stale = self._stale > 0
            self._stale -= stale
            if not stale:
                self._diffs_left = None
                self._moved.set()
            text = self.book.first if stale else self.book.answer(_LEVELS)
            ts_recv = self.frames[self._next - 1].ts_recv
        return f"{ts_recv} {text}" if self._stamped else text

    async def _wait(self) -> None:
        self._moved.clear()
        await self._moved.wait()

    async def _serve(self, socket: ServerConnection) -> None:
        from websockets.exceptions import ConnectionClosed

        self.connections += 1
        self._moved.set()  # whoever sends on a connection before leaves it
        if self.book is not None:
            self._diffs_left = 2
        channels: set[str] = set()
        try:
            channels |= await self._subscribed(socket)
            listening = asyncio.ensure_future(self._listen_on(socket, channels))
            try:
                await self._send_all(socket, channels)
                await socket.wait_closed()
            finally:
                listening.cancel()
        except ConnectionClosed:
            return  # the reader left; what was being sent is lost

    async def _subscribed(self, socket: ServerConnection) -> set[str]:
        """What a request subscribes to; it is answered."""
        asked: dict[str, Any] = json.loads(await socket.recv())
        now = self.frames[min(self._next, len(self.frames) - 1)]
        await socket.send(self._text(WireFrame(now.ts_recv, "", json.dumps({"result": None, "id": asked["id"]}))))
        self.answers_sent += 1
        return set(asked["params"]) if asked["method"] == "SUBSCRIBE" else set()

    async def _listen_on(self, socket: ServerConnection, channels: set[str]) -> None:
        while True:
            channels |= await self._subscribed(socket)

    async def _send_all(self, socket: ServerConnection, channels: set[str]) -> None:
        connection = self.connections
        while self._next < len(self.frames) and connection == self.connections:
            if self._until is not None and self._next >= self._until:
                await self._wait()
                continue
            frame = self.frames[self._next]
            depth = any("@depth" in each for each in channels)
            if depth and ((self.book is None and self._next == self._first_book) or self._diffs_left == 0):
                await self._wait()  # until a book is asked for
                continue
            if self._faults and self._faults[0].at <= self._next:
                if not await self._strike(socket, self._faults.pop(0), frame):
                    return
                continue
            self._pass()
            if frame.channel in channels:
                await self._send(socket, frame)
            if self._late is not None and self._next >= self._late[0]:
                (_, late), self._late = self._late, None
                await self._send(socket, late)

    async def _strike(self, socket: ServerConnection, fault: WireFault, frame: WireFrame) -> bool:
        """Does what the fault says; whether the connection is still used."""
        self.struck.append(Struck(fault, frame.ts_recv))
        breaks = isinstance(fault, Dropped | Swapped) and frame.is_depth
        if self.book is not None and breaks:
            self._diffs_left = 2
        match fault:
            case Dropped(frames=count):
                self._miss(count)
            case Repeated():
                self._pass()
                await self._send(socket, frame)
                await self._send(socket, frame)
            case Swapped(behind=behind):
                self._pass()
                self._late = (self._next + behind, frame)
            case Fragmented(parts=parts):
                self._pass()
                text = self._text(frame)
                size = -(-len(text) // parts)
                await socket.send([text[i : i + size] for i in range(0, len(text), size)])
                self.frames_sent += 1
            case Refused(handshakes=handshakes, requests=requests, retry_after_s=retry_after_s):
                self._refused = {"handshakes": handshakes, "requests": requests}
                self._retry_after_s = retry_after_s
            case StaleBook(requests=requests):
                self._stale = requests
            case Oversized(size=size, missed=missed):
                self._miss(missed)
                self.frames_sent += 1
                await socket.send("x" * size)
            case Frozen(missed=missed):
                self._miss(missed)
                await socket.wait_closed()
                return False
            case Closed(code=code, reason=reason, missed=missed):
                self._miss(missed)
                await socket.close(code, reason)
                return False
            case Severed(missed=missed):
                self._miss(missed)
                socket.transport.abort()
                return False
            case _:
                raise AssertionError(f"no such fault: {fault}")
        return True

    def _miss(self, count: int) -> None:
        for _ in range(min(count, len(self.frames) - self._next)):
            self._pass()

    def _pass(self) -> None:
        """The next frame's time has come, whether or not it is sent."""
        frame = self.frames[self._next]
        self._next += 1
        if self.book is not None and frame.is_depth:
            self.book.apply(json.loads(frame.text)["data"])
        elif self.book is None and not frame.channel:
            self.book = VenueBook(frame.text)
        if self._next == self._first_book:
            self._moved.set()

    async def _send(self, socket: ServerConnection, frame: WireFrame) -> None:
        self.frames_sent += 1
        if self._diffs_left and frame.is_depth:
            self._diffs_left -= 1
        await socket.send(self._text(frame))

    def _text(self, frame: WireFrame) -> str:
        return f"{frame.ts_recv} {frame.text}" if self._stamped else frame.text


def _lines(path: Path) -> list[str]:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    if packed:
        with gzip.open(path, "rt") as unpacked:
            return unpacked.readlines()
    return path.read_text().splitlines(keepends=True)
