"""What a pipeline is doing, for people and programs that look at its state folder."""

from __future__ import annotations

import json
from dataclasses import MISSING, asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Self

from signal_stream.errors import StateError
from signal_stream.records import FORMAT, known_fields

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


_TIMES: Final = ("p50", "p99", "p99.9", "max")
_LISTS: Final = ("models", "latches", "observers", "sinks", "components", "tasks")
_KINDS: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("state", "reason", "pipeline", "deployment"), str),
    **dict.fromkeys(("pid", "written_at", "started_at", "vectors"), int),
    **dict.fromkeys(("source", "counts", "refused", "books", "signals", "codes", "journal", "latency_ns"), dict),
    **dict.fromkeys(("last_signal", "gateway", "age_limits"), (dict, type(None))),
}


@dataclass(frozen=True, slots=True)
class Status:
    """One look at a pipeline. `state` is SERVING, STOPPED or HALTED, `reason` why it is no longer serving.

    `counts` are those of all messages: `input == accepted + duplicate + late + rejected + conflated`, with the lines that no
    message came of among input and rejected, by their codes in `refused`. `signals` are by verdict, `codes` by the
    code that a signal carries; both from the beginning of the journal, over all restarts. `latency_ns` holds count,
    p50, p99, p99.9 and max of each stage since this process began.
    """

    state: str
    reason: str
    pid: int
    pipeline: str
    written_at: int
    started_at: int
    deployment: str
    source: Mapping[str, Any]
    models: tuple[Mapping[str, Any], ...]
    counts: Mapping[str, int]
    refused: Mapping[str, int]
    books: Mapping[str, int]
    vectors: int
    signals: Mapping[str, int]
    codes: Mapping[str, int]
    last_signal: Mapping[str, Any] | None
    latches: tuple[str, ...]
    journal: Mapping[str, Any]
    latency_ns: Mapping[str, Mapping[str, int | None]]
    observers: tuple[Mapping[str, Any], ...] = ()
    sinks: tuple[Mapping[str, Any], ...] = ()
    """Each sink: `state` (OK, CATCHING UP, DEGRADED), `error`, `retry_in_ns`, `lag_records`, `lag_ns`, `sent`, `skipped`."""
    gateway: Mapping[str, Any] | None = None
    """The process that serves metrics: `state` (STARTING, OK, WAITING, DEGRADED), `error`, `pid`, `restarts`, `waits_for`, and
    of each of its `servers` `name`, `listen`, `state`, `error`. None where nothing is served to others."""

    components: tuple[Mapping[str, Any], ...] = ()
    """The parts of the process, in the order of their opening: `name`, `needs`, `state` (READY, DEGRADED), `reason`, `uptime_ns`,
    `start_ns` (how long it took to open)."""
    tasks: tuple[Mapping[str, Any], ...] = ()
    """What the line's thread does now and then: `task`, `every_ns`, `budget_ns`, `runs`, `overruns`, `longest_ns`."""

    age_limits: Mapping[str, int] | None = None
    """Below which ages data is fresh, recent and old: `fresh_ns`, `recent_ns`, `old_ns`."""

    def __post_init__(self) -> None:
        """Raises AssertionError unless every message is accounted for, once."""
        counts = self.counts
        parts = {name: counts[name] for name in ("accepted", "duplicate", "late", "rejected")}
        parts["conflated"] = counts.get("conflated", 0)  # older statuses know of none
        if sum(parts.values()) != counts["input"]:
            raise AssertionError(f"{parts} do not add up to {counts['input']} messages")

    def write(self, folder: Path) -> None:
        """Replaces the folder's status file at once. Raises OSError."""
        unfinished = folder / "status.unfinished"
        unfinished.write_text(json.dumps({"format": FORMAT} | asdict(self), indent=1) + "\n", encoding="utf-8")
        unfinished.replace(folder / "status.json")

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The status written last; None if none was. Raises StateError if it cannot be read."""
        path = folder / "status.json"
        try:
            if path.exists() and not path.is_file():  # reading a pipe would wait for ever
                raise StateError("DAMAGED", "the status cannot be read: it is no file", where=str(path))
            data: dict[str, Any] = json.loads(path.read_bytes())
            if not isinstance(data, dict):
                raise ValueError("it is no JSON object")
            if lacking := [each.name for each in fields(cls) if each.default is MISSING and each.name not in data]:
                raise ValueError(f"it lacks {', '.join(lacking)}")
            for name in _LISTS:
                data[name] = tuple(data.get(name, ()))
            # What has none of the names is of a later version; what lacks some of them is damaged.
            stages = dict(data["latency_ns"]).items()
            data["latency_ns"] = {stage: times for stage, times in stages if any(name in times for name in _TIMES)}
            found = cls(**known_fields(cls, data))
            found._check()
            for stage, times in found.latency_ns.items():
                if lacking := [name for name in _TIMES if name not in times]:
                    raise ValueError(f"latency_ns of {stage} lacks {', '.join(lacking)}")
            return found
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AssertionError, RecursionError) as error:
            advice = "The pipeline that serves writes it anew, or the next `signal-stream serve`."
            raise StateError(
                "DAMAGED", f"the status cannot be read: {error}", where=str(path), next_step=advice
            ) from error

    def _check(self) -> None:
        """Raises ValueError for a value of another kind than readers rely on: what is read was written by another process,
        of another version perhaps."""
        for name, kind in _KINDS.items():
            if not isinstance(getattr(self, name), kind):
                raise ValueError(f"{name} is {str(getattr(self, name))[:80]!r}")
        for name in _LISTS:
            if name != "latches" and not all(isinstance(each, dict) for each in getattr(self, name)):
                raise ValueError(f"{name} holds something else than objects")
        if self.age_limits is not None and not all(isinstance(each, int) for each in self.age_limits.values()):
            raise ValueError(f"age_limits is {self.age_limits}")


def not_understood(folder: Path, error: Exception) -> StateError:
    """The error for a status that was read, and holds what whoever wanted to say something of it did not expect."""
    what = f"the status holds what this version does not understand: {error!r}"
    return StateError(
        "DAMAGED", what, where=str(folder / "status.json"), next_step="Look with the version that serves."
    )
