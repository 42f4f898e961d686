"""What an ONNX file says of itself, read from its bytes alone: versions, metadata, and tensors that lie elsewhere.

The runtime reads tensors from files beside the model, which no digest covers. So the file is looked through before the runtime
gets it: protobuf's own framing, and of the schema only what leads to tensors.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# Message by message, the fields that lead to tensors: field number -> message.
_LEADS: Final[Mapping[str, Mapping[int, str]]] = {
    "Model": {7: "Graph", 20: "Training", 25: "Function"},
    "Training": {1: "Graph", 2: "Graph"},
    "Function": {7: "Node", 11: "Attribute"},
    "Graph": {1: "Node", 5: "Tensor", 15: "Sparse"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "Sparse", 23: "Sparse"},
    "Sparse": {1: "Tensor", 2: "Tensor"},
}
_TENSOR_NAME, _TENSOR_EXTERNAL, _TENSOR_LOCATION = 8, 13, 14
_NAMES_KEYS: Final = ("feature_names", "feature_names_in_", "feature_name", "features", "columns", "input_names")


@dataclass(slots=True)
class OnnxText:
    """The facts of a file. `external` holds (tensor, file) for each tensor that lies outside it, `opsets` the version of each
    set of operators by its domain."""

    ir_version: int = 0
    producer: str = ""
    opsets: dict[str, int] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    external: list[tuple[str, str]] = field(default_factory=list)

    @property
    def feature_names(self) -> list[str] | None:
        """The inputs' names in order, where the metadata has them as a JSON list or separated by commas."""
        for key in _NAMES_KEYS:
            text = self.metadata.get(key)
            if text is None:
                continue
            try:
                found = json.loads(text)
            except ValueError:
                found = [name.strip() for name in text.split(",")] if "," in text else None
            if isinstance(found, list) and found and all(isinstance(name, str) and name for name in found):
                return found
        return None


def read_onnx(data: bytes) -> OnnxText:
    """Reads a file's bytes. Raises ValueError where they are no ONNX model."""
    found = OnnxText()
    graphs = 0
    try:
        for number, value in _fields(memoryview(data)):
            if isinstance(value, int):
                if number == 1:
                    found.ir_version = value
                continue
            if number == 2:
                found.producer = _text(value)
            elif number == 8:
                entry = dict(_fields(value))
                version = entry.get(2, 0)
                found.opsets[_text(entry.get(1, b"")) or "ai.onnx"] = version if isinstance(version, int) else 0
            elif number == 14:
                key, text = _pair(value)
                found.metadata[key] = text
            graphs += number == 7
            if number in _LEADS["Model"]:
                _look(value, _LEADS["Model"][number], found)
    except (IndexError, UnicodeDecodeError, RecursionError):
        raise ValueError("its bytes are not those of an ONNX model") from None
    if graphs != 1 or found.ir_version == 0:
        raise ValueError("its bytes are not those of an ONNX model")
    return found


def _look(message: memoryview, kind: str, found: OnnxText) -> None:
    if kind == "Tensor":
        _look_at_tensor(message, found)
        return
    leads = _LEADS[kind]
    for number, value in _fields(message):
        if number in leads and not isinstance(value, int):
            _look(value, leads[number], found)


def _look_at_tensor(message: memoryview, found: OnnxText) -> None:
    name, place, outside = "", "", False
    for number, value in _fields(message):
        if isinstance(value, int):
            outside |= number == _TENSOR_LOCATION and value != 0
        elif number == _TENSOR_NAME:
            name = _text(value)
        elif number == _TENSOR_EXTERNAL:
            outside = True
            key, text = _pair(value)
            place = text if key == "location" else place
    if outside:
        found.external.append((name, place))


def _pair(message: memoryview) -> tuple[str, str]:
    entry = dict(_fields(message))
    return _text(entry.get(1, b"")), _text(entry.get(2, b""))


def _text(value: int | memoryview | bytes) -> str:
    return "" if isinstance(value, int) else bytes(value).decode()


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Each field's number, with its number or bytes. Raises IndexError where the message is torn or not protobuf."""
    at, end = 0, len(message)
    while at < end:
        key, at = _varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            size, at = _varint(message, at)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise IndexError
        if at + size > end:
            raise IndexError
        if kind == _BYTES:
            yield key >> 3, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise IndexError
