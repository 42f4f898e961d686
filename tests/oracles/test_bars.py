"""Bars of a day of real trades, against pandas and, where bars follow what is expected, against a naive second program.

Many of the day's trades share a moment, and some are exact copies of another: each is a fill, and each counts.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import signal_stream as ss

NAME = "BTC-PERPETUAL.DERIBIT"
FIELDS = ("open", "high", "low", "close", "volume", "vwap", "trades", "buy_volume")
EXACT = ("open", "high", "low", "close", "trades")


@pytest.fixture(scope="module")
def day(deribit: Path) -> pd.DataFrame:
    raw = pd.read_csv(deribit)
    return pd.DataFrame(
        {
            "t": pd.to_datetime(raw["timestamp"], unit="ms", utc=True).dt.as_unit("ns"),
            "price": raw["price"],
            "qty": raw["volume"].abs(),
            "side": np.sign(raw["volume"]),
        }
    )


def bars_of(stream: Any, day: pd.DataFrame) -> pd.DataFrame:
    """Every bar that the engine makes of the trades, valid or not."""
    graph = ss.FeatureGraph(name="bars", on=stream, features={name: getattr(stream, name) for name in FIELDS})
    table = pa.Table.from_pandas(day, preserve_index=False)
    found = ss.compute(graph, table, columns={"ts_recv": "t"}, instrument=NAME, reasons=True)
    return found.to_pandas()


def aggregated(parts: pd.DataFrame) -> pd.DataFrame:
    """Bars by their label in `bar`: pandas' own sums."""
    parts = parts.assign(money=parts["price"] * parts["qty"], bought=parts["qty"].where(parts["side"] > 0, 0.0))
    grouped = parts.groupby("bar", sort=True)
    bars = grouped.agg(
        t=("t", "last"), open=("price", "first"), high=("price", "max"), low=("price", "min"), close=("price", "last"),
        volume=("qty", "sum"), trades=("price", "size"), buy_volume=("bought", "sum"), money=("money", "sum"),
    )  # fmt: skip
    return bars.assign(vwap=bars["money"] / bars["volume"])


def compare(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert len(found) == len(expected) > 20
    assert (found["ts_recv"].to_numpy() == expected["t"].to_numpy()).all()
    for name in FIELDS:
        x, y = found[name].to_numpy(), expected[name].to_numpy(np.float64)
        if name in EXACT:
            assert np.array_equal(x, y, equal_nan=True), name
        else:
            np.testing.assert_allclose(x, y, rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("length", ["10s", "1m", "15m"])
def test_bars_of_time(day: pd.DataFrame, length: str) -> None:
    found = bars_of(ss.bars(length), day)
    step = pd.Timedelta(length)
    expected = aggregated(day.assign(bar=day["t"].dt.floor(step)))
    # A bar without trades is one; the first was not seen from its start, and nothing shows that the last has ended.
    every = pd.date_range(expected.index[0], expected.index[-1], freq=step, inclusive="left")
    expected = expected.reindex(every)
    expected["t"] = expected.index + step
    expected[["volume", "trades", "buy_volume"]] = expected[["volume", "trades", "buy_volume"]].fillna(0.0)
    assert found["close.reason"].iloc[0] == "WARMUP"
    empty = expected["close"].isna().to_numpy()
    assert (found["close.reason"].to_numpy()[1:][empty[1:]] == "EMPTY").all()
    compare(found.iloc[1:], expected.iloc[1:])


def billionths(x: pd.Series) -> list[int]:
    return [int(each) for each in np.rint(x.to_numpy() * 1e9)]


def measured(day: pd.DataFrame, measure: str) -> tuple[list[int], int]:
    """What each trade counts, and how many of it make one of the measure."""
    if measure == "ticks":
        return [1] * len(day), 1
    return billionths(day["qty"] if measure == "volume" else day["price"] * day["qty"]), 10**9


MEASURES = [("ticks", 1), ("ticks", 7), ("ticks", 500), ("volume", 100_000), ("volume", 12_345.5), ("notional", 1e10)]


@pytest.mark.parametrize(("measure", "amount"), MEASURES)
def test_bars_that_whole_trades_fill(day: pd.DataFrame, measure: str, amount: float) -> None:
    found = bars_of(ss.bars(**{measure: amount}), day)
    counts, unit = measured(day, measure)
    sums, full = list(accumulate(counts)), int(amount * unit)
    label, begin, number = np.full(len(day), -1), 0, 0
    while True:
        end = bisect_left(sums, (sums[begin - 1] if begin else 0) + full)
        if end >= len(day):
            break
        label[begin : end + 1] = number
        begin, number = end + 1, number + 1
        if begin >= len(day):
            break
    expected = aggregated(day.assign(bar=label)[label >= 0])
    compare(found, expected)


@pytest.mark.parametrize(("measure", "amount"), [("volume", 100_000), ("volume", 3_000), ("notional", 1e10)])
def test_bars_that_divide_trades(day: pd.DataFrame, measure: str, amount: float) -> None:
    found = bars_of(ss.bars(**{measure: amount}, split="divide"), day)
    counts, unit = measured(day, measure)
    full = int(amount * unit)
    rows, after = [], 0
    for row, count in enumerate(counts):
        before, after = after, after + count
        for bar in range(before // full, (after - 1) // full + 1):
            part = min(after, (bar + 1) * full) - max(before, bar * full)
            rows.append((row, bar, part / count))
    places, labels, shares = zip(*rows, strict=True)
    parts = day.iloc[list(places)].assign(bar=labels, share=shares)
    parts["qty"] *= parts["share"]
    expected = aggregated(parts[parts["bar"] < after // full])
    if measure == "volume":
        assert (found["volume"] == amount).all()
    compare(found, expected)


def naive(day: pd.DataFrame, measure: str, amount: float, rule: str, span: int) -> list[tuple[int, int]]:
    """Bars of López de Prado (2018), 2.3.2, as first and last trade: every expectation anew from all bars before."""
    counts, unit = measured(day, measure)
    signs = day["side"].astype(int).tolist()
    full = int(amount * unit)
    alpha = 2 / (span + 1)

    def mean(values: list[float]) -> float:
        """Weights (1 − α)^k, all that is left on the first."""
        weights = [alpha * (1 - alpha) ** k for k in range(len(values) - 1)]
        weights.append((1 - alpha) ** (len(values) - 1))
        return sum(w * x for w, x in zip(weights, reversed(values), strict=True))

    def threshold(bars: list[tuple[int, int]]) -> float:
        lengths, signed, shares, buys, sells = [], [], [], [], []
        for a, b in bars:
            inside = list(zip(signs[a : b + 1], counts[a : b + 1], strict=True))
            lengths.append(len(inside))
            signed.append(sum(s * v for s, v in inside) / len(inside))
            bought, sold = [v for s, v in inside if s > 0], [v for s, v in inside if s < 0]
            shares.append(len(bought) / len(inside))
            buys += [sum(bought) / len(bought)] if bought else []
            sells += [sum(sold) / len(sold)] if sold else []
        if rule == "imbalance":
            return mean(lengths) * abs(mean(signed))
        share = mean(shares)
        up, down = mean(buys) if buys else 0.0, mean(sells) if sells else 0.0
        return mean(lengths) * max(share * up, (1 - share) * down)

    bars: list[tuple[int, int]] = []
    begin, expected = 0, None
    up = down = 0
    for i, (sign, count) in enumerate(zip(signs, counts, strict=True)):
        up, down = up + count * (sign > 0), down + count * (sign < 0)
        theta, total = abs(up - down) if rule == "imbalance" else max(up, down), up + down
        if expected is None:
            most, least = full, full
        else:
            most, least = 8 * full, full / 8
        ends = total >= most or (total >= least and expected is not None and theta >= expected)
        if ends:
            bars.append((begin, i))
            expected = threshold(bars[-400:] if alpha > 0.09 else bars)
            begin, up, down = i + 1, 0, 0
    return bars


@pytest.mark.parametrize("rule", ["imbalance", "run"])
@pytest.mark.parametrize(
    ("measure", "amount", "span"),
    [("ticks", 100, 20), ("ticks", 40, 3), ("volume", 200_000, 20), ("notional", 2e9, 10)],
)
def test_bars_that_end_where_flow_is_one_sided(
    day: pd.DataFrame, measure: str, amount: float, span: int, rule: str
) -> None:
    found = bars_of(ss.bars(**{measure: amount}, rule=rule, span=span), day)
    places = naive(day, measure, amount, rule, span)
    label = np.full(len(day), -1)
    for number, (a, b) in enumerate(places):
        label[a : b + 1] = number
    expected = aggregated(day.assign(bar=label)[label >= 0])
    assert set(found["close.reason"].iloc[:1]) == {"WARMUP"}
    lengths = expected["trades"].to_numpy()
    assert len(set(lengths)) > 10, "the bars are not of one length"
    compare(found.iloc[1:], expected.iloc[1:])


@pytest.mark.parametrize("rule", ["imbalance", "run"])
def test_a_trade_without_a_side_takes_that_of_the_last_move(day: pd.DataFrame, rule: str) -> None:
    moved = np.sign(day["price"].diff()).replace(0, np.nan).ffill().fillna(0)
    stream = ss.bars(ticks=50, rule=rule)
    without = bars_of(stream, day.assign(side=0.0))
    told = bars_of(stream, day.assign(side=moved))
    assert len(without) > 20
    assert (without["ts_recv"] == told["ts_recv"]).all()
    assert np.array_equal(without["close"].to_numpy()[1:], told["close"].to_numpy()[1:])
