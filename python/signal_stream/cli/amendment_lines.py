"""An amendment on a line for each vector."""

from __future__ import annotations

from typing import TYPE_CHECKING

from signal_stream.cli.signal_line import SHORT
from signal_stream.cli.text import line
from signal_stream.durations import utc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.text import Text

    from signal_stream.records import AmendedVector, Amendment


def amendment_lines(amendment: Amendment) -> Iterator[Text]:
    """When it was found, which vector is otherwise, its revision and its values: `gone` for one that is no more, `new` for one
    that is there only now."""
    for vector in amendment.vectors:
        yield line(
            (utc(amendment.ts_recv), "dim"),
            f"  {vector.instrument}  ",
            (amendment.graph, "cyan"),
            f"  {utc(vector.ts_event)}  ",
            (f"AMENDED {vector.revision}", "yellow"),
            ("  new" if vector.old is None else "  gone" if vector.new is None else "", "magenta"),
            "" if vector.new is None else f"  {values_text(amendment, vector)}",
            (f"  message {amendment.offset:,}  {amendment.amendment_id[:SHORT]}", "dim"),
        )


def values_text(amendment: Amendment, vector: AmendedVector) -> str:
    """Each feature with its value, or why it has none.

    >>> from signal_stream.records import Amendment
    >>> from signal_stream.testing import sample_amendments
    >>> amendment = Amendment.from_json(sample_amendments(3)[2].body)
    >>> values_text(amendment, amendment.vectors[0])
    'flow 0.25  mid EMPTY'
    """
    return "  ".join(
        f"{name} {reason}" if value is None else f"{name} {value:.6g}"
        for name, value, reason in zip(amendment.features, vector.values, vector.reasons, strict=True)
    )
