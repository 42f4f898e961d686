"""`tape import` and `read_table`: what a table must not be, said with row, column and what to do; nothing is left behind."""

from __future__ import annotations

import gzip
import json
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv, feather
from tests.serving import ENVIRONMENT

import signal_stream as ss
from signal_stream import bars, trades
from signal_stream.errors import DataError, EngineError
from signal_stream.ingest import RefusedLines
from signal_stream.research.compute import table_metadata

T = 1_700_000_040
CAPTURE = Path(__file__).parents[1] / "data" / "binance-excerpt" / "spot_btcusdt.gz"
BARS = pa.table({"ts_open": [T, T + 60, T + 120], "close": [1.5, 2.0, 2.5], "instrument": ["A", "A", "A"]})
TRADES = pa.table(
    {"ts_recv": [T, T + 1, T + 2], "price": [1.5, 2.0, 2.5], "qty": [1.0, 2.0, 3.0], "instrument": ["A"] * 3}
)
BOOK = pa.table({
    "ts_recv": [T, T + 1], "instrument": ["A", "A"],
    **{f"{side}_{what}_{n}": [1.0, 1.0] for side in ("bid", "ask") for what in ("price", "qty") for n in (1, 2)},
})  # fmt: skip
ON_BARS = ss.FeatureGraph(name="g", on=bars("1m"), features={"step": bars("1m").close.diff()})


def changed(table: pa.Table, **columns: list[Any]) -> pa.Table:
    for name, values in columns.items():
        place = table.schema.get_field_index(name)
        column = pa.array(values)
        table = table.append_column(name, column) if place < 0 else table.set_column(place, name, column)
    return table


MINUTES: dict[str, Any] = {"kind": "bars", "length": "1m"}
EACH: dict[str, Any] = {"kind": "trades"}
REFUSED = {
    "an unknown kind": (BARS, {"kind": "bar"}, r'kind is "bar"\. Did you mean "bars"\?'),
    "bars without a length": (BARS, {"kind": "bars"}, "nobody said how long. Say --length 1m"),
    "a length that is none": (BARS, {"kind": "bars", "length": "1 minute"}, "length is '1 minute'. Give "),
    "a length of trades": (TRADES, {"kind": "trades", "length": "1m"}, "the rows are trades. Leave it out"),
    "an unknown field": (
        BARS,
        {"kind": "bars", "length": "1m", "columns": {"cloze": "close"}},
        'field "cloze". Did you mean "close"',
    ),
    "an unknown column": (
        BARS,
        {"kind": "bars", "length": "1m", "columns": {"close": "clos"}},
        'close is "clos", but .* Did you mean "close"',
    ),
    "a field of another kind": (
        TRADES,
        {"kind": "trades", "columns": {"close": "price"}},
        "trades do not have. Trades have price, qty, side",
    ),
    "a column that is missing": (TRADES.drop_columns("qty"), EACH, "trades need qty, .* Name it: columns="),
    "a book with half its columns": (BOOK.drop_columns("ask_qty_2"), {"kind": "book"}, "book need ask_qty_2"),
    "nobody's rows": (BARS.drop_columns("instrument"), MINUTES, "which instrument the rows are of. Say instrument="),
    "no rows": (BARS.slice(0, 0), MINUTES, "the table has no rows"),
    "no table": ([1, 2], EACH, "list is no table and no path of one"),
    "rows that go back": (
        changed(TRADES, ts_recv=[T, T + 2, T + 1]),
        EACH,
        'column "ts_recv", row 3: rows go back in time',
    ),
    "two units": (
        changed(TRADES, ts_recv=[T, T + 1, T * 1000 + 2000]),
        EACH,
        r"row 3: 1700000042000 looks like ms, but the rows before are in s",
    ),
    "rows without latency": (
        TRADES.rename_columns(["ts_event", "price", "qty", "instrument"]),
        EACH,
        "Declare the feed's latency",
    ),
    "a bar twice": (changed(BARS, ts_open=[T, T + 60, T + 60]), MINUTES, "row 3: the bar of A .* comes twice"),
    "bars of another length": (BARS, {"kind": "bars", "length": "5m"}, r"row 1: the bar opens at .* no multiple of 5m"),
    "a negative quantity": (
        changed(TRADES, qty=[1.0, -2.0, 3.0]),
        EACH,
        'column "qty", row 2: qty is -2.0, below zero',
    ),
    "a trade without a price": (
        changed(TRADES, price=[1.0, None, 3.0]),
        EACH,
        'column "price", row 2: price: it has none, so the row is no trade',
    ),
    "a trade of nothing": (changed(TRADES, qty=[1.0, 2.0, 0.0]), EACH, 'column "qty", row 3: qty: it is 0'),
    "a word for a number": (
        changed(TRADES, price=["1", "2", "x"]),
        EACH,
        "column \"price\", row 3: 'x' is not a number, so that the whole column is text",
    ),
    "half a trade": (
        changed(BARS, trades=[1.0, 1.5, 2.0]),
        MINUTES,
        'column "trades", row 2: 1.5 is no number of trades',
    ),
    "an endless number": (
        changed(BARS, close=[1.0, 2.0, float("inf")]),
        MINUTES,
        'column "close", row 3: inf is no number',
    ),
    "half a level": (
        changed(BOOK, bid_price_2=[0.5, None]),
        {"kind": "book"},
        'column "bid_price_2", row 2: level 2 has a quantity without a price',
    ),
    "a hole in a book": (
        changed(BOOK, bid_qty_1=[1.0, 0.0], bid_price_2=[0.5, 0.5], ask_price_2=[2.0, 2.0]),
        {"kind": "book"},
        'column "bid_price_2", row 2: level 2 stands behind an empty one',
    ),
    "levels out of order": (
        changed(BOOK, bid_price_2=[0.5, 0.5], ask_price_2=[2.0, 0.9]),
        {"kind": "book"},
        'column "ask_price_2", row 2: level 2 at 0.9 does not lie behind 1.0. Sort the levels',
    ),
    "two words for missing bars": (
        BARS,
        {"kind": "bars", "length": "1m", "missing_bars": "none"},
        'missing_bars is "none"',
    ),
    "bars too short": (BARS, {"kind": "bars", "length": "1ns"}, r"^length is '1ns'\. The shortest is"),
    "bars of no length": (BARS, {"kind": "bars", "length": "0s"}, r"^length is '0s'\. Give a duration above zero"),
    "a number beyond all digits": (
        changed(TRADES, price=[1.5, 2.0, 1e19]),
        EACH,
        'column "price", row 3: 1e.19 is more than a tape can hold: 9,223,372,036,854,775,807',
    ),
    "more decimals than there are": (BARS, {**MINUTES, "decimals": 19}, "decimals is 19. Say to how many .* 0 to 18"),
    "an instrument without a name": (
        BARS.drop_columns("instrument"),
        {**MINUTES, "instrument": " "},
        "instrument is ' ', which names nothing. Say which",
    ),
    "one word among times": (
        changed(TRADES, ts_recv=["2024-01-01", "2024-01-02", "soon"]),
        EACH,
        "column \"ts_recv\", row 3: 'soon' is not a time as the others are",
    ),
    "months as bars of days": (
        pa.table({"ts_event": [np.datetime64(f"2024-{m:02}-01", "ns") for m in (1, 2, 3)], "close": [1.0, 2.0, 3.0]}),
        {"kind": "bars", "length": "31d", "instrument": "X"},
        r"row 3: the bar that ends at 2024-03-01.* after 29d: the rows are no bars of 31d. Months and years of the calendar",
    ),
    "numbers that do not fit": (
        changed(BARS, close=[0.1 + 0.2, 2.0, 92.24]),
        MINUTES,
        r'column "close", row 1: 0.30000000000000004 has 17 decimals.*beside 92.24.*row 3.*to 16 decimals \(--decimals 16',
    ),
}


def test_numbers_beyond_18_digits_are_taken_where_rounding_was_asked_for(tmp_path: Path) -> None:
    noisy = changed(BARS, close=[0.1 + 0.2, 2.0, 92.24])
    tidy = changed(BARS, close=[0.3, 2.0, 92.24])
    assert ss.compute(ON_BARS, tidy).equals(features(ss.read_table(noisy, **MINUTES, decimals=2)))
    csv.write_csv(noisy, tmp_path / "bars.csv")
    done = command(tmp_path, "bars.csv", *AS_BARS, "--decimals", "2")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 number was rounded to 2 decimals" in done.stdout
    with pytest.raises(DataError, match="rounded to 6 decimals"):
        ss.read_table(changed(BARS, close=[0.123456789, 2.0, 1e12]), **MINUTES, decimals=8)


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_table_must_not_be(name: str) -> None:
    table, options, expected = REFUSED[name]
    with pytest.raises(DataError) as refused:
        ss.read_table(table, **options)
    assert refused.value.next_step or refused.value.code == "UNKNOWN_TYPE"
    assert re.search(expected, " ".join(str(refused.value).split())), refused.value


def bars_of(*rows: tuple[float | None, float | None, float | None, float | None]) -> pa.Table:
    names = ("open", "high", "low", "close")
    columns = {name: pa.array([row[at] for row in rows], pa.float64()) for at, name in enumerate(names)}
    times = {"ts_open": [T + 60 * i for i in range(len(rows))], "volume": [1.0] * len(rows)}
    return pa.table({**times, **columns, "instrument": ["A"] * len(rows)})


GOOD_BAR = (2.0, 4.0, 1.0, 3.0)
NEARLY = (2.0, 4.0, 1.0, 4.0 + 1e-12)
"""What rounding makes of an adjusted close at the high."""


def test_bars_that_contradict_themselves_are_refused_and_their_time_stays() -> None:
    rows = [GOOD_BAR, (2.0, 1.0, 4.0, 3.0), (None, None, None, 5.0), (5.0, 4.0, 1.0, 3.0), NEARLY, (2.0, 4.0, 1.0, 0.5)]
    with pytest.raises(DataError) as refused:
        ss.read_table(bars_of(*rows), **MINUTES)
    assert refused.value.code == "REJECTED"
    assert "refused 3 of 6 rows: HIGH_BELOW_LOW 1, OPEN_OUTSIDE 1, CLOSE_OUTSIDE 1; that is 50.00% where 0.10%" in str(
        refused.value
    )
    assert "The first: row 2 HIGH_BELOW_LOW: high 1.0 lies below low 4.0" in " ".join(str(refused.value).split())
    table = bars_of(*rows)
    with pytest.warns(RefusedLines, match="refused 3 of 6 rows"):
        found = messages(table, **MINUTES, max_rejected="50%")
    closes = [(row["ts_recv"].timestamp() - T) / 60 for row in found if row["kind"] == 5 and row["field"] == 4]
    assert closes == [1, 3, 5], "the others are bars without numbers"
    assert sum(row["kind"] == 5 and row["field"] == 9 for row in found) == 6
    graph = ss.FeatureGraph(name="g", on=bars("1m"), features={"c": bars("1m").close})
    with pytest.warns(RefusedLines, match="refused 3 of 6 rows"):
        computed = ss.compute(graph, table, max_rejected=0.5)
    assert computed["c"].to_pylist() == [3.0, None, 5.0, None, NEARLY[3], None]
    with pytest.raises(DataError, match="refused 3 of 6 rows"):
        ss.compute(graph, table)


def test_a_bar_is_refused_however_the_table_is_cut() -> None:
    """The core's quick look at rows that go on sends what contradicts itself to the other."""
    table = bars_of(*[GOOD_BAR] * 5, (2.0, 4.0, 1.0, 9.0), *[GOOD_BAR] * 5).drop_columns("instrument")
    graph = ss.FeatureGraph(name="g", on=bars("1m"), features={"v": bars("1m").volume})
    for size in (1, 4, 11):
        engine = ss.Engine(graph, instrument="A")
        pieces = [engine.push(table.slice(at, size)) for at in range(0, 11, size)]
        found = [value for piece in pieces for value in piece["v"].to_pylist()]
        assert found == [1.0] * 5 + [None] + [1.0] * 5, size
        assert engine.rows is not None
        assert [each.row for each in engine.rows.refused.first] == [5]


def test_refused_rows_of_files_are_named_by_their_lines(tmp_path: Path) -> None:
    csv.write_csv(bars_of(*[GOOD_BAR] * 1999), tmp_path / "a.csv")
    later = bars_of(GOOD_BAR, (2.0, 4.0, 1.0, 9.0))
    csv.write_csv(changed(later, ts_open=[T + 60 * 2000, T + 60 * 2001]), tmp_path / "b.csv")
    done = command(tmp_path, "a.csv", "b.csv", *AS_BARS)
    assert done.returncode == 0, done.stderr
    assert "refused 1 of 2,001 rows: CLOSE_OUTSIDE 1" in done.stderr
    assert "  b.csv, line 3  CLOSE_OUTSIDE: close 9.0 lies above high 4.0" in done.stderr
    (tmp_path / "out.parquet").unlink()
    done = command(tmp_path, "b.csv", *AS_BARS)
    assert done.returncode == 2
    assert "refused 1 of 2 rows" in done.stderr
    assert "--max-rejected 50%" in done.stderr
    assert not (tmp_path / "out.parquet").exists()
    assert command(tmp_path, "b.csv", *AS_BARS, "--max-rejected", "50%").returncode == 0


def test_a_bad_cell_deep_in_a_file_is_named(tmp_path: Path) -> None:
    n = 300_000
    rows = "".join(f"{T + i},{'7.5' if i != n - 7 else 'x7'},1,A\n" for i in range(n))
    (tmp_path / "trades.csv").write_text("ts_recv,price,qty,instrument\n" + rows)
    with pytest.raises(DataError) as refused:
        ss.read_table(tmp_path / "trades.csv", kind="trades")
    assert refused.value.where == f'{tmp_path}/trades.csv, column "price", line {n - 7 + 2:,}'
    assert "'x7' is no number" in str(refused.value)
    graph = ss.FeatureGraph(name="g", on=trades, features={"p": trades.price})
    with pytest.raises(DataError, match=f"line {n - 7 + 2:,}"):
        ss.compute(graph, tmp_path / "trades.csv")


def features(batches: Any) -> pa.Table:
    engine = ss.Engine(ON_BARS)
    pieces = [vectors for batch in batches for vectors in engine.push_vectors(batch)]
    made = [pa.record_batch(each.columns()) for each in pieces]
    return pa.Table.from_batches(made).unify_dictionaries().replace_schema_metadata(table_metadata(ON_BARS))


def command(folder: Path, *words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "signal_stream", "tape", "import", *words]
    return subprocess.run(line, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False, **more)


AS_BARS = ("--kind", "bars", "--length", "1m", "-o", "out.parquet")


def test_a_file_that_is_no_table_says_what_it_is(tmp_path: Path) -> None:
    csv.write_csv(BARS, tmp_path / "bars.csv")
    assert command(tmp_path, "bars.csv", *AS_BARS).returncode == 0
    shutil.copy(CAPTURE, tmp_path / "spot.gz")
    (tmp_path / "junk.parquet").write_bytes(b"PAR1 and no more")
    (tmp_path / "out.parquet").rename(tmp_path / "tape.parquet")
    for file, expected in {
        "tape.parquet": "tape.parquet: the file is a tape already.",
        "spot.gz": "spot.gz: the file is a raw capture (capture.gz), no table. Use it as it is",
        "junk.parquet": "junk.parquet: the table cannot be read",
        "none.csv": "none.csv: there is no such file",
    }.items():
        done = command(tmp_path, file, *AS_BARS)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(expected), done.stderr
        assert not list(tmp_path.glob("out.*"))


def test_a_damaged_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    """Whatever bit is another one: Arrow's reader believes lengths and names, and has to be checked before rows are used."""
    feather.write_feather(TRADES, tmp_path / "trades.feather", compression="uncompressed")
    whole, file, refused = (tmp_path / "trades.feather").read_bytes(), tmp_path / "damaged.feather", 0
    for place in range(8, len(whole)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x80]) + whole[place + 1 :])
        said = refusal(file)
        assert said is None or said.startswith(str(file)), said
        refused += said is not None
    assert refused > 100


def refusal(file: Path) -> str | None:
    """What is said of a table of trades that is refused."""
    try:
        ss.read_table(file, kind="trades")
    except DataError as error:
        return str(error)
    return None


def test_a_field_is_mapped_once(tmp_path: Path) -> None:
    csv.write_csv(TRADES, tmp_path / "t.csv")
    done = command(tmp_path, "t.csv", "--kind", "trades", "--columns", "price=price,price=qty", "-o", "out.parquet")
    assert (done.returncode, done.stderr) == (2, '--columns names "price" twice. Name the one column that it is.\n')


def test_an_output_that_exists_stays_as_it_is(tmp_path: Path) -> None:
    csv.write_csv(BARS, tmp_path / "bars.csv")
    (tmp_path / "out.parquet").write_text("precious")
    done = command(tmp_path, "bars.csv", *AS_BARS)
    assert done.returncode == 2
    assert "out.parquet: the file exists already. Remove it first" in done.stderr
    assert (tmp_path / "out.parquet").read_text() == "precious"


def test_a_refused_row_is_named_with_its_file_and_leaves_nothing(tmp_path: Path) -> None:
    csv.write_csv(changed(BARS, ts_open=[T, T + 120, T + 60]), tmp_path / "bars.csv")
    done = command(tmp_path, "bars.csv", *AS_BARS)
    assert done.returncode == 2
    assert done.stderr.startswith('bars.csv, column "ts_open", line 4: '), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["bars.csv"]


def test_rows_are_counted_in_their_file(tmp_path: Path) -> None:
    csv.write_csv(TRADES, tmp_path / "a.csv")
    csv.write_csv(changed(TRADES, ts_recv=[T + 5, T + 6, T + 7], qty=[1.0, 2.0, 0.0]), tmp_path / "b.csv")
    with pytest.raises(DataError, match=r'b\.csv, column "qty", line 4: qty: it is 0'):
        ss.read_table([tmp_path / "a.csv", tmp_path / "b.csv"], kind="trades")
    csv.write_csv(changed(TRADES, ts_recv=[T - 5, T - 4, T - 3]), tmp_path / "before.csv")
    with pytest.raises(DataError, match=r'before\.csv, column "ts_recv", line 2: rows go back in time'):
        ss.read_table([tmp_path / "a.csv", tmp_path / "before.csv"], kind="trades")
    csv.write_csv(TRADES.select(["price", "ts_recv", "qty", "instrument"]), tmp_path / "c.csv")
    with pytest.raises(
        DataError, match=r'(?s)c\.csv: column "ts_recv" is not where it was .*in one order; here they are price, '
    ):
        ss.read_table([tmp_path / "a.csv", tmp_path / "c.csv"], kind="trades")


def test_a_disk_that_fills_leaves_nothing(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    n = 200_000
    table = pa.table({
        "ts_recv": T * 10**9 + np.sort(random.integers(0, 10**15, n)), "price": np.round(random.random(n) * 1e5, 6),
        "qty": np.round(random.random(n) * 1e3, 6), "instrument": ["A"] * n,
    })  # fmt: skip
    pq.write_table(table, tmp_path / "trades.parquet")

    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    done = command(tmp_path, "trades.parquet", "--kind", "trades", "-o", "out.parquet", preexec_fn=full)
    assert done.returncode == 2, done.stderr
    assert "out.parquet" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["trades.parquet"]


def messages(data: Any, **options: Any) -> list[dict[str, Any]]:
    found = pa.Table.from_batches(
        [pa.record_batch(batch) for batch in ss.read_table(data, **options) if batch.instruments]
    )
    return found.to_pylist()


def test_files_and_frames_of_any_library_are_the_same_tape(tmp_path: Path) -> None:
    table = changed(BARS, volume=[1.0, None, 3.25])
    csv.write_csv(table, tmp_path / "bars.csv")
    (tmp_path / "bars.csv.gz").write_bytes(gzip.compress((tmp_path / "bars.csv").read_bytes()))
    pq.write_table(table, tmp_path / "bars.parquet")
    feather.write_feather(table, tmp_path / "bars.feather")
    with pa.OSFile(str(tmp_path / "bars.arrows"), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)
    for part, rows in (("a", table.slice(0, 2)), ("b", table.slice(2))):
        csv.write_csv(rows, tmp_path / f"{part}.csv")
    options = {"kind": "bars", "length": "1m"}
    expected = messages(table, **options)
    assert len(expected) == 10
    frames = [table.to_pandas(), pl.from_arrow(table), table.to_reader(), pd.DataFrame(table.to_pydict())]
    files = [tmp_path / name for name in ("bars.csv", "bars.csv.gz", "bars.parquet", "bars.feather", "bars.arrows")]
    for data in [*frames, *files, [tmp_path / "a.csv", tmp_path / "b.csv"]]:
        assert messages(data, **options) == expected, data


def test_whole_numbers_of_a_csv_file_may_be_followed_by_decimals(tmp_path: Path) -> None:
    n = 300_000
    rows = "".join(f"{T + i},{7 if i < n - 1 else 7.25},1,00{i % 2}\n" for i in range(n))
    (tmp_path / "trades.csv").write_text("ts_recv,price,qty,instrument\n" + rows)
    batches = list(ss.read_table(tmp_path / "trades.csv", kind="trades"))
    assert sum(batch.messages for batch in batches) == n
    assert batches[0].instruments == ["000", "001"]
    assert pa.record_batch(batches[-1])["price"].to_pylist()[-1] == 7_250_000_000


def engine_on(graph: ss.FeatureGraph, *tables: tuple[pa.Table, dict[str, Any]]) -> ss.Engine:
    engine = ss.Engine(graph)
    for table, options in tables:
        for batch in ss.read_table(table, **options):
            engine.push(batch)
    return engine


def test_quotes_are_taken_of_a_table_of_books() -> None:
    """What lies behind the best is none of a quote's, whatever it is."""
    deep = changed(BOOK, bid_price_2=[7.0, float("inf")], ask_price_1=[2.0, 2.0])
    found = messages(deep, kind="quotes")
    assert [(row["kind"], row["side"], row["price"]) for row in found] == [(2, 1, 10**9), (2, 2, 2 * 10**9)] * 2


def test_a_graph_of_other_bars_is_told_so() -> None:
    graph = ss.FeatureGraph(name="g", on=bars("90s"), features={"step": bars("90s").close.diff()})
    with pytest.raises(EngineError, match="message 1 is a bar of 60 s of A, the graph reads bars of 90 s"):
        engine_on(graph, (BARS, {"kind": "bars", "length": "1m"}))


def test_bars_are_given_or_built_and_not_both() -> None:
    later = changed(BARS, ts_open=[T + 120, T + 180, T + 240])
    given = (later, {"kind": "bars", "length": "1m"})
    with pytest.raises(EngineError, match="message 4 is a bar of A, whose bars are being built from its trades"):
        engine_on(ON_BARS, (TRADES, {"kind": "trades"}), given)
    other = changed(TRADES, instrument=["B", "B", "B"])
    counts = engine_on(ON_BARS, (other, {"kind": "trades"}), given).counts()
    assert counts["accepted"] == counts["input"]


def test_trades_build_no_bars_where_bars_are_given() -> None:
    engine = ss.Engine(ss.FeatureGraph(name="g", on=bars("1m"), features={"v": bars("1m").volume, "p": trades.price}))
    found = []
    table = changed(BARS, volume=[10.0, 20.0, 30.0])
    for data, options in (
        (table, {"kind": "bars", "length": "1m"}),
        (changed(TRADES, ts_recv=[T + 190, T + 250, T + 310]), {"kind": "trades"}),
    ):
        for batch in ss.read_table(data, **options):
            found += engine.push(batch)["v"].to_pylist()
    assert found == [10.0, 20.0, 30.0]


def test_what_was_skipped_is_no_message(tmp_path: Path) -> None:
    holes = changed(BARS, ts_open=[T, T + 60, T + 300])
    assert [row["kind"] for row in messages(holes, kind="bars", length="1m")].count(6) == 5
    csv.write_csv(holes, tmp_path / "bars.csv")
    done = command(tmp_path, "bars.csv", *AS_BARS, "--missing-bars", "skip")
    assert "3 bars + 3 marks of their ends = 6 messages" in done.stdout
    info = subprocess.run(
        [sys.executable, "-m", "signal_stream", "tape", "info", "out.parquet", "--json"], cwd=tmp_path, env=ENVIRONMENT,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    streams = {stream["kind"]: stream["messages"] for stream in json.loads(info.stdout)["streams"]}
    assert streams == {"bar": 3, "mark": 3}
