"""Where the faults of a simulated capture are, and what a reader should make of each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class FaultEntry:
    """One fault that happened.

    `line` is the first line of the capture in which it can be noticed and `until_line` the last that it
    touches, both counted from 1; None while the capture ended before it could show. `expect` names what a
    correct reader reports of the stream concerned, in the order of the lines: GAP, DUPLICATE, LATE, FUTURE,
    REJECT, CROSSED, BUILDING, STALE, BURST or TRUNCATED.
    """

    fault: str
    expect: tuple[str, ...]
    detail: str
    line: int | None = None
    until_line: int | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """On a frame: its line is the entry's `line`, its `until_line`, or both."""

    entry: FaultEntry
    first: bool = True
    last: bool = True

    def number(self, line: int) -> None:
        """Tell the entry the line that the frame was given."""
        if self.first:
            self.entry.line = line
        if self.last:
            self.entry.until_line = line


@dataclass(slots=True)
class FaultLog:
    """The faults of one capture in the order of their making; complete once the capture is."""

    entries: list[FaultEntry] = field(default_factory=list)

    def __iter__(self) -> Iterator[FaultEntry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def of(self, fault: str) -> Sequence[FaultEntry]:
        """The entries of one kind of fault, as `"Gap"`."""
        return [entry for entry in self.entries if entry.fault == fault]

    def open(self, fault: str, *expect: str, detail: str) -> FaultEntry:
        """A new entry, whose lines the marked frames will tell."""
        entry = FaultEntry(fault, expect, detail)
        self.entries.append(entry)
        return entry
