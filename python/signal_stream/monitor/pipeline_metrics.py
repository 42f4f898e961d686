"""The metrics of a pipeline as a whole: its state, source, journal, sinks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .label import bounded, label
from .metric import Found, Metric, Sample, one, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

STATES: Final = ("NEVER SERVED", "STARTING", "SERVING", "SILENT", "HUNG", "STOPPED", "FAILED", "HALTED", "DEAD")


def _states(found: Found) -> Iterator[Sample]:
    for state in STATES:
        yield (state,), float(found["state"] == state)


def _counts(*names: str) -> Any:
    def read(found: Found) -> Iterator[Sample]:
        for name in names:
            yield (name,), found["counts"].get(name, 0)

    return read


def _books(found: Found) -> Iterator[Sample]:
    for name, number in found["books"].items():
        yield (name.removeprefix("book_"),), number


def _refused(found: Found) -> Iterator[Sample]:
    for code, number in bounded(found["refused"]).items():
        yield (code,), number


def _delay(found: Found) -> Iterator[Sample]:
    delay = found["source"].get("venue_delay_ns", {})
    for quantile, name in (("0.5", "p50"), ("0.99", "p99")):
        if delay.get(name) is not None:
            yield (quantile,), delay[name] / 1e9


def _of_each(key: str, name: str, what: str, *, scale: float = 1.0) -> Any:
    """A number of each sink or observer."""

    def read(found: Found) -> Iterator[Sample]:
        for each in found.get(key, ()):
            if each.get(what) is not None:
                yield (label(each[name]),), each[what] * scale

    return read


def _degraded(key: str, name: str) -> Any:
    def read(found: Found) -> Iterator[Sample]:
        for each in found.get(key, ()):
            yield (label(each[name]),), float(each["state"] == "DEGRADED")

    return read


def _servers(found: Found) -> Iterator[Sample]:
    for each in (found.get("gateway") or {}).get("servers", ()):
        yield (label(each["name"]),), float(each["state"] == "DEGRADED")


def _silent(found: Found) -> float | None:
    source = found["source"]
    return None if "silent_ns" not in source else (source["silent_ns"] + found["status_age_ns"]) / 1e9


def _clock(found: Found) -> float | None:
    least = found["source"].get("venue_delay_ns", {}).get("least")
    return None if least is None else max(0.0, -least / 1e9)


def _failing(found: Found) -> Iterator[Sample]:
    for task in ("snapshot", "upkeep"):
        yield (task,), float(found["journal"].get(f"{task}_failure") is not None)


def _source(name: str) -> Any:
    return lambda found: found["source"].get(name)


HEALTH: Final = ("OK", "DEGRADED", "CRITICAL")


def _health(found: Found) -> Iterator[Sample]:
    for overall in HEALTH:
        yield (overall,), float(found["health"]["overall"] == overall)


ALWAYS: Final = (
    Metric(
        "signal_stream_state",
        "gauge",
        "1 for the state that the pipeline is in, 0 for all others.",
        ("state",),
        _states,
    ),
    Metric(
        "signal_stream_health",
        "gauge",
        "1 for how the pipeline is judged, as `signal-stream status` says it, 0 for the others.",
        ("overall",),
        _health,
    ),
    one(
        "signal_stream_latches",
        "gauge",
        "Kills that stand: each silences a model, or all.",
        lambda found: len(found["latches"]),
    ),
)
"""Those that are there also for a pipeline that was never served."""

PIPELINE: Final = (
    one(
        "signal_stream_start_time_seconds",
        "gauge",
        "When the process that serves, or served last, began; since 1970 UTC.",
        lambda found: seconds(found["started_at"]),
    ),
    one(
        "signal_stream_status_timestamp_seconds",
        "gauge",
        "When the pipeline wrote its status last; since 1970 UTC.",
        lambda found: seconds(found["written_at"]),
    ),
    Metric(
        "signal_stream_messages_total",
        "counter",
        "Messages by what became of them; those add up to what came in.",
        ("verdict",),
        _counts("accepted", "duplicate", "late", "rejected", "conflated"),
    ),
    Metric(
        "signal_stream_refused_total",
        "counter",
        "Lines that no message came of, by why; rejected messages hold them.",
        ("code",),
        _refused,
    ),
    one(
        "signal_stream_amended_messages_total",
        "counter",
        "Late messages that took their place; accepted or duplicate ones hold them.",
        lambda found: found["counts"].get("amended"),
    ),
    one(
        "signal_stream_amended_vectors_total",
        "counter",
        "Vectors that late messages changed after they were given.",
        lambda found: found["counts"].get("amendments"),
    ),
    one(
        "signal_stream_source_gaps_total",
        "counter",
        "Holes in the source's sequence of messages.",
        lambda found: found["counts"]["gaps"],
    ),
    one(
        "signal_stream_source_missing_messages_total",
        "counter",
        "Messages that lay in those holes.",
        lambda found: found["counts"]["missing"],
    ),
    one(
        "signal_stream_source_restarts_total",
        "counter",
        "How often the venue's sequence began anew.",
        lambda found: found["counts"]["restarts"],
    ),
    one(
        "signal_stream_source_clock_steps_total",
        "counter",
        "How often the receive clock was moved.",
        lambda found: found["counts"]["clock_steps"],
    ),
    one("signal_stream_source_silence_seconds", "gauge", "How long the live source has brought nothing.", _silent),
    one(
        "signal_stream_source_queue_rows", "gauge", "Rows that were read and wait for the line.", _source("queue_rows")
    ),
    one(
        "signal_stream_source_queue_age_seconds",
        "gauge",
        "How long the oldest rows that wait have waited.",
        lambda found: found["source"].get("queue_age_ns", 0) / 1e9,
    ),
    one("signal_stream_source_queue_rows_max", "gauge", "Rows that may wait.", _source("queue_rows_max")),
    one(
        "signal_stream_source_shed_messages_total",
        "counter",
        "Messages dropped because the queue was full.",
        _source("shed_messages"),
    ),
    Metric(
        "signal_stream_venue_delay_seconds",
        "gauge",
        "Receive time less venue time of the newest vectors.",
        ("quantile",),
        _delay,
    ),
    one(
        "signal_stream_clock_offset_seconds",
        "gauge",
        "By how much, at least, the venue's clock is ahead of this machine's.",
        _clock,
    ),
    Metric(
        "signal_stream_book_events_total",
        "counter",
        "Books superseded, crossed, or left without a message.",
        ("event",),
        _books,
    ),
    one(
        "signal_stream_vectors_total", "counter", "Feature vectors that were answered.", lambda found: found["vectors"]
    ),
    one(
        "signal_stream_journal_records_total",
        "counter",
        "Records in the journal.",
        lambda found: found["journal"]["records"],
    ),
    one(
        "signal_stream_journal_unsynced_records",
        "gauge",
        "Records that a power cut would take.",
        lambda found: found["journal"].get("unsynced_records"),
    ),
    one(
        "signal_stream_journal_unsynced_seconds",
        "gauge",
        "For how long, at most, they have not been on the disk.",
        lambda found: seconds(found["journal"].get("unsynced_ns")),
    ),
    Metric(
        "signal_stream_task_failing",
        "gauge",
        "1 while a snapshot, or the upkeep of what was written, fails.",
        ("task",),
        _failing,
    ),
    Metric(
        "signal_stream_component_degraded",
        "gauge",
        "1 while a part of the process is not well.",
        ("component",),
        _degraded("components", "name"),
    ),
    Metric(
        "signal_stream_housekeeping_overruns_total",
        "counter",
        "How often a task of the line's thread took longer than its budget.",
        ("task",),
        _of_each("tasks", "task", "overruns"),
    ),
    Metric(
        "signal_stream_sink_degraded", "gauge", "1 while a sink takes nothing.", ("sink",), _degraded("sinks", "sink")
    ),
    Metric(
        "signal_stream_sink_lag_seconds",
        "gauge",
        "How long the oldest record has waited for a sink.",
        ("sink",),
        _of_each("sinks", "sink", "lag_ns", scale=1e-9),
    ),
    Metric(
        "signal_stream_sink_lag_records",
        "gauge",
        "Records that wait for a sink.",
        ("sink",),
        _of_each("sinks", "sink", "lag_records"),
    ),
    Metric(
        "signal_stream_sink_sent_total",
        "counter",
        "Signals that a sink took, since this process began.",
        ("sink",),
        _of_each("sinks", "sink", "sent"),
    ),
    Metric(
        "signal_stream_sink_skipped_total",
        "counter",
        "Signals that a sink will not get.",
        ("sink",),
        _of_each("sinks", "sink", "skipped"),
    ),
    Metric(
        "signal_stream_sink_failures_total",
        "counter",
        "Attempts of a sink that failed.",
        ("sink",),
        _of_each("sinks", "sink", "failures"),
    ),
    Metric(
        "signal_stream_observer_shown_total",
        "counter",
        "Decisions that an observer was shown.",
        ("observer",),
        _of_each("observers", "name", "shown"),
    ),
    Metric(
        "signal_stream_observer_dropped_total",
        "counter",
        "Decisions that an observer had no room for.",
        ("observer",),
        _of_each("observers", "name", "dropped"),
    ),
    Metric(
        "signal_stream_observer_failed_total",
        "counter",
        "Decisions at which an observer failed.",
        ("observer",),
        _of_each("observers", "name", "failed"),
    ),
    one(
        "signal_stream_gateway_restarts_total",
        "counter",
        "How often the process that serves metrics was started again.",
        lambda found: (found.get("gateway") or {}).get("restarts"),
    ),
    Metric(
        "signal_stream_gateway_degraded",
        "gauge",
        "1 while a server of the gateway cannot listen.",
        ("server",),
        _servers,
    ),
)
"""Those of a pipeline that has a status."""
