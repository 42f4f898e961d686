"""`signal-stream repair`: a damaged journal made whole again, with what is missing marked as lost."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from signal_stream.cli.state_folder import DeploymentOption, StateOption, state_folder

ByOption = Annotated[str, typer.Option("--by", metavar="NAME", help="Who does this.")]
ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why.")]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog='Example: signal-stream repair --state state --by ann --reason "the disk was restored"')(repair)


def repair(by: ByOption, reason: ReasonOption, state: StateOption = None, deployment: DeploymentOption = None) -> None:
    """Make a damaged journal whole: all that is good is kept, each missing record is marked as lost.

    If you have a backup of the journal, restore that instead: a repaired journal has holes."""
    from signal_stream.errors import CommandError
    from signal_stream.store import State
    from signal_stream.store.lock import StateLock

    for what, text in (("name", by), ("reason", reason)):
        if not text.strip():
            raise CommandError("BAD_OPTION", f"a {what} is needed", value=text, next_step="Use --by and --reason.")
    place = State(state_folder(state, deployment))
    lock = StateLock(place.folder)
    try:
        mended = place.repair(by=by, reason=reason, now=time.time_ns())
    finally:
        lock.close()
    for one in mended:
        kept = f"; the old file is {one.kept}" if one.kept else ""
        print(f"{one.segment}: {one.lost:,} records marked as lost{kept}")
    records = place.reader().check_end()
    print(f"The journal holds {records:,} records without a hole." if mended else "Nothing to repair.")
