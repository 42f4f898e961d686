"""A venue on this machine: real sockets, recorded frames, and whatever can go wrong."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import parse_qsl, urlsplit

from .http_answers import HttpAnswer, serve_http
from .venue_book import Depth, VenueBook
from .venues import PROTOCOLS, Channel
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
from .wire_frame import WireFrame, frames_of, lines_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Sequence

    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request, Response

_PATIENCE_S: Final = 60.0
_SHOWN: Final = 2
"""Diffs that a reader gets who lost some: by them it can know."""


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault that struck, before the frame of this receive time."""

    fault: WireFault
    ts_recv: int


class VenueEmulator:
    """Serves a raw capture of a venue as the venue did: a WebSocket to subscribe at, and what it answers by HTTP.

    Frames go out as fast as they are taken, from the first on, to one connection at a time; while nobody is connected the
    capture waits. A book that was answered by HTTP is the answer to the first request for it, and frames behind it wait until it
    was given: so a reader that stamps nothing itself (`stamped=True`, as a relay would) has the messages of the file, in its
    order. Later requests, and later subscriptions of depth where books come with them, are answered with the book as it is
    after the frames sent so far; a reader that lost diffs, or connects anew, gets two more, by which it can know, and the rest
    when it has asked for that book. Where diffs have no ids nothing waits.

    `venue` is one of "binance", "bybit", "coinbase", "deribit", "hyperliquid", "independentreserve", "kraken", "kucoin",
    "okx". `requests` is how many requests for subscriptions come before frames go out: those of a reader who asks for several
    things one after the other. With `until` frames from that number on wait for `go_on`.

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
        venue: str = "binance",
        faults: Sequence[WireFault] = (),
        stamped: bool = False,
        requests: int = 1,
        tls: ssl.SSLContext | None = None,
        until: int | None = None,
    ) -> None:
        """Reads a capture, or its lines."""
        lines = lines_of(Path(capture)) if isinstance(capture, str | Path) else capture
        self.protocol_name = venue
        self.protocol = PROTOCOLS[venue]()
        """The venue's side of what is said."""
        self.frames = frames_of(lines, self.protocol)
        """The capture's frames in order of their times, books by HTTP among them."""
        self.books: dict[str, VenueBook] = {}
        """The venue's books by symbol, as far as frames were sent."""
        self.sent: list[WireFrame] = []
        """What went out: frames, answers with books, and what the venue said besides."""
        self.struck: list[Struck] = []
        """Faults that struck, in order."""
        self.frames_sent = 0
        """Frames that were sent: repeated ones twice, oversized ones and books too."""
        self.answers_sent = 0
        """What the venue said besides, on the WebSocket."""
        self.books_sent = 0
        """Books that were answered by HTTP."""
        self.connections = 0
        """Handshakes that were accepted."""
        self.refusals = 0
        """Handshakes and requests that were answered with 429."""
        self._requests = requests
        self._unbooked: dict[str, list[Depth]] = {}
        """Diffs by symbol that came before its first book."""
        self._given: set[str] = set()
        """Symbols whose book in the capture was answered, or is awaited by nobody."""
        self._faults = sorted(faults, key=lambda fault: fault.at)
        self._refused = {"handshakes": 0, "requests": 0}
        self._retry_after_s = 0
        self._stale = 0
        self._diffs_left: dict[str, int] = {}
        """By symbol, diffs that go out before the reader has asked for a book."""
        self._left: set[str] = set()
        """Symbols whose depth was left, by who comes back for a book: what would be missed meanwhile waits."""
        self._numbers = 0
        """Frames of this connection."""
        self._next = 0
        self._late: tuple[int, WireFrame] | None = None
        self._stamped = stamped
        self._tls = tls
        self._until = until
        self._port = self._rest_port = 0
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
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self._rest_port}"

    @property
    def book(self) -> VenueBook | None:
        """The only book, where there is one."""
        return next(iter(self.books.values()), None)

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
        """Listens on free ports."""
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
        answers = await serve_http(self._answered, tls=self._tls)
        async with answers, serve(
            self._serve, "127.0.0.1", 0, process_request=self._asked, ssl=self._tls, compression=None,
            max_size=None, ping_interval=None, open_timeout=_PATIENCE_S, close_timeout=1,
        ) as server:  # fmt: skip
            self._port = next(iter(server.sockets)).getsockname()[1]
            self._rest_port = answers.sockets[0].getsockname()[1]
            self._started.set()
            await self._stopping.wait()

    async def _answered(self, target: str) -> HttpAnswer:
        """The answer by HTTP."""
        asked = urlsplit(target)
        address = self.protocol.address(asked.path, self.url)
        if self._refuses("requests" if address is None else "handshakes"):
            retry = {"Retry-After": str(self._retry_after_s)}
            return HttpAnswer("too many requests\n", HTTPStatus.TOO_MANY_REQUESTS, retry)
        if address is not None:
            return HttpAnswer(address)
        symbol = self.protocol.asked_for(asked.path, dict(parse_qsl(asked.query)))
        if symbol is None:
            return HttpAnswer(f"nothing is at {asked.path}\n", HTTPStatus.NOT_FOUND)
        frame = await self._book(symbol, f"{self.rest}{target}")
        self.books_sent += 1
        self.sent.append(frame)
        return HttpAnswer(self._text(frame))

    async def _asked(self, connection: ServerConnection, request: Request) -> Response | None:
        """None: becomes a WebSocket."""
        if self.protocol.address("/bullet-public", self.url) is not None or not self._refuses("handshakes"):
            return None
        response = connection.respond(HTTPStatus.TOO_MANY_REQUESTS, "too many requests\n")
        response.headers["Retry-After"] = str(self._retry_after_s)
        return response

    def _refuses(self, what: str) -> bool:
        if self._refused[what] == 0:
            return False
        self._refused[what] -= 1
        self.refusals += 1
        return True

    async def _book(self, symbol: str, url: str) -> WireFrame:
        """The book that is answered now; the capture's own is it once."""
        own = next((i for i, frame in enumerate(self.frames) if frame.is_book and frame.channel.symbol == symbol), None)
        assert own is not None, f"the capture holds no book of {symbol}"
        channel = Channel("depth", symbol)
        if symbol not in self._given:
            self._given.add(symbol)
            self._moved.set()
            return WireFrame(self.frames[own].ts_recv, self.frames[own].text, channel, url)
        while symbol not in self.books:
            await self._wait()
        stale = self._stale > 0
        self._stale -= stale
        if not stale:
            self._diffs_left.pop(symbol, None)
            self._moved.set()
        book = self.books[symbol]
        text = book.first if stale else self.protocol.whole(book)
        return WireFrame(self.frames[self._next - 1].ts_recv, text, channel, url)

    async def _wait(self) -> None:
        self._moved.clear()
        await self._moved.wait()

    async def _serve(self, socket: ServerConnection) -> None:
        from websockets.exceptions import ConnectionClosed

        self.connections += 1
        self._moved.set()  # whoever sends on a connection before leaves it
        self._numbers = 0
        self._left.clear()
        if self.protocol.links != "none":
            self._diffs_left = dict.fromkeys(self.books, _SHOWN)
        channels: set[Channel] = set()
        try:
            await self._say(socket, self.protocol.welcome)
            asked = 0
            while asked < self._requests:
                asked += await self._subscribed(socket, channels)
            listening = asyncio.ensure_future(self._listen_on(socket, channels))
            try:
                await self._send_all(socket, channels)
                await socket.wait_closed()
            finally:
                listening.cancel()
        except ConnectionClosed:
            return  # the reader left; what was being sent is lost

    async def _subscribed(self, socket: ServerConnection, channels: set[Channel]) -> bool:
        """Hears the reader and answers; whether it asked for subscriptions."""
        reply = self.protocol.reply(str(await socket.recv()))
        for text in reply.texts:
            await self._say(socket, text)
        for channel in reply.join:
            book = self.books.get(channel.symbol)
            if channel.kind == "depth" and book is not None and not self.protocol.answers_books:
                await self._send_book(socket, channel, book)
        channels -= set(reply.leave)
        channels |= set(reply.join)
        if not self.protocol.answers_books:
            self._left |= {channel.symbol for channel in reply.leave if channel.kind == "depth"}
            self._left -= {channel.symbol for channel in reply.join if channel.kind == "depth"}
        self._moved.set()
        return reply.subscribes

    async def _send_book(self, socket: ServerConnection, channel: Channel, book: VenueBook) -> None:
        """The whole book, to who subscribes."""
        stale = self._stale > 0
        self._stale -= stale
        if not stale:
            self._diffs_left.pop(channel.symbol, None)
        text = book.first if stale else self.protocol.whole(book)
        await self._send(socket, self._numbered(WireFrame(self._now, text, channel)))

    async def _listen_on(self, socket: ServerConnection, channels: set[Channel]) -> None:
        while True:
            await self._subscribed(socket, channels)

    async def _send_all(self, socket: ServerConnection, channels: set[Channel]) -> None:
        connection = self.connections
        while self._next < len(self.frames) and connection == self.connections:
            if self._until is not None and self._next >= self._until:
                await self._wait()
                continue
            frame = self.frames[self._next]
            symbol, wanted = frame.channel.symbol, frame.channel in channels
            first = wanted and frame.is_book and symbol not in self._given
            if first or (frame.is_depth and (symbol in self._left or (wanted and self._diffs_left.get(symbol) == 0))):
                await self._wait()  # until a book is asked for
                continue
            if self._faults and self._faults[0].at <= self._next:
                if not await self._strike(socket, self._faults.pop(0), frame, wanted=wanted):
                    return
                continue
            self._pass()
            if wanted and not frame.is_book:
                await self._send(socket, self._numbered(frame))
            if self._late is not None and self._next >= self._late[0]:
                (_, late), self._late = self._late, None
                await self._send(socket, late)

    async def _strike(self, socket: ServerConnection, fault: WireFault, frame: WireFrame, *, wanted: bool) -> bool:
        """Does what the fault says; whether the connection is still used."""
        self.struck.append(Struck(fault, frame.ts_recv))
        if isinstance(fault, Dropped | Swapped) and wanted:
            self._break(frame)
        match fault:
            case Dropped(frames=count):
                self._numbers += count if wanted else 0
                self._miss(count)
            case Repeated():
                self._pass()
                sent = self._numbered(frame)
                await self._send(socket, sent)
                await self._send(socket, sent)
            case Swapped(behind=behind):
                self._pass()
                self._late = (self._next + behind, self._numbered(frame))
            case Fragmented(parts=parts):
                self._pass()
                await self._send(socket, self._numbered(frame), parts=parts)
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

    def _break(self, frame: WireFrame) -> None:
        """The ids of books are broken by a lost frame, as the venue links them."""
        match self.protocol.links:
            case "connection":
                self._diffs_left = dict.fromkeys(self.books, _SHOWN)
            case "book" if frame.is_depth and frame.channel.symbol in self.books:
                self._diffs_left[frame.channel.symbol] = _SHOWN
            case _:
                pass

    def _miss(self, count: int) -> None:
        for _ in range(min(count, len(self.frames) - self._next)):
            self._pass()

    def _pass(self) -> None:
        """The next frame's time has come, whether or not it is sent."""
        frame = self.frames[self._next]
        self._next += 1
        symbol = frame.channel.symbol
        if frame.channel.kind != "depth":
            return
        depth = self.protocol.answered(frame.url, frame.text) if frame.is_book else self.protocol.depth(frame.text)
        if depth is None:
            return
        book = self.books.get(symbol)
        if book is not None:
            # An answer by HTTP may be older than the diffs before it; a book among them is the newest there is.
            if not (frame.is_book and book.has(depth)):
                book.apply(depth)
        elif depth.whole:
            self.books[symbol] = VenueBook(depth, frame.text, deep=self.protocol.deep)
            for diff in self._unbooked.pop(symbol, ()):
                if frame.is_book and diff.last_id is not None:
                    self.books[symbol].apply(diff)
            self._given.add(symbol)
            self._moved.set()
        else:
            self._unbooked.setdefault(symbol, []).append(depth)

    @property
    def _now(self) -> int:
        """The receive time of what is said now."""
        return self.frames[max(self._next - 1, 0)].ts_recv

    def _numbered(self, frame: WireFrame) -> WireFrame:
        """A frame of this connection."""
        text = self.protocol.numbered(frame.text, self._numbers)
        self._numbers += 1
        return WireFrame(frame.ts_recv, text, frame.channel)

    async def _say(self, socket: ServerConnection, text: str) -> None:
        if text:
            self.answers_sent += 1
            said = self._numbered(WireFrame(self._now, text))
            self.sent.append(said)
            await socket.send(self._text(said))

    async def _send(self, socket: ServerConnection, frame: WireFrame, *, parts: int = 1) -> None:
        self.frames_sent += 1
        if self._diffs_left.get(frame.channel.symbol) and frame.is_depth:
            self._diffs_left[frame.channel.symbol] -= 1
        self.sent.append(frame)
        text = self._text(frame)
        size = -(-len(text) // parts)
        await socket.send(text if parts == 1 else [text[i : i + size] for i in range(0, len(text), size)])

    def _text(self, frame: WireFrame) -> str:
        return f"{frame.ts_recv} {frame.text}" if self._stamped else frame.text
