"""What a deployment file may change while it is served: limits and deadlines. Everything else needs a restart."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .served_models import new_gate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from signal_stream.settings import Deployment, ModelSettings, Section
    from signal_stream.store import Latches

    from .model_step import ModelStep
    from .run_record import RunRecord

_MAY: Final[dict[str, tuple[str, ...]]] = {
    "guards": ("max_age_ns", "max_venue_delay_ns", "completeness"),
    "models": ("deadline_ns", "fallback"),
}
_TITLES: Final = {
    "models": "[[model]]",
    "own_guards": "[[guard]]",
    "sinks": "[[sink]]",
    "observers": "[[observer]]",
}


class Change(NamedTuple):
    """A key that another value stands for now: as it is written in the file, with both values."""

    key: str
    before: Any
    now: Any
    may: bool
    """Whether it can be changed while the deployment is served."""

    def __str__(self) -> str:
        return f"{self.key}: {self.before!r} -> {self.now!r}"


def changes(before: Deployment, now: Deployment) -> list[Change]:
    """What stands differently in two readings of a deployment file."""
    found: list[Change] = []
    for each in fields(before):
        title = _TITLES.get(each.name, f"[{each.name}]")
        then, read = getattr(before, each.name), getattr(now, each.name)
        if isinstance(then, tuple):
            if [type(one) for one in then] != [type(one) for one in read]:
                found.append(Change(title, f"{len(then)} sections", f"{len(read)} sections", False))
                continue
            pairs = list(zip(then, read, strict=True))
        else:
            pairs = [(then, read)]
        for one, other in pairs:
            found += _changed(title, one, other, _MAY.get(each.name, ()))
    return found


def _changed(title: str, before: Section, now: Section, may: tuple[str, ...]) -> list[Change]:
    if type(before) is not type(now):
        return [Change(title, type(before).__qualname__, type(now).__qualname__, False)]
    found = []
    for name, field in type(before).model_fields.items():
        then, read = getattr(before, name), getattr(now, name)
        if then != read:
            key = field.alias or name
            raw = before.raw.get(key, then), now.raw.get(key, read)
            found.append(Change(f"{title} {key}", *raw, name in may))
    return found


def limited(served: tuple[ModelSettings, ...], read: tuple[ModelSettings, ...]) -> tuple[ModelSettings, ...]:
    """The models as they are served, with the deadlines and fallbacks that were read, where they are the same ones."""
    if [each.ref for each in served] != [each.ref for each in read]:
        return served
    may = _MAY["models"]
    return tuple(
        one.model_copy(update={name: getattr(other, name) for name in may})
        for one, other in zip(served, read, strict=True)
    )


def relimited(run_record: RunRecord, deployment: Deployment, steps: Sequence[ModelStep], latches: Latches) -> RunRecord:
    """Gives each model its new limits; returns the conditions under which signals are made from now on."""
    by_name = {settings.ref.partition("@")[0]: settings for settings in deployment.models}
    models = []
    for served in run_record.models:
        (step,) = (each for each in steps if each.manifest.name == served.name)
        settings, manifest = by_name[served.name], step.manifest
        now = replace(
            served,
            deadline_ns=settings.deadline_ns or manifest.deadline_ns,
            fallback=settings.fallback or manifest.fallback,
        )
        own = step.gate.own_guards
        gate = new_gate(manifest, now, deployment, own=own, tape=run_record.tape.name, latches=latches)
        step.limit(gate, deadline_ns=now.deadline_ns)
        models.append(now)
    guards = deployment.guards
    return replace(
        run_record,
        models=tuple(models),
        max_age_ns=guards.max_age_ns,
        max_venue_delay_ns=guards.max_venue_delay_ns,
        completeness=guards.completeness,
    )
