"""`signal-stream tape instruments`: what venues say of their instruments, as an instruments file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from signal_stream.cli.group import group
from signal_stream.cli.new_file import must_be_new
from signal_stream.cli.options import Venue
from signal_stream.errors import CommandError


def register(app: typer.Typer) -> None:
    """Adds the command."""
    epilog = "Example: signal-stream tape instruments KRAKEN.jsonl.zst -o kraken.toml"
    group(app, "tape").command("instruments", epilog=epilog)(instruments)


def instruments(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SRC...", help="Recordings with the venue's answers; an answer by itself, with --venue; or tapes."
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="OUT", help="A .toml or .parquet file.")],
    venue: Venue = None,
) -> None:
    """Write what venues or tapes say of their instruments (kind, tick, lot, expiry, strike …) as an instruments file.

    `tape convert --instruments OUT` reads it, and a deployment whose source has `instruments = "OUT"`.
    An existing file is not replaced.
    """
    from signal_stream.ingest import sniff
    from signal_stream.ingest.tape_instruments import tape_instruments
    from signal_stream.ingest.venue_instruments import venue_instruments, write_instruments

    if out.suffix not in (".toml", ".parquet"):
        raise CommandError("WRITE", "its name ends in neither .toml nor .parquet", where=str(out))
    must_be_new(out)
    found = {}
    for source in sources:
        is_tape = venue is None and source.is_file() and sniff(source) == "tape"
        for entry in tape_instruments(source) if is_tape else venue_instruments(source, venue):
            found[entry["id"], entry.get("valid_from")] = entry
    try:
        write_instruments(out, list(found.values()))
    except OSError as error:
        raise CommandError("WRITE", f"the file cannot be written: {error.strerror or error}", where=str(out)) from None
    kinds = {entry["id"]: entry["kind"] for entry in found.values()}
    told = ", ".join(f"{kind} {count:,}" for kind, count in Counter(kinds.values()).most_common())
    changed = len(found) - len(kinds)
    changes = f" ({changed:,} {'change' if changed == 1 else 'changes'} of their terms)" if changed else ""
    print(f"{out}  {len(kinds):,} instruments{changes}: {told}")
