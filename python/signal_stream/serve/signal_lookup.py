"""Finding signals in a journal, and the conditions under which they were made."""

from __future__ import annotations

import bisect
import random
from typing import TYPE_CHECKING

from signal_stream.errors import ReplayError
from signal_stream.records import Amendment, SignalRecord

from .run_record import RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from signal_stream.records import AmendedVector, JournalRecord
    from signal_stream.store import JournalReader

_ID_CHARS = 32


def find_signal(journal: JournalReader, signal_id: str) -> JournalRecord:
    """The signal with this id, or the only one whose id begins like this. Raises ReplayError if there is none."""
    return find_signals(journal, [signal_id])[0]


def find_signals(journal: JournalReader, ids: Iterable[str]) -> list[JournalRecord]:
    """The signals with these ids, or with ids that begin like these, in the order of `ids`; one pass, from the newest segment on.

    Whole ids end it as soon as all are found; the beginning of one needs the whole journal, since several may begin like it.

    Raises ReplayError NOT_FOUND for an id that no signal has, or the beginning of several.
    """
    wanted = [each.lower() for each in ids]
    found: dict[str, dict[str, JournalRecord]] = {each: {} for each in wanted}
    shorter = [each for each in found if len(each) < _ID_CHARS]
    if len(found) == 1 and not shorter:
        [one] = found
        only = journal.find(one, kind="signal")
        records = iter([] if only is None else [only])
    else:
        records = journal.newest_first("signal")
    for record in records:
        if record.key in found:
            found[record.key][record.key] = record
            if not shorter and all(found.values()):
                break
        for start in shorter:
            if record.key.startswith(start):
                found[start][record.key] = record
    for start, named in found.items():
        if len(named) != 1:
            several = f"{len(named)} signals have ids that begin with {start}: {', '.join(list(named)[:3])}, …"
            raise ReplayError(
                "NOT_FOUND",
                several if named else f"no signal has the id {start}",
                where=str(journal.folder),
                value=start,
                next_step="Give more of its id." if named else "`signal-stream signals tail` shows ids.",
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
    """The conditions under which record `seq` was written: the newest run record before it."""
    opened = journal.before(seq, "open")
    if opened is None:
        raise _unknown(journal, seq)
    return RunRecord.from_json(opened.body)


def runs_of(journal: JournalReader, seqs: Sequence[int]) -> list[RunRecord]:
    """The conditions under which each of these records was written. Of several, one pass."""
    if len(seqs) == 1:
        return [run_of(journal, seqs[0])]
    opened = [(record.seq, record.body) for record in journal.records(kind="open")]
    read: dict[str, RunRecord] = {}
    found = []
    for seq in seqs:
        at = bisect.bisect_left(opened, seq, key=lambda each: each[0]) - 1
        if at < 0:
            raise _unknown(journal, seq)
        body = opened[at][1]
        if body not in read:
            read[body] = RunRecord.from_json(body)
        found.append(read[body])
    return found


def revisions_of(journal: JournalReader, record: JournalRecord) -> Iterator[tuple[Amendment, AmendedVector]]:
    """How the vector that a signal rests on was amended since, oldest first."""
    signal = SignalRecord.from_json(record.body)
    lineage = signal.lineage
    now: str | None = lineage.vector_hash
    for later in journal.records(kind="amendment", from_seq=record.seq + 1):
        if now is None:
            return
        if now not in later.body:
            continue
        amendment = Amendment.from_json(later.body)
        if amendment.graph_digest != lineage.feature_graph_hash:
            continue
        for vector in amendment.vectors:
            if vector.old == now and (vector.instrument, vector.ts_event) == (signal.instrument, lineage.ts_event):
                yield amendment, vector
                now = vector.new


def _unknown(journal: JournalReader, seq: int) -> ReplayError:
    message = f"the journal does not say how record {seq} was made"
    return ReplayError("NOT_FOUND", message, where=str(journal.folder))
