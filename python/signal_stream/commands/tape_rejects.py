"""`signal-stream tape rejects`: every refused line of a capture, with its reason and its bytes."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from signal_stream.cli.group import group
from signal_stream.cli.options import Venue
from signal_stream.cli.text import plain
from signal_stream.core_errors import core_error
from signal_stream.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHOWN_BYTES: Final = 200
"""Of a refused line, on a terminal."""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    epilog = "Example: signal-stream tape rejects spot.gz -o refused.jsonl"
    group(app, "tape").command("rejects", epilog=epilog)(rejects)


def rejects(
    captures: Annotated[list[str], typer.Argument(metavar="CAPTURE...", help="Raw captures.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="OUT.jsonl", help="Write them with all of their bytes, a JSON object a line."
        ),
    ] = None,
    whole: Annotated[bool, typer.Option("--whole", help="Print lines in full, however long they are.")] = False,
    venue: Venue = None,
) -> None:
    """Show every refused line: file and line, why, and the line itself. Frames of streams that nobody uses are not refused.

    In OUT, `text` is the line; where it is no UTF-8 there is `hex` instead.
    """
    found = _refused(captures, venue)
    if out is not None:
        count = _write(found, out)
        print(f"{out}  {count:,} refused lines")
        return
    counts: Counter[str] = Counter()
    for file, line, code, detail, data in found:
        counts[code] += 1
        text = data.decode("utf-8", "backslashreplace")
        cut = f"… ({len(data):,} bytes)" if len(text) > _SHOWN_BYTES and not whole else ""
        print(f"{file}:{line}  {code}: {detail}")
        if text:
            print(f"    {plain(text if whole else text[:_SHOWN_BYTES])}{cut}")
    total = ", ".join(f"{code} {count:,}" for code, count in counts.most_common())
    print(f"{counts.total():,} refused lines{': ' if total else ''}{total}")


def _refused(captures: list[str], venue: str | None) -> Iterator[tuple[str, int, str, str, bytes]]:
    from signal_stream import _core

    try:
        reader = _core.Reader(captures, keep_rejects=True, venue=venue)
        while True:
            batch = reader.next()
            yield from reader.take_rejects()
            if batch is None:
                return
    except _core.CoreError as error:
        raise core_error(error, "feed") from None


def _write(found: Iterator[tuple[str, int, str, str, bytes]], out: Path) -> int:
    count = 0
    try:
        with out.open("w") as file:
            for name, line, code, detail, data in found:
                count += 1
                record = {"format": 1, "file": name, "line": line, "code": code, "detail": detail}
                try:
                    record["text"] = data.decode()
                except UnicodeDecodeError:
                    record["hex"] = data.hex()
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
    except OSError as error:
        what = f"the refused lines cannot be written: {error.strerror or error}"
        raise CommandError("WRITE", what, where=str(out)) from None
    return count
