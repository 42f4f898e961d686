"""A cross-section is the same however its members' events come: in any order within a moment, in any pieces, live or as a table,
after a restore, and for some of the members only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import signal_stream as ss
from signal_stream import bars, book, cross, trades, universe
from signal_stream.errors import GraphError

T = 1_700_000_040_000_000_000
MINUTE = 60 * 10**9
NAMES = ("DDD.BINANCE", "AAA.BINANCE", "CCC.BINANCE", "BBB.BINANCE")
CLOSE = bars("1m").close
ROWS = [
    {"id": "DDD.BINANCE", "group": "one"}, {"id": "AAA.BINANCE", "group": "two"},
    {"id": "CCC.BINANCE", "group": "one", "until": T + 9 * MINUTE}, {"id": "CCC.BINANCE", "since": T + 14 * MINUTE},
    {"id": "BBB.BINANCE", "group": "two", "since": T + 4 * MINUTE}, {"id": "EEE.BINANCE"},
]  # fmt: skip
MEMBERS = universe("members", ROWS)


def features(x: ss.Expression) -> dict[str, ss.Expression]:
    inner = cross(x, universe=MEMBERS).demean()
    return {
        "rank": cross(x).rank(), "score": cross(x, universe=MEMBERS, least=3).zscore(),
        "neutral": cross(x, universe=MEMBERS).neutralise(),
        "carried": cross(x, universe=MEMBERS, carry="3m").scale(), "window": inner.rolling(3).mean(),
        "twice": cross(inner.diff(), universe=MEMBERS).rank(), "beside": x - cross(x).median(),
    }  # fmt: skip


BARS = ss.FeatureGraph(name="bars", on=bars("1m"), features=features(CLOSE))
CLOCK = ss.FeatureGraph(name="clock", on=ss.every("30s"), features=features(trades.price.rolling("90s").mean()))


def line(name: str, number: int, price: float, t: int) -> str:
    data = {
        "e": "trade", "E": t // 10**6, "s": name.removesuffix(".BINANCE"), "t": number, "p": f"{price:.2f}", "q": "2",
        "T": t // 10**6, "m": False, "M": True,
    }  # fmt: skip
    return f"{t} " + json.dumps({"stream": "x@trade", "data": data}, separators=(",", ":")) + "\n"


def capture(path: Path, events: list[tuple[int, int, int]]) -> Path:
    """Trades (second, instrument, price), in the order given, as a capture that ends with a trade of nobody's."""
    ids = dict.fromkeys(NAMES, 0)
    lines = []
    for t, i, price in events:
        ids[NAMES[i]] += 1
        lines.append(line(NAMES[i], ids[NAMES[i]], price / 10, T + t * 10**9))
    last = max(t for t, *_ in events) // 60 + 2
    path.write_text("".join([*lines, line("ZZZ.BINANCE", 1, 1, T + last * MINUTE)]))
    return path


def plain(table: pa.Table, names: tuple[str, ...]) -> dict[tuple[str, int], tuple[Any, ...]]:
    times = table["ts_recv"].cast(pa.int64()).to_pylist()
    columns = [table[column].to_pylist() for name in names for column in (name, f"{name}.reason")]
    keys = zip(table["instrument"].to_pylist(), times, strict=True)
    return dict(zip(keys, zip(*columns, strict=True), strict=True))


EVENTS = st.lists(st.tuples(st.integers(0, 1200), st.integers(0, 3), st.integers(10, 99)), min_size=8, max_size=60)


@pytest.mark.parametrize("graph", [BARS, CLOCK], ids=["bars", "clock"])
@settings(max_examples=25, deadline=None)
@given(events=EVENTS, cut=st.integers(1, 70), order=st.permutations(range(4)))
def test_pieces_restores_and_names_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory,
    graph: ss.FeatureGraph,
    events: list[tuple[int, int, int]],
    cut: int,
    order: list[int],
) -> None:
    folder = tmp_path_factory.mktemp("cross")
    path = capture(folder / "day.cap", sorted(events))
    whole = ss.compute(graph, path, reasons=True)
    wanted = plain(whole, graph.features)
    batches = [batch.slice(k, k + 1) for batch in ss.read_tape(path) for k in range(batch.messages)]
    engine, found = ss.Engine(graph), []
    for n, batch in enumerate(batches):
        if n == cut:
            engine = ss.Engine.restore(graph, engine.snapshot(), like=engine)
        found.append(engine.push(batch, reasons=True))
    assert plain(pa.Table.from_batches(found), graph.features) == wanted
    # Events of one moment in another order: those of a bar that ends then, and of a tick.
    turned = sorted(events, key=lambda event: (event[0], order[event[1]], event[2]))
    other = capture(folder / "other.cap", turned)
    assert plain(ss.compute(graph, other, reasons=True), graph.features) == wanted


def test_members_are_evaluated_whose_vectors_nobody_wants(tmp_path: Path) -> None:
    events = [(7 * k, k % 4, 10 + (k * k) % 61) for k in range(170)]
    path = capture(tmp_path / "day.cap", events)
    graph = ss.FeatureGraph(name="g", on=bars("1m"), features={"rank": cross(CLOSE, universe=MEMBERS).rank()})
    all_of_them = plain(ss.compute(graph, path, reasons=True), graph.features)
    one = plain(ss.compute(graph, path, instruments=["AAA.BINANCE"], reasons=True), graph.features)
    assert one == {key: row for key, row in all_of_them.items() if key[0] == "AAA.BINANCE"}
    assert len(one) > 15
    outside = {row for key, row in all_of_them.items() if key[0] == "ZZZ.BINANCE"}
    assert outside <= {(None, "NOT_MEMBER")}
    between = [
        row for (name, t), row in all_of_them.items() if name == "CCC.BINANCE" and T + 9 * MINUTE <= t < T + 14 * MINUTE
    ]
    assert set(between) == {(None, "NOT_MEMBER")}


def test_a_frozen_member_is_left_out_once_it_is_stale(tmp_path: Path) -> None:
    events = [(10 * k, i, 100 + 5 * i + k) for k in range(60) for i in range(4) if not (i == 2 and k >= 20)]
    fresh = trades.price.max_age("30s")
    graph = ss.FeatureGraph(
        name="g",
        on=ss.every("10s"),
        features={"count": cross(fresh, least=3).count(), "rank": cross(fresh, least=3).rank()},
    )
    found = plain(
        ss.compute(graph, capture(tmp_path / "day.cap", events), instruments=list(NAMES), reasons=True), graph.features
    )
    at = {k: found[NAMES[0], T + 10 * k * 10**9] for k in range(2, 60)}
    assert {k: row[0] for k, row in at.items()} == {k: 4.0 if k <= 22 else 3.0 for k in at}
    assert found[NAMES[2], T + 300 * 10**9] == (None, "STALE", None, "STALE")


def test_a_table_of_bars_is_what_live_makes(tmp_path: Path) -> None:
    events = [(60 * minute, i, 100 + (minute * 7 + i * i * 3) % 23) for minute in range(30) for i in range(4)]
    live = plain(
        ss.compute(BARS, capture(tmp_path / "day.cap", events), instruments=list(NAMES), reasons=True), BARS.features
    )
    for turn in (1, -1):
        rows = sorted(events, key=lambda event: (event[0] // 60, turn * event[1]))
        table = pa.table({
            "instrument": [NAMES[i] for _, i, _ in rows], "ts_open": [T + t // 60 * MINUTE for t, *_ in rows],
            "close": [price / 10 for *_, price in rows], "volume": [2.0] * len(rows),
        })  # fmt: skip
        found = plain(ss.compute(BARS, table, reasons=True), BARS.features)
        assert len(found) == 120
        assert found == {key: live[key] for key in found}
    assert ss.parity(BARS, table).same


def test_late_members_are_waited_for_on_venue_time() -> None:
    graph = ss.FeatureGraph(name="g", on=ss.every("10s"), axis="event", features={"rank": cross(trades.price).rank()})
    rows = [(10 * k + i, i, 1.0 * ((k * 3 + i) % 7)) for k in range(12) for i in range(4)]

    def heard(delays: tuple[int, ...]) -> dict[tuple[str, int], tuple[Any, ...]]:
        came = sorted((t + delays[i], t, i, price) for t, i, price in rows)
        table = pa.table({
            "instrument": [NAMES[i] for _, _, i, _ in came], "ts_event": [T + t * 10**9 for _, t, *_ in came],
            "ts_recv": [T + at * 10**9 for at, *_ in came], "price": [p for *_, p in came], "qty": [1.0] * len(came),
        })  # fmt: skip
        return plain(ss.compute(graph, table, lateness="5s", reasons=True).drop_columns("ts_recv").rename_columns(
            {"ts_event": "ts_recv"}), graph.features)  # fmt: skip

    first, second = heard((0, 0, 0, 0)), heard((4, 0, 3, 1))
    assert len(first) > 30
    assert first == second


def test_what_has_no_shared_moment_is_refused() -> None:
    for on in (trades, book, bars(ticks=10)):
        with pytest.raises(GraphError, match=r"every\(\.\.\.\) or on bars of time") as caught:
            ss.FeatureGraph(name="g", on=on, features={"rank": cross(trades.price).rank()})
        assert caught.value.code == "DOMAIN"
    other = universe("members", ["A.X"])
    with pytest.raises(GraphError, match="two universes with different members"):
        ss.FeatureGraph(
            name="g", on=ss.every("1s"),
            features={"a": cross(trades.price, universe=MEMBERS).rank(), "b": cross(trades.price, universe=other).rank()},
        )  # fmt: skip
    for members, message in [
        ([], "0 members"), ([{"id": "A.X", "sinc": 1}], 'Did you mean "since"'), ([7], "is no text"),
        ([{"id": "A.X", "since": "soon"}], "a time such as"), ("A.X", "Give ids"),
    ]:  # fmt: skip
        with pytest.raises(GraphError, match=message):
            universe("u", members)  # type: ignore[arg-type]
    with pytest.raises(GraphError, match=r"clip is -1\. Give a number above 0"):
        ss.FeatureGraph(name="g", on=ss.every("1s"), features={"a": cross(trades.price).robust_zscore(clip=-1)})
    with pytest.raises(GraphError, match=r"needs a function: cross\(trades\.price\)\.rank\(\)"):
        ss.FeatureGraph(name="g", on=ss.every("1s"), features={"a": cross(trades.price)})
    with pytest.raises(GraphError, match=r'"ranks" on a cross-section'):
        cross(trades.price).ranks()
    with pytest.raises(GraphError, match="twice at the same time"):
        doubled = universe("u", [{"id": "A.X"}, {"id": "A.X", "since": 5}])
        ss.FeatureGraph(name="g", on=ss.every("1s"), features={"a": cross(trades.price, universe=doubled).rank()})


def test_members_are_part_of_the_digest() -> None:
    def digest(rows: list[dict[str, Any]]) -> str:
        of = universe("u", rows)
        return ss.FeatureGraph(name="g", on=bars("1m"), features={"r": cross(CLOSE, universe=of).rank()}).digest

    assert digest([{"id": "A.X"}, {"id": "B.X"}]) == digest([{"id": "B.X"}, {"id": "A.X"}])
    assert len({digest([{"id": "A.X", **more}]) for more in ({}, {"group": "g"}, {"since": 1}, {"until": 9})}) == 4
