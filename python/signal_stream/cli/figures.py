"""Figures for people: bytes, latencies as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def size(count: int) -> str:
    """Bytes for people.

    >>> size(41_200), size(900)
    ('41.2 KB', '900 B')
    """
    if count < 1000:
        return f"{count} B"
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} KB"


def latency_lines(latencies: Mapping[str, Mapping[str, int | None]]) -> list[str]:
    """p50, p99, p99.9 and the largest of each stage, in microseconds, as columns of text.

    >>> print(*latency_lines({"model": {"p50": 1500, "p99": 2500, "p99.9": None, "max": 1000000}}), sep="\\n")
    stage   p50   p99   p99.9    max µs
    model   1.5   2.5       –   1,000.0
    """
    names = ("p50", "p99", "p99.9", "max")
    rows: list[tuple[str, ...]] = [("stage", *names[:-1], "max µs")]
    for stage, found in latencies.items():
        rows.append((stage, *(_us(found[name]) for name in names)))
    first, *widths = (max(map(len, column)) for column in zip(*rows, strict=True))
    return [
        "   ".join([stage.ljust(first), *(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))])
        for stage, *cells in rows
    ]


def _us(ns: Any) -> str:
    return "–" if ns is None else f"{ns / 1e3:,.1f}"
