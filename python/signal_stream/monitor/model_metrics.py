"""The metrics of each model, and of the stages on the way to a signal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from signal_stream.guards import CODES
from signal_stream.records import PASS

from .label import bounded, label
from .metric import Found, Metric, Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def _name(model: dict[str, Any]) -> str:
    """The model's name; a status of before it stood there has it in the reference."""
    return label(model.get("name") or model["ref"].partition("@")[0])


def _info(found: Found) -> Iterator[Sample]:
    for model in found["models"]:
        values = (model["ref"], model.get("owner", ""), model.get("stage") or "", model.get("kind", ""))
        yield (_name(model), *map(label, values)), 1.0


def _codes(found: Found) -> Iterator[Sample]:
    """The codes that the Gate knows are there from the start, so that the first of a kind is seen as an increase."""
    for model in found["models"]:
        for name, number in bounded(model.get("codes", {}), CODES).items():
            yield (_name(model), name), number


def _passed(found: Found) -> Iterator[Sample]:
    """Pass and veto are there from the start, for the same reason."""
    for model in found["models"]:
        for name, number in bounded(model.get("signals", {}), (PASS, "VETO")).items():
            yield (_name(model), name), number


def _number(*keys: str, scale: float = 1.0, ages: bool = False) -> Callable[[Found], Iterator[Sample]]:
    """A number of each model that has it; one that `ages` is older now than when the status was written."""

    def read(found: Found) -> Iterator[Sample]:
        for model in found["models"]:
            number: Any = model
            for key in keys:
                number = None if number is None else number.get(key)
            if number is not None:
                yield (_name(model),), (number + (found["status_age_ns"] if ages else 0)) * scale

    return read


def _failures(found: Found) -> Iterator[Sample]:
    for model in found["models"]:
        for kind in ("dead", "busy", "errors"):
            if kind in model:
                yield (_name(model), kind), model[kind]


def _ready(found: Found) -> Iterator[Sample]:
    """DEGRADED: one worker answers, and its spare is not there yet."""
    for model in found["models"]:
        yield (_name(model),), float(found["serving"] and model.get("state") in ("READY", "DEGRADED"))


def _moved(found: Found) -> Iterator[Sample]:
    for model in found["models"]:
        yield (_name(model),), float(bool(model.get("registry")))


MODEL: Final = (
    Metric(
        "signal_stream_model_info",
        "gauge",
        "1; its labels say what is served, and whose it is.",
        ("model", "version", "owner", "stage", "kind"),
        _info,
    ),
    Metric(
        "signal_stream_signals_total",
        "counter",
        "Signals by verdict, over all restarts.",
        ("model", "verdict"),
        _passed,
    ),
    Metric(
        "signal_stream_signal_codes_total",
        "counter",
        "Codes of signals that are no plain pass, over all restarts.",
        ("model", "code"),
        _codes,
    ),
    Metric(
        "signal_stream_model_freshness_seconds",
        "gauge",
        "From the moment that the newest signal is for, a bar's close say, to the journal.",
        ("model",),
        _number("newest", "freshness_ns", scale=1e-9),
    ),
    Metric(
        "signal_stream_model_data_age_seconds",
        "gauge",
        "How old the oldest input is now that the newest signal rests on.",
        ("model",),
        _number("newest", "data_age_ns", scale=1e-9, ages=True),
    ),
    Metric(
        "signal_stream_model_deadline_seconds",
        "gauge",
        "Time that the model has for an answer.",
        ("model",),
        _number("deadline_ns", scale=1e-9),
    ),
    Metric(
        "signal_stream_model_answers_total",
        "counter",
        "Answers in time, since this process began.",
        ("model",),
        _number("answers"),
    ),
    Metric(
        "signal_stream_model_deadline_misses_total",
        "counter",
        "Answers that did not come in time.",
        ("model",),
        _number("deadline_misses"),
    ),
    Metric(
        "signal_stream_model_failures_total",
        "counter",
        "Questions that a worker could not answer: dead, busy, an error.",
        ("model", "kind"),
        _failures,
    ),
    Metric(
        "signal_stream_model_worker_starts_total",
        "counter",
        "Worker processes that were started.",
        ("model",),
        _number("workers_started"),
    ),
    Metric(
        "signal_stream_model_worker_deaths_total",
        "counter",
        "Worker processes that died.",
        ("model",),
        _number("deaths"),
    ),
    Metric(
        "signal_stream_model_worker_hangs_total",
        "counter",
        "Worker processes that were killed because they hung.",
        ("model",),
        _number("hangs"),
    ),
    Metric(
        "signal_stream_model_ready",
        "gauge",
        "1 while the model has a worker that answers.",
        ("model",),
        _ready,
    ),
    Metric(
        "signal_stream_model_moved",
        "gauge",
        "1 while the registry says another version or stage than what is served.",
        ("model",),
        _moved,
    ),
)


class StageHistogram(NamedTuple):
    """How long a stage took: how many durations were within each bound, and their sum in seconds."""

    stage: str
    at_most: list[tuple[str, int]]
    sum_seconds: float


STAGE_NAME: Final = "signal_stream_stage_duration_seconds"
STAGE_TEXT: Final = "Time of each stage on the way from an event to its signal, of all models together."


def stage_histograms(found: Found) -> Iterator[StageHistogram]:
    """One of each stage, since this process began."""
    for stage, latency in found["latency_ns"].items():
        if "at_most" in latency:
            within = [(f"{int(bound) / 1e9:g}", number) for bound, number in latency["at_most"].items()]
            yield StageHistogram(stage, [*within, ("+Inf", latency["count"])], latency["sum"] / 1e9)
