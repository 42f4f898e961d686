"""Which state folder a command means."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from signal_stream.errors import CommandError, SettingsError, StateError

StateOption = Annotated[Path | None, typer.Option("--state", metavar="DIR", help="The pipeline's state folder.")]
DeploymentOption = Annotated[
    Path | None,
    typer.Option("--deployment", metavar="FILE", help="The deployment file that names the state folder."),
]


def state_folder(state: Path | None, deployment: Path | None, *, may_be_new: bool = False) -> Path:
    """The folder that `--state` names, or the one of `--deployment`, of the usual deployment file, or `./state`.

    With `may_be_new`, a folder that a deployment file names need not exist yet. Raises StateError where there is none,
    CommandError for options that do not go together, SettingsError for a deployment file that cannot be used.
    """
    from signal_stream.settings import environment, load_deployment

    state, deployment = (None if named is None else home(named) for named in (state, deployment))
    if state is not None and deployment is not None:
        raise CommandError("BAD_OPTION", "both --state and --deployment are given", next_step="Give one of them.")
    usual = Path("deployment.toml")
    if state is None and deployment is None:
        named = environment()
        usual = named.deployment
        if named.named or usual.exists():
            deployment = usual
    if deployment is not None:
        folder = load_deployment(deployment).pipeline.state
        if folder.is_dir() or may_be_new:
            return folder
        advice = f"Start it with `signal-stream serve {deployment}`."
        raise StateError("NOT_FOUND", "this pipeline has never been served", where=str(folder), next_step=advice)
    folder = state or Path("state")
    if folder.is_dir():
        return folder
    if state is not None:
        what = "a file lies there, no state folder" if state.exists() else "there is no such state folder"
        raise StateError("NOT_FOUND", what, where=str(state))
    raise StateError(
        "NOT_FOUND",
        f"no pipeline is named, and there is neither {usual} nor ./state here",
        next_step="Pass --state DIR or --deployment FILE.",
    )


def home(path: Path) -> Path:
    """The path with `~` as the home folder, which no shell has put there in `--state=~/x`."""
    try:
        return path.expanduser()
    except RuntimeError as error:
        advice = "Write the path without ~."
        raise CommandError("BAD_OPTION", str(error), where=str(path), next_step=advice) from error


def state_argument(folder: Path) -> str:
    """What a command typed here has to say to mean this folder: nothing if it is the one that is meant anyway.

    >>> state_argument(Path("/no/such folder"))
    " --state '/no/such folder'"
    """
    try:
        usual = state_folder(None, None)
    except (SettingsError, StateError):
        usual = None
    if usual is not None and usual.resolve() == folder.resolve():
        return ""
    return f" --state {shlex.quote(str(folder))}"
