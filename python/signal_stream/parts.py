"""The parts that a deployment can name: built-in ones and those of installed packages.

A part is named by its URL's scheme or by `kind = "…"`. What makes it is a class, or any callable with an attribute
`Settings`, a settings class: `factory(settings)` gives the part. A package adds one by an entry point of the group
`signal_stream.sources`, `.models`, `.guards`, `.sinks` or `.observers`:

    [project.entry-points."signal_stream.guards"]
    spread = "my_package.guards:SpreadGuard"

What makes a model is named by its manifest's `kind` and called with a `records.ModelCard`; it needs no `Settings`.

Nothing is imported before it is named.
"""

from __future__ import annotations

import importlib
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, Literal, TypeAlias

from signal_stream.errors import SettingsError, SignalStreamError, nearest

Role: TypeAlias = Literal["source", "model", "guard", "sink", "observer"]

ROLES: Final[tuple[Role, ...]] = ("source", "model", "guard", "sink", "observer")
_BUILT_IN: Final[dict[Role, dict[str, str]]] = {
    "source": {
        "file": "signal_stream.ingest.file_source:FileSource",
        "kafka": "signal_stream.ingest.kafka_source:KafkaSource",
        "merged": "signal_stream.ingest.merged_source:MergedSource",
        "stdin": "signal_stream.ingest.stdin_source:StdinSource",
        "ws": "signal_stream.ingest.websocket_source:WebSocketSource",
        "wss": "signal_stream.ingest.websocket_source:WebSocketSource",
    },
    "model": {
        "onnx": "signal_stream.models.onnx:onnx_model",
        "python": "signal_stream.models.python:python_model",
    },
    "guard": {},
    "sink": {
        "file": "signal_stream.emit.file_sink:FileSink",
        "kafka": "signal_stream.emit.kafka_sink:KafkaSink",
    },
    "observer": {},
}


def kinds(role: Role) -> list[str]:
    """The names that parts of a role have, built-in ones and those of installed packages.

    >>> kinds("sink")
    ['file', 'kafka']
    """
    return sorted({*_BUILT_IN[role], *(point.name for point in _entry_points(role))})


def factory(role: Role, kind: str) -> Any:
    """What makes parts of a role and kind. Raises SettingsError UNKNOWN_PART with the nearest name, or PART where a package's
    entry point cannot be loaded, is no factory, or is there twice."""
    built_in = _BUILT_IN[role].get(kind)
    if built_in is not None:
        module, _, name = built_in.partition(":")
        return getattr(importlib.import_module(module), name)
    points = [point for point in _entry_points(role) if point.name == kind]
    if not points:
        known = kinds(role)
        close = nearest(kind, known)
        advice = f'Did you mean "{close}"?' if close else f"Known are: {', '.join(known)}." if known else ""
        added = f"Others come with a package that has an entry point {_group(role)}."
        raise SettingsError(
            "UNKNOWN_PART", f'no {role} is named "{kind}"', value=kind, next_step=f"{advice} {added}".strip()
        )
    return _loaded(role, kind, points)


def make(role: Role, settings: Any) -> Any:
    """The part that a section's settings describe. Raises SettingsError PART for what its own making raises."""
    kind = getattr(settings, "kind", "") or settings.url.partition(":")[0]
    try:
        return factory(role, kind)(settings)
    except SignalStreamError:
        raise
    except Exception as error:
        what = f'{role} "{kind}" could not be made: {type(error).__name__}: {error}'
        raise SettingsError("PART", what, value=kind) from error


def _loaded(role: Role, kind: str, points: list[EntryPoint]) -> Any:
    if len({point.value for point in points}) > 1:
        homes = " and ".join(f"{point.value} ({_package(point)})" for point in points)
        what = f'{role} "{kind}" is there twice: {homes}'
        raise SettingsError("PART", what, value=kind, next_step="Remove one of the packages.")
    point = points[0]
    whose = f'{role} "{kind}" is {point.value} of {_package(point)}'
    try:
        found = point.load()
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        what = f"{whose}, which cannot be loaded ({why})"
        raise SettingsError("PART", what, value=kind, next_step="Mend or remove the package.") from error
    if not callable(found) or not (role == "model" or isinstance(getattr(found, "Settings", None), type)):
        advice = "It needs an attribute Settings, the class of its settings, and is called with one."
        raise SettingsError("PART", f"{whose}, which makes no part", value=kind, next_step=advice)
    return found


def _entry_points(role: Role) -> list[EntryPoint]:
    return list(entry_points(group=_group(role)))


def _group(role: Role) -> str:
    return f"signal_stream.{role}s"


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else "an unnamed package"
