"""`signal-stream kill` and `rearm`: silence a model, or all, and let them speak again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from signal_stream.cli.state_folder import DeploymentOption, StateOption, state_folder
from signal_stream.cli.text import plain
from signal_stream.errors import CommandError, LatchError, did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

    from signal_stream.store import Latches, State

ModelArgument = Annotated[str | None, typer.Argument(metavar="MODEL", help="A model's name.")]
AllOption = Annotated[bool, typer.Option("--all", help="Every model of the pipeline.")]
ByOption = Annotated[str, typer.Option("--by", metavar="NAME", help="Who does this.")]
ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command(epilog='Example: signal-stream kill --all --by ann --reason "prices look wrong"')(kill)
    app.command(epilog='Example: signal-stream rearm --all --by ann --reason "feed is back"')(rearm)


def kill(
    by: ByOption,
    reason: ReasonOption,
    model: ModelArgument = None,
    every: AllOption = False,
    state: StateOption = None,
    deployment: DeploymentOption = None,
) -> None:
    """Silence a model, or all, from the next signal on. It holds over restarts, and needs no running process."""
    place = _state(state, deployment)
    scope = _scope(model, every, place)
    latches = place.latches()
    before = _standing(latches, scope)
    latch = latches.kill(scope, by=by, reason=reason, now=time.time_ns())
    name = "Everything" if scope is None else scope
    print(plain(f"{name} was killed already: {before}. Noted again." if before else latch))
    if scope is not None and (everything := _standing(latches, None)):
        print(plain(f"Everything is killed: {everything}"))
    print(_who_serves(place.folder, "It is silent from its next signal on."))


def rearm(
    by: ByOption,
    reason: ReasonOption,
    model: ModelArgument = None,
    every: AllOption = False,
    state: StateOption = None,
    deployment: DeploymentOption = None,
) -> None:
    """Let a model, or all, speak again. A model that was killed by its name stays killed when all are re-armed."""
    place = _state(state, deployment)
    scope = _scope(model, every, place)
    latches = place.latches()
    try:
        print(plain(latches.rearm(scope, by=by, reason=reason, now=time.time_ns())))
    except LatchError as error:
        if error.code != "NOT_KILLED" or latches.killed(scope or "") is not None:
            raise
        name = "Nothing is killed as a whole" if scope is None else f"{plain(scope)} is not killed"
        print(f"{name}: nothing to do.")
    left = "; ".join(str(latch) for latch in latches.standing())
    print(plain(f"Still killed: {left}") if left else _who_serves(place.folder, "It speaks from its next signal on."))


def _state(state: Path | None, deployment: Path | None) -> State:
    from signal_stream.store import State

    return State(state_folder(state, deployment, may_be_new=True))


def _scope(model: str | None, every: bool, place: State) -> str | None:
    """The model's name, None for all. Raises CommandError if nothing, or a model that is not served, is named."""
    from signal_stream.errors import JournalError
    from signal_stream.serve.run_record import last_run

    if (model is None) == (not every):
        advice = "Name a model, or say --all."
        raise CommandError("BAD_OPTION", "it is not clear what to kill or re-arm", next_step=advice)
    if model is None:
        return None
    name = model.partition("@")[0]
    try:
        opened = last_run(place.reader())
    except JournalError:
        return name  # an emergency: the name is taken as it is
    known = [each.name for each in opened.models] if opened else [name]
    if name not in known:
        message = f'no model "{name}" is served from this state folder; nothing was changed'
        raise CommandError("BAD_OPTION", message, where=str(place.folder), next_step=did_you_mean(name, known))
    return name


def _standing(latches: Latches, scope: str | None) -> str:
    """The kill of this scope that stands; empty if none does, or nobody can tell."""
    wanted = "all" if scope is None else f"model:{scope}"
    try:
        return next((str(latch) for latch in latches.standing() if latch.scope == wanted), "")
    except LatchError:
        return ""


def _who_serves(folder: Path, then: str) -> str:
    from signal_stream.store.lock import serving_pid

    pid = serving_pid(folder)
    if pid is None:
        return f"No process serves {folder} now; it holds when one starts."
    return f"Process {pid} serves {folder}. {then}"
