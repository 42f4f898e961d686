"""What a registered model promises and needs."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, PrivateAttr, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from signal_stream.errors import ManifestError, did_you_mean
from signal_stream.records import Fallback, canonical_json

FORMAT: Final = 2
"""The newest that is read. Format 0 has neither this number nor the fields that came with it. Format 2 has guards: a release
that does not know them refuses it, rather than serve the model without them."""
_PLAIN_FORMAT: Final = 1
"""Of a manifest without guards, whose digest is what earlier releases gave it."""
_SINCE_1: Final = frozenset({"format", "instruments", "requirements", "stateful"})
_SINCE_2: Final = frozenset({"guards"})
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_HEX: Final = re.compile(r"[0-9a-f]{64}")
_KEEP: Final = ConfigDict(extra="allow")


def _name(value: object) -> object:
    if not isinstance(value, str) or _NAME.fullmatch(value) is None:
        raise ValueError("a name of letters, digits and _ . - (at most 64)")
    return value


def _file_name(value: object) -> object:
    if not isinstance(value, str) or _NAME.fullmatch(value) is None:
        raise ValueError("a plain file name")
    return value


def _owner(value: object) -> object:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a name")
    return value


def _text(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("text")
    return value


def _hex(value: object) -> object:
    if not isinstance(value, str) or _HEX.fullmatch(value) is None:
        raise ValueError("64 hex digits")
    return value


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _period(value: object) -> object:
    if not _is_whole(value, 1):
        raise ValueError("a positive number of nanoseconds")
    return value


def _some(value: object) -> object:
    if not _is_whole(value, 1):
        raise ValueError("a count above zero")
    return value


def _count(value: object) -> object:
    if not _is_whole(value, 0):
        raise ValueError("a count")
    return value


def _number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("a finite number")
    return value


def _truth(value: object) -> object:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _dtype(value: object) -> object:
    if value not in ("f32", "f64"):
        raise ValueError("one of f32, f64")
    return value


def _texts(value: object) -> object:
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) and each for each in value):
        raise ValueError("a list of names")
    if len(set(value)) != len(value):
        raise ValueError("a list without repeats")
    return tuple(value)


def _columns(value: object) -> object:
    if value in ([], ()):
        raise ValueError("a list of at least one name")
    return _texts(value)


def _pairs(value: object) -> object:
    if not isinstance(value, list | tuple) or any(not isinstance(q, list | tuple) or len(q) != 2 for q in value):
        raise ValueError("a list of pairs")
    for pair in value:
        for x in pair:
            _number(x)
    return tuple((p, x) for p, x in value)


def _object(value: object) -> object:
    if not isinstance(value, Mapping):
        raise ValueError("an object")
    return dict(value)


def _guards(value: object) -> object:
    if not isinstance(value, list | tuple) or not all(
        isinstance(each, Mapping) and isinstance(each.get("kind"), str) for each in value
    ):
        raise ValueError("a list of objects, each with a kind")
    return tuple(MappingProxyType(dict(each)) for each in value)


def _fallback(value: object) -> object:
    Fallback.parse(str(value))
    return value


Name = Annotated[str, BeforeValidator(_name)]
Hex = Annotated[str, BeforeValidator(_hex)]
Text = Annotated[str, BeforeValidator(_text)]
PeriodNs = Annotated[int, BeforeValidator(_period)]
Count = Annotated[int, BeforeValidator(_count)]
Number = Annotated[float | int, BeforeValidator(_number)]
Names = Annotated[tuple[str, ...], BeforeValidator(_texts)]


@dataclass(frozen=True, config=_KEEP)
class Distribution:
    """One feature over the training rows. Statistics are over the `count` valid values; None where there are none.

    `quantiles` are (probability, value) pairs with rising probabilities.
    """

    count: Count
    null_share: Number
    mean: Number | None
    std: Number | None
    min: Number | None
    max: Number | None
    quantiles: Annotated[tuple[tuple[float | int, float | int], ...], BeforeValidator(_pairs)] = ()


@dataclass(frozen=True, config=_KEEP)
class Output:
    """Which number of the model's answer is the signal: element `index` of the `size` floats named `name`."""

    name: Text
    index: Count
    size: Count


@dataclass(frozen=True, config=_KEEP)
class Golden:
    """Rows whose predictions were checked at registration: digests of inputs and outputs, largest difference seen."""

    rows: Annotated[int, BeforeValidator(_some)]
    inputs_sha256: Hex
    outputs_sha256: Hex
    difference_max: Number


class Manifest(BaseModel):
    """Everything that a model promises and needs. Immutable: its digest is its version.

    `name` is the model id, `kind` the runtime that it needs (onnx, python), `signal` and `horizon_ns` say what its value
    predicts, `label` how the training target was made. `graph` is the feature graph's JSON text, byte for byte, since its
    digest depends on it. `columns` are the model's inputs in order, of type `dtype` (f32 or f64). `defaults` are put in for
    invalid features where the deployment allows it. `files` maps each stored file's name to its SHA-256. `instruments` are
    those of the training table, empty where nobody noted them; `requirements` what a Python model needs installed,
    `stateful` whether its answers depend on the rows before. `guards` judge its signals wherever it is served, before the
    deployment's: `kind` and settings of each. A manifest has `format` 2 with guards, and 1 without.

    Fields of later releases are kept and are part of the digest.
    """

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())

    format: Count = _PLAIN_FORMAT
    name: Name
    kind: Name
    signal: Name
    horizon_ns: PeriodNs
    label: Text
    owner: Annotated[str, BeforeValidator(_owner)]
    refit_cadence_ns: PeriodNs
    graph_name: Name
    graph: Text
    graph_digest: Hex
    schema_digest: Hex
    columns: Annotated[tuple[str, ...], BeforeValidator(_columns)]
    dtype: Annotated[Literal["f32", "f64"], BeforeValidator(_dtype)]
    output: Output
    deadline_ns: PeriodNs
    fallback: Annotated[str, BeforeValidator(_fallback)]
    golden: Golden
    training_distribution: Annotated[Mapping[str, Distribution], BeforeValidator(_object)]
    defaults: Annotated[Mapping[str, Number], BeforeValidator(_object)] = {}
    files: Annotated[Mapping[Annotated[str, BeforeValidator(_file_name)], Hex], BeforeValidator(_object)] = {}
    instruments: Names = ()
    requirements: Names = ()
    stateful: Annotated[bool, BeforeValidator(_truth)] = False
    guards: Annotated[tuple[Mapping[str, Any], ...], BeforeValidator(_guards)] = ()
    _absent: frozenset[str] = PrivateAttr(default=frozenset())
    """Fields that came after the text was written: they are no part of its digest."""

    def __init__(self, **fields: Any) -> None:
        """Raises ManifestError that names the field and value."""
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise _mistake(error, f"manifest {fields.get('name', '')}".strip()) from None

    @model_validator(mode="after")
    def _check(self) -> Self:
        def check(good: bool, name: str, value: object, allowed: str) -> None:
            if not good:
                raise _bad(name, value, allowed, f"manifest {self.name}")

        check(self.format <= FORMAT, "format", self.format, f"one that this release reads (up to {FORMAT})")
        if self.guards:
            allowed = f"{FORMAT}, which a manifest with guards has, so that no earlier release serves it without them"
            check(self.format >= FORMAT, "format", self.format, allowed)
        output = self.output
        check(output.index < output.size, "output", (output.index, output.size), "an index below its size")
        for field in ("defaults", "training_distribution"):
            for name in getattr(self, field):
                check(name in self.columns, field, name, f"a column. {did_you_mean(name, self.columns)}")
        for field in ("training_distribution", "defaults", "files"):
            object.__setattr__(self, field, MappingProxyType(dict(getattr(self, field))))
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @property
    def version(self) -> str:
        """The first 12 hex digits of the digest."""
        return self.digest[:12]

    def changed(self, **fields: Any) -> Manifest:
        """The same manifest with other values. Raises ManifestError."""
        manifest = Manifest(**{**_own(self), **fields})
        manifest._absent = self._absent - fields.keys()
        return manifest

    def to_json(self) -> str:
        """Canonical JSON; `from_json` reads it back to an equal manifest."""
        absent = self._absent | _not_in(self.format)
        return canonical_json({name: value for name, value in _plain(self).items() if name not in absent})

    @classmethod
    def from_json(cls, text: str, *, where: str = "manifest") -> Self:
        """Raises ManifestError that names the key and value."""
        try:
            data = json.loads(text)
        except ValueError as error:
            raise ManifestError("UNREADABLE", f"the manifest is not JSON: {error}", where=where) from error
        if not isinstance(data, dict):
            raise ManifestError("UNREADABLE", "not a JSON object", where=where, value=data)
        try:
            manifest = cls(**{"format": 0, **data})
        except ManifestError as error:
            raise ManifestError(error.code, error.message, where=where, value=error.value) from None
        manifest._absent = frozenset(cls.model_fields.keys() - data.keys() - _not_in(manifest.format))
        return manifest

    def __reduce__(self) -> tuple[Any, ...]:
        return Manifest.from_json, (self.to_json(),)


def _not_in(form: int) -> frozenset[str]:
    """Fields that a format does not have."""
    return (_SINCE_1 if form < 1 else frozenset()) | (_SINCE_2 if form < FORMAT else frozenset())


def _own(record: Any) -> dict[str, Any]:
    """A record's fields, those of later releases among them."""
    return {**vars(record), **(getattr(record, "model_extra", None) or {})}


def _plain(record: Any) -> Any:
    if isinstance(record, Manifest | Output | Golden | Distribution):
        return {name: _plain(value) for name, value in _own(record).items() if not name.startswith("__")}
    if isinstance(record, Mapping):
        return {key: _plain(value) for key, value in record.items()}
    return [_plain(value) for value in record] if isinstance(record, tuple) else record


def _mistake(error: ValidationError, where: str) -> ManifestError:
    """The first mistake, as an error of the tree."""
    found = error.errors(include_url=False)[0]
    name = ".".join(str(part) for part in found["loc"] if part != "[key]")
    if found["type"] == "missing":
        return ManifestError("MISSING_KEY", f'missing key "{name}"', where=where)
    if found["type"].startswith("dataclass"):
        return ManifestError("UNREADABLE", f"{name} is not a JSON object", where=where, value=found["input"])
    allowed = str(found.get("ctx", {}).get("error", found["msg"]))
    return _bad(name, found["input"], allowed, where)


def _bad(name: str, value: object, allowed: str, where: str) -> ManifestError:
    message = f"{name} = {json.dumps(value, default=str)[:80]} is not {allowed}"
    return ManifestError("BAD_VALUE", message, where=where, value=value)
