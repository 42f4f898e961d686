"""Tables of several instruments, of venue time, and with holes give what a capture of the same events gives."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import signal_stream as ss
from signal_stream import bars, trades
from signal_stream.errors import DataError

T = 1_700_000_040_000_000_000
MINUTE = 60 * 10**9
NAMES = ("AAA", "BBB", "CCC")


def line(name: str, number: int, price: float, happened: int, received: int) -> str:
    data = {
        "e": "trade", "E": happened // 10**6, "s": name, "t": number, "p": f"{price:.2f}", "q": "2",
        "T": happened // 10**6, "m": False, "M": True,
    }  # fmt: skip
    return f"{received} " + json.dumps({"stream": "x@trade", "data": data}, separators=(",", ":")) + "\n"


def plain(table: pa.Table, features: Sequence[str]) -> dict[tuple[str, int], tuple[Any, ...]]:
    """Each vector's values with their reasons, by instrument and time."""
    names = [column for feature in features for column in (feature, f"{feature}.reason")]
    times = table["ts_recv"].cast(pa.int64()).to_pylist()
    rows = zip(*(table[name].to_pylist() for name in names), strict=True)
    instruments = [name.removesuffix(".BINANCE") for name in table["instrument"].to_pylist()]
    return dict(zip(zip(instruments, times, strict=True), rows, strict=True))


@settings(max_examples=25, deadline=None)
@given(
    prices=st.lists(st.tuples(st.integers(2, 30), st.integers(0, 2), st.integers(100, 999)), min_size=1, max_size=60),
    cut=st.integers(1, 40),
)
def test_bars_of_a_table_are_those_that_live_makes(
    tmp_path_factory: pytest.TempPathFactory, prices: list[tuple[int, int, int]], cut: int
) -> None:
    """Trades as a capture, and the bars that an exchange publishes of them: it leaves out minutes without trades."""
    folder = tmp_path_factory.mktemp("bars")
    prices = sorted({(minute, i): (minute, i, price) for minute, i, price in prices}.values())
    first = [(minute, i, 100 + minute) for minute in (0, 1) for i in range(3)]
    ids = [0, 0, 0]
    lines = []
    for minute, i, price in first + prices:
        ids[i] += 1
        lines.append(line(NAMES[i], ids[i], price / 10, T + minute * MINUTE, T + minute * MINUTE))
    last = max(m for m, *_ in first + prices)
    end = [line("ZZZ", 1, 1, T + (last + 1) * MINUTE, T + (last + 1) * MINUTE)]
    (folder / "day.cap").write_text("".join(lines + end))
    close = bars("1m").close
    graph = ss.FeatureGraph(
        name="g", on=bars("1m"),
        features={
            "close": close, "step": close.diff(), "sum": bars("1m").volume.rolling(3).sum(),
            "lead": close - ss.instrument("BBB.BINANCE").bars("1m").close,
        },
    )  # fmt: skip
    live = ss.compute(graph, str(folder / "day.cap"), instruments=[f"{name}.BINANCE" for name in NAMES], reasons=True)
    rows = first + prices
    table = pa.table({
        "instrument": [f"{NAMES[i]}.BINANCE" for _, i, _ in rows], "ts_open": [T + m * MINUTE for m, *_ in rows],
        "close": [price / 10 for *_, price in rows], "volume": [2.0] * len(rows),
    })  # fmt: skip
    pieces = pa.Table.from_batches([b for k in range(0, len(rows), cut) for b in table.slice(k, cut).to_batches()])
    names = list(graph.features)
    found, wanted = (plain(table, names) for table in (ss.compute(graph, pieces, reasons=True), live))
    # Which bars of the last moment are missing, a table cannot tell.
    newest = max(time for _, time in wanted)
    assert {key: found[key] for key in found if key[1] < newest} == {
        key: wanted[key] for key in wanted if key[1] < newest
    }
    assert ss.parity(graph, pieces).same


@settings(max_examples=25, deadline=None)
@given(
    events=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 1), st.integers(0, 60)), min_size=2, max_size=50),
    lateness=st.sampled_from(["0s", "1s", "5s", "1m"]),
    cut=st.integers(1, 50),
)
def test_a_table_on_venue_time_gives_what_a_capture_gives(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[int, int, int]], lateness: str, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("venue")
    happened = sorted({(t, i): (t, i, delay) for t, i, delay in events}.values())
    numbered = [(t, i, delay, k + 1) for k, (t, i, delay) in enumerate(happened)]
    arrived = sorted(numbered, key=lambda event: (event[0] + event[2], event[3]))
    at = [(T + t * 10**8, T + (t + delay) * 10**8) for t, _, delay, _ in arrived]
    # Ids of a capture say what is missing; a table has none. So each trade is its own instrument's next.
    counts: dict[int, int] = {}
    ids = {}
    for _, i, _, number in numbered:
        counts[i] = counts.get(i, 0) + 1
        ids[number] = counts[i]
    (folder / "venue.cap").write_text("".join(
        line(NAMES[i], ids[number], 100 + number, *times) for (_, i, _, number), times in zip(arrived, at, strict=True)
    ))  # fmt: skip
    graph = ss.FeatureGraph(
        name="g", on=trades, axis="event",
        features={"p": trades.price, "sum": trades.price.rolling("3s").sum(), "step": trades.price.shift(1)},
    )  # fmt: skip
    live = ss.compute(graph, str(folder / "venue.cap"), lateness=lateness, reasons=True)
    if any("GAP" in live[f"{name}.reason"].to_pylist() for name in graph.features):
        return  # a late trade is missing by its id, which a table cannot tell
    table = pa.table({
        "instrument": [NAMES[i] for _, i, *_ in arrived], "ts_event": [t for t, _ in at], "ts_recv": [t for _, t in at],
        "price": [100.0 + number for *_, number in arrived], "qty": [2.0] * len(arrived),
    })  # fmt: skip
    pieces = pa.Table.from_batches([b for k in range(0, len(at), cut) for b in table.slice(k, cut).to_batches()])
    found = ss.compute(graph, pieces, lateness=lateness, reasons=True)
    for name in ("ts_event", "ts_recv", *graph.features, *(f"{feature}.reason" for feature in graph.features)):
        assert found[name].to_pylist() == live[name].to_pylist(), name


def test_rows_out_of_venue_order_need_a_lateness() -> None:
    table = pa.table({
        "ts_event": [T, T + 2 * 10**9, T + 10**9], "ts_recv": [T + 5 * 10**9] * 3, "price": [1.0] * 3, "qty": [1.0] * 3,
    })  # fmt: skip
    graph = ss.FeatureGraph(name="g", on=trades, axis="event", features={"p": trades.price})
    with pytest.raises(DataError, match="1 rows lie before others in venue time"):
        ss.compute(graph, table)
    assert ss.compute(graph, table, lateness="1s").num_rows >= 2


@pytest.mark.parametrize("days", [0.5, 30])
def test_a_clock_over_a_hole_comes_in_pieces(tmp_path: Path, days: float) -> None:
    hole = round(days * 86_400) * 10**9
    graph = ss.FeatureGraph(name="g", on=ss.every("1s"), features={"p": trades.price})
    table = pa.table({"ts_recv": [T, T + hole], "price": [1.0, 2.0], "qty": [1.0, 1.0]})
    (tmp_path / "hole.cap").write_text(line("AAA", 1, 1, T, T) + line("AAA", 2, 2, T + hole, T + hole))
    for data in (table, str(tmp_path / "hole.cap")):
        if data is not table and days > 7:
            continue  # how far time may jump at once, the sequencer's rules say
        sizes = [batch.num_rows for batch in ss.compute(graph, data, batches=True)]
        assert sum(sizes) == hole // 10**9
        assert max(sizes) <= 262_144 + 1


def test_a_hole_may_be_declared_to_be_none() -> None:
    table = pa.table({"ts_open": [T, T + MINUTE, T + 4 * MINUTE], "close": [1.0, 2.0, 4.0]})
    graph = ss.FeatureGraph(name="g", on=bars("1m"), features={"step": bars("1m").close.diff()})
    assert ss.compute(graph, table)["step"].to_pylist() == [None, 1.0, None, None, None]
    assert ss.compute(graph, table, missing_bars="skip")["step"].to_pylist() == [None, 1.0, 2.0]
    with pytest.raises(DataError, match=r'missing_bars is "maybe"'):
        ss.compute(graph, table, missing_bars="maybe")
    week = pa.table(
        {"ts_open": [T - T % (86_400 * 10**9) + d * 86_400 * 10**9 for d in (0, 1, 4)], "close": [1.0, 2.0, 4.0]}
    )
    daily = ss.FeatureGraph(name="d", on=bars("1d"), features={"step": bars("1d").close.diff()})
    assert ss.compute(daily, week)["step"].to_pylist() == [None, 1.0, 2.0]
    assert ss.compute(daily, week, missing_bars="empty")["step"].to_pylist() == [None, 1.0, None, None, None]


@pytest.mark.parametrize(
    "change", ["none", "negative volume", "null", "hole", "twice", "back", "all back", "not a number"]
)
@pytest.mark.parametrize("row", [700, 768, 1023])
def test_rows_that_go_on_are_checked_like_all_others(change: str, row: int) -> None:
    """Pieces of 256 rows, as live: what is wrong in one is said of the row, and what is right has the bits of the whole."""
    opens = [T + MINUTE * i for i in range(1024)]
    volume: list[float | None] = [1.0 + i % 5 for i in range(1024)]
    close = [100.0 + i % 7 for i in range(1024)]
    if change == "negative volume":
        volume[row] = -1.0
    elif change == "null":
        volume[row] = None
    elif change == "not a number":
        close[row] = float("nan")
    elif change == "hole":
        opens[row:] = [t + 2 * MINUTE for t in opens[row:]]
    elif change == "twice":
        opens[row] = opens[row - 1]
    elif change == "all back":
        opens[row:] = [t - 3 * MINUTE for t in opens[row:]]
    elif change == "back":
        opens[row] = opens[row - 2]
    table = pa.table({"ts_open": pa.array(opens, pa.int64()), "close": close, "volume": volume})
    bar = bars("1m")
    mean, total = bar.close.rolling(5).mean(), bar.volume.rolling(3).sum()
    graph = ss.FeatureGraph(name="g", on=bar, features={"step": bar.close.diff(), "mean": mean, "sum": total})

    def run(data: pa.Table) -> Any:
        try:
            return plain(ss.compute(graph, data, reasons=True), list(graph.features))
        except DataError as error:
            return str(error)

    whole = run(table)
    pieces = pa.Table.from_batches([b for k in range(0, 1024, 256) for b in table.slice(k, 256).to_batches()])
    assert run(pieces) == whole
    if change in ("negative volume", "twice", "back", "all back"):
        assert f"row {row + 1:,}" in whole
    else:
        assert len(whole) == 1024 + 2 * (change == "hole")


def without_a_time(rows: pa.Table) -> pa.Table:
    """Row 7 has no opening, though the right one lies under the null."""
    opens = pa.array(np.array(rows["ts_open"]), mask=np.arange(rows.num_rows) == 7)
    return rows.set_column(0, "ts_open", opens)


CHANGES: dict[str, tuple[Callable[[pa.Table], pa.Table], str]] = {
    "renamed": (lambda rows: rows.rename_columns(["ts_open", "volume", "close"]), '"close" is not where it was'),
    "moved": (lambda rows: rows.select(["volume", "close", "ts_open"]), '"ts_open" is not where it was'),
    "gone": (lambda rows: rows.rename_columns(["ts_open", "close", "vol"]), '"volume" is not where it was'),
    "another unit": (
        lambda rows: rows.set_column(0, "ts_open", pa.array(np.array(rows["ts_open"]) // 10**6, pa.int64())),
        "the unit of time changes",
    ),
    "no time": (without_a_time, "1 row has no time"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_bars_that_go_on_are_of_the_same_columns(change: str) -> None:
    """What the core looks at once, in place of all checks of a table, is refused as by them."""
    n = 512
    table = pa.table({
        "ts_open": pa.array([T + MINUTE * i for i in range(n)], pa.int64()), "close": [100.0 + i % 7 for i in range(n)],
        "volume": [1.0 + i % 5 for i in range(n)],
    })  # fmt: skip
    bar = bars("1m")
    graph = ss.FeatureGraph(name="g", on=bar, features={"step": bar.close.diff(), "sum": bar.volume.rolling(3).sum()})
    engine = ss.Engine(graph)
    engine.push(table.slice(0, 256))
    changed, said = CHANGES[change]
    with pytest.raises(DataError, match=said):
        engine.push(changed(table.slice(256)))


@pytest.mark.parametrize("row", [0, 127, 128, 255])
def test_a_piece_that_is_refused_leaves_the_engine_as_it_was(row: int) -> None:
    n = 512
    table = pa.table({
        "ts_open": pa.array([T + MINUTE * i for i in range(n)], pa.int64()), "volume": [1.0 + i % 5 for i in range(n)],
    })  # fmt: skip
    bar = bars("1m")
    graph = ss.FeatureGraph(name="g", on=bar, features={"sum": bar.volume.rolling(3).sum()})
    engine = ss.Engine(graph)
    engine.push(table.slice(0, 256))
    rest = table.slice(256)
    negative = [-1.0 if i == row else volume for i, volume in enumerate(rest["volume"].to_pylist())]
    with pytest.raises(DataError, match=f"row {257 + row}"):
        engine.push(rest.set_column(1, "volume", pa.array(negative)))
    assert engine.push(rest)["sum"].to_pylist() == ss.compute(graph, table)["sum"].to_pylist()[256:]


def test_a_missing_bar_comes_in_its_turn_where_a_piece_has_rows_of_another_instrument_alone() -> None:
    graph = ss.FeatureGraph(name="g", on=bars("1m"), features={"close": bars("1m").close})
    rows = [("BBB", 0), ("AAA", 1), ("AAA", 2), ("AAA", 3), ("BBB", 4)]
    table = pa.table({
        "ts_open": [T + minute * MINUTE for _, minute in rows], "instrument": [name for name, _ in rows],
        "close": [1.0, 2.0, 3.0, 4.0, 5.0],
    })  # fmt: skip
    whole = ss.compute(graph, table)
    assert whole["ts_recv"].to_pylist() == sorted(whole["ts_recv"].to_pylist())
    for at in range(1, 5):
        assert ss.compute(graph, pa.concat_tables([table.slice(0, at), table.slice(at)])).equals(whole), at
