"""People's words and names of files on a terminal: as they were typed, and nothing that a terminal would obey."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console
    from rich.text import Text


def plain(text: object) -> str:
    """Text for a terminal: brackets stay what they are, control characters become escapes.

    >>> plain("see [INC-7]\\x1b[2J")
    'see [INC-7]\\\\x1b[2J'
    """
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in str(text))


def line(*parts: str | tuple[str, str]) -> Text:
    """A line of words, some of them with a style: `line(("killed", "red"), "  by ann")`."""
    from rich.text import Text

    return Text.assemble(
        *((plain(part[0]), part[1]) if isinstance(part, tuple) else plain(part) for part in parts), end="\n"
    )


def terminal(*, stderr: bool = False) -> Console:
    """Where lines are printed in full, however narrow it is. Colours as the terminal, NO_COLOR and TERM allow."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True, markup=False, emoji=False, stderr=stderr)


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
