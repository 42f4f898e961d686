"""What the journal says when a pipeline opens: everything that a replay needs, and a restart compares."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final, Self

from signal_stream import parts
from signal_stream.errors import JournalError, SettingsError, TapeError
from signal_stream.records import FORMAT, canonical_json, known_fields
from signal_stream.store import Latch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from signal_stream.records import JournalRecord
    from signal_stream.settings import GuardSettings
    from signal_stream.store import JournalReader

_HEAD_BYTES: Final = 32 << 20


@dataclass(frozen=True, slots=True)
class TapeIdentity:
    """A tape as it was used. `path` is a file, or the folder of a `TapeLog` (`recorded`), whose `bytes` and `sha256`
    are None since it grows.

    `sha256` is over the file's first and last 32 MiB, which is all of most files; a tape that was changed in between
    shows itself by other vectors.
    """

    name: str
    path: str
    recorded: bool
    bytes: int | None = None
    sha256: str | None = None

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """Reads a file's identity. Raises TapeError if it cannot be read."""
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                digest = hashlib.sha256(file.read(_HEAD_BYTES))
                file.seek(max(size - _HEAD_BYTES, min(size, _HEAD_BYTES)))
                digest.update(file.read())
        except FileNotFoundError as error:
            advice = "Check [source] url in the deployment file."
            raise TapeError("NOT_FOUND", "there is no such file", where=str(path), next_step=advice) from error
        except OSError as error:
            raise TapeError("UNREADABLE", f"cannot be read: {error.strerror}", where=str(path)) from error
        return cls(path.name, str(path), False, size, digest.hexdigest())

    @classmethod
    def of_log(cls, name: str, folder: Path) -> Self:
        """The identity of a log, which is its place."""
        return cls(name, str(folder), True)

    def differs(self, other: Self) -> str | None:
        """Why a run over `other` cannot go on from one over this tape; None if it can."""
        if self.recorded != other.recorded or self.name != other.name:
            return f'it was fed from "{self.name}", not "{other.name}"'
        if self.sha256 != other.sha256 or self.bytes != other.bytes:
            return f"{other.path} is not the file that it was fed from: {_size(self)} then, {_size(other)} now"
        return None


def _size(tape: TapeIdentity) -> str:
    return f"{tape.bytes:,} bytes, sha256 {(tape.sha256 or '')[:12]}…"


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model as it was served. `ref` is `name@version`; `digest` its manifest's, `graph_digest` its graph's; `stage` its
    version's then, None where that was not noted yet."""

    name: str
    ref: str
    digest: str
    signal: str
    deadline_ns: int
    fallback: str
    graph_digest: str
    stage: str | None = None
    kind: str = "onnx"
    instruments: tuple[str, ...] | None = None
    """Those that it speaks for; None for all."""
    stateful: bool = False

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """What a run record holds of a model; fields of a later release are left out. Raises TypeError."""
        known = {field.name for field in fields(cls)}
        model = cls(**{name: value for name, value in plain.items() if name in known})
        return model if model.instruments is None else replace(model, instruments=tuple(model.instruments))


@dataclass(frozen=True, slots=True)
class ServedGraph:
    """A graph as it was served. `json` is its text, byte for byte; `lateness_ns` and `amend_ns` (how late an event may be to
    change what was given; 0 for not at all) count where it runs on venue time; `begins` is the message of the tape behind which
    its engine began: above 0 where the messages before were removed by then."""

    name: str
    digest: str
    json: str
    lateness_ns: int
    begins: int = 0
    amend_ns: int = 0


@dataclass(frozen=True)
class ServedGuard:
    """A guard of the deployment's own: its kind and its section as JSON, from which a replay makes it again."""

    kind: str
    section: str


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The body of a journal's `open` record. The signals behind it were made under these conditions."""

    package: str
    pid: int
    pipeline: str
    deployment: str
    """Path of the deployment file."""
    registry: str
    graphs: tuple[ServedGraph, ...]
    """In the order in which they answer a message."""
    models: tuple[ServedModel, ...]
    guards: tuple[ServedGuard, ...]
    tape: TapeIdentity
    max_age_ns: int
    max_venue_delay_ns: int | None
    completeness: float
    messages: int
    """Messages of the tape that lie before the snapshot from which this process went on."""
    journal_seq: int
    """Where the signals begin that this process makes again."""
    models_since_seq: int
    """Records before this one hold signals of other models."""
    superseded_through: int
    """Vectors up to this offset of the tape were answered by other models; -1 if none were."""
    latch: Latch | None
    """The newest line of the latches, which rests on all before it; None where they could not be believed."""

    def to_json(self) -> str:
        """Canonical JSON; `from_json` reads it back."""
        return canonical_json({"format": FORMAT} | asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises JournalError if the text is no run record."""
        try:
            data: dict[str, Any] = _upgraded(json.loads(text))
            data["graphs"] = tuple(ServedGraph(**known_fields(ServedGraph, graph)) for graph in data["graphs"])
            data["models"] = tuple(map(ServedModel.from_plain, data["models"]))
            data["guards"] = tuple(ServedGuard(**guard) for guard in data["guards"])
            data["tape"] = TapeIdentity(**known_fields(TapeIdentity, data["tape"]))
            data["latch"] = data["latch"] and Latch(**known_fields(Latch, data["latch"]))
            return cls(**known_fields(cls, data))
        except (ValueError, TypeError, KeyError) as error:
            raise JournalError("DAMAGED", f"a run record cannot be read: {error}", value=text[:200]) from error

    def graph(self, digest: str) -> ServedGraph:
        """The graph with a digest. Raises KeyError if none was served."""
        return {graph.digest: graph for graph in self.graphs}[digest]

    def reproduces(self, other: Self) -> bool:
        """Whether a run under `other` makes the signals that this one makes, under the same ids."""

        def what(run_record: RunRecord) -> object:
            models = [(model.name, model.digest, model.instruments) for model in run_record.models]
            graphs = [(graph.digest, graph.lateness_ns, graph.amend_ns, graph.begins) for graph in run_record.graphs]
            return run_record.pipeline, graphs, models, run_record.tape.name, run_record.guards

        return what(self) == what(other)


def _upgraded(data: dict[str, Any]) -> dict[str, Any]:
    """A run record as this version writes it; in the first format there was one graph."""
    data = {"max_venue_delay_ns": None, "guards": []} | data
    if "graphs" in data:
        return data
    digest = data.pop("graph_digest")
    graph = {"name": data.pop("graph_name"), "digest": digest, "json": data.pop("graph")}
    data["graphs"] = [graph | {"lateness_ns": data.pop("lateness_ns")}]
    data["models"] = [{"graph_digest": digest} | model for model in data["models"]]
    data["superseded_through"] = data.pop("answered_until")
    return data


def last_run(journal: JournalReader) -> RunRecord | None:
    """The conditions of the newest process; None if there was none."""
    record = journal.last("open")
    return None if record is None else RunRecord.from_json(record.body)


def noted_latches(journal: JournalReader) -> list[Latch]:
    """Lines of the latches that the journal has seen, the newest last: the one that it knew when it was opened the last
    time, and those since then. Empty if it has seen none."""
    opened = journal.last("open")
    head = None if opened is None else RunRecord.from_json(opened.body).latch
    if opened is not None and head is not None:
        return [head, *map(latch_of, journal.records(kind="latch", from_seq=opened.seq))]
    last = journal.last("latch")
    return [] if last is None else [latch_of(last)]


def served_guard(served: ServedGuard, *, of: str = "") -> GuardSettings:
    """The settings that a guard was served with, or registered with as one of the model `of`. Raises SettingsError where its
    package is gone or another one now."""
    try:
        kind = parts.factory("guard", served.kind).Settings
        settings: GuardSettings = kind.read(json.loads(served.section))
    except SettingsError as error:
        if not of:
            raise
        what = f"{error.message}, and {of} was registered with it"
        raise SettingsError(error.code, what, where=of, value=error.value, next_step=error.next_step) from error
    except ValueError as error:
        then = f"{of} was registered with" if of else "it was served with"
        what = f'guard "{served.kind}" does not take the settings any more that {then}: {error}'
        raise SettingsError("PART", what, where=of, value=served.kind) from error
    return settings


def latch_of(record: JournalRecord) -> Latch:
    """The latch that a record of kind `latch` holds."""
    return Latch(**known_fields(Latch, json.loads(record.body)))
