"""A file that is written when the journal has grown, for other processes that follow it."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

NAME: Final = "journal.bell"


class Bell:
    """Rung by who writes the journal, when it has time. Who watched the journal's own files would be noticed by each append, on
    the way of a signal; what is in this file means nothing.

    One thread rings.
    """

    def __init__(self, folder: Path) -> None:
        """`folder` is the state folder, which others watch."""
        self._path = folder / NAME
        self._file = -1

    def ring(self) -> None:
        """Has those look at the journal that wait for it. Raises nothing: they look once a second in any case."""
        with suppress(OSError):
            if self._file < 0:
                self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
            os.pwrite(self._file, b"\n", 0)

    def close(self) -> None:
        """Gives the file back. May be called twice."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)
