"""Recording and alert rules of a pipeline, and the way of an alert to its owner.

Only freshness and schema page: what must be mended now. Everything else, latency, drift, profit, is a ticket: it waits for
somebody to think about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .watched import WatchedModel, WatchedPipeline

P99: Final = "pipeline_stage:signal_stream_stage_duration_seconds:p99_5m"
VETO_SHARE: Final = "pipeline_model:signal_stream_signals:veto_share_5m"
EVALUATION: Final = "1s"
PAGED: Final = ("freshness", "schema")
"""Topics that page."""


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert. `topic` decides whether it pages; `wait` is for how long it must be so."""

    name: str
    topic: str
    expr: str
    wait: str
    summary: str

    def rule(self, *, owner: str, pipeline: str, model: str) -> dict[str, Any]:
        """As Prometheus reads it. What it is routed by is said by the rule, and by nothing that was scraped."""
        severity = "page" if self.topic in PAGED else "ticket"
        plain_owner = owner.replace("{{", '{{"{{"}}')  # a label's value is a template to Prometheus
        labels = {"severity": severity, "topic": self.topic, "owner": plain_owner, "pipeline": pipeline, "model": model}
        annotations = {"summary": self.summary}
        return {"alert": self.name, "expr": self.expr, "for": self.wait, "labels": labels, "annotations": annotations}


def alerts(model: WatchedModel) -> Iterator[Alert]:
    """The alerts of one model, those that page first."""
    p = f'pipeline="{model.pipeline}"'
    m = f'{p},model="{model.name}"'
    who = f"{model.name} in {model.pipeline}"
    s = "signal_stream_"
    old = f"{s}model_data_age_seconds{{{m}}}"
    yield Alert("SignalsStale", "freshness", f"{old} > {model.age_max_s:g}", "0s",
                f"{who}: an input of the newest signal is more than {model.age_max_s:g} s old.")  # fmt: skip
    yield Alert("SignalsUnknown", "freshness", f"absent({old})", "30s",
                f"{who}: nobody tells how old its data is: it is dead, cannot be scraped, or an input never came.")  # fmt: skip
    mismatches = f'{s}signal_codes_total{{{m},code="SCHEMA_MISMATCH"}}'
    yield Alert("SchemaMismatch", "schema", f"sum by (pipeline, model) (increase({mismatches}[1m])) > 0", "0s",
                f"{who}: vectors are not those that the model was registered for.")  # fmt: skip
    missed, answered = f"rate({s}model_deadline_misses_total{{{m}}}[5m])", f"rate({s}model_answers_total{{{m}}}[5m])"
    yield Alert("DeadlinesMissed", "latency", f"{missed} / ({missed} + {answered}) > 0.01", "5m",
                f"{who}: more than 1 % of the answers come after {model.deadline_s:g} s.")  # fmt: skip
    share = f"{VETO_SHARE}{{{m}}}"
    yield Alert("VerdictsDrift", "drift", f"abs({share} - avg_over_time({share}[1d])) > 0.2", "10m",
                f"{who}: the share of vetoed signals is far from that of the last day.")  # fmt: skip
    yield Alert("WorkersDie", "model", f"increase({s}model_worker_deaths_total{{{m}}}[10m]) > 2", "0s",
                f"{who}: its workers died more than twice in ten minutes.")  # fmt: skip
    yield Alert("ModelMoved", "model", f"{s}model_moved{{{m}}} == 1", "10m",
                f"{who}: the registry means another version or stage than what is served.")  # fmt: skip
    yield Alert("Killed", "kill", f"{s}latches{{{p}}} > 0", "1m", f"{who}: a kill stands; somebody has to re-arm it.")
    yield Alert("SinkBehind", "sink", f"max({s}sink_degraded{{{p}}}) == 1 or max({s}sink_lag_seconds{{{p}}}) > 60", "1m",
                f"{who}: a sink takes no signals, or is a minute behind.")  # fmt: skip
    yield Alert("MessagesMissing", "source", f"increase({s}source_missing_messages_total{{{p}}}[10m]) > 0", "0s",
                f"{who}: messages of the source never came.")  # fmt: skip
    yield Alert("VenueClockAhead", "source", f"{s}clock_offset_seconds{{{p}}} > 0.05", "5m",
                f"{who}: the venue's clock is more than 50 ms ahead of this machine's.")  # fmt: skip
    yield Alert("UpkeepFailing", "upkeep", f"max({s}task_failing{{{p}}}) == 1", "10m",
                f"{who}: snapshots, or the upkeep of what was written, fail.")  # fmt: skip


def rule_groups(pipeline: WatchedPipeline) -> dict[str, Any]:
    """The rule file of a pipeline."""
    p = f'pipeline="{pipeline.name}"'
    signals = f"rate(signal_stream_signals_total{{{p}}}[5m])"
    vetoed = f'rate(signal_stream_signals_total{{{p},verdict!="PASS"}}[5m])'
    bucket = f"rate(signal_stream_stage_duration_seconds_bucket{{{p}}}[5m])"
    recorded = [
        {"record": P99, "expr": f"histogram_quantile(0.99, sum by (pipeline, stage, le) ({bucket}))"},
        {"record": VETO_SHARE, "expr": f"sum by (pipeline, model) ({vetoed}) / sum by (pipeline, model) ({signals})"},
    ]
    rules = [
        alert.rule(owner=model.owner, pipeline=model.pipeline, model=model.name)
        for model in pipeline.models
        for alert in alerts(model)
    ]
    return {
        "groups": [
            {"name": f"{pipeline.name} recorded", "interval": "5s", "rules": recorded},
            {"name": f"{pipeline.name} alerts", "interval": EVALUATION, "rules": rules},
        ]
    }


def prometheus_config(pipelines: Sequence[WatchedPipeline], *, alertmanager: str) -> dict[str, Any]:
    """What Prometheus scrapes, which rules it evaluates, and whom it tells."""
    return {
        "global": {"scrape_interval": "1s", "evaluation_interval": EVALUATION},
        "rule_files": ["rules/*.yml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
        "scrape_configs": [
            {
                "job_name": "signal-stream",
                "static_configs": [{"targets": [each.listen for each in pipelines]}],
            }
        ],
    }


def alertmanager_config(pipelines: Sequence[WatchedPipeline], *, page: str, ticket: str) -> dict[str, Any]:
    """Routes by owner. `page` and `ticket` are the URLs that are told, with `{owner}` in the place of the owner's name."""
    from urllib.parse import quote

    owners = sorted({model.owner for each in pipelines for model in each.models})
    paged = f'topic=~"{"|".join(PAGED)}"'

    def receiver(kind: str, owner: str, url: str) -> dict[str, Any]:
        return {
            "name": f"{kind} {owner}",
            "webhook_configs": [{"url": url.replace("{owner}", quote(owner, safe=""))}],
        }

    return {
        "route": {
            "receiver": "ticket anybody",
            "group_by": ["pipeline", "model", "alertname"],
            "group_wait": "30s",
            "group_interval": "5m",
            "repeat_interval": "12h",
            "routes": [
                {
                    "receiver": f"ticket {owner}",
                    "matchers": [f"owner={_quoted(owner)}"],
                    "routes": [
                        {
                            "receiver": f"page {owner}",
                            "matchers": ['severity="page"', paged],
                            "group_wait": "0s",
                            "group_interval": "10s",
                            "repeat_interval": "1h",
                        }
                    ],
                }
                for owner in owners
            ],
        },
        "receivers": [
            receiver("ticket", "anybody", ticket),
            *(receiver("ticket", owner, ticket) for owner in owners if owner != "anybody"),
            *(receiver("page", owner, page) for owner in owners),
        ],
    }


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
