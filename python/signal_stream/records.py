"""The records that cross stage boundaries: verdicts, signals and their lineage, manifests, journal entries.

All are frozen. Times are nanoseconds UTC, latencies nanoseconds, digests lower-case hex of SHA-256.

A `Signal` is different from the rest: only `guards.Gate` makes one. Making, copying, unpickling, replacing or
subclassing it raises `GateError`, and sinks and journal refuse one that was changed (`Signal.check`). What is read
back from a file is a `SignalRecord`, which nothing takes for a signal.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Never, Self, final

from signal_stream import _core
from signal_stream.errors import GateError, JournalError, ManifestError, did_you_mean

PASS: Final = "PASS"  # noqa: S105  a verdict
VETO: Final = "VETO"
HALT: Final = "HALT"


def canonical_json(data: object) -> str:
    """The one text of plain data: keys sorted, no spaces, shortest floats, no NaN; what digests are made of.

    >>> canonical_json({"b": 0.1, "a": [1, None]})
    '{"a":[1,null],"b":0.1}'
    """
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the Gate says about one prediction.

    `outcome` is PASS, VETO or HALT. `codes` say why, in the fixed order of the guards; on a PASS they say why the
    value is the model's declared fallback. `why` has a sentence for each code, for people. `defaults_used` names
    the features for which the manifest's default went into the model.
    """

    outcome: str
    codes: tuple[str, ...] = ()
    why: tuple[str, ...] = ()
    defaults_used: tuple[str, ...] = ()


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
    """A signal as it stands in a journal or file. `value` is None unless the verdict is PASS."""

    signal_id: str
    signal: str
    instrument: str
    value: float | None
    verdict: Verdict
    lineage: Lineage
    latency: Latency

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what a `signal_template` wrote. Raises JournalError where it is anything else."""
        try:
            data = json.loads(text)
            if tuple(data) != _SIGNAL_KEYS:
                raise ValueError("other keys than a signal's")
            tape = TapeRef(**data["tape"])
            latency = Latency(**data["latency_ns"])
            lineage = Lineage(**{f.name: data[f.name] for f in fields(Lineage)} | {"tape": tape})
        except (ValueError, TypeError, KeyError) as error:
            raise JournalError("DAMAGED", f"a signal cannot be read: {error}", value=text[:200]) from error
        verdict = Verdict(data["verdict"], tuple(data["codes"]), (), tuple(data["defaults_used"]))
        return cls(data["signal_id"], data["signal"], data["instrument"], data["value"], verdict, lineage, latency)


_SIGNAL_KEYS: Final = (
    *("signal_id", "signal", "instrument", "value", "verdict", "codes"),
    *("model_id", "model_version", "feature_graph_hash", "schema_hash", "vector_hash"),
    *("ts_event", "ts_recv", "data_window_end", "data_age_ns", "tape", "defaults_used", "latency_ns"),
)


def signal_template(*, pipeline: str, tape: str, manifest: Manifest) -> _core.SignalTemplate:
    """What writes the signals of one model in one pipeline: API.md's keys in API.md's order, as `json.dumps` writes them.

    The id is the first 32 hex digits of the SHA-256 of the lines `signal-stream/1`, pipeline, model id, model
    version, instrument, ts_event (empty if absent), ts_recv, vector digest, tape offset; no newline at the end. It
    does not cover the verdict: one set of inputs is one signal, whatever was said about it.
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


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """One entry of the journal: its position, receive time, kind, key (a signal's id) and JSON body."""

    seq: int
    ts: int
    kind: str
    key: str
    body: str


@dataclass(frozen=True, slots=True)
class Fallback:
    """What stands in for a prediction that did not come: nothing, the last valid one, or a constant.

    >>> Fallback.parse("constant:0.5")
    Fallback(kind='constant', value=0.5)
    """

    kind: str
    value: float | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `veto`, `last_valid` or `constant:X`. Raises ValueError with the allowed forms."""
        if text in ("veto", "last_valid"):
            return cls(text)
        kind, _, number = text.partition(":")
        if kind == "constant" and re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", number):
            value = float(number)
            if math.isfinite(value):
                return cls(kind, value)
        raise ValueError('"veto", "last_valid" or "constant:" with a number')


@dataclass(frozen=True, slots=True)
class Distribution:
    """One feature over the training rows. Statistics are over the `count` valid values; None where there are none.

    `quantiles` are (probability, value) pairs with rising probabilities.
    """

    count: int
    null_share: float
    mean: float | None
    std: float | None
    min: float | None
    max: float | None
    quantiles: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Output:
    """Which number of the model's answer is the signal: element `index` of the `size` floats named `name`."""

    name: str
    index: int
    size: int


@dataclass(frozen=True, slots=True)
class Golden:
    """Rows whose predictions were checked at registration: digests of inputs and outputs, largest difference seen."""

    rows: int
    inputs_sha256: str
    outputs_sha256: str
    difference_max: float


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_HEX = re.compile(r"[0-9a-f]{64}")
_DTYPES: Final = ("f32", "f64")


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything that a model promises and needs. Immutable: its digest is its version.

    `name` is the model id, `signal` and `horizon_ns` say what its value predicts, `label` how the training target
    was made. `graph` is the feature graph's JSON text, byte for byte, since its digest depends on it. `columns` are
    the model's inputs in order, of type `dtype` (f32 or f64). `defaults` are put in for invalid features where the
    deployment allows it. `files` maps each stored file's name to its SHA-256.
    """

    name: str
    kind: str
    signal: str
    horizon_ns: int
    label: str
    owner: str
    refit_cadence_ns: int
    graph_name: str
    graph: str
    graph_digest: str
    schema_digest: str
    columns: tuple[str, ...]
    dtype: str
    output: Output
    deadline_ns: int
    fallback: str
    golden: Golden
    training_distribution: Mapping[str, Distribution]
    defaults: Mapping[str, float] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("training_distribution", "defaults", "files"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        object.__setattr__(self, "columns", tuple(self.columns))
        _check_manifest(self)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @property
    def version(self) -> str:
        """The first 12 hex digits of the digest."""
        return self.digest[:12]

    def with_files(self, files: Mapping[str, str]) -> Manifest:
        """The same manifest with other stored files."""
        return replace(self, files=files)

    def to_json(self) -> str:
        """Canonical JSON; `from_json` reads it back to an equal manifest."""
        return canonical_json(_plain(self))

    @classmethod
    def from_json(cls, text: str, *, where: str = "manifest") -> Self:
        """Raises ManifestError that names the key and value, and the nearest key where one is unknown."""
        try:
            data = json.loads(text)
        except ValueError as error:
            raise ManifestError("UNREADABLE", f"the manifest is not JSON: {error}", where=where) from error
        data = _keyed(cls, data, where)
        data["output"] = Output(**_keyed(Output, data["output"], f"{where} output"))
        data["golden"] = Golden(**_keyed(Golden, data["golden"], f"{where} golden"))
        for key in ("training_distribution", "defaults", "files"):
            if not isinstance(data[key], dict):
                raise _bad(key, data[key], "an object", where)
        if not isinstance(data["columns"], list):
            raise _bad("columns", data["columns"], "a list", where)
        training = {}
        for name, each in data["training_distribution"].items():
            spread = _keyed(Distribution, each, f"{where} training_distribution {name}")
            pairs = spread["quantiles"]
            if not isinstance(pairs, list) or any(not isinstance(q, list) or len(q) != 2 for q in pairs):
                raise _bad(f"training_distribution.{name}.quantiles", pairs, "a list of pairs", where)
            spread["quantiles"] = tuple((p, x) for p, x in pairs)
            training[name] = Distribution(**spread)
        return cls(**data | {"training_distribution": training})

    def __reduce__(self) -> tuple[Any, ...]:
        return Manifest.from_json, (self.to_json(),)


def _plain(record: object) -> object:
    if hasattr(record, "__dataclass_fields__"):
        return {name: _plain(getattr(record, name)) for name in record.__dataclass_fields__}
    if isinstance(record, Mapping):
        return {key: _plain(value) for key, value in record.items()}
    if isinstance(record, tuple):
        return [_plain(value) for value in record]
    return record


def _keyed(kind: type, data: object, where: str) -> dict[str, Any]:
    """`data` if it is an object with exactly the fields of `kind`."""
    if not isinstance(data, dict):
        raise ManifestError("UNREADABLE", "not a JSON object", where=where, value=data)
    names = [each.name for each in fields(kind)]
    for key in data:
        if key not in names:
            advice = did_you_mean(key, names)
            raise ManifestError("UNKNOWN_KEY", f'unknown key "{key}"', where=where, next_step=advice)
    for name in names:
        if name not in data:
            raise ManifestError("MISSING_KEY", f'missing key "{name}"', where=where)
    return dict(data)


def _bad(name: str, value: object, allowed: str, where: str = "manifest") -> ManifestError:
    message = f"{name} = {json.dumps(value, default=str)[:80]} is not {allowed}"
    return ManifestError("BAD_VALUE", message, where=where, value=value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_hex(value: object) -> bool:
    return isinstance(value, str) and _HEX.fullmatch(value) is not None


def _check_manifest(m: Manifest) -> None:
    def check(good: bool, name: str, value: object, allowed: str) -> None:
        if not good:
            raise _bad(name, value, allowed, f"manifest {m.name}")

    for key in ("name", "kind", "signal", "owner", "graph_name"):
        text = getattr(m, key)
        if key == "owner":
            check(isinstance(text, str) and text.strip() != "", key, text, "a name")
        else:
            good = isinstance(text, str) and _NAME.fullmatch(text) is not None
            check(good, key, text, "a name of letters, digits and _ . - (at most 64)")
    for key in ("label", "graph", "fallback"):
        check(isinstance(getattr(m, key), str), key, getattr(m, key), "text")
    for key in ("horizon_ns", "refit_cadence_ns", "deadline_ns"):
        check(_is_whole(getattr(m, key), 1), key, getattr(m, key), "a positive number of nanoseconds")
    for key in ("graph_digest", "schema_digest"):
        check(_is_hex(getattr(m, key)), key, getattr(m, key), "64 hex digits")
    check(m.dtype in _DTYPES, "dtype", m.dtype, f"one of {', '.join(_DTYPES)}")
    check(bool(m.columns) and all(isinstance(c, str) and c for c in m.columns), "columns", m.columns, "names")
    check(len(set(m.columns)) == len(m.columns), "columns", m.columns, "without repeats")
    good = _is_whole(m.output.size, 1) and _is_whole(m.output.index, 0) and m.output.index < m.output.size
    check(good, "output", (m.output.index, m.output.size), "an index below its size")
    try:
        Fallback.parse(m.fallback)
    except ValueError as error:
        check(False, "fallback", m.fallback, str(error))
    for key in ("inputs_sha256", "outputs_sha256"):
        check(_is_hex(getattr(m.golden, key)), f"golden.{key}", getattr(m.golden, key), "64 hex digits")
    check(_is_whole(m.golden.rows, 1), "golden.rows", m.golden.rows, "a count")
    check(_is_number(m.golden.difference_max), "golden.difference_max", m.golden.difference_max, "a number")
    for name, value in m.defaults.items():
        check(name in m.columns, "defaults", name, f"a column. {did_you_mean(name, m.columns)}")
        check(_is_number(value), f"defaults.{name}", value, "a finite number")
    for name, spread in m.training_distribution.items():
        check(name in m.columns, "training_distribution", name, f"a column. {did_you_mean(name, m.columns)}")
        check(_is_whole(spread.count, 0), f"training_distribution.{name}.count", spread.count, "a count")
        numbers = [spread.mean, spread.std, spread.min, spread.max, *(x for q in spread.quantiles for x in q)]
        check(
            all(n is None or _is_number(n) for n in numbers) and _is_number(spread.null_share),
            f"training_distribution.{name}",
            numbers,
            "finite numbers",
        )
    for name, digest in m.files.items():
        check(_NAME.fullmatch(name) is not None, "files", name, "a plain file name")
        check(_is_hex(digest), f"files.{name}", digest, "64 hex digits")
