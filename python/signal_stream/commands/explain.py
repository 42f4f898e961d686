"""`signal-stream explain GRAPH.py`: what a graph will do, before it runs."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from signal_stream.cli.figures import size

COLUMNS = ("node", "domain", "window", "warm-up", "bytes", "shared by")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: signal-stream explain examples/btc_micro.py --svg graph.svg")(explain)


def explain(
    graph: Annotated[str, typer.Argument(metavar="GRAPH.py[:name]", help="The file that holds the graph.")],
    as_json: Annotated[bool, typer.Option("--json", help="The same as JSON.")] = False,
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE.svg", help="The same as a picture.")] = None,
) -> None:
    """Show each node's stream, window, warm-up, memory and users, and the graph's digest."""
    from signal_stream.features import load_graph

    explained = load_graph(graph).explain()
    if svg is not None:
        write_picture(svg, explained)
    if as_json:
        print(json.dumps(explained, indent=2))
    elif svg is None:
        print_table(explained)
    else:
        print(f"{svg}  {explained['name']}  {'   '.join(details(explained))}")


def write_picture(svg: Path, explained: dict[str, Any]) -> None:
    """Writes the picture; a file that cannot be written is the user's to mend."""
    from signal_stream.commands.explain_svg import picture

    try:
        svg.write_text(picture(explained), encoding="utf-8", newline="\n")
    except OSError as error:
        print(f"{svg}: {error.strerror or error}. Give a file that can be written.", file=sys.stderr)
        raise typer.Exit(2) from None


def print_table(explained: dict[str, Any]) -> None:
    """The head line and one line a node. An expression that is too long for its column has a line of its own."""
    print(f"{explained['name']}  {'   '.join(details(explained))}")
    rows = [
        (node["expression"], node["domain"], node["window"] or "–", node["warm_up"], memory(node), users(node))
        for node in explained["nodes"]
    ]
    widths = [max(len(row[i]) for row in (COLUMNS, *rows)) for i in range(5)]
    room = shutil.get_terminal_size((200, 50)).columns if sys.stdout.isatty() else 200
    widths[0] = min(widths[0], max(24, room - sum(widths[1:]) - 32))
    for row in (COLUMNS, *rows):
        first = row[0]
        if len(first) > widths[0]:
            print(first)
            first = ""
        cells = [text.ljust(width) for text, width in zip((first, *row[1:4]), widths, strict=False)]
        print("  ".join([*cells, row[4].rjust(widths[4]), row[5]]).rstrip())


def details(explained: dict[str, Any]) -> list[str]:
    """The head line after the name, in parts."""
    digest = explained["digest"]
    return [
        f"{explained['features']} feature{'s' if explained['features'] > 1 else ''} on {explained['on']}",
        f"digest {digest[:4]}…{digest[-2:]}",
        f"warm-up {explained['warm_up']} ({explained['warm_up_feature']})",
        f"{size(explained['bytes'])} an instrument, without its book",
    ]


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
