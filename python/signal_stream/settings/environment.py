"""The process environment: read here and nowhere else."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from signal_stream.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

DEPLOYMENT_VARIABLE: Final = "SIGNAL_STREAM_DEPLOYMENT"


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
