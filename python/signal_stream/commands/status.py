"""`signal-stream status`: what a pipeline is doing, or how it ended."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from signal_stream.commands.state_folder import DeploymentOption, StateOption, state_folder
from signal_stream.durations import utc

if TYPE_CHECKING:
    from pathlib import Path


_OVERDUE_NS: Final = 10_000_000_000


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: signal-stream status --json")(status)


def status(
    as_json: Annotated[bool, typer.Option("--json", help="The same as JSON.")] = False,
    state: StateOption = None,
    deployment: DeploymentOption = None,
) -> None:
    """Show whether the pipeline runs, its events, signals, vetoes, latches and latencies."""
    folder = state_folder(state, deployment, may_be_new=True)
    found = look(folder, now=time.time_ns())
    if as_json:
        print(json.dumps(found, indent=2))
        return
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    for text in lines(folder, found):
        console.print(text)
    if found["latency_ns"]:
        console.print(latency_table(found["latency_ns"]))


def look(folder: Path, *, now: int) -> dict[str, Any]:
    """The last status of a state folder, with what is true now: `serving`, `pid`, `latches`, `status_age_ns`."""
    from signal_stream.errors import LatchError
    from signal_stream.serve.lock import serving_pid
    from signal_stream.serve.status import Status
    from signal_stream.store import State

    pid = serving_pid(folder)
    last = Status.read(folder) if folder.is_dir() else None
    found = asdict(last) if last else _nothing()
    try:
        latches = tuple(str(latch) for latch in State(folder).latches().standing())
    except LatchError as error:
        latches = (str(error),) if last else ()
    found |= {"serving": pid is not None, "pid": pid, "latches": latches}
    found["status_age_ns"] = None if last is None else max(0, now - last.written_at)
    if pid is None and found["state"] == "SERVING":
        found |= {"state": "DEAD", "reason": "the process ended without a word: it was killed, or crashed"}
    return found


def _nothing() -> dict[str, Any]:
    return {"state": "NEVER SERVED", "reason": "", "latency_ns": {}, "models": (), "signals": {}, "codes": {}}


def lines(folder: Path, found: dict[str, Any]) -> list[str]:
    """The status in words."""
    if "counts" not in found:
        head = f"[bold]{folder}[/bold]  nothing has been served from this state folder yet"
        return [head, *(f"[red]killed[/red]  {latch}" for latch in found["latches"])]
    counts, signals = found["counts"], found["signals"]
    colour = "green" if found["serving"] else "yellow" if found["state"] == "STOPPED" else "red"
    who = f"process {found['pid']}" if found["serving"] else found["reason"]
    models = ", ".join(
        f"{model['ref']} ({model['state'].lower()})" if found["serving"] else model["ref"] for model in found["models"]
    )
    vetoes = ", ".join(f"{code} {number:,}" for code, number in sorted(found["codes"].items()))
    last = found["last_signal"]
    out = [
        f"[bold]{found['pipeline']}[/bold]  [{colour}]{found['state'].lower()}[/{colour}]  {who}",
        f"  models    {models}",
        f"  source    {source(found['source'])}",
        f"  events    {counts['input']:,} = {counts['accepted']:,} accepted + {counts['duplicate']:,} duplicate + "
        f"{counts['late']:,} late + {counts['rejected']:,} rejected   gaps {counts['gaps']:,}",
        f"  vectors   {found['vectors']:,}",
        f"  signals   {signals.get('PASS', 0):,} passed, {sum(signals.values()) - signals.get('PASS', 0):,} vetoed"
        + (f"   {vetoes}" if vetoes else ""),
    ]
    if last:
        age = ago(last["age_ns"] + found["status_age_ns"])
        out.append(f"  last      {last['signal_id'][:8]} at {utc(last['ts_recv'])}, {age} ago")
    if found["journal"]["not_made_again"]:
        out.append(
            f"  [red]not made again[/red]  {found['journal']['not_made_again']:,} recorded signals after a restart"
        )
    out += [
        f"  [red]model[/red]     {model['ref']}: {model['last_error']} The next try is in {ago(model['retry_in_ns'])}."
        for model in found["models"]
        if found["serving"] and model.get("retry_in_ns") is not None
    ]
    out += [f"  [red]stage[/red]     {model['stage']}" for model in found["models"] if model.get("stage")]
    if found["serving"] and found["status_age_ns"] > _OVERDUE_NS:
        out.append(f"  [red]silent[/red]    the process has not written its status for {ago(found['status_age_ns'])}")
    out += [f"  [red]killed[/red]    {latch}" for latch in found["latches"]]
    return out


def source(facts: dict[str, Any]) -> str:
    """A source's name, and what waits in its queue."""
    parts = [facts["url"], f"queue {facts['queue_rows']:,} of {facts['queue_rows_max']:,} rows"]
    if facts["shed_messages"]:
        parts.append(f"{facts['shed_messages']:,} messages shed")
    if facts["ended"]:
        parts.append("at its end")
    if facts.get("stopped"):
        parts.append("stopped before its end")
    return ", ".join(parts)


def latency_table(latencies: dict[str, dict[str, int | None]]) -> Any:
    """p50, p99, p99.9 and the largest of each stage, in microseconds."""
    from rich.table import Table

    table = Table(
        "stage", "p50", "p99", "p99.9", "max µs", box=None, header_style="dim", pad_edge=False, padding=(0, 2)
    )
    for column in table.columns[1:]:
        column.justify = "right"
    for stage, found in latencies.items():
        numbers = [found[name] for name in ("p50", "p99", "p99.9", "max")]
        table.add_row(stage, *("–" if ns is None else f"{ns / 1e3:,.1f}" for ns in numbers))
    return table


def ago(ns: int) -> str:
    """A length of time for people.

    >>> ago(1_500_000_000), ago(90_000_000_000)
    ('1.5 s', '2 min')
    """
    seconds = ns / 1e9
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
