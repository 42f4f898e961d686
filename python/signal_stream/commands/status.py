"""`signal-stream status`: what a pipeline is doing, or how it ended."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer

from signal_stream.cli.figures import latency_lines
from signal_stream.cli.state_folder import DeploymentOption, StateOption, state_folder
from signal_stream.cli.status_lines import WELL, status_lines
from signal_stream.cli.text import terminal


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog="Example: signal-stream status --json    Exit: 0 all well, 1 dead, halted, failed, hung, silent, a sink is "
        "degraded, or the journal is damaged; with --check 0 only while it serves."
    )(status)


def status(
    as_json: Annotated[bool, typer.Option("--json", help="The same as JSON.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 unless it serves, for monitors.")] = False,
    state: StateOption = None,
    deployment: DeploymentOption = None,
) -> None:
    """Show whether the pipeline runs, its events, signals, vetoes, latches and latencies."""
    from signal_stream.monitor.look import look

    folder = state_folder(state, deployment, may_be_new=True)
    found = look(folder, now=time.time_ns())
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        console = terminal()
        for text in status_lines(folder, found):
            console.print(text)
        if found["latency_ns"]:
            console.print(*latency_lines(found["latency_ns"]), sep="\n")
    well = {"SERVING"} if check else WELL
    degraded = found["serving"] and any(each["state"] == "DEGRADED" for each in found.get("sinks", ()))
    if found["state"] not in well or found["damage"] is not None or degraded:
        raise typer.Exit(1)
