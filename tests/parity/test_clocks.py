"""A recorder's clock may stand wrong anywhere: every message has its verdict, the bits do not depend on how it is run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import signal_stream as ss

if TYPE_CHECKING:
    from pathlib import Path

START_NS = 1_700_000_040_000_000_000
SECOND = 1_000_000_000
UNITS = (1, 1_000_000, SECOND, 60 * SECOND, 3_600 * SECOND, 86_400 * SECOND, 365 * 86_400 * SECOND)

JUMPS = st.lists(
    st.tuples(
        st.integers(0, 199),
        st.sampled_from(UNITS),
        st.integers(-9, 9),
        st.sampled_from(["receive", "both"]),
        st.sampled_from(["line", "rest", "some"]),
    ),
    max_size=4,
)


def capture(path: Path, jumps: list[tuple[int, int, int, str, str]]) -> None:
    """Two hundred trades and best quotes a second apart, with steps of the recorder's clock, or of both clocks."""
    with path.open("w") as file:
        for i in range(200):
            receive = event = START_NS + i * SECOND
            for place, unit, steps, clocks, reach in jumps:
                if place <= i and (reach == "rest" or i < place + (1 if reach == "line" else 20)):
                    receive += unit * steps
                    event += unit * steps if clocks == "both" else 0
            receive, event = (min(max(ns, 10**18), 9 * 10**18) for ns in (receive, event))
            ms = event // 10**6
            trade = {
                "e": "trade",
                "E": ms,
                "s": "AB",
                "t": i + 1,
                "p": f"{100 + i % 7}",
                "q": "1",
                "T": ms,
                "m": False,
                "M": True,
            }
            quote = {"u": i + 1, "s": "AB", "b": "99", "B": f"{1 + i % 3}", "a": "101", "A": "2"}
            for stream, data in (("trade", trade), ("bookTicker", quote)):
                file.write(
                    f"{receive} " + json.dumps({"stream": f"ab@{stream}", "data": data}, separators=(",", ":")) + "\n"
                )


def graph(axis: str) -> ss.FeatureGraph:
    price = ss.trades.price
    return ss.FeatureGraph(
        name="g", on=ss.trades, axis=axis,  # type: ignore[arg-type]
        features={
            "price": price, "mean": price.rolling("5s").mean(), "diff": price.diff(), "close": ss.bars("1d").close,
            "mid": ss.quotes.mid(),
        },
    )  # fmt: skip


@pytest.mark.parametrize("axis", ["recv", "event"])
@settings(max_examples=25, deadline=None)
@given(jumps=JUMPS)
def test_no_clock_changes_the_bits_or_loses_a_verdict(
    tmp_path_factory: pytest.TempPathFactory, axis: str, jumps: list[tuple[int, int, int, str, str]]
) -> None:
    path = tmp_path_factory.mktemp("clock") / "clock.cap"
    capture(path, jumps)
    report = ss.parity(graph(axis), path, snapshots=20, lateness="0s" if axis == "event" else None)
    assert report.same, report.difference
    counts = report.counts
    assert counts["input"] == sum(counts[name] for name in ("accepted", "duplicate", "late", "rejected"))
    # On receive time what is held is judged already; on venue time it is judged in its turn.
    assert counts["input"] + (counts["waiting"] if axis == "event" else 0) == 400
    if axis == "recv":
        # No message is lost by its time, and those that are held at the end are fewer than a run.
        assert (counts["late"], counts["rejected"]) == (0, 0)
        assert report.vectors >= 200 - 16


@pytest.mark.parametrize("step", [-2, 3600, -3600, 400 * 86_400, -400 * 86_400])
@pytest.mark.parametrize(("reach", "until"), [("line", 51), ("some", 70), ("rest", 200)])
def test_after_a_step_of_the_clock_times_are_the_readings_again(
    tmp_path: Path, step: int, reach: str, until: int
) -> None:
    """A clock that falls is believed after a run of sixteen messages, eight seconds here; until then they happen with the last
    one before. One that leaps is believed at once if the next message agrees, else the odd one happens with the next."""
    path = tmp_path / "clock.cap"
    capture(path, [(50, SECOND, step, "receive", reach)])
    table = ss.compute(graph("recv"), path)
    found = table["ts_recv"].cast("int64").to_pylist()
    read = [START_NS + i * SECOND + (step * SECOND if 50 <= i < until else 0) for i in range(200)]
    falls = 50 if step < 0 else until
    odd = range(50, 51) if reach == "line" or step == -2 else range(falls, min(falls + 8, 200))
    assert [i for i in range(200) if found[i] != read[i]] == list(odd)
    assert {found[i] for i in odd} <= {found[51] if step > 0 and reach == "line" else found[falls - 1]}
    anew = [odd.stop] if len(odd) == 8 else []
    assert [i for i, diff in enumerate(table["diff"].to_pylist()) if diff is None] == [0, *anew], "windows begin anew"
    assert (table["price"].to_pylist(), table.num_rows) == ([100.0 + i % 7 for i in range(200)], 200)


def test_a_silence_of_any_length_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "clock.cap"
    for days in (8, 400):
        capture(path, [(100, 86_400 * SECOND, days, "both", "rest")])
        for axis, lateness in (("recv", None), ("event", "0s")):
            engine = ss.Engine(graph(axis), lateness=lateness)
            rows = sum(engine.push(batch).num_rows for batch in ss.read_tape(path))
            counts = engine.counts()
            assert rows == 200
            assert (counts["clock_steps"], counts["restarts"], counts["late"]) == (0, 0, 0)
