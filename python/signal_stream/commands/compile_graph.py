"""`signal-stream compile --wasm GRAPH.py`: a graph as a module that runs anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from signal_stream.cli.figures import size
from signal_stream.cli.options import GraphFile
from signal_stream.errors import CommandError


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        name="compile",
        epilog="Example: signal-stream compile --wasm graph.py -o graph.wasm\n\n"
        "Exit: 2 if the graph needs what a module does not have, or nothing can be written.",
    )(compile_graph)


def compile_graph(
    graph: GraphFile,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.wasm", help="Where the module goes.")],
    wasm: Annotated[
        bool, typer.Option("--wasm", help="A WASM module, which imports nothing: the only form yet.")
    ] = False,
    columns: Annotated[
        str | None,
        typer.Option(metavar="NAME,…", help="What a row's numbers are, in order; else what the graph reads."),
    ] = None,
) -> None:
    """Make of a graph on one stream a module that any WASM host runs, with the same bits."""
    from signal_stream.features import load_graph
    from signal_stream.research.wasm import compile_wasm

    if not wasm:
        raise CommandError("BAD_OPTION", "no form is asked for", next_step="Give --wasm.")
    loaded = load_graph(graph)
    module = compile_wasm(loaded, columns=None if columns is None else columns.split(","))
    try:
        output.write_bytes(module)
    except OSError as error:
        advice = "Name a file in a folder that is there."
        raise CommandError("WRITE", f"{output}: {error.strerror}", next_step=advice) from None
    print(f"{output}  {loaded.name}  {size(len(module))}  digest {loaded.digest[:12]}")
