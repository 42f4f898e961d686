"""LOBSTER: the book file is the oracle of the book that orders make, and of the one that is read from it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from tests.books import Rebuilt
from tests.lobster import Day
from tests.messages import Message, messages_of_batch
from tests.serving import ENVIRONMENT

import signal_stream as ss
from signal_stream import book, trades
from signal_stream.errors import DataError

MIDNIGHT = 1_340_251_200 * 10**9  # 2012-06-21T00:00 in New York, which is at UTC-4
LEVELS = 12
NAMED = {"bid_1": book.bid(1), "bid_3": book.bid(3), "ask_1": book.ask(1), "ask_3": book.ask(3)}
LEVEL = {f"{name}_{what}": getattr(level, what) for name, level in NAMED.items() for what in ("price", "qty")}
BOOK = ss.FeatureGraph(name="g", on=book, features={**LEVEL, "obi": book.imbalance(levels=1)})


@pytest.fixture(scope="module")
def day() -> Day:
    return Day(7, depth=LEVELS, rows=2_000)


def read(path: Path, **options: str) -> list[Message]:
    batches = ss.read_table(path, kind="lobster", latency="20ms", **options)
    return [message for batch in batches for message in messages_of_batch(pa.record_batch(batch))]


def nanoseconds(seconds: str) -> int:
    whole, part = seconds.split(".")
    return MIDNIGHT + int(whole) * 10**9 + int(part)


@pytest.mark.parametrize("made_of", ["levels", "orders"])
def test_trades_and_halts_are_those_of_the_file(day: Day, tmp_path: Path, made_of: str) -> None:
    found = [each for each in read(day.write(tmp_path), book=made_of) if each.kind in ("trade", "status")]
    expected = []
    for seconds, kind, _, size, price, direction in day.messages:
        at = nanoseconds(seconds)
        rows = None
        if kind in (4, 5):
            rows = [{"price": price * 100_000, "qty": size, "side": "ask" if direction == 1 else "bid"}]
        elif kind == 6:
            rows = [{"price": price * 100_000, "qty": size, "condition": "auction"}]
        elif kind == 7 and price:
            rows = [{"code": "halted" if price < 0 else "resumed", "scope": "instrument"}]
        if rows is not None:
            expected.append(Message("status" if kind == 7 else "trade", "XYZ.XNAS", at + 20_000_000, at, rows))
    assert found == expected
    assert {row["side"] for each in found for row in each.rows if "side" in row} == {"ask", "bid"}


@pytest.mark.parametrize("levels", [LEVELS, 3])
def test_levels_are_those_of_the_book_file(tmp_path: Path, levels: int) -> None:
    day = Day(8, depth=levels, rows=700)
    waiting = iter([each for each in read(day.write(tmp_path)) if each.kind == "book_snapshot"])
    rebuilt, before, snapshots, cut = Rebuilt(), None, 0, 0
    for wanted in day.sides():
        if wanted != before:
            rebuilt.take(next(waiting))
            snapshots += 1
        assert {side: rebuilt.top(side, levels) for side in ("ask", "bid")} == wanted
        assert all((rebuilt.cut[side] is not None) == (len(wanted[side]) == levels) for side in wanted)
        cut += sum(rebuilt.cut[side] is not None for side in wanted)
        before = wanted
    assert next(waiting, None) is None
    assert 200 < snapshots < len(day.books)
    assert (cut > 100) == (levels == 3), "of three levels a side is often full, of twelve never"


def test_orders_make_the_book_of_the_book_file(day: Day, tmp_path: Path) -> None:
    path = day.write(tmp_path)
    tapes = {}
    for made_of in ("levels", "orders"):
        tapes[made_of] = tmp_path / f"{made_of}.parquet"
        line = [
            sys.executable,
            "-m",
            "signal_stream",
            "tape",
            "import",
            path.name,
            "--kind",
            "lobster",
            "--latency",
            "0ms",
        ]
        line += ["--book", made_of, "-o", tapes[made_of].name]
        done = subprocess.run(line, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"{len(day.messages):,} rows of LOBSTER became" in done.stdout
    # Of each moment the last row counts: orders that change nothing within the levels change no snapshot.
    last = {name: ss.compute(BOOK, tape).to_pandas().groupby("ts_event").last() for name, tape in tapes.items()}
    common = last["orders"].index.intersection(last["levels"].index)
    assert len(common) > 400
    assert last["orders"].loc[common].equals(last["levels"].loc[common])
    assert ss.parity(BOOK, tapes["orders"], snapshots=10).same


def test_flow_is_that_of_the_aggressors(day: Day, tmp_path: Path) -> None:
    graph = ss.FeatureGraph(name="g", on=trades, features={"signed": trades.signed_qty()})
    engine = ss.Engine(graph)
    pieces = [engine.push(batch) for batch in ss.read_table(day.write(tmp_path), kind="lobster", latency="0ms")]
    found = [value for piece in pieces for value in piece["signed"].to_pylist()]
    signed = [-direction * size for _, kind, _, size, _, direction in day.messages if kind in (4, 5)]
    assert [value for value in found if value] == signed


GOOD = Day(3, depth=2, rows=20)


def broken(
    folder: Path, *, message: tuple[int, int, object] | None = None, book: tuple[int, int, int] | None = None
) -> Path:
    day = Day(3, depth=2, rows=20)
    if message is not None:
        at, column, value = message
        row = list(day.messages[at])
        row[column] = value  # type: ignore[assignment]
        day.messages[at] = tuple(row)  # type: ignore[assignment]
    if book is not None:
        day.books[book[0]][book[1]] = book[2]
    return day.write(folder)


@pytest.mark.parametrize(
    ("message", "levels", "says"),
    [
        ((3, 0, "34000.0"), None, 'column "time", line 4: the time goes back'),
        ((3, 1, 8), None, 'column "type", line 4: no type of message from 1 to 7: 8'),
        ((0, 3, 0), None, 'column "size", line 1: a size that is not above 0'),
        ((0, 4, -5), None, 'column "price", line 1: a price that is not above 0'),
        ((0, 5, 0), None, 'column "direction", line 1: a direction that is neither'),
        ((0, 2, "x"), None, "the file cannot be read"),
        (None, (19, 6, 5_853_500), "bid levels.*, line 20: levels out of order"),  # a second bid above the first
    ],
)
def test_what_no_file_of_lobster_has_is_refused_with_its_row(
    tmp_path: Path, message: tuple[int, int, object] | None, levels: tuple[int, int, int] | None, says: str
) -> None:
    path = broken(tmp_path, message=message, book=levels)
    with pytest.raises(DataError, match=says):
        ss.read_table(path, kind="lobster", latency="0ms")


def test_options_are_asked_for_and_refused(tmp_path: Path) -> None:
    path = Day(3, depth=2, rows=20).write(tmp_path)
    for options, says in [
        ({}, "Declare the feed's latency: --latency 20ms"),
        ({"latency": "soon"}, "latency is 'soon'"),
        ({"latency": "0ms", "book": "both"}, 'book is "both". Say "levels" or "orders"'),
        ({"latency": "0ms", "length": "1m"}, "length is given, which LOBSTER's files do not have"),
    ]:
        with pytest.raises(DataError, match=says):
            ss.read_table(path, kind="lobster", **options)  # type: ignore[arg-type]
    with pytest.raises(DataError, match='book is "orders", but the rows are trades'):
        ss.read_table(path, kind="trades", book="orders")
    with pytest.raises(DataError, match="no message file of LOBSTER"):
        ss.read_table(tmp_path / "other.csv", kind="lobster", latency="0ms")
    books = path.with_name(path.name.replace("message", "orderbook"))
    books.write_text("".join(books.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(DataError, match="not the same number of rows"):
        ss.read_table(path, kind="lobster", latency="0ms")
    books.unlink()
    with pytest.raises(DataError, match="say --book orders"):
        ss.read_table(path, kind="lobster", latency="0ms")
    assert read(path, book="orders", instrument="XYZ.OWN")[0].instrument == "XYZ.OWN"
