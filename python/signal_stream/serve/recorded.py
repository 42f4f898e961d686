"""Finding signals in a journal, and the conditions under which they were made."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from signal_stream.errors import ReplayError

from .run_record import RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterable

    from signal_stream.records import JournalRecord
    from signal_stream.store import JournalReader

_ID_CHARS = 32


def find_signal(journal: JournalReader, signal_id: str) -> JournalRecord:
    """The signal with this id, or the only one whose id begins like this. Raises ReplayError if there is none."""
    return find_signals(journal, [signal_id])[0]


def find_signals(journal: JournalReader, ids: Iterable[str]) -> list[JournalRecord]:
    """The signals with these ids, or with ids that begin like these, in the order of `ids`; one pass.

    Raises ReplayError NOT_FOUND for an id that no signal has, or the beginning of several.
    """
    wanted = [each.lower() for each in ids]
    found: dict[str, dict[str, JournalRecord]] = {each: {} for each in wanted}
    shorter = [each for each in found if len(each) < _ID_CHARS]
    for record in journal.records(kind="signal"):
        if record.key in found:
            found[record.key][record.key] = record
        for start in shorter:
            if record.key.startswith(start):
                found[start][record.key] = record
    for start, records in found.items():
        if len(records) != 1:
            several = f"{len(records)} signals have ids that begin with {start}: {', '.join(list(records)[:3])}, …"
            raise ReplayError(
                "NOT_FOUND",
                several if records else f"no signal has the id {start}",
                where=str(journal.folder),
                value=start,
                next_step="Give more of its id." if records else "`signal-stream signals tail` shows ids.",
            )
    return [next(iter(found[each].values())) for each in wanted]


def sample_signals(journal: JournalReader, count: int, *, seed: int) -> list[JournalRecord]:
    """So many signals, each as likely as any other, in the order of the journal; all if there are fewer. One pass."""
    chooser = random.Random(seed)
    kept: list[JournalRecord] = []
    for number, record in enumerate(journal.records(kind="signal")):
        if number < count:
            kept.append(record)
        elif (slot := chooser.randrange(number + 1)) < count:
            kept[slot] = record
    if not kept:
        raise ReplayError("NOT_FOUND", "the journal holds no signals", where=str(journal.folder))
    return sorted(kept, key=lambda record: record.seq)


def run_of(journal: JournalReader, seq: int) -> RunRecord:
    """The conditions under which record `seq` was written."""
    return runs_of(journal, [seq])[0]


def runs_of(journal: JournalReader, seqs: Iterable[int]) -> list[RunRecord]:
    """The conditions under which each of these records was written: the newest run record before it."""
    opened = [(record.seq, RunRecord.from_json(record.body)) for record in journal.records(kind="open")]
    found = []
    for seq in seqs:
        before = [run_record for at, run_record in opened if at < seq]
        if not before:
            message = f"the journal does not say how record {seq} was made"
            raise ReplayError("NOT_FOUND", message, where=str(journal.folder))
        found.append(before[-1])
    return found
