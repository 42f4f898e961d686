"""Where a pipeline goes on: decided from what journal, snapshots and tape say, before anything is made again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from signal_stream.durations import duration_text
from signal_stream.errors import JournalError, StateError, TapeError
from signal_stream.records import SignalRecord

from .amended import amended_through
from .checkpoint import Checkpoint
from .run_record import RunRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from signal_stream import _core
    from signal_stream.records import JournalRecord
    from signal_stream.store import Journal, Snapshots

    from .assembly import Recorded


@dataclass(frozen=True, slots=True)
class Restart:
    """Where a pipeline goes on.

    `engines`, by their graphs' digests, are restored from `checkpoint`, or new and at the tape's beginning if there is none.
    `run_record` is complete. `not_reproduced` signals of the journal rest on messages that a power cut took from the tape.
    `amended_through`, by the graphs' digests, are the messages up to which the journal holds amendments.
    """

    engines: Mapping[str, _core.Engine]
    checkpoint: Checkpoint | None
    run_record: RunRecord
    not_reproduced: int
    amended_through: Mapping[str, int]


def plan_restart(
    *,
    plans: Mapping[str, _core.Plan],
    run_record: RunRecord,
    journal: Journal,
    snapshots: Snapshots,
    recorded: Recorded | None,
    refuse_late: bool,
) -> Restart:
    """Decides from journal, snapshots and tape; prepares the journal for the signals that will be made again. `plans` are the
    graphs' by their digests.

    Without a usable snapshot everything is computed again from the tape's beginning, which gives the same signals; where the
    beginning was removed, engines begin at what is left of it, and what was sent is not made again.
    Raises StateError if the state belongs to another tape or lateness, JournalError if what was sent cannot be told from
    what is new, TapeError if the tape is shorter than what rests on it.
    """
    from signal_stream import _core

    last = journal.last("open")
    before = None if last is None else RunRecord.from_json(last.body)
    if before is not None:
        _check_same_state(before, run_record, journal)
    checkpoint = _usable(snapshots, journal, recorded)
    options = {
        graph.digest: _core.EngineOptions(
            lateness_ns=graph.lateness_ns, amend_ns=graph.amend_ns, refuse_late=refuse_late
        )
        for graph in run_record.graphs
    }
    engines: dict[str, _core.Engine] = {}
    if checkpoint is not None:
        try:
            for digest, plan in plans.items():
                engines[digest] = _core.Engine.restore(plan, checkpoint.engines[digest], options[digest])
        except (KeyError, _core.CoreError):  # of another version, or a graph is new
            checkpoint, engines = None, {}
    first = 0 if recorded is None else recorded.log.first_message
    begins = dict.fromkeys(plans, first) if checkpoint is None else checkpoint.begins
    for digest, plan in plans.items():
        if digest not in engines:
            engines[digest] = _core.Engine(plan, options[digest], messages=first)
    run_record = replace(
        run_record, graphs=tuple(replace(graph, begins=begins.get(graph.digest, 0)) for graph in run_record.graphs)
    )
    used = next(iter(engines.values())).messages
    newest = journal.last("signal")
    since = 0 if before is None else before.models_since_seq
    not_reproduced = 0 if recorded is None else _behind_the_tape(journal, recorded, used, since)
    if before is None or (before.reproduces(run_record) and not not_reproduced):
        since_seq, superseded = (0, -1) if before is None else (before.models_since_seq, before.superseded_through)
        from_seq = max(since_seq, 0 if checkpoint is None else checkpoint.journal_seq)
    else:
        since_seq = from_seq = journal.next_seq
        superseded = -1 if newest is None else _offset(newest)
        if before.superseded_through >= 0:  # what was history is history for other models too
            superseded = max(superseded, before.superseded_through)
    if recorded is not None:
        superseded = min(superseded, recorded.messages)
    if newest is None and checkpoint is None and journal.first_seq > 0:
        raise JournalError(
            "LOST",
            f"the records before {journal.first_seq:,} were removed, and neither a signal nor a snapshot is left: nobody "
            "knows what was sent",
            where=str(journal.folder),
            next_step="Restore the journal from a copy, or name another [pipeline] state in the deployment file.",
        )
    journal.resume(from_seq, after_offset=used, tape_end=None if recorded is None else recorded.messages)
    run_record = replace(
        run_record,
        messages=used,
        journal_seq=from_seq,
        models_since_seq=since_seq,
        superseded_through=superseded,
    )
    amended = amended_through(journal, 0 if checkpoint is None else checkpoint.journal_seq)
    return Restart(engines, checkpoint, run_record, not_reproduced, amended)


def _check_same_state(before: RunRecord, run_record: RunRecord, journal: Journal) -> None:
    """Raises StateError OTHER_RUN if a state folder cannot be gone on with under these conditions."""
    state = str(journal.folder.parent)
    if (why := before.tape.differs(run_record.tape)) is not None:
        raise StateError(
            "OTHER_RUN",
            f"the state folder belongs to another tape: {why}",
            where=state,
            next_step="Name another [pipeline] state in the deployment file, or the same [source] again.",
        )
    served = {graph.digest: graph for graph in before.graphs}
    for graph in run_record.graphs:
        then = served.get(graph.digest, graph)
        for name, was, is_now in (
            ("lateness", then.lateness_ns, graph.lateness_ns),
            ("amend_within", then.amend_ns, graph.amend_ns),
        ):
            if was == is_now:
                continue
            old, new = duration_text(was), duration_text(is_now)
            back = f'Put {name} = "{old}" back' if was else f"Leave {name} out"
            raise StateError(
                "OTHER_RUN",
                f'[source] {name} was "{old}" when this state was written, and is "{new}" now: with another {name} '
                "other events are late, and signals that were sent could not be made again",
                where=state,
                value=new,
                next_step=f"{back}, or name another [pipeline] state in the deployment file.",
            )


def _behind_the_tape(journal: Journal, recorded: Recorded, used: int, since_seq: int) -> int:
    """How many signals rest on messages behind the tape's end. Raises TapeError TRUNCATED if that is more than what a
    power cut can have taken before it was on the disk."""
    end = recorded.messages

    def shorter(what: str) -> TapeError:
        cut = "" if recorded.log.recovered is None else f" ({recorded.log.recovered})"
        return TapeError(
            "TRUNCATED", f"it holds {end:,} messages, and {what}{cut}", where=str(recorded.log.folder), value=end,
            next_step="Restore it from a copy, or name another [pipeline] state in the deployment file.",
        )  # fmt: skip

    if used > end:
        raise shorter(f"{used:,} were used")
    newest = journal.last("signal")
    if newest is None or newest.seq < since_seq or _offset(newest) <= end:
        return 0
    lost = [record for record in journal.records(kind="signal", from_seq=since_seq) if _offset(record) > end]
    if journal.synced is not None and lost[0].seq < journal.synced:
        raise shorter(f"signal {lost[0].key} rests on message {_offset(lost[0]):,}")
    return len(lost)


def _offset(record: JournalRecord) -> int:
    return SignalRecord.from_json(record.body).lineage.tape.offset


def _usable(snapshots: Snapshots, journal: Journal, recorded: Recorded | None) -> Checkpoint | None:
    """The newest checkpoint, if it is whole, not ahead of the journal, and what follows it can be read: it is on the tape log, or
    it says where the source stood, which in format 0 it does not."""
    snapshot = snapshots.latest()
    if snapshot is None or snapshot.journal_seq > journal.next_seq:
        return None
    if recorded is not None and (snapshot.messages or 0) < recorded.log.first_message:
        return None
    try:
        checkpoint = Checkpoint.of(snapshot)
    except (KeyError, ValueError, TypeError):
        return None
    return checkpoint if recorded is not None or checkpoint.position else None
