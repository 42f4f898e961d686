"""One signal a line, as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from .signal_file import TAIL_MAX, Tail

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_TAIL_BYTES: Final = 64 << 20


class JsonLines:
    """A signal's own JSON and a line end; a line without its end is unfinished. `key` is what names it there."""

    def __init__(self, key: str = "signal_id") -> None:
        self._key = key

    def head(self) -> bytes:
        """Nothing."""
        return b""

    def encode(self, texts: Sequence[str]) -> bytes:
        """The texts as lines."""
        return ("\n".join(texts) + "\n").encode()

    def tail(self, path: Path, size: int) -> Tail:
        """Reads the last 64 MiB at most. Raises ValueError if the last line is no signal."""
        with path.open("rb") as file:
            start = max(0, size - _TAIL_BYTES)
            file.seek(start)
            data = file.read()
        end = data.rfind(b"\n") + 1
        begin = data.rfind(b"\n", 0, max(0, end - 1)) + 1
        if end == 0:
            begins = f'{{"{self._key}"'.encode()
            if not begins.startswith(data[: len(begins)]):
                raise ValueError("the file holds no signals")
            return Tail(0, None, list)
        last_id = _named(data[begin:end], self._key)

        def texts() -> list[str]:
            lines = data[:end].splitlines()
            if start > 0:
                lines = lines[1:]
            return [line.decode() for line in lines[-TAIL_MAX:]]

        return Tail(start + end, last_id, texts)


def _named(line: bytes, key: str) -> str:
    try:
        signal_id = json.loads(line)[key]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError("a line is no signal") from error
    if isinstance(signal_id, str):
        return signal_id
    raise ValueError("a line is no signal")
