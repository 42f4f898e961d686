"""Labels and splits against a brute force that looks at every row: no label of a stale price, no training row that leaks."""

from __future__ import annotations

import datetime as dt
import math
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signal_stream import label, split
from signal_stream.errors import DataError

SECOND = 10**9
Row = tuple[str, int, float | None]

PRICES = st.one_of(st.none(), st.sampled_from([0.0, -1.0, math.nan]), st.floats(0.5, 200.0))
ROWS = st.lists(st.tuples(st.sampled_from("XYZ"), st.integers(0, 40), PRICES), min_size=1, max_size=60)


def panel(rows: list[Row]) -> pa.Table:
    return pa.table({
        "instrument": [name for name, _, _ in rows],
        "ts_recv": pa.array([t * SECOND for _, t, _ in rows], pa.timestamp("ns", tz="UTC")),
        "mid": pa.array([price for _, _, price in rows], pa.float64()),
    })  # fmt: skip


def ordered(rows: list[Row], by_instrument: bool) -> list[Row]:
    return sorted(rows, key=lambda row: row[:2] if by_instrument else row[1:2])


def log_return(now: float | None, then: float | None) -> float | None:
    if now is None or then is None or not (now > 0 and then > 0):
        return None
    return float(np.log(np.float64(then) / np.float64(now)))


@settings(deadline=None)
@given(ROWS, st.integers(1, 30), st.booleans())
def test_a_label_is_of_the_newest_price_after_the_row_up_to_the_horizon(rows, ahead, by_instrument) -> None:
    rows = ordered(rows, by_instrument)
    wanted = []
    for name, t, price in rows:
        mine = [row for row in rows if row[0] == name]
        later = [row for row in mine if t < row[1] <= t + ahead]
        wanted.append(log_return(price, later[-1][2]) if later and t + ahead <= mine[-1][1] else None)
    table = label.forward_return(panel(rows), f"{ahead}s")
    assert table[f"fwd_{ahead}s"].to_pylist() == wanted
    known = table[f"fwd_{ahead}s.known_at"].cast(pa.int64()).to_pylist()
    assert known == [(t + ahead) * SECOND for _, t, _ in rows]


@settings(deadline=None)
@given(ROWS, st.integers(1, 5), st.booleans())
def test_a_label_of_rows_is_of_the_row_so_many_ahead(rows, ahead, by_instrument) -> None:
    rows = ordered(list({row[:2]: row for row in rows}.values()), by_instrument)
    wanted: list[float | None] = []
    known: list[int | None] = []
    for i, (name, _, price) in enumerate(rows):
        later = [row for row in rows[i + 1 :] if row[0] == name]
        then = later[ahead - 1] if len(later) >= ahead else None
        wanted.append(then and log_return(price, then[2]))
        known.append(then and then[1] * SECOND)
    table = label.forward_return(panel(rows), rows=ahead, name="next")
    assert table["next"].to_pylist() == wanted
    assert table["next.known_at"].cast(pa.int64()).to_pylist() == known


@settings(deadline=None)
@given(ROWS, st.randoms())
def test_rows_out_of_order_are_refused_and_never_labelled_otherwise(rows, random) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    times = {name: [row[1] for row in shuffled if row[0] == name] for name in "XYZ"}
    if all(times[name] == sorted(times[name]) for name in "XYZ"):
        label.forward_return(panel(shuffled), "5s")
        return
    with pytest.raises(DataError) as refused:
        label.forward_return(panel(shuffled), "5s")
    assert refused.value.code == "OUT_OF_ORDER"
    assert "row " in refused.value.where
    assert "sort" in refused.value.next_step.lower()


def test_a_horizon_over_a_weekend_is_null_and_the_next_row_is_monday() -> None:
    days = [dt.datetime(2024, 3, day, 21, tzinfo=dt.UTC) for day in (7, 8, 11, 12)]
    table = pa.table({"instrument": ["SPY"] * 4, "ts_recv": days, "mid": [100.0, 110.0, 121.0, 133.1]})
    assert [x and round(x, 4) for x in label.forward_return(table, "1d")["fwd_1d"].to_pylist()] == [
        0.0953,
        None,
        0.0953,
        None,
    ]
    assert [x and round(x, 4) for x in label.forward_return(table, rows=1)["fwd_1_rows"].to_pylist()] == [
        0.0953
    ] * 3 + [None]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "by a horizon or by rows"),
        ({"horizon": "10s", "rows": 1}, "by a horizon or by rows"),
        ({"horizon": "10"}, "horizon is '10'"),
        ({"horizon": 10}, "horizon is 10"),
        ({"horizon": "0s"}, "horizon is '0s'"),
        ({"rows": 0}, "rows is 0"),
        ({"rows": True}, "rows is True"),
        ({"rows": 1.5}, "rows is 1.5"),
        ({"horizon": "1s", "price": "close"}, 'no price column "close"'),
        ({"horizon": "1s", "price": "instrument"}, "is not a number"),
        ({"horizon": "1s", "name": "mid"}, 'a column "mid" already'),
    ],
)
def test_what_a_label_cannot_be_made_of_is_said(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        label.forward_return(panel([("X", 0, 1.0), ("X", 1, 2.0)]), **arguments)


def test_a_table_without_its_columns_or_with_a_row_twice_is_refused() -> None:
    table = panel([("X", 0, 1.0), ("X", 1, 2.0), ("X", 1, 2.0)])
    for name in ("ts_recv", "instrument"):
        with pytest.raises(DataError, match=f'no column "{name}"'):
            label.forward_return(table.drop_columns(name), "1s")
    with pytest.raises(DataError, match="two rows of one instrument"):
        label.forward_return(table, rows=1)
    with pytest.raises(DataError, match="no tape and no Arrow table"):
        label.forward_return([{"ts_recv": 0}], "1s")


def test_frames_of_other_libraries_give_the_same_labels_and_folds() -> None:
    table = panel([("X", t, 1.0 + t % 7) for t in range(40)])
    frames: list[Any] = [pl.from_arrow(table), pl.from_arrow(table).lazy(), table.to_pandas(), table.to_batches()[0]]
    naive = table.to_pandas().assign(
        ts_recv=lambda frame: frame["ts_recv"].dt.tz_localize(None).astype("datetime64[us]")
    )
    wanted = label.forward_return(table, "3s")
    folds = [(len(fold.train), len(fold.test)) for fold in split.walk_forward(wanted, folds=3)]
    for frame in [*frames, naive]:
        got = label.forward_return(frame, "3s")
        assert got["fwd_3s"].to_pylist() == wanted["fwd_3s"].to_pylist()
        assert [(len(fold.train), len(fold.test)) for fold in split.walk_forward(got, folds=3)] == folds
    coded = pl.from_arrow(wanted).with_columns(pl.col("instrument").cast(pl.Categorical))
    assert [(len(fold.train), len(fold.test)) for fold in split.walk_forward(coded, folds=3)] == folds
    assert split.walk_forward(coded, folds=3).__next__().train["instrument"].to_pylist() == ["X"] * folds[0][0]


@settings(deadline=None)
@given(ROWS, st.integers(1, 6), st.integers(0, 12), st.integers(1, 12), st.integers(1, 4))
def test_no_row_of_training_leaks_into_its_test(rows, folds, embargo, ahead, rows_ahead) -> None:
    rows = ordered(list({row[:2]: row for row in rows}.values()), False)
    table = label.forward_return(label.forward_return(panel(rows), f"{ahead}s"), rows=rows_ahead)
    table = table.append_column("number", pa.array(range(len(rows))))
    moments = sorted({t for _, t, _ in rows})
    if len(rows) < folds + 1 or len(moments) < 2:
        with pytest.raises(DataError, match="fewer folds"):
            split.walk_forward(table, folds=folds)
        return
    times = [t for _, t, _ in rows]
    known = [
        max(at if at is not None else -1 for at in pair)
        for pair in zip(
            *(table[name].cast(pa.int64()).to_pylist() for name in table.column_names if "known_at" in name),
            strict=True,
        )
    ]
    parts = list(split.walk_forward(table, folds=folds, embargo=f"{embargo}s"))
    assert len(parts) == min(folds, len(moments) - 1)
    tests = [part.test["number"].to_pylist() for part in parts]
    assert all(one[-1] + 1 == other[0] for one, other in pairwise(tests))
    assert tests[-1][-1] == len(rows) - 1
    for part, test in zip(parts, tests, strict=True):
        assert test
        begins = times[test[0]]
        assert test[0] > 0
        assert times[test[0] - 1] < begins
        wanted = [i for i in range(test[0]) if times[i] < begins - (embargo or 0) and known[i] < begins * SECOND]
        assert part.train["number"].to_pylist() == wanted
    everything = next(iter(split.walk_forward(table, folds=folds, purge=False)))
    assert everything.train["number"].to_pylist() == list(range(tests[0][0]))


@settings(deadline=None)
@given(st.integers(2, 200), st.integers(1, 8))
def test_parts_are_as_long_as_they_can_be(rows, folds) -> None:
    if rows < folds + 1:
        return
    table = panel([("X", t, 1.0) for t in range(rows)])
    lengths = [len(fold.test) for fold in split.walk_forward(table, folds=folds)]
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"embargo": "1"}, "embargo is '1'"),
        ({"embargo": 5}, "embargo is 5"),
        ({"folds": 0}, "0 folds"),
        ({"folds": 2.0}, "2.0 folds"),
        ({"folds": 3}, "3 folds of 3 rows at 2 moments"),
        ({"folds": "2"}, "'2' folds"),
    ],
)
def test_what_cannot_be_split_is_said_at_once(arguments: dict[str, Any], says: str) -> None:
    table = panel([("X", 0, 1.0), ("Y", 0, 1.0), ("X", 1, 1.0)])
    with pytest.raises(DataError, match=says):
        split.walk_forward(table, **arguments)


def test_a_table_out_of_order_or_without_times_is_not_split() -> None:
    table = panel([("X", 0, 1.0), ("X", 2, 1.0), ("Y", 1, 1.0)])
    with pytest.raises(DataError, match="not in order of time") as refused:
        split.walk_forward(table, folds=1)
    assert refused.value.where == 'column "ts_recv", row 3'
    with pytest.raises(DataError, match='no column "ts_recv"'):
        split.walk_forward(table.drop_columns("ts_recv"), folds=1)
    with pytest.raises(DataError, match="no time"):
        split.walk_forward(table.set_column(1, "ts_recv", pa.nulls(3, pa.timestamp("s"))), folds=1)
