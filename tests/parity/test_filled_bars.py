"""Bars that trades fill: the same bits in batch, live, replayed and restored, from a table and from a tape, on either axis."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import signal_stream as ss
from signal_stream import _core, bars, book, trades

KINDS = {
    "ticks": bars(ticks=50),
    "volume": bars(volume=50_000),
    "notional": bars(notional=3e9),
    "divided": bars(volume=20_000, split="divide"),
    "imbalance": bars(ticks=50, rule="imbalance"),
    "run": bars(volume=50_000, rule="run", span=5),
}


def features(**more: ss.Expression) -> dict[str, ss.Expression]:
    found: dict[str, ss.Expression] = {}
    for name, kind in KINDS.items():
        found |= {
            f"{name}_close": kind.close,
            f"{name}_vwap": kind.vwap,
            f"{name}_buys": (kind.buy_volume / kind.volume).rolling(10).mean(),
            f"{name}_step": kind.close.log().diff().rolling("10m").std(),
            f"{name}_ewm": kind.trades.ewm(span=5).mean(),
        }
    return found | more


ON = {
    "trades": trades,
    "clock": ss.every("1s"),
    "divided": bars(volume=20_000, split="divide"),
    "minute": bars("1m"),
}


@pytest.fixture(scope="module")
def day(deribit: Path) -> pa.Table:
    raw = pd.read_csv(deribit).iloc[:8000]
    return pa.table(
        {
            "ts_event": pa.array((raw["timestamp"] * 10**6).to_numpy(), pa.timestamp("ns", tz="UTC")),
            "price": raw["price"].to_numpy(),
            "qty": raw["volume"].abs().to_numpy(),
            "side": np.sign(raw["volume"]).to_numpy(),
        }
    )


OPTIONS = {"latency": "5ms", "instrument": "BTC-PERPETUAL.DERIBIT"}


@pytest.fixture(scope="module")
def tape(day: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tape") / "day.parquet"
    writer = _core.TapeWriter(str(path))
    for batch in ss.read_table(day, kind="trades", **OPTIONS):
        writer.write(batch)
    writer.finish()
    return path


@pytest.mark.parametrize("axis", ["recv", "event"])
@pytest.mark.parametrize("on", list(ON))
def test_the_same_bits_however_it_is_run(day: pa.Table, tape: Path, on: str, axis: str) -> None:
    graph = ss.FeatureGraph(name="filled", on=ON[on], axis=axis, features=features(minute=bars("1m").close))
    lateness = {"lateness": "0s"} if axis == "event" else {}
    report = ss.parity(graph, tape, snapshots=20, **lateness)
    assert report.same, report.difference
    assert report.vectors > 50
    research = ss.compute(graph, day, reasons=True, **OPTIONS, **lateness)
    replayed = ss.compute(graph, tape, reasons=True, **lateness).slice(0, research.num_rows)
    assert replayed.num_rows == research.num_rows
    for name in graph.features:
        assert research[name].equals(replayed[name]), name
        assert research[f"{name}.reason"].to_pylist() == replayed[f"{name}.reason"].to_pylist(), name
    valid = research.num_rows - research["imbalance_ewm"].null_count
    assert valid > 20


def test_bars_beside_a_book_have_the_same_bits_however_it_is_run(spot: Path) -> None:
    kind, other = bars(volume=0.5), ss.instrument("BTCUSDT.BINANCE").bars(ticks=20, rule="run")
    graph = ss.FeatureGraph(
        name="beside", on=book,
        features={"gap": kind.vwap - book.mid(), "age": kind.close.age(), "theirs": other.close.rolling(3).mean()},
    )  # fmt: skip
    report = ss.parity(graph, spot, snapshots=20)
    assert report.same, report.difference


def test_a_bar_is_known_at_the_trade_that_ends_it(day: pa.Table) -> None:
    graph = ss.FeatureGraph(
        name="known", on=trades, features={"own": trades.price, "bar": bars(ticks=1).close, "two": bars(ticks=2).close}
    )
    found = ss.compute(graph, day, **OPTIONS)
    assert found["own"].equals(found["bar"])
    assert found["two"].to_pylist()[1::2] == found["own"].to_pylist()[1::2]
    assert found["two"].to_pylist()[2::2] == found["own"].to_pylist()[1:-1:2]


def test_an_input_is_as_old_as_its_newest_trade(day: pa.Table) -> None:
    """A guard on age must not veto because a bar takes its time: what fills it is fresh."""
    engine = ss.Engine(ss.FeatureGraph(name="age", on=trades, features={"bar": bars(ticks=5000).close}))
    ages: list[int | None] = []
    for batch in ss.read_table(day.slice(0, 6000), kind="trades", **OPTIONS):
        for vectors in engine.push_vectors(batch):
            ages += [vectors.row(i).age_recv_ns for i in range(len(vectors))]
    assert set(ages[5000:]) == {0}
