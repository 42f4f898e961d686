"""`signal-stream up stack.toml`: several deployments and helper processes, run together."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from signal_stream.cli.state_folder import home
from signal_stream.cli.status_lines import COLOURS
from signal_stream.cli.text import line, terminal
from signal_stream.console import STOP
from signal_stream.durations import ago, utc
from signal_stream.errors import CommandError

if TYPE_CHECKING:
    from rich.text import Text

_COLOURS: Final = {"READY": "green", "DONE": "green", "DEGRADED": "yellow", "FAILED": "red"}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog="Examples: signal-stream up stack.toml\n\nsignal-stream up stack.toml --status\n\nExit: 0 it was stopped, or all "
        "that it ran has ended; 2 it could not start; 130 a second Ctrl-C killed what was left; with --status 0 OK, 1 DEGRADED, "
        "2 CRITICAL, or it does not run."
    )(up)


def up(
    stack: Annotated[Path, typer.Argument(metavar="stack.toml", help="What runs together, and what needs what.")],
    show: Annotated[
        bool, typer.Option("--status", help="Show the one status of all parts, and start nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --status: the same as JSON.")] = False,
) -> None:
    """Run a stack: deployments and other programs, each started when what it needs is up.

    Parts of a level start at the same time. What ends is started again alone, later each time; everything else goes on. SIGTERM
    or Ctrl-C stops all in reverse."""
    from signal_stream.settings.stack import load_stack
    from signal_stream.stack.run import RunningStack
    from signal_stream.stack.status import read_status

    if as_json and not show:
        raise CommandError("BAD_OPTION", "--json is given without --status", next_step="Give both.")
    path = home(stack)
    loaded = load_stack(path)
    if show:
        _show(read_status(loaded.settings.state, now=time.time_ns()), path, as_json=as_json)
        return
    running = RunningStack(loaded, on_change=_say)
    STOP.then = lambda _reason: running.ask_stop()
    if STOP.reason is None:
        terminal().print(
            line(
                (loaded.settings.name, "bold"), f"  {len(loaded.parts)} parts; logs in {loaded.settings.state / 'logs'}"
            )
        )
        running.run()


def _say(part: dict[str, Any]) -> None:
    state = part["state"]
    rest = f"  {part['reason']}" if part["reason"] and state not in ("WAITING", "STARTING") else ""
    if part["retry_in_ns"] is not None:
        rest += f"; started again in {ago(part['retry_in_ns'])}"
    moment = utc(time.time_ns() // 1_000_000 * 1_000_000)
    terminal().print(line(f"{moment}  {part['name']}  ", (state.lower(), _COLOURS.get(state, "")), rest))


def _show(found: dict[str, Any], path: Path, *, as_json: bool) -> None:
    from signal_stream.monitor.health import EXIT_CODES

    if as_json:
        print(json.dumps(found, indent=2))
    else:
        why = "" if found["parts"] and found["running"] else f"  {'; '.join(found['reasons'])}"
        terminal().print(
            line((found.get("name", str(path)), "bold"), "  ", (found["overall"], COLOURS[found["overall"]]), why)
        )
        width = max((len(each["name"]) for each in found["parts"]), default=0)
        for each in found["parts"]:
            terminal().print(_part_line(each, width))
    raise typer.Exit(EXIT_CODES[found["overall"]])


def _part_line(part: dict[str, Any], width: int) -> Text:
    """A part on one line."""
    state = part["state"]
    words = [] if part["uptime_ns"] is None else [f"up for {ago(part['uptime_ns'])}"]
    words += [f"process {part['pid']}"] if state in ("READY", "DEGRADED", "STARTING") else []
    words += [f"started again {part['restarts']} times"] if part["restarts"] else []
    words += [part["reason"]] if part["reason"] else []
    words += [f"the next try is in {ago(part['retry_in_ns'])}"] if part["retry_in_ns"] is not None else []
    return line(f"  {part['name']:{width}}  ", (f"{state.lower():9}", _COLOURS.get(state, "")), f"  {', '.join(words)}")
