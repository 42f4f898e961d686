"""What is drawn on a model's board: each panel with its queries, its unit and what a reader should think of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from .rules import P99, VETO_SHARE

if TYPE_CHECKING:
    from .watched import WatchedModel, WatchedPipeline

Unit = Literal["seconds", "per second", "count", "share", "state"]


@dataclass(frozen=True, slots=True)
class Query:
    """A question to Prometheus; `legend` names its lines, with labels in braces."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `limit` is drawn as a line where there is one."""

    title: str
    about: str
    unit: Unit
    queries: tuple[Query, ...]
    limit: float | None = None
    logarithmic: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """Panels that answer one question."""

    title: str
    panels: tuple[Panel, ...]


_S: Final = "signal_stream_"


def rows(pipeline: WatchedPipeline, model: WatchedModel) -> tuple[Row, ...]:
    """The board of a model, from what pages to what explains."""
    p = f'pipeline="{pipeline.name}"'
    m = f'{p},model="{model.name}"'

    def rate(metric: str, by: str, of: str = m, window: str = "1m") -> str:
        return f"sum by ({by}) (rate({_S}{metric}{{{of}}}[{window}]))"

    fresh = [
        Panel("Data age", "How old the oldest input of the newest signal is. Beyond the limit its owner is paged.", "seconds",
              (Query(f"{_S}model_data_age_seconds{{{m}}}", "data age"),), limit=model.age_max_s),
        Panel("Freshness", "From the moment that a signal is for, a bar's close say, to the journal.", "seconds",
              (Query(f"{_S}model_freshness_seconds{{{m}}}", "freshness"),)),
        Panel("State", "Which state the pipeline is in, and how it is judged.", "state",
              (Query(f"{_S}state{{{p}}} == 1", "{{state}}"), Query(f"{_S}health{{{p}}} == 1", "{{overall}}"))),
    ]  # fmt: skip
    if pipeline.is_live:
        fresh.append(Panel("Silence", "How long the source has brought nothing.", "seconds",
                           (Query(f"{_S}source_silence_seconds{{{p}}}", "silence"),)))  # fmt: skip
    says = [
        Panel("Signals", "By verdict.", "per second", (Query(rate("signals_total", "verdict"), "{{verdict}}"),)),
        Panel("Why not", "Codes of signals that are no plain pass.", "per second",
              (Query(rate("signal_codes_total", "code"), "{{code}}"),)),
        Panel("Vetoed share", "Drift of the verdicts: the last five minutes beside the last day.", "share",
              (Query(f"{VETO_SHARE}{{{m}}}", "5 min"), Query(f"avg_over_time({VETO_SHARE}{{{m}}}[1d])", "1 day"))),
    ]  # fmt: skip
    bucket = f"{_S}stage_duration_seconds_bucket"
    fast = [
        Panel("Event to signal", "From a batch of events to the journal.", "seconds", tuple(
            Query(f'histogram_quantile({q}, sum by (le) (rate({bucket}{{{p},stage="total"}}[1m])))', f"p{text}")
            for q, text in (("0.5", "50"), ("0.99", "99"), ("0.999", "99.9"))), logarithmic=True),
        Panel("Stages", "p99 of each stage over five minutes, of all models of the pipeline.", "seconds",
              (Query(f"{P99}{{{p}}}", "{{stage}}"),), logarithmic=True),
        Panel("Answers", "In time, and not in time.", "per second",
              (Query(rate("model_answers_total", "model"), "in time"),
               Query(rate("model_deadline_misses_total", "model"), "late"),
               Query(rate("model_failures_total", "kind"), "{{kind}}"))),
        Panel("Workers", "Processes that died or hung, in ten minutes.", "count",
              (Query(f"increase({_S}model_worker_deaths_total{{{m}}}[10m])", "died"),
               Query(f"increase({_S}model_worker_hangs_total{{{m}}}[10m])", "hung"))),
    ]  # fmt: skip
    feeds = [
        Panel("Messages", "By what became of them.", "per second", (Query(rate("messages_total", "verdict", p), "{{verdict}}"),)),
        Panel("Gaps", "Messages that never came, and holes they left, in ten minutes.", "count",
              (Query(f"increase({_S}source_missing_messages_total{{{p}}}[10m])", "missing"),
               Query(f"increase({_S}source_gaps_total{{{p}}}[10m])", "gaps"),
               Query(f"increase({_S}source_shed_messages_total{{{p}}}[10m])", "shed"))),
        Panel("Books", "Joins and breaks of order books, in ten minutes.", "count",
              (Query(f"increase({_S}book_events_total{{{p}}}[10m])", "{{event}}"),)),
        Panel("Queue", "Share of the rows that may wait for the line.", "share",
              (Query(f"{_S}source_queue_rows{{{p}}} / {_S}source_queue_rows_max{{{p}}}", "full"),)),
        Panel("Queue age", "How long the oldest rows that wait for the line have waited.", "seconds",
              (Query(f"{_S}source_queue_age_seconds{{{p}}}", "oldest"),)),
        Panel("Clocks", "From the venue to us, and how far at least its clock is ahead of ours.", "seconds",
              (Query(f"{_S}venue_delay_seconds{{{p}}}", "delay p{{quantile}}"),
               Query(f"{_S}clock_offset_seconds{{{p}}}", "venue ahead"))),
    ]  # fmt: skip
    writes = [
        Panel("Journal", "Records a second.", "per second", (Query(rate("journal_records_total", "pipeline", p), "records"),)),
        Panel("On disk", "For how long, at most, the newest records have not been on the disk.", "seconds",
              (Query(f"{_S}journal_unsynced_seconds{{{p}}}", "unsynced"),)),
    ]  # fmt: skip
    if pipeline.has_sinks:
        writes.append(Panel("Sinks", "How long the oldest signal has waited for each.", "seconds",
                            (Query(f"{_S}sink_lag_seconds{{{p}}}", "{{sink}}"),)))  # fmt: skip
    if pipeline.has_observers:
        writes.append(Panel("Observers", "Decisions that were shown, and for which there was no room.", "per second",
                            (Query(rate("observer_shown_total", "observer", p), "{{observer}} shown"),
                             Query(rate("observer_dropped_total", "observer", p), "{{observer}} dropped"))))  # fmt: skip
    counted = f"sum by (pipeline, event) (increase({_S}monitor_events_total{{{p}}}[10m]))"
    writes += [
        Panel("Kills", "Latches that stand.", "count", (Query(f"{_S}latches{{{p}}}", "latches"),)),
        Panel("What happened", "Lines of the gateway's log, in ten minutes.", "count",
              (Query(f"{counted} > 0 or sum by (pipeline) ({counted}) == 0", "{{event}}"),)),
    ]  # fmt: skip
    return (
        Row("Is it fresh?", tuple(fresh)),
        Row("What does it say?", tuple(says)),
        Row("How fast?", tuple(fast)),
        Row("What feeds it?", tuple(feeds)),
        Row("Where does it go?", tuple(writes)),
    )
