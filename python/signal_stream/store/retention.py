"""How long journal, tape and snapshots are kept: as long as is said, and never less than what is still needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .journal_index import read_entries
from .journal_upkeep import kept_offsets, remove_journal_before
from .tape_log import message_before, newest_ts, remove_before

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .snapshots import Snapshots


@dataclass(frozen=True, slots=True)
class Retention:
    """What `[journal] keep` and `[tape] keep` say, in nanoseconds; None keeps for ever."""

    journal_ns: int | None = None
    tape_ns: int | None = None

    def apply(
        self,
        *,
        journal: Path,
        tape: Path | None,
        snapshots: Snapshots,
        begins: Mapping[str, int],
        unsent: int,
        now: int,
    ) -> None:
        """Removes what is too old. Age is that against the newest that was received, or against `now` if that is less: a
        recording of last year is not old, and a clock that ran ahead removes nothing.

        Kept in any case: records from `unsent` on, which a sink still has to get; what the snapshots for restarts stand on;
        and of the tape what it takes to replay the signals that are in the journal, from the nearest snapshot before the
        oldest of each graph, or from where its engine began (`begins`, the tape's start by default). Raises OSError.
        """
        if self.journal_ns is not None:
            newest = max((entry.ts_last for entry in read_entries(journal).values()), default=None)
            if newest is not None:
                needed = min([unsent, *(place.journal_seq for place in snapshots.for_restart())])
                remove_journal_before(journal, min(now, newest) - self.journal_ns, needed_from=needed)
        if tape is None or self.tape_ns is None:
            return
        newest = newest_ts(tape)
        if newest is not None:
            old = message_before(tape, min(now, newest) - self.tape_ns)
            message = min(old, needed_message(journal, snapshots, begins))
            if message and remove_before(tape, message):
                snapshots.remove_before(message)


def needed_message(journal: Path, snapshots: Snapshots, begins: Mapping[str, int]) -> int:
    """How many messages of the tape nobody needs any more, from its start on."""
    places = [(place.messages, place.parts) for place in snapshots.along_the_tape()]
    restarts = [place.messages or 0 for place in snapshots.for_restart()]
    needed = [min(restarts, default=0)]
    for graph, offset in kept_offsets(journal).items():
        before = (
            messages
            for messages, parts in places
            if messages is not None and f"engine:{graph}" in parts and messages < offset
        )
        needed.append(max(before, default=begins.get(graph, 0)))
    return min(needed)
