"""In silence the clock goes on by marks: what waits on venue time is given after the lateness and a tick, not later."""

from __future__ import annotations

import pytest

import signal_stream as ss
from signal_stream import trades
from signal_stream.ingest import Trade, trades_batch
from signal_stream.serve import silence
from signal_stream.settings import SourceSettings

SECOND = 1_000_000_000
BEGUN = 1_700_000_000 * SECOND


@pytest.mark.parametrize("lateness_s", [0, 3, 60])
def test_what_waits_is_given_after_the_lateness_and_a_tick(monkeypatch: pytest.MonkeyPatch, lateness_s: int) -> None:
    now = [5 * SECOND]
    monkeypatch.setattr(silence.time, "monotonic_ns", lambda: now[0])
    monkeypatch.setattr(silence.time, "time_ns", lambda: BEGUN + now[0])
    settings = SourceSettings.read({"lateness": f"{lateness_s}s", "late": "drop"})
    heard = silence.Silence(settings, wall_within_ns=float("inf"))
    graph = ss.FeatureGraph(name="g", on=trades, axis="event", features={"price": trades.price})
    engine = ss.Engine(graph, lateness=f"{lateness_s}s")
    # The venue's clock stands two seconds before ours.
    ts = BEGUN + now[0]
    batch = trades_batch("A.X", [Trade(ts, "100", "1", "buy", ts_event=ts - 2 * SECOND, id=1)])
    heard.heard(batch)
    given, marks = engine.push(batch).num_rows, 0
    while given == 0:
        assert now[0] <= (5 + lateness_s + 3) * SECOND, "later than the lateness and a tick"
        now[0] += SECOND // 10
        mark = heard.mark()
        if mark is not None:
            marks += 1
            given = engine.push(mark).num_rows
    assert given == 1
    waited = now[0] - 5 * SECOND
    assert waited >= lateness_s * SECOND, "never before the lateness"
    assert lateness_s == 0 or marks >= lateness_s - 1
