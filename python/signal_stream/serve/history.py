"""The history that a pipeline reads before its live source: what is said when the one follows the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from signal_stream.durations import ago, utc

if TYPE_CHECKING:
    from collections.abc import Mapping

IN_HISTORY: Final = 1 << 62
"""Above every offset of a tape: the vectors of a history have no signals, however long it is."""
_NAMED: Final = 3


def handover_text(found: Mapping[str, Any]) -> str:
    """What became of a history, from the counts of its source, in one sentence.

    >>> found = {"messages": 59, "ends": 10**9, "begins": 3 * 10**9, "overlap": 0, "missing": 0, "lacking": []}
    >>> print(handover_text(found).replace("; ", "\\n"))
    59 messages up to 1970-01-01T00:00:01.000Z
    live from 1970-01-01T00:00:03.000Z, 2.0 s later
    no id is missing between
    >>> found |= {"overlap": 20, "missing": 4, "lacking": [{"instrument": "AB.X", "kind": "trade", "missing": 4}]}
    >>> print(handover_text(found).split("; ", 2)[2])
    20 were in both; 4 ids are missing between: AB.X trade 4
    """
    if found["ends"] is None:
        return "no messages"
    parts = [f"{found['messages']:,} messages up to {utc(found['ends'])}"]
    if found["begins"] is not None:
        apart = found["begins"] - found["ends"]
        later = f", {ago(apart)} later" if apart > 0 else ""
        parts.append(f"live from {utc(found['begins'])}{later}")
    if found["overlap"]:
        parts.append(f"{found['overlap']:,} were in both")
    if not found["missing"]:
        return "; ".join([*parts, "no id is missing between"])
    lacking = found["lacking"]
    named = ", ".join(f"{each['instrument']} {each['kind']} {each['missing']:,}" for each in lacking[:_NAMED])
    more = f" and {len(lacking) - _NAMED} more streams" if len(lacking) > _NAMED else ""
    return "; ".join([*parts, f"{found['missing']:,} ids are missing between: {named}{more}"])
