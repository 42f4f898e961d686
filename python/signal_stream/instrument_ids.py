"""What an instrument's id is, wherever it is written: settings, files of instruments, tables, graphs. The core has the rule."""

from __future__ import annotations

from typing import Final

_SHOWN: Final = 40
"""Characters that are shown of an id that cannot be used."""


def id_fault(text: str) -> str | None:
    r"""What is wrong with an instrument's id, with the id; None for one that can be used: 1 to 200 characters that can be seen,
    with no white space at its ends.

    >>> id_fault("BTCUSDT.BINANCE")
    >>> id_fault("BTC\n")
    '"BTC\\n" holds a line end, a control character or one that cannot be seen'
    """
    from signal_stream import _core

    fault = _core.instrument_id_fault(text)
    return None if fault is None else f"{shown_id(text)} {fault}"


def shown_id(text: str) -> str:
    r"""An id in quotes as an error shows it: on one line, and the beginning of a long one.

    >>> shown_id("A\tB")
    '"A\\tB"'
    """
    short = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    seen = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in short)
    return f'"{seen}"'
