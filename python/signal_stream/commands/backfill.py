"""`signal-stream backfill`: a graph's feature table from tapes."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from signal_stream.commands.inputs import (
    Columns,
    GraphFile,
    Instrument,
    Latency,
    Lateness,
    MaxRejected,
    MissingBars,
    Tapes,
    TimeUnit,
    column_map,
    print_refused,
    progress,
    verdicts,
)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: signal-stream backfill graph.py --tape spot.gz -o features.parquet")(backfill)


def backfill(
    graph: GraphFile,
    tape: Tapes,
    out: Annotated[str, typer.Option("-o", "--out", metavar="OUT.parquet", help="Where the table goes.")],
    columns: Columns = "",
    instrument: Instrument = None,
    latency: Latency = None,
    lateness: Lateness = None,
    time_unit: TimeUnit = None,
    max_rejected: MaxRejected = "0.1%",
    missing_bars: MissingBars = None,
) -> None:
    """Write the graph's features to Parquet, in bounded memory, with the same bits as live."""
    from signal_stream.features import load_graph
    from signal_stream.research.backfill import backfill as run

    loaded = load_graph(graph)
    started = time.perf_counter()
    with progress("backfill") as tell:
        done = run(
            loaded,
            tape,
            out,
            columns=column_map(columns),
            instrument=instrument,
            latency=latency,
            lateness=lateness,
            time_unit=time_unit,
            missing_bars=missing_bars,
            progress=tell,
            max_rejected=max_rejected,
        )
    seconds = time.perf_counter() - started
    counts = done.counts
    print(
        f"{done.path}  {done.events:,} events → {done.vectors:,} vectors × {len(loaded.features)} features   "
        f"{done.events / max(seconds, 1e-9):,.0f} events/s   {seconds:.1f} s"
    )
    if counts["input"]:
        print(verdicts(counts))
    print_refused(done.intake)
    if done.null_features:
        print(f"warning: null in every vector: {', '.join(done.null_features)}", file=sys.stderr)
