"""Texts of a settings file that no name, path or URL can be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

MOST: Final = 2_000
"""Characters that a text may have."""


def text_fault(text: str) -> str | None:
    r"""What is wrong with a text, whatever it says; None if nothing is.

    >>> text_fault("a\nb"), text_fault("x" * 2001)
    ('holds a line end, a control character or one that cannot be seen', 'has 2,001 characters, of 2,000 at most')
    """
    if len(text) > MOST:
        return f"has {len(text):,} characters, of {MOST:,} at most"
    return None if text.isprintable() else "holds a line end, a control character or one that cannot be seen"


def faulty_texts(data: Mapping[str, Any], free: Collection[str] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Where texts stand that have a fault, and the fault; keys too. Those of the keys `free` may hold all but NUL."""
    for section, value in data.items():
        if (fault := text_fault(section)) is not None:
            yield (section,), fault
        records = value if isinstance(value, list) else [value]
        for number, record in enumerate(records):
            at = (section, number) if isinstance(value, list) else (section,)
            for key, held in record.items() if isinstance(record, dict) else ():
                told = (key, *_texts(held))
                if key in free:
                    faults = ["holds the character NUL" for text in told if "\0" in text]
                else:
                    faults = [fault for text in told if (fault := text_fault(text)) is not None]
                if faults:
                    yield (*at, key), faults[0]


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, held in value.items():
            yield key
            yield from _texts(held)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
