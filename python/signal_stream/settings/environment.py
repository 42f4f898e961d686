"""The environment of processes: read here and nowhere else."""

from __future__ import annotations

import difflib
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from signal_stream.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

DEPLOYMENT_VARIABLE: Final = "SIGNAL_STREAM_DEPLOYMENT"
_MARKS: Final = "SIGNAL_STREAM_PARTS"
_PROC: Final = Path("/proc")


@dataclass(frozen=True, slots=True)
class Environment:
    """What the process environment says. Nothing else in the package reads it."""

    deployment: Path
    """The deployment file that commands use when none is named: SIGNAL_STREAM_DEPLOYMENT, else deployment.toml."""
    named: bool = False
    """Whether the variable names it, so that it has to be there."""


def environment(variables: Mapping[str, str] | None = None) -> Environment:
    """The environment, read now; `variables` stands in for the process's own. Raises SettingsError if the variable is
    empty, or another has nearly its name: who sets one means a certain pipeline.

    >>> environment({}).deployment.name
    'deployment.toml'
    """
    found = os.environ if variables is None else variables
    named = found.get(DEPLOYMENT_VARIABLE)
    if named is None:
        for name in difflib.get_close_matches(DEPLOYMENT_VARIABLE, found, n=1, cutoff=0.85):
            advice = f'Did you mean "{DEPLOYMENT_VARIABLE}"?'
            raise SettingsError("UNKNOWN_KEY", f"unknown variable {name}", value=name, next_step=advice)
        return Environment(Path("deployment.toml"))
    if not named:
        advice = "Name a deployment file in it, or unset it."
        raise SettingsError("BAD_VALUE", f"{DEPLOYMENT_VARIABLE} is empty", value=named, next_step=advice)
    return Environment(Path(named), named=True)


def with_mark(mark: str) -> dict[str, str]:
    """The environment for a process that is to be found by a mark: this process's own, with the mark beside those that it has."""
    marks = [*filter(None, os.environ.get(_MARKS, "").split(",")), mark]
    return {**os.environ, _MARKS: ",".join(dict.fromkeys(marks))}


def is_marked(pid: int, mark: str) -> bool:
    """Whether a process was started with a mark; one that has ended, is another user's, or of a system that does not show this,
    was not."""
    prefix = f"{_MARKS}=".encode()
    with suppress(OSError):
        for variable in (_PROC / str(pid) / "environ").read_bytes().split(b"\0"):
            if variable.startswith(prefix):
                return mark.encode() in variable.removeprefix(prefix).split(b",")
    return False
