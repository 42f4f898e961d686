"""`signal-stream kill` and `rearm`: silence a model, or all, and let them speak again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from signal_stream.cli.state_folder import DeploymentOption, StateOption, state_folder
from signal_stream.cli.text import plain
from signal_stream.errors import CommandError

if TYPE_CHECKING:
    from pathlib import Path

    from signal_stream.store import State

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
    """Silence a model, or all, from the next signal on.

    It holds over restarts, and needs no running process."""
    from signal_stream.store import silencing

    place, scope = _state(state, deployment), _scope(model, every)
    done = silencing.kill(place, scope, by=by, reason=reason, now=time.time_ns())
    print(*map(plain, done.lines), sep="\n")
    print(_who_serves(place.folder, "It is silent from its next signal on."))


def rearm(
    by: ByOption,
    reason: ReasonOption,
    model: ModelArgument = None,
    every: AllOption = False,
    state: StateOption = None,
    deployment: DeploymentOption = None,
) -> None:
    """Let a model, or all, speak again.

    A model that was killed by its name stays killed when all are re-armed."""
    from signal_stream.store import silencing

    place, scope = _state(state, deployment), _scope(model, every)
    done = silencing.rearm(place, scope, by=by, reason=reason, now=time.time_ns())
    print(*map(plain, done.lines), sep="\n")
    left = "; ".join(done.standing)
    if left:
        print(plain(f"Still killed: {left}"))
    elif done.latch is not None:
        print(_who_serves(place.folder, "It speaks from its next signal on."))


def _state(state: Path | None, deployment: Path | None) -> State:
    from signal_stream.store import State

    return State(state_folder(state, deployment, may_be_new=True))


def _scope(model: str | None, every: bool) -> str | None:
    """The model that is meant, None for all. Raises CommandError if it is not clear."""
    if (model is None) == (not every):
        advice = "Name a model, or say --all."
        raise CommandError("BAD_OPTION", "it is not clear what to kill or re-arm", next_step=advice)
    return model


def _who_serves(folder: Path, then: str) -> str:
    from signal_stream.store.lock import serving_pid

    pid = serving_pid(folder)
    if pid is None:
        return f"No process serves {folder} now; it holds when one starts."
    return f"Process {pid} serves {folder}. {then}"
