"""One pipeline a state folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from signal_stream.errors import StateError
from signal_stream.locks import OwnerLock, owner, written_owner

if TYPE_CHECKING:
    from pathlib import Path


class StateLock:
    """Held by the process that serves a state folder, for its life: kill -9 gives it back.

    The file holds the process id, so that others can name it. Raises StateError LOCKED if another process, or
    another pipeline of this one, holds it.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "lock"
        lock = OwnerLock.take(path)
        if lock is None:
            pid = written_owner(path)
            raise StateError(
                "LOCKED",
                f"process {pid or '(unknown)'} serves this state folder already",
                where=str(folder),
                value=pid,
                next_step="Stop it first, or give this pipeline a state folder of its own.",
            )
        self._lock = lock

    def close(self) -> None:
        """Gives the folder back. May be called twice."""
        self._lock.close()


def serving_pid(folder: Path) -> int | None:
    """The process that serves a state folder now; None if none does."""
    return owner(folder / "lock")
