"""Tables are input, not truth: what is in them is read right, whatever its type and however it is cut, or refused by row."""

from __future__ import annotations

import gzip
import math
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv, feather
from tests.tables import BAR, CUTS, ON_BARS, ON_TRADES, UNITS, T, cut, minutes, refusal

import signal_stream as ss
from signal_stream import book, quotes
from signal_stream.errors import DataError, GraphError


@settings(deadline=None)
@given(st.permutations(["ts_open", "close", "volume", "instrument", "note"]), CUTS)
def test_the_order_of_columns_does_not_matter(order, at) -> None:
    table = minutes(
        close=[1.0, 3.0, 2.0], volume=[1.0, 2.0, 3.0], instrument=["A", "A", "A"], note=["x", None, "1,000"]
    )
    assert ss.compute(ON_BARS, cut(table.select(order), at)).equals(ss.compute(ON_BARS, table))


def test_columns_that_the_graph_does_not_read_may_hold_anything() -> None:
    class Odd:
        pass

    graph = ss.FeatureGraph(name="g", on=BAR, features={"close": BAR.close})
    base = {"ts_open": [T, T + 60], "close": [1.0, 2.0]}
    tables: list[Any] = [
        pa.table(base | {"volume": ["1,000", "2,000"], "side": ["?", "!"], "price": ["a", "b"]}),
        pa.table(base | {"volume": [-1.0, -2.0], "qty": [[1], [2]]}),
        pd.DataFrame(base | {"volume": [1, "x"], "note": [Odd(), Odd()]}),
        pl.DataFrame(base | {"volume": pl.Series([Odd(), Odd()], dtype=pl.Object)}),
        pl.DataFrame(base | {"volume": [2**100, 1]}),
        pd.DataFrame([[T, 1.0, 5, 6], [T + 60, 2.0, 7, 8]], columns=["ts_open", "close", "volume", "volume"]),
    ]
    for table in tables:
        assert ss.compute(graph, table)["close"].to_pylist() == [1.0, 2.0]
    for table in tables[2:]:
        assert "volume" in str(refusal(ON_BARS, table))


def test_a_column_that_is_there_twice_is_refused_where_it_is_read() -> None:
    table = pa.table(
        [pa.array([T, T + 60]), pa.array([1.0, 2.0]), pa.array([1.0, 3.0])], names=["ts_open", "close", "close"]
    )
    error = refusal(ss.FeatureGraph(name="g", on=BAR, features={"close": BAR.close}), table)
    assert '2 columns are named "close"' in error.message
    twice = pa.table(
        [pa.array([T, T + 60])] * 2 + [pa.array([1.0, 2.0])] * 2, names=["ts_open", "ts_open", "close", "volume"]
    )
    assert '2 columns are named "ts_open"' in refusal(ON_BARS, twice).message


def test_contradictions_are_refused() -> None:
    table = minutes(close=[1.0, 2.0], volume=[1.0, 1.0], instrument=["A", "A"])
    assert "names the instrument of each row" in refusal(ON_BARS, table, instrument="A").message
    traded = pa.table({"ts_recv": [T], "price": [1.0], "qty": [1.0], "side": [1]})
    assert "ts_recv says when" in refusal(ON_TRADES, traded, latency="1s").message


def test_options_of_tables_are_refused_for_captures(spot: Any) -> None:
    for name, value in {"instrument": "X", "columns": {"price": "p"}, "latency": "1s", "time_unit": "s"}.items():
        assert name in refusal(ON_TRADES, spot, **{name: value}).message


@pytest.mark.parametrize(
    ("names", "says"), [(["A", None], "has no instrument"), (["A", ""], "is empty"), ([1.5, 2.5], "does not name")]
)
def test_every_row_names_its_instrument(names: list[Any], says: str) -> None:
    assert says in str(refusal(ON_BARS, minutes(volume=[1.0, 1.0], instrument=names)))


def test_instruments_may_be_behind_a_dictionary_or_numbers() -> None:
    table = minutes(volume=[1.0] * 3, ts_open=[T, T, T + 60], instrument=["A", "B", "A"])
    frame = pl.from_arrow(table)
    frames: list[Any] = [
        frame.with_columns(pl.col("instrument").cast(pl.Categorical)),
        frame.with_columns(pl.col("instrument").cast(pl.Enum(["B", "A"]))),
        frame.lazy(),
        table.to_pandas().astype({"instrument": "category"}),
        table.set_column(3, "instrument", table["instrument"].dictionary_encode()),
        table.set_column(3, "instrument", table["instrument"].cast(pa.large_string())),
    ]
    for each in frames:
        out = ss.compute(ON_BARS, each)
        assert list(zip(out["instrument"].to_pylist(), out["step"].to_pylist(), strict=True)) == [
            ("A", None),
            ("B", None),
            ("A", 2.0),
        ]
    numbered = table.set_column(3, "instrument", pa.array([7, 8, 7]))
    assert ss.compute(ON_BARS, numbered)["instrument"].to_pylist() == ["7", "8", "7"]


def odd_columns() -> list[pa.Array]:
    """Two rows of every type that Arrow has."""
    whole, text, raw = [T, T + 60], ["a", "b"], [b"ab", b"cd"]
    kinds: list[tuple[list[Any], list[pa.DataType]]] = [
        (
            [1, 2],
            [
                pa.int8(),
                pa.uint8(),
                pa.int16(),
                pa.uint16(),
                pa.month_day_nano_interval(),
                pa.time32("s"),
                pa.time64("ns"),
            ],
        ),
        (whole, [pa.int32(), pa.uint32(), pa.int64(), pa.uint64(), pa.float64(), pa.duration("s")]),
        ([1.0, 2.0], [pa.float16(), pa.float32()]),
        (text, [pa.string(), pa.large_string(), pa.string_view()]),
        (raw, [pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(2)]),
        ([True, False], [pa.bool_()]),
        ([None, None], [pa.null()]),
        (
            [Decimal(1), Decimal(200)],
            [pa.decimal32(6, 2), pa.decimal64(12, 2), pa.decimal128(20, 2), pa.decimal256(50, 2)],
        ),
        ([[1, 2], [2, 3]], [pa.list_(pa.int64()), pa.large_list(pa.int64()), pa.list_(pa.int64(), 2)]),
        ([{"a": 1}, {"a": 2}], [pa.struct({"a": pa.int64()})]),
        ([[("a", 1)], [("b", 2)]], [pa.map_(pa.string(), pa.int64())]),
    ]
    found = [
        pa.array([(1, 2, 3), (1, 2, 3)] if "interval" in str(kind) else values, kind)
        for values, types in kinds
        for kind in types
    ]
    for unit in UNITS:
        found += [pa.array([1, 2], pa.timestamp(unit, tz=zone)) for zone in (None, "Europe/Paris", "+05:30")]
        found += [pa.array([2**62, 2**62 + 1], pa.timestamp(unit)), pa.array([1 - 2**63, 2], pa.timestamp(unit))]
    ends = pa.array([1, 2], pa.int32())
    return [
        *found,
        pa.array([1, 2], pa.timestamp("s", tz="Nowhere/Land")),
        pa.array([2**31 - 1, 1 - 2**31], pa.int32()).cast(pa.date32()),
        pa.array([0, 86_400_000], pa.date64()),
        *(pa.array(values).dictionary_encode() for values in (text, whole, [1.5, 2.5])),
        pa.DictionaryArray.from_arrays(pa.array([0, None], pa.int8()), pa.array(["a"])),
        pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["a", None])),
        *(pa.RunEndEncodedArray.from_arrays(ends, pa.array(values)) for values in (text, whole, [1.0, 2.0])),
        pa.array([bytes(16), bytes(16)], pa.uuid()),
        pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0], pa.int8())),
        pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(text)]),
        pa.array([math.nan, math.inf]),
    ]


def refused_by_name(name: str, run: Any) -> bool:
    """Whether a column of this name is refused, with its name; False if it is taken."""
    try:
        run()
    except ss.SignalStreamError as error:
        return name in str(error) or pytest.fail(f"{error} does not name {name}")
    return False


def test_no_type_of_column_ends_in_an_error_of_another_library() -> None:
    rows: dict[ss.FeatureGraph, dict[str, list[Any]]] = {
        ON_BARS: {"instrument": ["A"] * 2, "ts_open": [T, T + 60], "close": [1.0, 2.0], "volume": [1.0, 1.0]},
        ON_TRADES: {
            "instrument": ["A"] * 2,
            "ts_recv": [T, T + 1],
            "price": [1.0, 2.0],
            "qty": [1.0, 1.0],
            "side": [1, 1],
        },
    }
    panel = {"instrument": ["A", "A"], "ts_recv": [T, T + 60], "mid": [1.0, 2.0]}
    taken = 0
    for column in odd_columns():
        for graph, columns in rows.items():
            for name in columns:
                table = pa.table(columns | {name: column})
                taken += not refused_by_name(name, lambda graph=graph, table=table: ss.compute(graph, table))
        for name in panel:
            table = pa.table(panel | {name: column})
            refused_by_name(name, lambda table=table: ss.label.forward_return(table, rows=1))
            refused_by_name(name, lambda table=table: list(ss.split.walk_forward(table, folds=1)))
    assert taken > 100


# Tables of every kind, everywhere


def test_a_table_may_come_from_any_library_and_file(tmp_path: Any) -> None:
    table = minutes(volume=[float(i) for i in range(50)])
    wanted = ss.compute(ON_BARS, table)
    pq.write_table(table, tmp_path / "bars.parquet", row_group_size=7)
    feather.write_feather(table, str(tmp_path / "bars.feather"), chunksize=7)
    with pa.OSFile(str(tmp_path / "bars.arrows"), "wb") as out, pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=7)
    csv.write_csv(table, tmp_path / "bars.csv")
    with gzip.open(tmp_path / "bars.csv.gz", "wb") as packed:
        packed.write((tmp_path / "bars.csv").read_bytes())
    indexed = table.to_pandas().set_index("ts_open")
    table.to_pandas().to_csv(tmp_path / "bars.pandas.csv")  # its first column has no name
    frames: dict[str, Any] = {
        "batch": table.to_batches()[0], "reader": table.to_reader(max_chunksize=3), "polars": pl.from_arrow(table),
        "lazy": pl.from_arrow(table).lazy(), "pandas": table.to_pandas(), "index": indexed,
        **{path.name: path for path in tmp_path.glob("bars.*")},
    }  # fmt: skip
    for name, frame in frames.items():
        assert ss.compute(ON_BARS, frame).equals(wanted), name
    for name in ("bars.csv.gz", "bars.feather"):
        assert ss.parity(ON_BARS, tmp_path / name, snapshots=5).same
        ss.backfill(ON_BARS, tmp_path / name, tmp_path / "out.parquet")
        assert pq.read_table(tmp_path / "out.parquet").select(["step"]).equals(wanted.select(["step"]))
    for frame in (table.to_reader(max_chunksize=3), pl.from_arrow(table).lazy()):
        assert ss.parity(ON_BARS, frame, snapshots=5).same
        ss.backfill(ON_BARS, table.to_reader(max_chunksize=3), tmp_path / "out.parquet")
        assert pq.read_table(tmp_path / "out.parquet").select(["step"]).equals(wanted.select(["step"]))
    engine = ss.Engine(ON_BARS)
    pushed = [engine.push(frame) for frame in (table.slice(0, 20).to_pandas(), pl.from_arrow(table.slice(20)).lazy())]
    assert [x for piece in pushed for x in piece["step"].to_pylist()] == wanted["step"].to_pylist()
    unnamed = indexed.set_index(pd.DatetimeIndex(pd.to_datetime(indexed.index, unit="s")))
    assert "reset_index" in refusal(ON_BARS, unnamed.rename_axis(None)).next_step


def test_an_empty_table_gives_an_empty_one_and_a_wrong_one_is_refused_all_the_same(tmp_path: Any) -> None:
    table = minutes(volume=[1.0, 2.0]).slice(0, 0)
    pq.write_table(table, tmp_path / "none.parquet")
    csv.write_csv(table, tmp_path / "none.csv")
    for frame in (
        table,
        table.to_reader(),
        table.to_batches(),
        pl.from_arrow(table),
        table.to_pandas(),
        tmp_path / "none.parquet",
        tmp_path / "none.csv",
    ):
        if isinstance(frame, list):
            continue
        assert ss.compute(ON_BARS, frame).num_rows == 0
    assert refusal(ON_BARS, table.drop_columns("close")).code == "MISSING_COLUMN"


@pytest.mark.parametrize("data", [[{"close": 1.0}], {"close": [1.0]}, np.ones(3), 5, None, pd.Series([1.0])])
def test_what_is_no_table_is_said(data: Any) -> None:
    with pytest.raises(DataError):
        ss.compute(ON_BARS, data)


def test_a_refused_piece_leaves_the_engine_where_it_was() -> None:
    table = minutes(volume=[1.0] * 4)
    engine = ss.Engine(ON_BARS)
    engine.push(table.slice(0, 2))
    with pytest.raises(DataError):
        engine.push(table.slice(1, 2))
    engine.push(table.slice(2, 2))
    assert engine.messages == 4


def test_a_restored_engine_knows_what_the_table_has_shown() -> None:
    table = minutes(volume=[1.0] * 4)
    engine = ss.Engine(ON_BARS)
    engine.push(table.slice(0, 2))
    other = ss.Engine.restore(ON_BARS, engine.snapshot(), like=engine)
    with pytest.raises(DataError, match="comes twice"):
        other.push(table.slice(1, 2))
    assert other.push(table.slice(2, 2))["step"].to_pylist() == [1.0, 1.0]


def test_sides_of_books_count_though_no_feature_reads_them() -> None:
    rows = {"bid_price_1": [1.0, 3.0], "ask_price_1": [2.0, 2.0]}
    graph = ss.FeatureGraph(name="g", on=book, features={"bid": book.bid(1).price})
    out = ss.compute(graph, pa.table({"ts_recv": [T, T + 1], **rows}), reasons=True)
    assert out["bid.reason"].to_pylist() == ["VALID", "CROSSED"]
    texts = rows | {"ask_price_1": ["x", "y"]}
    assert ss.compute(graph, pa.table({"ts_recv": [T, T + 1], **texts}))["bid"].to_pylist() == [1.0, 3.0]


@pytest.mark.parametrize("name", ["instrument", "ts_event", "ts_recv", "mid.reason", "fwd.known_at"])
def test_names_of_the_output_are_no_names_of_features(name: str) -> None:
    with pytest.raises(ss.SignalStreamError) as refused:
        ss.FeatureGraph(name="g", on=BAR, features={name: BAR.close})
    assert refused.value.code == "BAD_ARGUMENT"
    assert name in str(refused.value)


def test_numbers_are_read_without_pandas(tmp_path: Path) -> None:
    path = tmp_path / "bars.parquet"
    rows = {"ts_open": [T, T + 60], "close": [1.0, 2.0], "volume": [1.0, 1.0], "instrument": ["A", "A"]}
    pq.write_table(pa.table(rows), path)
    code = (
        "import sys, signal_stream as ss\n"
        "b = ss.bars('1m')\n"
        "g = ss.FeatureGraph(name='g', on=b, features={'d': b.close.diff()})\n"
        "assert ss.compute(g, sys.argv[1])['d'].to_pylist() == [None, 1.0]\n"
        "assert 'pandas' not in sys.modules, 'half a second and 40 MB'\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)


@pytest.mark.parametrize("gone", ["bid_price_1", "bid_qty_1"])
@pytest.mark.parametrize("rows", [3, 300])
def test_a_level_without_its_price_or_its_quantity_is_empty(gone: str, rows: int) -> None:
    """Row 1 of a quote has a null: nobody bids, as in a capture where the venue says so; the other side still holds."""
    columns = {"bid_price_1": 99.0, "bid_qty_1": 1.0, "ask_price_1": 101.0, "ask_qty_1": 2.0}
    table = pa.table(
        {"ts_recv": pa.array([(T + i) * 10**9 for i in range(rows)], pa.int64())}
        | {name: [None if (name, i) == (gone, 1) else value for i in range(rows)] for name, value in columns.items()}
    )
    graph = ss.FeatureGraph(
        name="g", on=quotes, features={"mid": quotes.mid(), "bid": quotes.bid.price, "ask": quotes.ask.price}
    )
    found = ss.compute(graph, table, reasons=True).slice(1, 1).to_pylist()[0]
    assert (found["mid"], found["bid"], found["ask"]) == (None, None, 101.0)
    assert (found["mid.reason"], found["bid.reason"]) == ("EMPTY", "EMPTY")


def test_a_graph_is_a_graph() -> None:
    with pytest.raises(GraphError, match="no FeatureGraph"):
        ss.compute("graph", pa.table({"close": [1.0]}))  # type: ignore[arg-type]
