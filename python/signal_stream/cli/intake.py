"""What became of the input, in words: verdicts on messages, and lines that could not be used."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from signal_stream.durations import about

if TYPE_CHECKING:
    from collections.abc import Mapping

    from signal_stream.ingest import Intake


def verdicts(counts: Mapping[str, Any]) -> str:
    """The verdicts on messages as one line: they add up to the input.

    >>> verdicts({"accepted": 7, "duplicate": 1, "late": 0, "rejected": 0, "input": 8, "clock_steps": 2})
    'accepted 7 + duplicate 1 + late 0 + rejected 0 = input 8   clock_steps 2'
    >>> verdicts({"accepted": 7, "duplicate": 0, "late": 0, "rejected": 0, "conflated": 3, "input": 10})
    'accepted 7 + duplicate 0 + late 0 + rejected 0 + conflated 3 = input 10'
    """
    names = ["accepted", "duplicate", "late", "rejected", *(["conflated"] if counts.get("conflated") else [])]
    sides = (
        "amended", "amendments", "off_book", "clock_steps", "restarts", "gaps", "book_gaps", "book_mismatches",
        "book_orphans", "waiting",
    )  # fmt: skip
    text = " + ".join(f"{name} {counts[name]:,}" for name in names) + f" = input {counts['input']:,}"
    more = "   ".join(f"{name} {counts[name]:,}" for name in sides if counts.get(name))
    return f"{text}   {more}" if more else text


def goes_back(count: int, most_ns: int) -> str:
    """Says that receive times go back.

    >>> goes_back(2, 25_216_305_200).partition(": ")[0]
    'time goes back 2 times, by 25.2 s at most'
    """
    times = "once" if count == 1 else f"{count:,} times"
    most = f"by {about(most_ns)}" if count == 1 else f"by {about(most_ns)} at most"
    return f"time goes back {times}, {most}: connections that were written one after another, or a clock that was set"


def print_refused(intake: Intake, *, examples: int = 3) -> None:
    """Says on stderr how many lines were refused, why, and the first of them."""
    if intake.refused:
        print(intake.text(), file=sys.stderr)
    for line in intake.first[:examples]:
        print(f"  {line}", file=sys.stderr)
