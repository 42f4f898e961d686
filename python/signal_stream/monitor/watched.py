"""What boards and rules have to know of a deployment: its models, whose they are, and how old their data may be."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from signal_stream.registry import Registry

if TYPE_CHECKING:
    from signal_stream.settings import Deployment

_LEAST_NS: Final = 2_000_000_000
"""No data is called old before: statuses are a second apart."""


@dataclass(frozen=True, slots=True)
class WatchedModel:
    """One model of a pipeline. `age_max_s` is how old the oldest input of its newest signal may become, in seconds."""

    pipeline: str
    name: str
    version: str
    owner: str
    signal: str
    stage: str
    age_max_s: float
    deadline_s: float


@dataclass(frozen=True, slots=True)
class WatchedPipeline:
    """A deployment as it is seen from outside. `listen` is where its metrics are."""

    name: str
    listen: str
    is_live: bool
    """Whether its events come as they happen: a recording has no silence."""
    has_sinks: bool
    has_observers: bool
    models: tuple[WatchedModel, ...]


def watched(deployment: Deployment) -> WatchedPipeline:
    """Looks the deployment's models up in its registry. Raises RegistryError."""
    registry = Registry(deployment.pipeline.registry)
    name = deployment.pipeline.name
    models = []
    for settings in deployment.models:
        model = registry.load(settings.ref)
        manifest = model.manifest
        models.append(
            WatchedModel(
                pipeline=name,
                name=manifest.name,
                version=model.entry.ref,
                owner=manifest.owner,
                signal=manifest.signal,
                stage=model.entry.stage or "",
                age_max_s=(max(deployment.guards.max_age_ns, _LEAST_NS) + cadence_ns(manifest.graph)) / 1e9,
                deadline_s=(settings.deadline_ns or manifest.deadline_ns) / 1e9,
            )
        )
    return WatchedPipeline(
        name=name,
        listen=deployment.metrics.listen or "",
        is_live=deployment.source.is_live,
        has_sinks=bool(deployment.sinks),
        has_observers=bool(deployment.observers),
        models=tuple(models),
    )


def cadence_ns(graph: str) -> int:
    """How far apart the vectors of a graph's JSON are, where it says so: of ticks and of time bars; 0 for those of events.

    >>> cadence_ns('{"on": {"every_ns": 100}}'), cadence_ns('{"on": {"stream": "trades"}}')
    (100, 0)
    """

    def lengths(plain: Any) -> list[int]:
        if isinstance(plain, dict):
            own = [n for key, n in plain.items() if key.endswith("_ns") and isinstance(n, int)]
            return own + [n for each in plain.values() for n in lengths(each)]
        return []

    return max(lengths(json.loads(graph).get("on")), default=0)
