"""`signal-stream replay ID... | --sample N`: signals made again from the tape, bit for bit."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from signal_stream.cli.state_folder import DeploymentOption, StateOption, state_folder
from signal_stream.errors import CommandError

if TYPE_CHECKING:
    from signal_stream.serve.replay import Replayed


def register(app: typer.Typer) -> None:
    """Adds the command."""
    exits = "0 same bits, 1 different, 2 could not run"
    app.command(epilog=f"Example: signal-stream replay --sample 100\n\nExit: {exits}.")(replay)


def replay(
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Signals, by id or its beginning.")] = None,
    sample: Annotated[int | None, typer.Option(metavar="N", min=1, help="So many signals, chosen at random.")] = None,
    seed: Annotated[int, typer.Option(help="Chooses them.")] = 0,
    tape: Annotated[Path | None, typer.Option(metavar="FILE", help="Where the tape lies, if it was moved.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One object a signal.")] = False,
    every: Annotated[
        bool, typer.Option("--verbose", "-v", help="A line for each signal, not only what differs.")
    ] = False,
    state: StateOption = None,
    deployment: DeploymentOption = None,
) -> None:
    """Make signals again from journal, tape and registry, and compare every bit.

    Signals that are named have a line each; of a sample those that differ."""
    from signal_stream.serve.replay import replay as run
    from signal_stream.serve.signal_lookup import find_signals, sample_signals
    from signal_stream.store import State

    if bool(ids) == (sample is not None):
        raise CommandError("BAD_OPTION", "it is not clear which signals", next_step="Give ids, or --sample N.")
    journal = State(state_folder(state, deployment)).reader()
    began = time.monotonic()
    records = find_signals(journal, ids) if ids else sample_signals(journal, sample or 0, seed=seed)
    same = different = fell = 0
    for found in run(journal, records, tape=tape):
        same += found.same
        different += not found.same
        fell += bool(found.as_it_fell)
        if as_json:
            print(json.dumps(asdict(found) | {"same": found.same}))
        elif ids or every or not found.same:
            print(line(found))
    seconds = time.monotonic() - began
    clocked = f"   {fell:,} verdicts depended on the clock (such as KILLED): taken as recorded" if fell else ""
    if not as_json:
        verdict = "SAME BITS" if not different else "DIFFERENT"
        count = same + different
        print(
            f"{verdict}  {count:,} signal{'s' * (count != 1)} replayed, {different:,} differ   {seconds:.1f} s{clocked}"
        )
    if different:
        raise typer.Exit(1)


def line(found: Replayed) -> str:
    """One signal's replay in words."""
    if not found.same:
        now = "\n".join(f"           {name} = {value}" for name, value in found.vector)
        return f"different  {found.signal_id}  {'; '.join(map(str, found.differences))}\n{now}".rstrip()
    value = "no value" if found.value is None else f"{found.value!r} ({found.value.hex()})"
    noted = f"  as it fell: {' '.join(found.as_it_fell)}" if found.as_it_fell else ""
    return f"same       {found.signal_id}  {value}  vector {found.vector_hash[:12]}…{noted}"
