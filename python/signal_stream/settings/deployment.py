"""The deployment file: one frozen tree, read once, every mistake named with its line.

    deployment = load_deployment(Path("deployment.toml"))
    deployment.guards.max_age_ns      # 1_000_000_000

Unknown keys are errors that offer the nearest valid one; limits have no default. Durations are written with their
unit ("100ms", "2s", "1m") and kept as nanoseconds. Paths in the file are relative to the folder in which it is named,
also where it is a link to a file elsewhere: the state stays when the link is moved.

Source, sinks, guards and observers are parts: the URL's scheme or `kind` names one, and the section is read by that
part's own settings class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from .environment import DEPLOYMENT_VARIABLE
from .section_reader import LISTS, SECTIONS, SectionReader
from .toml_file import read_toml
from .toml_lines import TomlLines

if TYPE_CHECKING:
    from pathlib import Path

    from .grpc import GrpcSettings
    from .guards import GuardLimits, GuardSettings
    from .health import HealthSettings
    from .journal import JournalSettings
    from .metrics import MetricsSettings
    from .model import ModelSettings
    from .observer import ObserverSettings
    from .pipeline import PipelineSettings
    from .sink import SinkSettings
    from .source import SourceSettings
    from .tape import TapeSettings


@dataclass(frozen=True, slots=True)
class Deployment:
    """A whole deployment file. `source`, `own_guards`, `sinks` and `observers` are of their parts' own settings classes."""

    pipeline: PipelineSettings
    source: SourceSettings
    models: tuple[ModelSettings, ...]
    guards: GuardLimits
    own_guards: tuple[GuardSettings, ...]
    sinks: tuple[SinkSettings, ...]
    observers: tuple[ObserverSettings, ...]
    journal: JournalSettings
    tape: TapeSettings
    metrics: MetricsSettings
    health: HealthSettings
    grpc: GrpcSettings


def load_deployment(path: Path) -> Deployment:
    """Reads a deployment file. Raises SettingsError with file, line, section and key of the first mistake."""
    text, data = read_toml(path, absent=f"Give its path, or name it in {DEPLOYMENT_VARIABLE}.")
    read = SectionReader(path, TomlLines(text), data)
    found = read.sections()
    one = {name: read.placed(found[name][0], (name,)) for name in SECTIONS if name not in LISTS}
    many = {name: tuple(read.placed(each, (name, i)) for i, each in enumerate(found[name])) for name in LISTS}
    return Deployment(
        pipeline=cast("PipelineSettings", one["pipeline"]),
        source=cast("SourceSettings", one["source"]),
        models=cast("tuple[ModelSettings, ...]", many["model"]),
        guards=cast("GuardLimits", one["guards"]),
        own_guards=cast("tuple[GuardSettings, ...]", many["guard"]),
        sinks=cast("tuple[SinkSettings, ...]", many["sink"]),
        observers=cast("tuple[ObserverSettings, ...]", many["observer"]),
        journal=cast("JournalSettings", one["journal"]),
        tape=cast("TapeSettings", one["tape"]),
        metrics=cast("MetricsSettings", one["metrics"]),
        health=cast("HealthSettings", one["health"]),
        grpc=cast("GrpcSettings", one["grpc"]),
    )
