"""The smallest server for HTTP/1.1: one request a connection, answered by a function."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A status, headers and a body of text."""

    text: str
    status: HTTPStatus = HTTPStatus.OK
    headers: dict[str, str] = field(default_factory=dict)


async def serve_http(
    answer: Callable[[str], Awaitable[HttpAnswer]], *, tls: ssl.SSLContext | None = None
) -> asyncio.Server:
    """Answers on a free port of this machine; `answer` is given the request's path and query."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            found = await answer(head.split(" ", 2)[1])
            body = found.text.encode()
            about = {"Content-Length": str(len(body)), "Connection": "close"} | found.headers
            lines = [
                f"HTTP/1.1 {found.status} {found.status.phrase}",
                *(f"{key}: {value}" for key, value in about.items()),
            ]
            writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # who asked is gone, or has not asked
        finally:
            writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
