"""What opening.py and replay.py both make of a deployment: compiled graphs, lateness, own guards, checked latches."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from signal_stream import parts
from signal_stream.core_errors import core_error
from signal_stream.errors import GraphError
from signal_stream.ingest.files import check_regular
from signal_stream.registry import Manifest
from signal_stream.store.tape_log import TapeLog

from .run_record import TapeIdentity, latch_of, noted_latches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from signal_stream import _core
    from signal_stream.roles import Guard, Source
    from signal_stream.settings import Deployment, GuardSettings, SourceSettings, TapeSettings
    from signal_stream.store import Journal, Latches


def compile_graph(manifest: Manifest) -> _core.Plan:
    """The plan of a manifest's graph. Raises GraphError if it is not the graph that was registered."""
    from signal_stream import _core

    try:
        plan = _core.Plan(manifest.graph)
    except _core.CoreError as error:
        raise core_error(error, "registered graph", about=f"{manifest.name}: ") from None
    if plan.digest != manifest.graph_digest or plan.schema_digest != manifest.schema_digest:
        raise GraphError(
            "DIGEST",
            f"the graph of {manifest.name} has digest {plan.digest[:12]}…, its manifest says "
            f"{manifest.graph_digest[:12]}…",
            next_step="Register the model again with this version of signal-stream.",
        )
    return plan


def lateness_ns(manifest: Manifest, settings: SourceSettings) -> int:
    """How long events may wait for their turn in venue time; 0 for a graph on receive time.

    Raises GraphError for a graph on venue time that makes a vector at each event, and for one on divided bars: what has
    its turn together could not be told apart by its signals' ids.
    """
    graph = json.loads(manifest.graph)
    on = graph["on"]
    if isinstance(on, dict) and "split" in on:
        raise GraphError(
            "BAD_ARGUMENT", f"{manifest.graph_name}: one trade may end several divided bars, at one moment, so their signals "
            "would have one id", value=on, next_step='Give it on=bars(…, split="whole"), a clock, or trades.',
        )  # fmt: skip
    if graph["axis"] == "recv":
        return 0
    if not (isinstance(on, dict) and {"every_ns", "bars_ns"} & on.keys()):
        raise GraphError(
            "BAD_ARGUMENT", f'{manifest.graph_name}: axis="event" is served for graphs on a clock or on bars of time',
            value=on, next_step='Give it on=every("100ms"), or axis="recv".',
        )  # fmt: skip
    return settings.lateness_ns


def amend_ns(manifest: Manifest, settings: SourceSettings) -> int:
    """How late an event may be to change what was given; 0 for not at all, as on receive time, where nothing is late."""
    return 0 if json.loads(manifest.graph)["axis"] == "recv" else settings.amend_within_ns or 0


def own_guards(sections: Sequence[GuardSettings], model: str) -> list[Guard]:
    """The deployment's own guards for a model, each with a state of its own. Raises SettingsError."""
    return [parts.make("guard", section) for section in sections if not section.models or model in section.models]


def check_latches(latches: Latches, journal: Journal, *, pipeline: str, now: int) -> int:
    """Compares the latches with those that the journal has seen; returns the number of the newest that it holds.

    Where a line is gone from the latches, everything is killed, and so are the models whose kills went with it, until
    a named person re-arms. Raises LatchError if that cannot be written.
    """
    noted = noted_latches(journal)
    if not noted:
        return -1
    newest = noted[-1]
    if latches.lacks(newest):
        reason = f"the latches lack record {newest.seq}, which the journal holds ({newest})"
        every = [*map(latch_of, journal.records(kind="latch"))]
        latches.restore(every, by=f"pipeline:{pipeline}", reason=reason, now=now)
    return newest.seq


def identify(source: Source, deployment: Deployment) -> TapeIdentity:
    """The tape that the deployment's source is, or becomes. Raises TapeError."""
    record = deployment.source.record
    if source.tape is not None and record is None:
        check_regular(source.tape)
        return TapeIdentity.of_file(source.tape)
    return TapeIdentity.of_log(source.name, record or deployment.pipeline.state / "tape")


@dataclass(frozen=True, slots=True)
class Recorded:
    """A log of the events as they were used, and how many messages were written to it."""

    log: TapeLog
    messages: int

    @classmethod
    def open(cls, identity: TapeIdentity, settings: TapeSettings, *, durable: bool) -> Self | None:
        """The log of a recorded tape; None for a file. Raises TapeError for a damaged one."""
        if not identity.recorded:
            return None
        log = TapeLog(
            Path(identity.path),
            durable=durable,
            segment_bytes=settings.segment_bytes,
            segment_age_ns=settings.segment_age_ns,
        )
        return cls(log, log.messages)
