"""A graph of thousands of columns: each is what it is in a graph of its own, however the rows come."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import signal_stream as ss

WIDE = 3_000
CLOSE, VOLUME = ss.bars("1m").close, ss.bars("1m").volume
LOOKED_AT = (0, 1, 63, 64, 65, 255, 256, 257, 1023, 1024, 2047, 2048, WIDE - 1)
"""Columns about the sizes of words and blocks."""


def feature(i: int) -> ss.Expression:
    """One of three kinds, with a window of its own."""
    n = 2 + i // 3
    return (CLOSE.rolling(n).mean(), VOLUME.shift(n) - i, CLOSE.diff() / n)[i % 3]


def graph(columns: tuple[int, ...]) -> ss.FeatureGraph:
    return ss.FeatureGraph(name="wide", on=ss.bars("1m"), features={f"f{i}": feature(i) for i in columns})


@pytest.fixture(scope="module")
def wide() -> ss.FeatureGraph:
    return graph(tuple(range(WIDE)))


@pytest.fixture(scope="module")
def table() -> pa.Table:
    draw = np.random.default_rng(0)
    opens = 1_700_000_040 + 60 * np.arange(200)
    return pa.table({"ts_open": opens, "close": 100 + draw.normal(size=200).cumsum(), "volume": draw.random(200)})


def test_each_column_is_what_it_is_alone(wide: ss.FeatureGraph, table: pa.Table) -> None:
    found = ss.compute(wide, table, instrument="X", reasons=True)
    alone = ss.compute(graph(LOOKED_AT), table, instrument="X", reasons=True)
    assert len(wide.features) == WIDE
    assert found.select(alone.column_names).equals(alone)
    nulls = [found[f"f{i}"].null_count for i in range(WIDE)]
    assert nulls[: 3 * 100 : 3] == list(range(1, 101)), "a mean over 2, 3, 4… rows"
    assert set(nulls[1::3][200:]) == {200}, "beyond the table"


def test_a_wide_graph_gives_the_same_bits_however_it_is_run(wide: ss.FeatureGraph, table: pa.Table) -> None:
    report = ss.parity(wide, table, instrument="X", snapshots=2)
    assert report.same, report.difference
    assert (report.vectors, report.features) == (200, WIDE)


def test_a_wide_row_that_is_bound_is_the_row_of_the_table(wide: ss.FeatureGraph, table: pa.Table) -> None:
    rows = np.column_stack([table["close"], table["volume"]])
    out, reasons = np.zeros(WIDE), np.zeros(WIDE, dtype=np.uint8)
    take = ss.Engine(wide, instrument="X").bind(rows, out, fields=["close", "volume"], reasons=reasons)
    made = [(take(i), out.copy()) for i in range(len(rows))]
    found = ss.compute(wide, table, instrument="X")
    expected = np.column_stack([found[name].to_numpy(zero_copy_only=False) for name in wide.features])
    np.testing.assert_array_equal(np.stack([values for _, values in made]), expected)
    assert [missing for missing, _ in made] == np.isnan(expected).sum(axis=1).tolist()


def test_all_columns_of_a_wide_graph_are_in_the_file(wide: ss.FeatureGraph, table: pa.Table, tmp_path: Path) -> None:
    pq.write_table(table, tmp_path / "bars.parquet")
    done = ss.backfill(wide, tmp_path / "bars.parquet", tmp_path / "out.parquet", instrument="X")
    kept = pq.read_table(tmp_path / "out.parquet")
    assert (done.vectors, kept.column_names[-WIDE:]) == (200, list(wide.features))
    assert set(done.null_features) == {f"f{i}" for i in range(WIDE) if kept[f"f{i}"].null_count == 200}
