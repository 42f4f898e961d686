"""Guards that remember, in a replay: restored from the nearest checkpoint, and told what was decided since."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from .assembly import own_guards
from .run_record import served_guard

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from signal_stream.records import Decision, JournalRecord, SignalRecord
    from signal_stream.store import JournalReader, Snapshot, Snapshots

    from .run_record import RunRecord


class Memory:
    """The signals that have to be made again beside those asked for, so that guards remember what they remembered.

    `records` are all of them, in the order of the journal; `begins` says, by the number of a record, with which state its
    model's guards begin there: that of a checkpoint, or None for a new one.
    """

    def __init__(
        self,
        journal: JournalReader,
        snapshots: Snapshots,
        wanted: Sequence[JournalRecord],
        run_records: Sequence[RunRecord],
    ) -> None:
        """Raises SettingsError where a guard cannot be made."""
        self.begins: dict[int, bytes | None] = {}
        found = {record.seq: record for record in wanted}
        ends: dict[tuple[str, int], tuple[int, bytes | None]] = {}
        for record, run_record in zip(wanted, run_records, strict=True):
            model: str = json.loads(record.body)["model_id"]
            if not _remembers(run_record, model):
                continue
            start, state = _nearest(snapshots, model, record.seq)
            before, _ = ends.get((model, start), (-1, None))
            ends[model, start] = max(before, record.seq), state
        for (model, start), (end, state) in ends.items():
            for number, record in enumerate(_signals(journal, model, start, end)):
                found[record.seq] = record
                if number == 0:
                    self.begins[record.seq] = state
        self.records = [found[seq] for seq in sorted(found)]


def _remembers(run_record: RunRecord, model: str) -> bool:
    guards = own_guards([served_guard(each) for each in run_record.guards], model)
    return any(hasattr(guard, "observe") for guard in guards)


def _nearest(snapshots: Snapshots, model: str, seq: int) -> tuple[int, bytes | None]:
    """Where the nearest checkpoint before a record stands in the journal, and the state of the model's Gate in it."""
    name = f"gate:{model}"
    for place in reversed(snapshots.places()):
        if place.journal_seq <= seq and name in place.parts:
            snapshot: Snapshot | None = snapshots.at(place)
            if snapshot is not None:
                return place.journal_seq, snapshot.parts[name]
    return 0, None


def _signals(journal: JournalReader, model: str, start: int, end: int) -> Iterator[JournalRecord]:
    """The model's signals among records `start` to `end`."""
    for record in journal.records(kind="signal", from_seq=max(start, journal.first_seq)):
        if record.seq > end:
            return
        if json.loads(record.body)["model_id"] == model:
            yield record


def as_recorded(decision: Decision, signal: SignalRecord) -> Decision:
    """The decision as the journal holds it: made again, verdict and value may be others, as they depend on the moment."""
    return replace(decision, verdict=signal.verdict, value=signal.value, latency=signal.latency)
