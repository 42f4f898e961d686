"""`signal-stream status`: what a pipeline is doing, or how it ended."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer

from signal_stream.cli.figures import latency_lines
from signal_stream.cli.state_folder import DeploymentOption, StateOption, state_folder
from signal_stream.cli.status_lines import COLOURS, WELL, status_lines
from signal_stream.cli.text import line, terminal
from signal_stream.durations import duration_ns
from signal_stream.errors import CommandError


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog="Examples: signal-stream status --json\n\nsignal-stream status --check --max-age 5s\n\nExit: 0 all well, 1 dead, "
        "halted, failed, hung, silent, degraded, or its state folder is damaged; with --check 0 OK, 1 DEGRADED, 2 CRITICAL."
    )(status)


def status(
    as_json: Annotated[bool, typer.Option("--json", help="The same as JSON.")] = False,
    check: Annotated[bool, typer.Option("--check", help="One line and an exit code for probes.")] = False,
    max_age: Annotated[
        str | None,
        typer.Option("--max-age", metavar="5s", help="With --check: older data, or an older status, is CRITICAL."),
    ] = None,
    state: StateOption = None,
    deployment: DeploymentOption = None,
) -> None:
    """Show whether the pipeline runs, how it is, its events, signals, vetoes, latches and latencies."""
    from signal_stream.monitor.health import EXIT_CODES, judge
    from signal_stream.monitor.look import look

    max_age_ns = _age(max_age, check=check)
    folder = state_folder(state, deployment, may_be_new=True)
    now = time.time_ns()
    found = look(folder, now=now)
    judged = judge(found, now=now, max_age_ns=max_age_ns)
    found["health"] = judged.to_dict()
    if as_json:
        print(json.dumps(found, indent=2))
    elif check:
        why = "; ".join(judged.reasons) or found["state"].lower()
        terminal().print(line((judged.overall, COLOURS[judged.overall]), f"  {found.get('pipeline', folder)}  {why}"))
    else:
        console = terminal()
        for text in status_lines(folder, found):
            console.print(text)
        if found["latency_ns"]:
            console.print(*latency_lines(found["latency_ns"]), sep="\n")
    if check:
        raise typer.Exit(EXIT_CODES[judged.overall])
    degraded = found["serving"] and any(each["state"] == "DEGRADED" for each in found.get("sinks", ()))
    damaged = found["damage"] is not None or found["damaged"]
    if found["state"] not in WELL or damaged or degraded:
        raise typer.Exit(1)


def _age(text: str | None, *, check: bool) -> int | None:
    """`--max-age` in nanoseconds. Raises CommandError."""
    if text is None:
        return None
    if not check:
        raise CommandError("BAD_OPTION", "--max-age is given without --check", value=text, next_step="Give both.")
    try:
        return duration_ns(text)
    except ValueError as error:
        raise CommandError("BAD_OPTION", f'--max-age "{text}" is not {error}', value=text) from None
