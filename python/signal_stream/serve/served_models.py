"""The models that a pipeline serves: loaded, checked, made ready, and what becomes of them meanwhile."""

from __future__ import annotations

import json
import struct
import time
from typing import TYPE_CHECKING, Final

from signal_stream import parts
from signal_stream.errors import ModelError, SettingsError
from signal_stream.guards import Gate, standard_guards
from signal_stream.models import IsolatedModel
from signal_stream.records import ModelCard, ModelRow, canonical_json, speaks
from signal_stream.registry import RegisteredModel, Registry, StageWatch

from .assembly import own_guards
from .model_step import ModelStep
from .run_record import ServedGuard, ServedModel, served_guard

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from signal_stream.registry import Manifest
    from signal_stream.roles import Guard, Model
    from signal_stream.settings import Deployment, GuardSettings, ModelSettings
    from signal_stream.store import Latches

    from .axis_clock import AxisClock

_GOLDEN_FILE: Final = "golden.json"
_GOLDEN_TOLERANCE: Final = 1e-5
_GOLDEN_NS: Final = 1_000_000_000
_UNASKED_MAX: Final = 16
"""Instruments that the status names as those without signals of a model."""


def load_models(deployment: Deployment) -> list[RegisteredModel]:
    """The deployment's models, each file verified. Raises RegistryError, also for a retired version."""
    registry = Registry(deployment.pipeline.registry)
    models = [registry.load(model.ref) for model in deployment.models]
    for model in models:
        registry.may_be_served(model.entry)
        _check_training(model)
    if deployment.sinks and not any(speaks(model.entry.stage) for model in models):
        refs = " and ".join(model.entry.ref for model in models)
        verb = "are" if len(models) > 1 else "is"
        raise SettingsError(
            "BAD_VALUE",
            f"{refs} {verb} in shadow, whose signals are journaled and sent to no sink: this deployment's sinks would stay empty",
            value=refs,
            next_step=f"Leave [[sink]] out to watch the journal, or promote: signal-stream models promote {models[0].entry.ref} "
            "live --by NAME --reason TEXT.",
        )
    names = [model.manifest.name for model in models]
    for name in names:
        if names.count(name) > 1:
            raise SettingsError("BAD_VALUE", f'two versions of model "{name}" in one pipeline')
    return models


def _check_training(model: RegisteredModel) -> None:
    """Raises ModelError for a version that was fitted on a table of another graph than it is served with."""
    path = model.files.get("training.json")
    made_by = None if path is None else json.loads(path.read_bytes())["graph_digest"]
    if made_by not in (None, model.manifest.graph_digest):
        raise ModelError(
            "COLUMNS", f"{model.entry.ref} was fitted on a table of graph {made_by[:12]}…, and its own is "
            f"{model.manifest.graph_digest[:12]}…", where=str(path), value=made_by,
            next_step="Register it again with the graph that made its table.",
        )  # fmt: skip


def card(model: RegisteredModel, *, isolated: bool = True, first: bool = True, spare: bool = True) -> ModelCard:
    """The model as its runtime needs it."""
    manifest = model.manifest
    return ModelCard(
        ref=model.entry.ref,
        kind=manifest.kind,
        columns=manifest.columns,
        dtype=manifest.dtype,
        output=manifest.output.name,
        output_index=manifest.output.index,
        files=model.files,
        digests=manifest.files,
        requirements=manifest.requirements,
        isolated=isolated,
        first=first,
        spare=spare,
    )


def start_model(model: RegisteredModel, settings: ModelSettings, *, first: bool) -> Model:
    """The model, ready to be asked, by the runtime of its kind. Raises ModelError, or SettingsError for an unknown kind."""
    started: Model = parts.make("model", card(model, isolated=settings.placement == "isolated", first=first))
    try:
        if started.dtype != model.manifest.dtype:
            what = f"{model.entry.ref} takes rows of {started.dtype}, and was registered for {model.manifest.dtype}"
            raise ModelError("DTYPE", what, where=model.entry.ref, next_step="Register it again.")
        if isinstance(started, IsolatedModel):
            _check_golden(started, model)
    except BaseException:
        started.close()
        raise
    return started


def _check_golden(started: IsolatedModel, model: RegisteredModel) -> None:
    """Asks the worker for golden rows: another runtime or processor than at registration must not say something else.

    As many as a second allows, spread over all. Raises ModelError for an answer that is not the recorded one.
    """
    if _GOLDEN_FILE not in model.files:
        return
    golden = json.loads(model.files[_GOLDEN_FILE].read_bytes())
    width = len(model.manifest.columns)
    form = f"{width}{'d' if model.manifest.dtype == 'f64' else 'f'}"
    blank = [["", 0]] * len(golden["outputs"])
    rows = [
        ModelRow(struct.pack(form, *row), instrument, ts_recv)
        for row, (instrument, ts_recv) in zip(golden["inputs"], golden.get("of", blank), strict=True)
    ]
    wrong = started.first_wrong(
        rows, golden["outputs"], tolerance=golden.get("tolerance", _GOLDEN_TOLERANCE), limit_ns=_GOLDEN_NS
    )
    if wrong is not None:
        row, got = wrong
        raise ModelError(
            "GOLDEN", f"{model.entry.ref} answers golden row {row} with {got.value if got.status == 'OK' else got.status}, at "
            f"registration it was {golden['outputs'][row]!r}", where=str(model.files[_GOLDEN_FILE]), value=got.value,
            next_step=f"Another version of {started.runtime.partition(' ')[0]}, or another processor? Register the model here "
            "again.",
        )  # fmt: skip


def instruments(model: RegisteredModel, settings: ModelSettings) -> tuple[str, ...] | None:
    """The instruments that the model speaks for: those of its training table, unless the deployment says others; None for all.

    Raises SettingsError where neither says, unless the version is of before that was noted and its graph names no instrument.
    """
    manifest = model.manifest
    if settings.instruments == "any":
        return None
    if settings.instruments is not None:
        return tuple(settings.instruments)
    if manifest.instruments:
        return manifest.instruments
    names_others = any("instrument" in node for node in json.loads(manifest.graph).get("nodes", ()))
    if manifest.format == 0 and not names_others:
        return None
    why = "its graph reads a second one" if names_others else "its training table named none"
    raise SettingsError(
        "BAD_VALUE", f'[[model]] ref = "{settings.ref}": nobody noted for which instruments {model.entry.ref} was trained, and '
        f"{why}", value=settings.ref,
        next_step='Say for which it speaks: instruments = ["BTCUSDT.BINANCE"], or instruments = "any".',
    )  # fmt: skip


def served_model(model: RegisteredModel, settings: ModelSettings) -> ServedModel:
    """The model as the journal's run record names it."""
    manifest = model.manifest
    return ServedModel(
        name=manifest.name,
        ref=model.entry.ref,
        digest=manifest.digest,
        signal=manifest.signal,
        deadline_ns=settings.deadline_ns or manifest.deadline_ns,
        fallback=settings.fallback or manifest.fallback,
        graph_digest=manifest.graph_digest,
        stage=model.entry.stage_audited,
        kind=manifest.kind,
        instruments=instruments(model, settings),
        stateful=manifest.stateful,
    )


def guard_sections(registered: Sequence[RegisteredModel], deployment: Deployment) -> tuple[GuardSettings, ...]:
    """The guards behind the built-in four, in the order in which they are asked: those of the manifests, each for its own
    model, then the deployment's. Raises SettingsError for one of a manifest whose package is missing or another one here."""
    found: list[GuardSettings] = []
    for model in registered:
        for guard in model.manifest.guards:
            section = {**guard, "models": [model.manifest.name]}
            found.append(served_guard(ServedGuard(guard["kind"], canonical_json(section)), of=model.entry.ref))
    return (*found, *deployment.own_guards)


def new_step(
    model: Model,
    manifest: Manifest,
    opened: ServedModel,
    deployment: Deployment,
    *,
    guards: Sequence[GuardSettings],
    tape: str,
    latches: Latches,
) -> ModelStep:
    """One model with its Gate. `guards` are those of all models, as `guard_sections` gives them."""
    own = own_guards(guards, manifest.name)
    return ModelStep(
        model=model, manifest=manifest,
        gate=new_gate(manifest, opened, deployment, own=own, tape=tape, latches=latches),
        latches=latches, deadline_ns=opened.deadline_ns,
        instruments=opened.instruments,
        ref=opened.ref,
        stage=opened.stage or "",
    )  # fmt: skip


def new_gate(
    manifest: Manifest,
    opened: ServedModel,
    deployment: Deployment,
    *,
    own: Sequence[Guard],
    tape: str,
    latches: Latches,
) -> Gate:
    """A model's Gate with the deployment's limits; `own` are the guards behind the built-in four."""
    return Gate(
        (*standard_guards(manifest, deployment.guards, latches), *own),
        manifest=manifest,
        latches=latches,
        pipeline=deployment.pipeline.name,
        tape=tape,
        fallback=opened.fallback,
        stage=opened.stage,
    )


def watch_stages(deployment: Deployment, registered: Sequence[RegisteredModel]) -> StageWatch:
    """What tells when a served version is no longer the one that the deployment means."""
    served = {model.ref: each.entry for model, each in zip(deployment.models, registered, strict=True)}
    return StageWatch(Registry(deployment.pipeline.registry), served)


def model_stats(
    steps: Sequence[ModelStep], opened: Sequence[ServedModel], stages: Mapping[str, str], clock: AxisClock
) -> tuple[dict[str, object], ...]:
    """How each model and its workers are, and by `stages` what the registry says of its version since: for the status.

    `newest` is of the newest signal, by the pipeline's `clock`: `ts_recv`, how old the oldest input is now that it rests on
    (`data_age_ns`, None if one never came), and how long it took from the moment that it is for, a bar's close say, to the
    journal (`freshness_ns`).
    """
    found = []
    for step, model in zip(steps, opened, strict=True):
        found.append(
            {
                "ref": model.ref,
                "name": model.name,
                "owner": step.manifest.owner,
                "signal": model.signal,
                "deadline_ns": model.deadline_ns,
                "fallback": model.fallback,
                "kind": model.kind,
                "stage": model.stage,
                "instruments": "any" if model.instruments is None else list(model.instruments),
                "unasked": dict(step.unasked.most_common(_UNASKED_MAX)),
                "registry": stages.get(model.ref, ""),
                "signals": dict(step.outcomes),
                "codes": dict(step.codes),
                "newest": _newest(step, clock),
                **step.model.stats(),
            }
        )
    return tuple(found)


def _newest(step: ModelStep, clock: AxisClock) -> dict[str, int | None] | None:
    if (row := step.row) is None:
        return None
    age_ns = row.age_recv_ns
    return {
        "ts_recv": row.ts_recv,
        "data_age_ns": None if age_ns is None else age_ns + clock.since(row.ts_recv, time.monotonic_ns()),
        "freshness_ns": clock.since(row.ts_recv, step.done_at),
    }
