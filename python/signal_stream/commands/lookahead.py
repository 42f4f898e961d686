"""`signal-stream lookahead`: no feature knows what comes later, on the user's own data."""

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
        epilog="Example: signal-stream lookahead graph.py --tape spot.gz\n\n"
        "Exit: 0 no feature knows what comes later, 1 one does, or nothing could be shown, 2 could not run."
    )(with_options(lookahead))


def lookahead(
    graph: GraphFile,
    tape: Tapes,
    options: InputOptions,
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON.")] = False,
    cuts: Annotated[int, typer.Option(min=1, help="Random messages at which the future begins.")] = 20,
    seed: Annotated[int, typer.Option(help="Chooses those messages, and the other futures.")] = 0,
    leak: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="MESSAGES",
            help="Change the future from so many messages before the cut, to see the proof fail.",
        ),
    ] = 0,
) -> None:
    """Cut the future off, or change it, at random moments: no vector before may differ by a bit."""
    from signal_stream.features import load_graph
    from signal_stream.research.lookahead import lookahead as run

    with progress("lookahead") as tell:
        report = run(
            load_graph(graph),
            tape,
            cuts=cuts,
            seed=seed,
            leak=leak,
            progress=tell,
            **options,
        )
    print(json.dumps(report.as_json(), indent=2) if as_json else report)
    print_refused(report.intake)
    if not report.clean:
        raise typer.Exit(1)
