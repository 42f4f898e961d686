"""Signals and their lineage.

A `Signal` is different from other records: only `guards.Gate` makes one. Making, copying, unpickling, replacing or
subclassing it raises `GateError`, and the journal refuses one that was changed (`Signal.check`). What is read
back from a file is a `SignalRecord`, which nothing takes for a signal.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Final, NamedTuple, Never, Self, final

from signal_stream import _core
from signal_stream.errors import GateError

from .text import known_fields, read_as
from .verdict import Verdict

if TYPE_CHECKING:
    from .model_terms import ModelTerms


@dataclass(frozen=True, slots=True)
class TapeRef:
    """The last event that a signal rests on: the name of its tape and the event's position in it."""

    name: str
    offset: int


class Latency(NamedTuple):
    """Nanoseconds that each stage took: `emit` is from the verdict to the hand-over to the journal."""

    features: int
    model: int
    guards: int
    emit: int


@dataclass(frozen=True, slots=True)
class Lineage:
    """What made a signal. Enough to recompute it: see `signal-stream replay`.

    `ts_event` is None where the venue sends no time. No input later than `data_window_end` was used; at `ts_recv` the
    oldest was `data_age_ns` old, by receive time or by the venue's, whichever says more: None if an input never came.
    """

    model_id: str
    model_version: str
    feature_graph_hash: str
    schema_hash: str
    vector_hash: str
    ts_event: int | None
    ts_recv: int
    data_window_end: int
    data_age_ns: int | None
    tape: TapeRef


@dataclass(frozen=True, slots=True)
class SignalRecord:
    """A signal as it stands in a journal or file. `value` is None unless the verdict is PASS. `stage` is its version's when the
    pipeline was opened; None for signals of before stages were noted, which were all to be acted upon."""

    signal_id: str
    signal: str
    instrument: str
    value: float | None
    verdict: Verdict
    lineage: Lineage
    latency: Latency
    stage: str | None = None

    @property
    def speaks(self) -> bool:
        """Whether it may be acted upon: signals that it may not stay in the journal."""
        return speaks(self.stage)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what a `signal_template` wrote. Raises JournalError where it is anything else."""
        with read_as("a signal", text):
            data = json.loads(text)
            if lacking := [key for key in _SIGNAL_KEYS if key not in data]:
                raise ValueError(f"no key {lacking[0]}")
            tape = TapeRef(**known_fields(TapeRef, data["tape"]))
            latency = Latency(*(data["latency_ns"][name] for name in Latency._fields))
            lineage = Lineage(**{f.name: data[f.name] for f in fields(Lineage)} | {"tape": tape})
        verdict = Verdict(data["verdict"], tuple(data["codes"]), (), tuple(data["defaults_used"]))
        signal_id, signal, instrument, value = (data[key] for key in ("signal_id", "signal", "instrument", "value"))
        return cls(signal_id, signal, instrument, value, verdict, lineage, latency, data.get("stage"))


SPEAKING: Final = ("live", "canary")
"""Stages whose signals may be acted upon."""


def speaks(stage: str | None) -> bool:
    """Whether signals of a stage may be acted upon: live ones and a canary's; without a stage, those of before stages were
    noted.

    >>> [speaks(stage) for stage in ("live", "canary", "shadow", None)]
    [True, True, False, True]
    """
    return stage is None or stage in SPEAKING


_SIGNAL_KEYS: Final = (
    *("signal_id", "signal", "instrument", "value", "verdict", "codes"),
    *("model_id", "model_version", "feature_graph_hash", "schema_hash", "vector_hash"),
    *("ts_event", "ts_recv", "data_window_end", "data_age_ns", "tape", "defaults_used", "latency_ns"),
)


def signal_template(
    *, pipeline: str, tape: str, manifest: ModelTerms, stage: str | None = None
) -> _core.SignalTemplate:
    """What writes the signals of one model in one pipeline: API.md's keys in API.md's order, as `json.dumps` writes them.

    The id is the first 32 hex digits of the SHA-256 of the lines `signal-stream/1`, pipeline, model id, model
    version, instrument, ts_event (empty if absent), ts_recv, vector digest, tape offset; no newline at the end. It
    does not cover verdict and stage: one set of inputs is one signal, whatever was said about it. `stage` is the
    version's; None writes none, as before stages were noted.
    """
    names = (pipeline, manifest.name, manifest.version)
    if any("\n" in name for name in names):
        raise AssertionError(f"a name with a line break: {names}")
    return _core.SignalTemplate(
        pipeline=pipeline,
        tape=tape,
        model=manifest.name,
        version=manifest.version,
        signal=manifest.signal,
        stage=stage,
        graph_digest=manifest.graph_digest,
        schema_digest=manifest.schema_digest,
    )


def _refuse(what: str) -> Never:
    raise GateError("GATE_ONLY", f"a Signal cannot be {what}", next_step="Only Gate.signal makes one, after judging.")


_SEAL: Final = object()


@final
@dataclass(frozen=True, slots=True, init=False)
class Signal:
    """One emission that passed through the Gate: PASS, or a veto with its codes.

    `json` is the whole of it, as journal and sinks write it; `record` reads it back into fields. `check` raises
    GateError unless the Gate made exactly this object and nobody changed it.
    """

    signal_id: str
    ts_recv: int
    json: str
    _seal: int = field(repr=False, compare=False)

    @property
    def record(self) -> SignalRecord:
        """The signal's fields, read from its JSON."""
        return SignalRecord.from_json(self.json)

    def check(self) -> Self:
        """Returns the signal itself. Raises GateError if it was forged or changed."""
        if type(self) is Signal:
            try:
                if self._seal == hash((_SEAL, self.signal_id, self.ts_recv, self.json)):
                    return self
            except AttributeError:
                pass  # made around the constructor, and not filled
        raise GateError("FORGED", "not a signal that the Gate made, or changed since", value=type(self).__name__)

    def __new__(cls, *_args: object, **_kwargs: object) -> Self:
        _refuse("constructed")

    def __init_subclass__(cls) -> None:
        _refuse("subclassed")

    def __reduce_ex__(self, protocol: object) -> Never:
        _refuse("copied or pickled")

    def __setstate__(self, state: object) -> Never:
        _refuse("unpickled")


def _seal_signal(signal_id: str, ts_recv: int, text: str) -> Signal:
    """The Gate's own constructor: `guards/gate.py` is its only importer, and a test looks for others."""
    signal = object.__new__(Signal)
    put = object.__setattr__
    put(signal, "signal_id", signal_id)
    put(signal, "ts_recv", ts_recv)
    put(signal, "json", text)
    put(signal, "_seal", hash((_SEAL, signal_id, ts_recv, text)))
    return signal
