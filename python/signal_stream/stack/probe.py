"""Whether a helper process answers."""

from __future__ import annotations

import http.client
import socket
from typing import Final
from urllib.parse import urlsplit

_ANSWER_S: Final = 2.0


def no_answer(url: str) -> str | None:
    """Asks an http:// or tcp:// URL; why it gave no good answer, None if it did.

    >>> no_answer("tcp://127.0.0.1:1")
    'tcp://127.0.0.1:1: Connection refused'
    """
    where = urlsplit(url)
    try:
        if where.scheme == "tcp":
            socket.create_connection((where.hostname, where.port or 0), timeout=_ANSWER_S).close()
            return None
        connection = http.client.HTTPConnection(where.hostname or "", where.port or 80, timeout=_ANSWER_S)
        try:
            connection.request("GET", f"{where.path or '/'}{'?' if where.query else ''}{where.query}")
            status = connection.getresponse().status
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"{url}: {getattr(error, 'strerror', None) or error or type(error).__name__}"
    return None if 200 <= status < 300 else f"{url}: HTTP {status}"
