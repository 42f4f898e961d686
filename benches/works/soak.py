"""A long run: what a frame takes at its end against its beginning, and what memory has become."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from benches.figure import Figure, Goal, Measured
from benches.program import NotBuilt, figures_of
from benches.turns import on_one_cpu

if TYPE_CHECKING:
    from collections.abc import Iterator

GOALS = {"ns": Goal("ratio", "<=", 1.1), "KiB": Goal("ratio", "<=", 1.02)}


def measure(*, quick: bool) -> Iterator[Figure]:
    """`SOAK_S` seconds, else 20: ten minutes are more than 1e8 frames."""
    on_one_cpu()
    seconds = 3 if quick else int(os.environ.get("SOAK_S", "20"))
    try:
        rows = figures_of("soak", str(seconds))
    except NotBuilt as error:
        yield Figure("soak", "frames", None, note=f"not measured: {error}")
        return
    for row in rows:
        peer = row.get("peer")
        yield Figure(
            row["work"], row["unit"], Measured.once(row["value"]), peer, Measured.once(row["peer_value"]) if peer else None,
            GOALS.get(row["unit"]), f"{seconds} s of frames, generated and timed one by one",
        )  # fmt: skip
