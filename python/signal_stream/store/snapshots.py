"""Where a restarted pipeline goes on, and where replays begin: a few named byte strings, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from signal_stream.errors import StateError

from .durable import sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_FORMAT: Final = 1
_SUFFIX: Final = ".snapshot"
EVERY_MESSAGES: Final = 1_000_000
_MESSAGE_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a pipeline at the moment when its journal had `journal_seq` records, and it had read the tape's first
    `messages` messages (None in format 0, which does not say it).

    `parts` are its byte strings by name (engines, gates, …): what they mean is their makers' business.
    """

    journal_seq: int
    parts: Mapping[str, bytes]
    messages: int | None = 0


class Place(NamedTuple):
    """Where a snapshot stands, and the names of its parts."""

    journal_seq: int
    messages: int | None
    parts: frozenset[str]


class Snapshots:
    """Keeps the newest `keep` snapshots of a folder for restarts, and older ones along the tape for replays: one every
    `every_messages`, or fewer where one is so large that they would take more room than the tape. A snapshot that is damaged
    is passed over for the one before."""

    def __init__(self, folder: Path, *, keep: int = 2, every_messages: int = EVERY_MESSAGES) -> None:
        self._folder = folder
        self._keep = keep
        self._every = every_messages

    def put(self, snapshot: Snapshot) -> Path:
        """Writes a snapshot to the disk, then removes those that are not kept. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        body = b"".join(snapshot.parts.values())
        head = {
            "format": _FORMAT,
            "journal_seq": snapshot.journal_seq,
            "messages": snapshot.messages,
            "sha256": hashlib.sha256(body).hexdigest(),
            "parts": {name: len(part) for name, part in snapshot.parts.items()},
        }
        path = self._folder / f"{snapshot.journal_seq:020d}-{snapshot.messages or 0:020d}{_SUFFIX}"
        unfinished = path.with_suffix(".unfinished")
        with unfinished.open("wb") as file:
            file.write(json.dumps(head).encode() + b"\n" + body)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
        sync_folder(self._folder)
        self._thin_out()
        return path

    def latest(self) -> Snapshot | None:
        """The newest whole snapshot; None if there is none."""
        return next(self._whole(self._newest_first()), None)

    def before(self, message: int) -> Iterator[Snapshot]:
        """Whole snapshots from before a message of the tape, the nearest first; one of format 0 does not say whether it is."""
        return self._whole([path for path in self._newest_first() if (_messages(path) or 0) < message])

    def places(self) -> list[Place]:
        """Where each stands, oldest first. Reads no more than their first lines."""
        heads = [_head(path) for path in reversed(self._newest_first())]
        return [
            Place(head["journal_seq"], head.get("messages"), frozenset(head["parts"]))
            for head in heads
            if head is not None
        ]

    def at(self, place: Place) -> Snapshot | None:
        """The snapshot that stands there; None if it is not whole."""
        begins = f"{place.journal_seq:020d}"
        paths = [path for path in self._newest_first() if path.stem.startswith(begins)]
        return next((each for each in self._whole(paths) if each.messages == place.messages), None)

    def for_restart(self) -> list[Place]:
        """Those of the newest that a restart may need."""
        return self.places()[-self._keep :]

    def along_the_tape(self) -> list[Place]:
        """Those that stay."""
        return self.places()[: -self._keep]

    def remove_before(self, message: int) -> int:
        """Removes those along the tape whose messages were removed up to `message`; returns how many. Raises OSError."""
        gone = [path for path in self._newest_first()[self._keep :] if (_messages(path) or 0) < message]
        for path in gone:
            path.unlink(missing_ok=True)
        return len(gone)

    def check(self) -> int:
        """How many there are. Raises StateError that names one that is not as it was written."""
        found = self._newest_first()
        for path in found:
            _check(path)
        return len(found)

    def newest(self) -> Path | None:
        """The file of the newest snapshot, whole or not; None if there is none."""
        return next(iter(self._newest_first()), None)

    def check_newest(self) -> None:
        """Raises StateError unless the newest snapshot is as it was written: a restart would have to begin further back."""
        newest = self.newest()
        if newest is not None:
            _check(newest)

    def _thin_out(self) -> None:
        """Keeps the newest, and of the older ones, from the oldest on, those that are far enough apart."""
        kept = 0
        for path in reversed(self._newest_first()[self._keep :]):
            messages = _messages(path)
            if messages is not None and messages - kept >= max(self._every, path.stat().st_size // _MESSAGE_BYTES):
                kept = messages
            else:
                path.unlink(missing_ok=True)

    def _newest_first(self) -> list[Path]:
        return sorted(self._folder.glob(f"*{_SUFFIX}"), reverse=True)

    @staticmethod
    def _whole(paths: list[Path]) -> Iterator[Snapshot]:
        for path in paths:
            found = _read(path)
            if found is not None:
                yield found


def _messages(path: Path) -> int | None:
    """The messages that a snapshot's name says; None in format 0."""
    _, _, messages = path.stem.partition("-")
    return int(messages) if messages.isdecimal() else None


def _check(path: Path) -> None:
    if _read(path) is None and path.exists():
        raise StateError(
            "DAMAGED",
            "a snapshot is not as it was written",
            where=str(path),
            next_step="Delete it: a restart takes the one before, or begins at the tape's start.",
        )


def _head(path: Path) -> dict[str, Any] | None:
    try:
        with path.open("rb") as file:
            head: dict[str, Any] = json.loads(file.readline())
            return head if head["parts"] is not None and head["journal_seq"] >= 0 else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


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
        return Snapshot(head["journal_seq"], parts, head.get("messages"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
