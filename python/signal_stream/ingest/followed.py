"""Which file a followed source has read, so that a restart knows it again after it was rotated."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from signal_stream.errors import TapeError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class FollowedFile:
    """A file as it can be known again: device, inode and its first bytes (hex, at most 256 of them); `begins_at`
    messages came from the files before it."""

    dev: int
    ino: int
    head: str
    begins_at: int

    def likeness(self, path: Path) -> tuple[bool, int] | None:
        """How surely the file at `path` is this one, for comparison: whether it is no copy, and its bytes; None if it is
        another one."""
        try:
            with path.open("rb") as file:
                found = os.fstat(file.fileno())
                same = (found.st_ino, found.st_dev) == (self.ino, self.dev)
                if self.head:
                    return (same, found.st_size) if file.read(len(self.head) // 2).hex() == self.head else None
                return (True, found.st_size) if same else None
        except OSError:
            return None


def noted_beside(log: Path) -> list[FollowedFile]:
    """The files of a source that was followed before logs held its position: they were noted in a file of the log's folder.
    None if that is not there. Raises TapeError DAMAGED."""
    path = log / ".followed"
    try:
        return [FollowedFile(**file) for file in json.loads(path.read_bytes())]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        raise TapeError(
            "DAMAGED",
            "cannot be read: it says which file was followed",
            where=str(path),
            next_step="Restore it from a copy, or name another [pipeline] state in the deployment file.",
        ) from error


@dataclass(frozen=True, slots=True)
class FollowedStart:
    """Where following goes on: with message `skip` of the file `begin`, that of the path if it is None. `base` messages
    lie before that file, from the files `before`."""

    begin: Path | None
    before: tuple[FollowedFile, ...]
    base: int
    skip: int

    @classmethod
    def at(cls, skip: int) -> FollowedStart:
        """At message `skip` of a file of which nothing is known."""
        return cls(None, (), 0, skip)


def find_followed(noted: Sequence[FollowedFile], path: Path, messages: int) -> FollowedStart:
    """Where to go on after `messages` messages of the files `noted`, which were followed under the name `path`.

    The file that was read may have another name now, beside it. Raises TapeError TRUNCATED if it is nowhere.
    """
    if not noted:
        return FollowedStart.at(messages)
    known = [file for file in noted if file.begins_at <= messages]
    if not known:
        raise TapeError(
            "TRUNCATED",
            f"{noted[0].begins_at:,} messages came before the oldest file that is remembered, and {messages:,} are recorded",
            where=str(path),
            value=messages,
            next_step="Name another [pipeline] state in the deployment file.",
        )
    *before, last = known
    skip = messages - last.begins_at
    found = _find(last, path)
    if found is None and (skip or last.head):
        raise TapeError(
            "TRUNCATED",
            f"it is another file than the one that was read while the pipeline ran, and that one is not beside it: nobody "
            f"knows what it held after its first {skip:,} messages",
            where=str(path),
            value=skip,
            next_step=f"Put it back there as {path.name}.1, or name another [pipeline] state in the deployment file.",
        )
    return FollowedStart(None if found == path else found, tuple(before), last.begins_at, skip)


def _find(file: FollowedFile, path: Path) -> Path | None:
    """The path of a file or of its fullest copy, in the folder of `path`, which comes first among copies."""
    try:
        beside = sorted(each for each in path.parent.iterdir() if each.is_file())
    except OSError:
        beside = []
    alike = {each: likeness for each in beside if (likeness := file.likeness(each)) is not None}
    return max(alike, key=lambda each: (alike[each][0], each.name == path.name, alike[each][1]), default=None)
