"""One file of a tape log: its name says its number and its first message."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from signal_stream.errors import TapeError

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX: Final = ".arrow"
RESTORE: Final = "Restore it from a copy, or name another [pipeline] state in the deployment file."
_NAME: Final = re.compile(r"([0-9]{8})(?:-([0-9]{20}))?(\.zst)?")


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of the log. `number` counts them from 0 on; `first` is how many messages of the log lie before it, None where
    the name does not say it (logs of format 0). A `sealed` one is compressed, and no longer written."""

    path: Path
    number: int
    first: int | None
    sealed: bool

    @classmethod
    def named(cls, folder: Path, number: int, first: int, *, sealed: bool = False) -> Segment:
        """The segment with this number and first message, whether it exists or not."""
        ending = ".zst" if sealed else ""
        return cls(folder / f"{number:08d}-{first:020d}{ending}{SUFFIX}", number, first, sealed)

    @classmethod
    def of(cls, path: Path) -> Segment:
        """The segment in a file. Raises TapeError DAMAGED for a name that is none of ours."""
        match = _NAME.fullmatch(path.stem)
        if match is None:
            raise TapeError("DAMAGED", "not a segment's name", where=str(path), next_step="Move it elsewhere.")
        number, first, sealed = match.groups()
        return cls(path, int(number), None if first is None else int(first), sealed is not None)

    @property
    def sums_path(self) -> Path:
        """The file of its checksums."""
        return self.path.with_name(f".{self.path.stem}.sums")

    def remove(self) -> None:
        """Deletes the segment, then its checksums. Raises OSError."""
        self.path.unlink(missing_ok=True)
        self.sums_path.unlink(missing_ok=True)


def list_segments(folder: Path) -> list[Segment]:
    """The segments that are there, in order; of one that is being sealed the compressed file. The end of the newest may be
    unfinished. Raises TapeError DAMAGED for a file that is no segment."""
    found: dict[int, Segment] = {}
    with suppress(FileNotFoundError, NotADirectoryError):
        for path in folder.iterdir():
            if path.suffix == SUFFIX:
                segment = Segment.of(path)
                if segment.sealed or segment.number not in found:
                    found[segment.number] = segment
    return [found[number] for number in sorted(found)]


def damaged(path: Path, offset: int) -> TapeError:
    """The error for bytes that are not as they were written."""
    return TapeError(
        "DAMAGED",
        f"damaged at byte {offset:,}: what follows is not as it was written",
        where=str(path),
        value=offset,
        next_step=RESTORE,
    )


def missing(folder: Path, number: int, messages: str = "") -> TapeError:
    """The error for a segment that is gone."""
    return TapeError("DAMAGED", f"segment {number} is missing{messages}", where=str(folder), next_step=RESTORE)
