"""`python -m benches`: every figure, as a table and in `benches/out/latest.jsonl`.

Exit code 0 whether goals hold or not: a figure is no test. 1 if a work could not be run, 2 for a wrong option.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benches.folders import PEERS, ROOT, out
from benches.machine import machine
from benches.report import show, write_lines
from benches.works import BESIDE_PEERS, WORKS

if TYPE_CHECKING:
    from collections.abc import Iterator


WIDTH = 150
"""Columns of the table where no terminal says how many it has."""


def main() -> int:
    """The command."""
    options = argparse.ArgumentParser(prog="python -m benches", description="Figures beside their peers, in one run.")
    options.add_argument("--only", metavar="NAME", action="append", choices=WORKS, help="this work; may be repeated")
    options.add_argument("--quick", action="store_true", help="few rows and rounds: to try it out, not to quote")
    options.add_argument("--list", action="store_true", help="name the works and stop")
    options.add_argument("--out", type=Path, default=out() / "latest.jsonl", help="default: %(default)s")
    chosen = options.parse_args()
    if chosen.list:
        for name, what in WORKS.items():
            print(f"{name:16} {what}")
        return 0

    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, WIDTH)
    facts = machine()
    console.print(_headline(facts), highlight=False, soft_wrap=True)
    rows: list[dict[str, Any]] = []
    failed = []
    names = chosen.only or list(WORKS)
    for number, name in enumerate(names, 1):
        began = time.monotonic()
        _say(f"{number} of {len(names)}  {name}: {WORKS[name]}")
        with console.status(f"{name}: {WORKS[name]}"):
            try:
                before = machine()
                rows += ({**row, "bench": name, "machine": before} for row in measured(name, quick=chosen.quick))
            except subprocess.CalledProcessError as error:
                failed.append(f"{name} could not be run: exit code {error.returncode}")
        _say(f"{number} of {len(names)}  {name}: {time.monotonic() - began:.0f} s")
    write_lines(rows, chosen.out)
    show(rows, console)
    console.print(f"{len(rows)} figures in {chosen.out}", highlight=False)
    for line in failed:
        console.print(f"[bold red]{line}[/]", highlight=False)
    return 1 if failed else 0


def _say(text: str) -> None:
    """What the run is at, beside the figures: on a terminal a line that moves says it already."""
    if not sys.stdout.isatty():
        print(text, file=sys.stderr, flush=True)


def _headline(facts: dict[str, Any]) -> str:
    """The machine on one line; a busy one is said to be."""
    load = facts["load"][0]
    busy = f", [yellow]busy with other work (load {load}): believe ratios only[/]" if load > 0.5 else f", load {load}"
    return f"{facts['cpu']}, {facts['cores']} cores, {facts['kernel']}, Python {facts['python']}{busy}"


def measured(name: str, *, quick: bool) -> Iterator[dict[str, Any]]:
    """The figures of one work, from a process of its own. Raises CalledProcessError if that fails."""
    python = str(PEERS) if name in BESIDE_PEERS and PEERS.exists() else sys.executable
    command = [python, "-m", "benches.works", name, *(["--quick"] if quick else [])]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield json.loads(line)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)


if __name__ == "__main__":
    sys.exit(main())
