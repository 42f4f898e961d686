"""`signal-stream backfill`: a graph's feature table from tapes."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from signal_stream.cli.intake import print_refused, verdicts
from signal_stream.cli.options import GraphFile, Tapes, with_options
from signal_stream.cli.progress import progress
from signal_stream.research.input_options import InputOptions


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: signal-stream backfill graph.py --tape spot.gz -o features.parquet")(
        with_options(backfill)
    )


def backfill(
    graph: GraphFile,
    out: Annotated[str, typer.Option("-o", "--out", metavar="OUT.parquet", help="Where the table goes.")],
    tape: Tapes,
    options: InputOptions,
) -> None:
    """Write the graph's features to Parquet, in bounded memory, with the same bits as live."""
    from signal_stream.features import load_graph
    from signal_stream.research.backfill import backfill as run

    loaded = load_graph(graph)
    started = time.perf_counter()
    with progress("backfill") as tell:
        done = run(loaded, tape, out, progress=tell, **options)
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
