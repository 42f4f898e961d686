"""`signal-stream status`: what a pipeline is doing, or how it ended."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from signal_stream.commands.state_folder import DeploymentOption, StateOption, state_folder
from signal_stream.commands.words import latency_lines, line, terminal
from signal_stream.durations import utc

if TYPE_CHECKING:
    from pathlib import Path

    from rich.text import Text

_OVERDUE_NS: Final = 10_000_000_000
_WELL: Final = frozenset({"SERVING", "STARTING", "STOPPED", "NEVER SERVED"})


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
        for text in lines(folder, found):
            console.print(text)
        if found["latency_ns"]:
            console.print(*latency_lines(found["latency_ns"]), sep="\n")
    well = {"SERVING"} if check else _WELL
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


def lines(folder: Path, found: dict[str, Any]) -> list[Text]:
    """The status in words."""
    killed = [line("  ", ("killed", "red"), f"    {latch}") for latch in found["latches"]]
    if found.get("damage"):
        killed.insert(0, line("  ", ("journal", "red"), f"   {found['damage']}"))
    if "counts" not in found:
        what = found["reason"] if found["serving"] else "nothing has been served from this state folder yet"
        return [line((str(folder), "bold"), f"  {found['state'].lower()}  {what}"), *killed]
    counts, signals = found["counts"], found["signals"]
    colour = "red" if found["state"] not in _WELL else "green" if found["serving"] else "yellow"
    who = f"process {found['pid']}" if found["serving"] else found["reason"]
    if found["serving"] and found["reason"]:
        who = f"{who}: {found['reason']}"
    models = ", ".join(model_text(model, serving=found["serving"]) for model in found["models"])
    vetoes = ", ".join(f"{code} {number:,}" for code, number in sorted(found["codes"].items()))
    last = found["last_signal"]
    out = [
        line((found["pipeline"], "bold"), "  ", (found["state"].lower(), colour), f"  {who}"),
        line(f"  models    {models}"),
        line(f"  source    {source(found['source'])}"),
        line(
            f"  events    {counts['input']:,} = {counts['accepted']:,} accepted + {counts['duplicate']:,} duplicate + "
            f"{counts['late']:,} late + {counts['rejected']:,} rejected   gaps {counts['gaps']:,}"
        ),
        line(f"  vectors   {found['vectors']:,}"),
        line(
            f"  signals   {signals.get('PASS', 0):,} passed, {sum(signals.values()) - signals.get('PASS', 0):,} vetoed"
            + (f"   {vetoes}" if vetoes else "")
        ),
    ]
    if last:
        age = ago(last["age_ns"] + found["status_age_ns"])
        out.append(line(f"  last      {last['signal_id'][:8]} at {utc(last['ts_recv'])}, {age} ago"))
    if found["journal"]["not_reproduced"]:
        skipped = f"{found['journal']['not_reproduced']:,} recorded signals after a restart"
        out.append(line("  ", ("not made again", "red"), f"  {skipped}"))
    out += [
        line(
            "  ", ("model", "red"),
            f"     {model['ref']}: {model['last_error']} The next try is in {ago(model['retry_in_ns'])}.",
        )
        for model in found["models"]
        if found["serving"] and model.get("retry_in_ns") is not None
    ]  # fmt: skip
    out += [sink(each) for each in found.get("sinks", ())]
    out += [
        line("  ", ("registry", "red"), f"  {model['registry']}") for model in found["models"] if model.get("registry")
    ]
    for each in found.get("observers", ()):
        text = f"  observer  {each['name']}: {each['shown']:,} decisions shown"
        lost = ", ".join(f"{each[what]:,} {what}" for what in ("dropped", "failed") if each[what])
        why = f" ({each['last_error']})" if each["last_error"] else ""
        out.append(line(text, (f", {lost}{why}", "yellow")) if lost else line(text))
    return out + killed


def model_text(model: dict[str, Any], *, serving: bool) -> str:
    """A model's name with what is not usual about it: no live version, or another kind than ONNX.

    >>> model_text({"ref": "m@1", "stage": "shadow", "kind": "python", "state": "READY"}, serving=True)
    'm@1 (ready, shadow, python)'
    """
    stage, kind = model.get("stage"), model.get("kind", "onnx")
    said = [model["state"].lower()] if serving else []
    said += [stage] if stage not in (None, "live") else []
    said += [kind] if kind != "onnx" else []
    return f"{model['ref']} ({', '.join(said)})" if said else model["ref"]


def source(stats: dict[str, Any]) -> str:
    """A source's name, by which clock it is judged, and what waits in its queue."""
    parts = [stats["url"] or "a source without a URL"]
    if stats["queue_rows_max"]:
        parts.append(f"queue {stats['queue_rows']:,} of {stats['queue_rows_max']:,} rows")
    if stats.get("clock") == "recorded":
        parts.insert(1, "a recording, old by its own clock")
    delay = stats.get("venue_delay_ns", {})
    if delay.get("p50") is not None:
        ahead = delay["least"] < 0
        clocks = f", whose clock is ahead of ours by {-delay['least'] / 1e6:.1f} ms or more" if ahead else ""
        parts.append(f"{delay['p50'] / 1e6:.1f} ms from the venue{clocks}")
    if stats["shed_messages"]:
        parts.append(f"{stats['shed_messages']:,} messages shed")
    if stats["ended"]:
        parts.append("at its end")
    if stats.get("stopped"):
        parts.append("stopped before its end")
    return ", ".join(parts)


def sink(stats: dict[str, Any]) -> Text:
    """How one sink is: its name, how far it is behind the journal, and what went wrong."""
    behind = f"{stats['lag_records']:,} records behind"
    if stats["lag_records"]:
        behind += f", the oldest for {ago(stats['lag_ns'])}"
    if stats["skipped"]:
        behind += f", {stats['skipped']:,} signals left out"
    if stats["state"] != "DEGRADED":
        return line(f"  sink      {stats['sink']}  {stats['state'].lower()}, {behind}")
    retry = "" if stats["retry_in_ns"] is None else f" The next try is in {ago(stats['retry_in_ns'])}."
    return line("  ", ("sink", "red"), f"      {stats['sink']}  degraded, {behind}: {stats['error']}{retry}")


def ago(ns: int) -> str:
    """A length of time for people.

    >>> ago(1_500_000_000), ago(90_000_000_000)
    ('1.5 s', '2 min')
    """
    seconds = ns / 1e9
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
