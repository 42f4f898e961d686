"""Metrics in the text format that Prometheus scrapes.

Written here and not by prometheus-client, which takes four times as long for the same bytes: at 50 models a scrape would be late.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from .label import label
from .metric import Found
from .model_metrics import MODEL, STAGE_NAME, STAGE_TEXT, stage_histograms
from .pipeline_metrics import ALWAYS, PIPELINE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
EVENTS_NAME: Final = "signal_stream_monitor_events_total"
EVENTS_TEXT: Final = (
    "What happened to the pipeline, by kind, as the gateway saw it since it began: one a line of its log."
)
_SPECIAL: Final = re.compile(r'[\\"\n]')
_ESCAPED: Final = {"\\": r"\\", '"': r"\"", "\n": r"\n"}


def exposition(found: Found, *, pipeline: str, events: Mapping[str, int]) -> bytes:
    """All metrics of what was found of a pipeline; `events` counts the monitor's events by kind."""
    return "".join(_lines(found, f'{{pipeline="{_escaped(label(pipeline))}"', events)).encode()


def _lines(found: Found, of: str, events: Mapping[str, int]) -> Iterator[str]:
    """`of` is the beginning of the labels: those that every metric has."""
    for metric in ALWAYS if "counts" not in found else (*ALWAYS, *PIPELINE, *MODEL):
        yield _head(metric.name, metric.kind, metric.text)
        for values, number in metric.read(found):
            yield f"{metric.name}{of}{_labels(metric.labels, values)}}} {_number(number)}\n"
    yield _head(STAGE_NAME, "histogram", STAGE_TEXT)
    for stage in stage_histograms(found):
        mine = f"{of}{_labels(('stage',), (label(stage.stage),))}"
        for bound, count in stage.at_most:
            yield f'{STAGE_NAME}_bucket{mine},le="{bound}"}} {count}\n'
        yield f"{STAGE_NAME}_sum{mine}}} {_number(stage.sum_seconds)}\n"
        yield f"{STAGE_NAME}_count{mine}}} {stage.at_most[-1][1]}\n"
    yield _head(EVENTS_NAME, "counter", EVENTS_TEXT)
    for event, count in events.items():
        yield f"{EVENTS_NAME}{of}{_labels(('event',), (event,))}}} {count}\n"


def _head(name: str, kind: str, text: str) -> str:
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n"


def _labels(names: Sequence[str], values: Sequence[str]) -> str:
    return "".join([f',{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True)])


def _escaped(value: str) -> str:
    return _SPECIAL.sub(lambda match: _ESCAPED[match[0]], value)


def _number(number: float) -> str:
    """Shortest text that is read as the same number.

    >>> _number(3), _number(0.25), _number(float("inf"))
    ('3', '0.25', '+Inf')
    """
    text = repr(number)
    return {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}.get(text, text)
