"""Where a restarted pipeline goes on: a few named byte strings, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from signal_stream.errors import JournalError

from .durable import sync_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SUFFIX: Final = ".snapshot"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a pipeline at the moment when its journal had `journal_seq` records.

    `parts` are its byte strings by name (engine, gates, …): what they mean is their makers' business.
    """

    journal_seq: int
    parts: Mapping[str, bytes]


class Snapshots:
    """Keeps the newest `keep` snapshots of a folder. One that is damaged is passed over for the one before."""

    def __init__(self, folder: Path, *, keep: int = 2) -> None:
        self._folder = folder
        self._keep = keep

    def put(self, snapshot: Snapshot) -> Path:
        """Writes a snapshot to the disk, then removes the oldest. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        body = b"".join(snapshot.parts.values())
        head = {
            "journal_seq": snapshot.journal_seq,
            "sha256": hashlib.sha256(body).hexdigest(),
            "parts": {name: len(part) for name, part in snapshot.parts.items()},
        }
        path = self._folder / f"{snapshot.journal_seq:020d}{_SUFFIX}"
        unfinished = path.with_suffix(".unfinished")
        with unfinished.open("wb") as file:
            file.write(json.dumps(head).encode() + b"\n" + body)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
        sync_folder(self._folder)
        for old in self._newest_first()[self._keep :]:
            old.unlink(missing_ok=True)
        return path

    def latest(self) -> Snapshot | None:
        """The newest whole snapshot; None if there is none."""
        for path in self._newest_first():
            found = _read(path)
            if found is not None:
                return found
        return None

    def check(self) -> int:
        """How many there are. Raises JournalError that names one that is not as it was written."""
        found = self._newest_first()
        for path in found:
            if _read(path) is None:
                raise JournalError(
                    "DAMAGED",
                    "a snapshot is not as it was written",
                    where=str(path),
                    next_step="Delete it: a restart takes the one before, or begins at the tape's start.",
                )
        return len(found)

    def _newest_first(self) -> list[Path]:
        return sorted(self._folder.glob(f"*{_SUFFIX}"), reverse=True)


def _read(path: Path) -> Snapshot | None:
    try:
        line, _, body = path.read_bytes().partition(b"\n")
        head = json.loads(line)
        if hashlib.sha256(body).hexdigest() != head["sha256"]:
            return None
        parts = {}
        at = 0
        for name, length in head["parts"].items():
            parts[name] = body[at : at + length]
            at += length
        return Snapshot(head["journal_seq"], parts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
