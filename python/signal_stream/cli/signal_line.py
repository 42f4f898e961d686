"""A signal on one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from signal_stream.cli.text import line
from signal_stream.durations import utc

if TYPE_CHECKING:
    from rich.text import Text

    from signal_stream.records import SignalRecord

SHORT: Final = 8
"""Letters of an id or a digest that tell it from others, for people."""


def signal_line(signal: SignalRecord) -> Text:
    """A signal on one line, with colours for terminals that have them."""
    lineage, latency, verdict = signal.lineage, signal.latency, signal.verdict
    passed = verdict.outcome == "PASS"
    value = "–" if signal.value is None else f"{signal.value:.6g}"
    took_us = (latency.features + latency.model + latency.guards + latency.emit) / 1e3
    age = "no input yet" if lineage.data_age_ns is None else f"age {lineage.data_age_ns / 1e6:.1f} ms"
    style = ("green" if not verdict.codes else "yellow") if passed else "red"
    return line(
        (utc(lineage.ts_recv), "dim"),
        f"  {signal.instrument}  ",
        (f"{lineage.model_id}@{lineage.model_version[:SHORT]}", "cyan"),
        ("" if signal.stage in (None, "live") else f" {signal.stage}", "magenta"),
        f"  {signal.signal} {value:>10}  ",
        (" ".join((verdict.outcome, *verdict.codes)), style),
        (f"  {age}  took {took_us:.0f} µs  {signal.signal_id[:SHORT]}", "dim"),
    )
