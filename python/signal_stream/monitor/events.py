"""What can happen to a pipeline that somebody may want to know: a dataclass each, one line of the log and one count.

Texts are what the status says; they may come from outside and hold anything.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Final, Literal

Level = Literal["info", "warning", "error"]


@dataclass(frozen=True)
class Event:
    """Something that happened. `kind` names it in log and metrics; `model` is None where it concerns the whole pipeline."""

    kind: ClassVar[str]
    level: ClassVar[Level] = "warning"
    model: str | None = None

    @property
    def code(self) -> str:
        """The kind in capitals: what a rule for the log looks for."""
        return self.kind.upper()

    def said(self) -> dict[str, Any]:
        """What is particular to it, by name."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "model"}


@dataclass(frozen=True)
class StateChanged(Event):
    """The pipeline is in another state: see `signal-stream status`."""

    kind = "state_changed"
    before: str = ""
    now: str = ""
    reason: str = ""


@dataclass(frozen=True)
class HealthChanged(Event):
    """The pipeline is judged otherwise: OK, DEGRADED or CRITICAL; `reasons` say why it is not OK, the worst first."""

    kind = "health_changed"
    before: str = ""
    now: str = ""
    reasons: str = ""


@dataclass(frozen=True)
class PipelineBegan(Event):
    """Another process serves."""

    kind = "pipeline_began"
    level = "info"
    pid: int = 0


@dataclass(frozen=True)
class WorkerRestarted(Event):
    """A model's worker died or hung, and was replaced."""

    kind = "worker_restarted"
    number: int = 0
    error: str = ""


@dataclass(frozen=True)
class ModelUnready(Event):
    """A model has no worker that answers: its signals are vetoes."""

    kind = "model_unready"
    level = "error"
    error: str = ""


@dataclass(frozen=True)
class ModelReady(Event):
    """It answers again."""

    kind = "model_ready"
    level = "info"


@dataclass(frozen=True)
class DeadlineMissed(Event):
    """Answers of a model did not come in time."""

    kind = "deadline_missed"
    number: int = 0


@dataclass(frozen=True)
class ModelMoved(Event):
    """The registry says another version or stage than what is served; empty: what it says is served again."""

    kind = "model_moved"
    registry: str = ""


@dataclass(frozen=True)
class SinkDegraded(Event):
    """A sink takes nothing; it is tried again."""

    kind = "sink_degraded"
    level = "error"
    sink: str = ""
    error: str = ""


@dataclass(frozen=True)
class SinkRecovered(Event):
    """It takes signals again, each once."""

    kind = "sink_recovered"
    level = "info"
    sink: str = ""


@dataclass(frozen=True)
class SinkSkipped(Event):
    """Signals that a sink will not get: it lagged beyond `lag_max`."""

    kind = "sink_skipped"
    sink: str = ""
    number: int = 0


@dataclass(frozen=True)
class SourceGap(Event):
    """Holes in the source's sequence."""

    kind = "source_gap"
    number: int = 0
    missing: int = 0


@dataclass(frozen=True)
class MessagesShed(Event):
    """Messages dropped because the queue was full."""

    kind = "messages_shed"
    level = "error"
    number: int = 0


@dataclass(frozen=True)
class MessagesRefused(Event):
    """Lines that no message came of."""

    kind = "messages_refused"
    number: int = 0


@dataclass(frozen=True)
class LatchSet(Event):
    """A kill stands: a model, or everything, is silent."""

    kind = "latch_set"
    level = "error"
    latch: str = ""


@dataclass(frozen=True)
class LatchRearmed(Event):
    """It was lifted."""

    kind = "latch_rearmed"
    level = "info"
    latch: str = ""


@dataclass(frozen=True)
class TaskFailed(Event):
    """A snapshot, or the upkeep of what was written, fails; signals go on."""

    kind = "task_failed"
    task: str = ""
    error: str = ""


@dataclass(frozen=True)
class TaskRecovered(Event):
    """It succeeds again."""

    kind = "task_recovered"
    level = "info"
    task: str = ""


@dataclass(frozen=True)
class ObserverDropped(Event):
    """An observer had no room for decisions, or failed at them."""

    kind = "observer_dropped"
    observer: str = ""
    dropped: int = 0
    failed: int = 0
    error: str = ""


@dataclass(frozen=True)
class GatewayRestarted(Event):
    """The process that serves metrics died, and was started again."""

    kind = "gateway_restarted"
    number: int = 0


@dataclass(frozen=True)
class ListenerDegraded(Event):
    """A server of the gateway cannot listen; it is tried again."""

    kind = "listener_degraded"
    level = "error"
    server: str = ""
    error: str = ""


@dataclass(frozen=True)
class Listening(Event):
    """It listens, from now on or again."""

    kind = "listening"
    level = "info"
    server: str = ""
    listen: str = ""


EVENTS: Final = tuple(sorted(Event.__subclasses__(), key=lambda each: each.kind))
