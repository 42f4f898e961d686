"""Metrics in the text format that Prometheus scrapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import generate_latest

from .label import label
from .metric import Found, Metric
from .model_metrics import MODEL, STAGE_NAME, STAGE_TEXT, stage_histograms
from .pipeline_metrics import ALWAYS, PIPELINE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client.metrics_core import Metric as Family

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
EVENTS_NAME: Final = "signal_stream_monitor_events_total"
EVENTS_TEXT: Final = (
    "What happened to the pipeline, by kind, as the gateway saw it since it began: one a line of its log."
)


def exposition(found: Found, *, pipeline: str, events: Mapping[str, int]) -> bytes:
    """All metrics of what was found of a pipeline; `events` counts the monitor's events by kind."""
    families = _Families(found, label(pipeline), events)
    return generate_latest(families)  # it asks for `collect` only


class _Families:
    def __init__(self, found: Found, pipeline: str, events: Mapping[str, int]) -> None:
        self._found = found
        self._pipeline = pipeline
        self._events = events

    def collect(self) -> Iterator[Family]:
        found = self._found
        for metric in ALWAYS if "counts" not in found else (*ALWAYS, *PIPELINE, *MODEL):
            yield self._family(metric)
        stages = HistogramMetricFamily(STAGE_NAME, STAGE_TEXT, labels=("pipeline", "stage"))
        for each in stage_histograms(found):
            stages.add_metric((self._pipeline, label(each.stage)), each.at_most, each.sum_seconds)
        yield stages
        events = CounterMetricFamily(EVENTS_NAME, EVENTS_TEXT, labels=("pipeline", "event"))
        for event, number in self._events.items():
            events.add_metric((self._pipeline, event), number)
        yield events

    def _family(self, metric: Metric) -> Family:
        kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
        family = kind(metric.name, metric.text, labels=("pipeline", *metric.labels))
        for values, number in metric.read(self._found):
            family.add_metric((self._pipeline, *values), number)
        return family
