"""`signal-stream parity`: the same bits however a graph is run, on the user's own data."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from signal_stream.cli.intake import print_refused
from signal_stream.cli.options import GraphFile, Tapes, with_options
from signal_stream.cli.progress import progress
from signal_stream.research.input_options import InputOptions


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog="Example: signal-stream parity graph.py --tape spot.gz\n\nExit: 0 same bits, 1 different, 2 could not run."
    )(with_options(parity))


def parity(
    graph: GraphFile,
    tape: Tapes,
    options: InputOptions,
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON.")] = False,
    snapshots: Annotated[int, typer.Option(help="Random messages at which a run is saved and restored.")] = 50,
    seed: Annotated[int, typer.Option(help="Chooses those messages.")] = 0,
    inject_error: Annotated[
        str | None,
        typer.Option(metavar="OPERATOR", help="Get an operator wrong by one part in a million, to see the proof fail."),
    ] = None,
) -> None:
    """Run the graph in batch, live, replayed and restored, and compare every bit."""
    from signal_stream.features import load_graph
    from signal_stream.research.parity import parity as run

    with progress("parity") as tell:
        report = run(
            load_graph(graph),
            tape,
            snapshots=snapshots,
            seed=seed,
            inject_error=inject_error,
            progress=tell,
            **options,
        )
    print(json.dumps(report.as_json(), indent=2) if as_json else report)
    print_refused(report.intake)
    if not report.same:
        raise typer.Exit(1)
