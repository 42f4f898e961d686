"""The demo's last words: what went in, what came out, what it took, and whether the numbers add up."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from signal_stream.errors import CommandError

if TYPE_CHECKING:
    from signal_stream.demo.story import Story
    from signal_stream.store import Status


def check(status: Status, story: Story) -> None:
    """Raises CommandError unless the pipeline's own counts are those of its journal.

    One signal a vector, every verdict and code as often as it stands in the journal, no pass after the kill.
    """
    outcomes = Counter(signal.verdict.outcome for signal in story.signals)
    codes = Counter(code for signal in story.signals for code in signal.verdict.codes)
    wrong = [
        f"{what}: the pipeline says {said}, its journal {found}"
        for what, said, found in (
            ("vectors", status.vectors, len(story.signals)),
            ("signals", dict(status.signals), dict(outcomes)),
            ("codes", dict(status.codes), dict(codes)),
            ("signals that passed after the kill", 0, story.passed_after_kill),
        )
        if said != found
    ]
    if wrong:
        raise CommandError("STEP", "; ".join(wrong))


def details(status: Status, story: Story) -> list[tuple[str, str]]:
    """The closing table's rows: a name, and the numbers."""
    counts = status.counts
    reasons = story.reasons
    passed = reasons.pop("PASS", 0)
    vetoes = ", ".join(f"{code} {number:,}" for code, number in reasons.items())
    total = sum(reasons.values())
    parts = " + ".join(f"{name} {counts[name]:,}" for name in ("accepted", "duplicate", "late", "rejected"))
    return [
        ("events", f"{counts['input']:,} = {parts}   gaps {counts['gaps']:,}"),
        ("vectors", f"{status.vectors:,}, and one signal for each"),
        ("signals", f"{len(story.signals):,} = PASS {passed:,} + VETO {total:,}"),
        ("vetoes", vetoes or "none"),
        ("after the kill", f"PASS {story.passed_after_kill}, VETO KILLED {reasons.get('KILLED', 0):,}"),
    ]
