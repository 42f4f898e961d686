"""`signal-stream explain GRAPH.py`: what a graph will do, before it runs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from signal_stream.cli.figures import size
from signal_stream.cli.options import GraphFile, with_options
from signal_stream.cli.progress import progress
from signal_stream.errors import CommandError
from signal_stream.research.input_options import DEFAULTS, InputOptions

if TYPE_CHECKING:
    from signal_stream.features import FeatureGraph

COLUMNS = ("node", "domain", "window", "warm-up", "bytes", "share", "ns", "shared by")
"""Of a plan without a profile all but `share` and `ns`."""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog="Example: signal-stream explain examples/btc_micro.py --profile tape.parquet --svg graph.svg\n\n"
        "Exit: 2 if the picture cannot be drawn or written, or the input of a profile not be read."
    )(with_options(explain))


def explain(
    graph: GraphFile,
    options: InputOptions,
    tapes: Annotated[
        list[str] | None,
        typer.Option(
            "--profile",
            metavar="TAPE",
            help="Run the graph over a tape, capture or table, and show where the time goes: each node's share, and its "
            "nanoseconds a message. Several tapes are merged.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as JSON.")] = False,
    as_dot: Annotated[bool, typer.Option("--dot", help="The graph as DOT text, for Graphviz.")] = False,
    as_mermaid: Annotated[
        bool, typer.Option("--mermaid", help="The graph as Mermaid text, which GitHub and notebooks draw.")
    ] = False,
    svg: Annotated[
        Path | None,
        typer.Option("--svg", metavar="FILE.svg", help="The graph as a picture, drawn by Graphviz' dot program."),
    ] = None,
) -> None:
    """Show each node's stream, window, warm-up, memory and users, the graph's digest, and with --profile the time."""
    from signal_stream.cli import diagram
    from signal_stream.features import load_graph

    if as_json + as_dot + as_mermaid > 1:
        advice = "Give one of --json, --dot and --mermaid."
        raise CommandError("BAD_OPTION", "more than one form of text is asked for", next_step=advice)
    explained = _profiled(load_graph(graph), tapes, options) if tapes else load_graph(graph).explain()
    given = [name for name, value in options.items() if value != DEFAULTS.get(name)]
    if given and not tapes:
        option = f"--{given[0].replace('_', '-')}"
        advice = f"Leave {option} out, or give the input: --profile TAPE."
        raise CommandError("BAD_OPTION", f"{option} says how an input is read, and there is none", next_step=advice)
    if svg is not None:
        _draw(svg, diagram.dot(explained))
    if as_json:
        print(json.dumps(explained, indent=2))
    elif as_dot or as_mermaid:
        print(diagram.dot(explained) if as_dot else diagram.mermaid(explained), end="")
    elif svg is None:
        print_table(explained)
    else:
        print(f"{svg}  {explained['name']}  {'   '.join(details(explained))}")
        print_profile(explained)


def _profiled(graph: FeatureGraph, tapes: list[str], options: InputOptions) -> dict[str, Any]:
    """The plan with the times of a run over an input."""
    from signal_stream.research.profile import profile

    with progress("profile") as tell:
        return profile(graph, tapes, progress=tell, **options).as_json()


def _draw(svg: Path, text: str) -> None:
    """Has `dot` lay the graph out and write the picture. Raises CommandError where it is missing, or fails."""
    program = shutil.which("dot")
    if program is None:
        advice = "Install Graphviz (on Debian: apt install graphviz), or take --mermaid or --dot."
        raise CommandError(
            "NO_PROGRAM", "Graphviz' program dot, which draws the picture, is not installed", next_step=advice
        )
    done = subprocess.run([program, "-Tsvg"], input=text.encode(), capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise CommandError("NO_PROGRAM", f"dot could not draw the graph: {said}", where=program)
    try:
        svg.write_bytes(done.stdout)
    except OSError as error:
        advice = "Give a file that can be written."
        raise CommandError("WRITE", str(error.strerror or error), where=str(svg), next_step=advice) from None


def print_table(explained: dict[str, Any]) -> None:
    """The head line and one line a node. An expression that is too long for its column has a line of its own."""
    print(f"{explained['name']}  {'   '.join(details(explained))}")
    print_profile(explained)
    timed = "profile" in explained
    rows = [
        (
            expression(node), node["domain"], node["window"] or "–", node["warm_up"], memory(node),
            *(times(node) if timed else ()), users(node),
        )
        for node in explained["nodes"]
    ]  # fmt: skip
    head = COLUMNS if timed else (*COLUMNS[:5], COLUMNS[-1])
    last = len(head) - 1
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(last)]
    room = shutil.get_terminal_size((200, 50)).columns if sys.stdout.isatty() else 200
    widths[0] = min(widths[0], max(24, room - sum(widths[1:]) - 32))
    for row in (head, *rows):
        first = row[0]
        if len(first) > widths[0]:
            print(first)
            first = ""
        cells = [text.ljust(width) for text, width in zip((first, *row[1:4]), widths, strict=False)]
        numbers = [text.rjust(width) for text, width in zip(row[4:last], widths[4:], strict=True)]
        print("  ".join([*cells, *numbers, row[last]]).rstrip())


def print_profile(explained: dict[str, Any]) -> None:
    """Where the time went as a whole, in a line, if it was measured."""
    whole = explained.get("profile")
    if whole is None:
        return
    shares = (whole["reading"], whole["events"], sum(node["share"] for node in explained["nodes"]))
    reading, events, nodes = (f"{share:.1%}" for share in shares)
    print(
        f"{whole['ns_per_message']:,.0f} ns a message: {reading} reading and decoding, {events} order, books, bars and vectors, "
        f"{nodes} nodes   ({whole['messages']:,} messages, {whole['samples']:,} samples in {whole['passes']} "
        f"pass{'es' if whole['passes'] > 1 else ''})"
    )


def times(node: dict[str, Any]) -> tuple[str, str]:
    """Share and nanoseconds a message; a node without a step of its own has none, or its time is that of another node."""
    if not node["share"]:
        shared = node["state_shared_with"]
        return ("–" if shared is None else f"with #{shared}", "–")
    return f"{node['share']:.1%}", f"{node['ns_per_message']:,.1f}"


def details(explained: dict[str, Any]) -> list[str]:
    """The head line after the name, in parts."""
    digest = explained["digest"]
    return [
        f"{explained['features']} feature{'s' if explained['features'] > 1 else ''} on {explained['on']}",
        f"digest {digest[:4]}…{digest[-2:]}",
        f"warm-up {explained['warm_up']} ({explained['warm_up_feature']})",
        f"{size(explained['bytes'])} an instrument, without its book",
    ]


def expression(node: dict[str, Any]) -> str:
    """What the node is, behind the name of the composite whose result it is."""
    return f"{node['composite']} = {node['expression']}" if node["composite"] else str(node["expression"])


def memory(node: dict[str, Any]) -> str:
    """Bytes of state, or the node whose state it shares."""
    if node["state_shared_with"] is not None:
        return f"with #{node['state_shared_with']}"
    return f"{node['bytes']:,}" if node["bytes"] else "–"


def users(node: dict[str, Any]) -> str:
    """The features that the node serves, and the cap of its window."""
    names = node["feature"] or node["shared_by"]
    count = len(node["feature"]) or node["users"]
    text = ", ".join(names) if count <= 2 else f"{count} features"
    return f"{text}   cap {node['cap']:,} events in the window" if node["cap"] else text
