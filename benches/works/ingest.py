"""Captures and tapes to events and books: the figures of the Rust program beside this package (`benches/rust`).

It takes turns with its peer itself and gives the best of its rounds; it is run several times, on one CPU.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from benches.captures import captures
from benches.figure import Figure, Goal, Measured
from benches.folders import RECORDINGS
from benches.program import NotBuilt, figures_of
from benches.turns import on_one_cpu

if TYPE_CHECKING:
    from collections.abc import Iterator

GOALS = {
    ("lines in memory to typed rows", "frames/s"): Goal("ratio", ">=", 1.7),
    **{
        (f"DBN {schema} in memory to typed rows", "records/s"): Goal("ratio", ">=", 0.7)
        for schema in ("mbo", "trades", "mbp-1", "mbp-10")
    },
    ("gzip capture to events to book with top 10", "frames/s"): Goal("value", ">=", 1.5e6),
    ("book updates, each with the best levels read", "updates/s"): Goal("ratio", ">=", 3.0),
    ("book update with the best levels read, p50", "ns"): Goal("value", "<=", 60),
    ("book update with the best levels read, p99", "ns"): Goal("value", "<=", 200),
    ("8 streams to one", "rows/s"): Goal("ratio", ">=", 1.3),
    ("Parquet tape to rows", "rows/s"): Goal("value", ">=", 20e6),
}
OF_A_VENUE = Goal("ratio", ">=", 1.2)
"""Of each venue whose recording is at hand."""


def measure(*, quick: bool) -> Iterator[Figure]:
    """A figure for each line of the program; those of GOALS in any case."""
    files, what = captures()
    on_one_cpu()
    runs = 1 if quick else 3
    if quick:
        files = files[-1:]
    files = [*files, *sorted(RECORDINGS.glob("*.zst"))]
    found: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    try:
        rows = [row for _ in range(runs) for row in figures_of(*files)]
    except NotBuilt as error:
        for (work, unit), goal in GOALS.items():
            yield Figure(work, unit, None, goal=goal, note=f"not measured: {error}")
        return
    for row in rows:
        found[row["work"], row["unit"]].append(row)
    for (work, unit), rows in found.items():
        peers = [row["peer_value"] for row in rows if "peer_value" in row]
        best = Measured.least if unit == "ns" else Measured.most
        note = f"{what}; the best of {runs} runs of some rounds each"
        yield Figure(
            work,
            unit,
            best([row["value"] for row in rows]),
            rows[0].get("peer"),
            Measured.most(peers) if peers else None,
            GOALS.get((work, unit), OF_A_VENUE if work.startswith("frames of ") else None),
            note,
        )
