"""Files that a command makes, and never replaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from signal_stream.errors import CommandError

if TYPE_CHECKING:
    from pathlib import Path


def must_be_new(out: Path) -> None:
    """Raises CommandError WRITE where something lies there already."""
    if out.exists():
        advice = "Remove it first, or give another name with -o."
        raise CommandError("WRITE", "the file exists already", where=str(out), next_step=advice)
