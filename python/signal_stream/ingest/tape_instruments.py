"""What a tape says of its instruments, as entries of an instruments file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from signal_stream.errors import DataError

from .files import open_tape
from .intake import Intake

if TYPE_CHECKING:
    from pathlib import Path


def tape_instruments(path: Path) -> list[dict[str, Any]]:
    """The definitions of a tape's instruments, in the order of the instruments, and of one in time. Raises TapeError for what
    cannot be read, DataError BAD_VALUE where the tape defines none."""
    import pyarrow as pa

    reader = open_tape([path])
    newest = None
    while (batch := reader.next()) is not None:
        newest = batch
    Intake().read(reader)
    listed = json.loads(pa.schema(newest).metadata[b"signal_stream.instruments"]) if newest is not None else []
    found = [
        {"id": each["id"], "price_scale": each["price_scale"], "qty_scale": each["qty_scale"]}
        | ({"valid_from": since} if since else {})
        | terms
        for each in listed
        for since, terms in each.get("definitions", ())
    ]
    if not found:
        raise DataError(
            "BAD_VALUE", "the tape says of no instrument what it is", where=str(path),
            next_step="Name a recording with the venue's answers, or one whose capture was converted with --instruments.",
        )  # fmt: skip
    return found
