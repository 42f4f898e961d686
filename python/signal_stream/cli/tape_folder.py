"""A folder that a pipeline writes its events to, where a command takes tapes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from signal_stream.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Sequence


def tape_folder(tapes: Sequence[str], command: str, *, venue: str | None) -> Path | None:
    """The one folder that is named; None where files are. Raises CommandError if it is not alone, or holds no tape."""
    from signal_stream.store.tape_log import list_segments

    folders = [tape for tape in tapes if Path(tape).is_dir()]
    if not folders:
        return None
    if len(tapes) > 1 or venue is not None:
        what = "a folder is read alone" if len(tapes) > 1 else "--venue is for captures"
        raise CommandError("BAD_OPTION", what, where=folders[0], next_step=f"signal-stream {command} {folders[0]}")
    folder = Path(folders[0])
    if not list_segments(folder):
        advice = "Name tapes or captures, or the folder that a pipeline writes its events to: STATE/tape, or [source] record."
        raise CommandError("BAD_OPTION", "the folder holds no tape", where=str(folder), next_step=advice)
    return folder
