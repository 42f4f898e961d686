"""The one text of plain data."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any, Final

FORMAT: Final = 1
"""Of everything that is written as JSON from now on. What has no number is of format 0."""


def canonical_json(data: object) -> str:
    """The one text of plain data: keys sorted, no spaces, shortest floats, no NaN; what digests are made of.

    >>> canonical_json({"b": 0.1, "a": [1, None]})
    '{"a":[1,null],"b":0.1}'
    """
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def known_fields(kind: Any, data: dict[str, Any]) -> dict[str, Any]:
    """Of what was read, what a dataclass has fields for: a later version may have written more.

    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Point:
    ...     x: int
    >>> known_fields(Point, {"x": 1, "colour": "red"})
    {'x': 1}
    """
    return {field.name: data[field.name] for field in fields(kind) if field.name in data}
