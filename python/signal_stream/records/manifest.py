"""What a registered model promises and needs."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Final, Self

from signal_stream.errors import ManifestError, did_you_mean

from .text import canonical_json


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
