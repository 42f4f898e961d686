"""The one text of plain data."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from signal_stream.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT: Final = 1
"""Of everything that is written as JSON from now on. What has no number is of format 0."""


@contextmanager
def read_as(what: str, text: str) -> Iterator[None]:
    """Makes of whatever a text lacks to be a record the one error for it. Raises JournalError DAMAGED.

    >>> with read_as("a point", "[]"):
    ...     {}["x"]
    Traceback (most recent call last):
    signal_stream.errors.JournalError: a point cannot be read: 'x'.
    """
    try:
        yield
    except (ValueError, TypeError, KeyError) as error:
        raise JournalError("DAMAGED", f"{what} cannot be read: {error}", value=text[:200]) from error


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
