"""`signal-stream status`: what a pipeline is doing, or how it ended."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from signal_stream.cli.figures import ago, latency_lines
from signal_stream.cli.state_folder import DeploymentOption, StateOption, state_folder
from signal_stream.cli.status_lines import WELL, status_lines
from signal_stream.cli.text import terminal

if TYPE_CHECKING:
    from pathlib import Path


_OVERDUE_NS: Final = 10_000_000_000


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


def look(folder: Path, *, now: int) -> dict[str, Any]:
    """The last status of a state folder, with what is true now: `state`, `serving`, `pid`, `latches`, `damage`,
    `status_age_ns`.

    `damage` says what is wrong with the end of the journal, which the next start would refuse.

    `state` is NEVER SERVED, STARTING, SERVING, SILENT (a live source brings nothing that a signal may rest on), HUNG
    (the process does not write its status), STOPPED, FAILED, HALTED or DEAD (it ended without a word).
    """
    from signal_stream.errors import LatchError
    from signal_stream.serve.lock import serving_pid
    from signal_stream.serve.status import Status
    from signal_stream.store import State

    pid = serving_pid(folder)
    last = Status.read(folder) if folder.is_dir() else None
    if pid is None and last is not None and last.state == "SERVING":
        pid = serving_pid(folder)  # it may have begun since we looked
    found = asdict(last) if last else _nothing()
    try:
        latches = tuple(str(latch) for latch in State(folder).latches().standing())
    except LatchError as error:
        latches = (str(error),) if last else ()
    found |= {"serving": pid is not None, "pid": pid, "latches": latches, "damage": _damage(folder, last is not None)}
    age_ns = found["status_age_ns"] = None if last is None else max(0, now - last.written_at)
    if pid is None:
        if found["state"] == "SERVING":
            found |= {"state": "DEAD", "reason": "the process ended without a word: it was killed, or crashed"}
    elif last is None or last.pid != pid or age_ns is None:
        found |= {"state": "STARTING", "reason": "it opens its models, or makes again what its journal holds"}
    elif found["state"] == "SERVING":
        if age_ns > _OVERDUE_NS:
            why = f"the process has not written its status for {ago(age_ns)}"
            found |= {"state": "HUNG", "reason": why}
        elif (silent_ns := _silent_ns(found["source"], age_ns)) is not None:
            why = f"nothing came from {found['source']['url']} for {ago(silent_ns)}"
            found |= {"state": "SILENT", "reason": why}
    return found


def _damage(folder: Path, served: bool) -> str | None:
    """What is wrong with the journal, None if nothing is, or nothing was served yet."""
    from signal_stream.errors import JournalError
    from signal_stream.store import State

    try:
        State(folder).reader().check_end()
    except JournalError as error:
        return None if error.code == "NOT_FOUND" and not served else str(error)
    return None


def _silent_ns(source: dict[str, Any], age_ns: int) -> int | None:
    """How long a live source has been silent, None if that is not longer than an input may be old."""
    if "silent_ns" not in source:
        return None
    silent_ns: int = source["silent_ns"] + age_ns
    return silent_ns if silent_ns > source["silent_after_ns"] else None


def _nothing() -> dict[str, Any]:
    return {"state": "NEVER SERVED", "reason": "", "latency_ns": {}, "models": (), "signals": {}, "codes": {}}
