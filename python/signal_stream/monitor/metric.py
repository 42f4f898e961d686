"""What a metric is: its name and unit, what it says, and how it is read from what was found of a pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Found: TypeAlias = Mapping[str, Any]
"""What `look` found of a pipeline: its last status, and what is true now."""
Sample: TypeAlias = tuple[tuple[str, ...], float]
"""Values of the labels, and the number."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A counter ends in `_total`, times are in seconds; `labels` come after `pipeline`, which each has."""

    name: str
    kind: Literal["counter", "gauge"]
    text: str
    labels: tuple[str, ...]
    read: Callable[[Found], Iterable[Sample]]


def one(name: str, kind: Literal["counter", "gauge"], text: str, read: Callable[[Found], float | None]) -> Metric:
    """A metric of the whole pipeline; none is shown while there is no number."""

    def samples(found: Found) -> Iterable[Sample]:
        number = read(found)
        return () if number is None else (((), number),)

    return Metric(name, kind, text, (), samples)


def seconds(ns: int | None) -> float | None:
    """Nanoseconds as seconds."""
    return None if ns is None else ns / 1e9
