"""Nothing is dropped silently: what of a capture cannot be used is counted, said, and beyond a share refused."""

from __future__ import annotations

import gzip
import json
import random
import warnings
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import signal_stream as ss
from signal_stream import trades
from signal_stream.commands import program
from signal_stream.errors import DataError, TapeError
from signal_stream.ingest import Intake, RefusedLines
from signal_stream.research.backfill import backfill

if TYPE_CHECKING:
    from pathlib import Path

START_MS = 1_700_000_040_000
GRAPH = ss.FeatureGraph(name="g", on=trades, features={"price": trades.price})


def trade(number: int, *, ms: int | None = None, **more: object) -> str:
    """A line of a spot capture: trade number `number`, a second after the one before."""
    ms = START_MS + 1000 * number if ms is None else ms
    data = {"e": "trade", "E": ms, "s": "BTCUSDT", "t": number, "p": "100.5", "q": "2", "T": ms, "m": False, "M": True}
    return f"{ms * 10**6} " + json.dumps({"stream": "btcusdt@trade", "data": data | more}, separators=(",", ":")) + "\n"


def lines(start: int, stop: int) -> str:
    return "".join(trade(number) for number in range(start, stop))


def read(path: Path) -> tuple[list[int], Intake]:
    """Trade ids of a capture, and what became of its lines."""
    intake, ids = Intake(), []
    for batch in ss.read_tape(path, max_rejected=1, intake=intake):
        ids += pa.record_batch(batch)["sequence"].to_pylist()
    return ids, intake


def broken(line: str) -> str:
    return line.replace('"p":', '"P":')


@pytest.fixture
def some_broken(tmp_path: Path) -> Path:
    """A thousand lines, three of them without a price."""
    path = tmp_path / "some.cap"
    path.write_text("".join(broken(trade(i)) if i in (100, 200, 300) else trade(i) for i in range(1, 1001)))
    return path


def test_a_broken_file_is_refused_and_the_error_says_how_much_where_and_what_to_do(some_broken: Path) -> None:
    with pytest.raises(TapeError) as caught:
        ss.compute(GRAPH, some_broken)
    assert caught.value.code == "REJECTED"
    text = str(caught.value)
    for part in ("3 of 1,000 lines", "MISSING_KEY 3", f"{some_broken}:100 ", '{"stream"', "max_rejected", "0.3%"):
        assert part in text
    with pytest.raises(TapeError):
        list(ss.compute(GRAPH, some_broken, batches=True))
    with pytest.raises(TapeError):
        ss.parity(GRAPH, some_broken, snapshots=0)
    with pytest.raises(TapeError):
        backfill(GRAPH, some_broken, some_broken.with_suffix(".parquet"))
    assert not some_broken.with_suffix(".parquet").exists()


def test_within_the_share_it_is_said(some_broken: Path) -> None:
    with pytest.warns(RefusedLines, match=r"refused 3 of 1,000 lines: MISSING_KEY 3"):
        assert ss.compute(GRAPH, some_broken, max_rejected="0.3%").num_rows == 997
    done = backfill(GRAPH, some_broken, some_broken.with_suffix(".parquet"), max_rejected=0.003)
    assert (done.intake.lines, done.intake.faults, dict(done.intake.refused)) == (1000, 3, {"MISSING_KEY": 3})
    assert ss.parity(GRAPH, some_broken, snapshots=0, max_rejected=1).intake.faults == 3
    with pytest.raises(DataError):
        ss.compute(GRAPH, some_broken, max_rejected="many")


@pytest.mark.parametrize("command", ["backfill", "parity", "convert", "info"])
def test_commands_say_it_and_exit_with_2(some_broken: Path, command: str) -> None:
    graph = some_broken.with_name("graph.py")
    graph.write_text(
        "from signal_stream import *\ng = FeatureGraph(name='g', on=trades, features={'p': trades.price})\n"
    )
    out = str(some_broken.with_suffix(".parquet"))
    words = {
        "backfill": ["backfill", str(graph), "--tape", str(some_broken), "-o", out],
        "parity": ["parity", str(graph), "--tape", str(some_broken), "--snapshots", "0"],
        "convert": ["tape", "convert", str(some_broken), "-o", out],
        "info": ["tape", "info", str(some_broken)],
    }[command]
    refused = CliRunner().invoke(program(words[0]), words)
    assert isinstance(refused.exception, TapeError)
    allowed = CliRunner().invoke(program(words[0]), [*words, "--max-rejected", "0.3%"])
    assert allowed.exit_code == 0, allowed.output
    assert "refused 3 of 1,000 lines: MISSING_KEY 3" in allowed.output
    assert f"{some_broken}:100 " in allowed.output


def test_frames_that_nobody_uses_and_an_end_that_still_grows_break_nothing(tmp_path: Path) -> None:
    path = tmp_path / "mixed.cap"
    other = "".join(trade(i, e="24hrTicker") for i in range(1, 11))
    path.write_text(lines(1, 11) + other + trade(11)[:40])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ss.compute(GRAPH, path).num_rows == 10
    _, intake = read(path)
    assert (dict(intake.refused), intake.unused) == ({"TRUNCATED": 1}, 10)
    assert intake.faults == 0


def test_features_without_a_value_are_named(tmp_path: Path) -> None:
    path = tmp_path / "trades.cap"
    path.write_text(lines(1, 50))
    graph = ss.FeatureGraph(
        name="g",
        on=trades,
        features={"price": trades.price, "mid": ss.book.mid(), "long": trades.price.rolling(60).mean()},
    )
    assert backfill(graph, path, tmp_path / "out.parquet").null_features == ("mid", "long")


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), members=st.integers(2, 4), damage=st.sampled_from(["cut", "flip", "zeros"]))
def test_a_torn_member_hides_no_other(
    tmp_path_factory: pytest.TempPathFactory, seed: int, members: int, damage: str
) -> None:
    """Wherever one member is damaged, all trades of the others are there, and the damage is counted."""
    chooser = random.Random(seed)
    parts = [gzip.compress(lines(300 * i + 1, 300 * i + 301).encode(), mtime=0) for i in range(members)]
    torn = chooser.randrange(members)
    part = bytearray(parts[torn])
    place = chooser.randrange(20, len(part))
    if damage == "cut":
        del part[place:]
    elif damage == "flip":
        part[place] ^= 1 << chooser.randrange(8)
    else:
        part[place : place + 200] = bytes(len(part[place : place + 200]))
    path = tmp_path_factory.mktemp("torn") / "torn.gz"
    path.write_bytes(b"".join([*parts[:torn], bytes(part), *parts[torn + 1 :]]))
    ids, intake = read(path)
    whole = {i for member in range(members) if member != torn for i in range(300 * member + 1, 300 * member + 301)}
    assert whole <= set(ids)
    assert bytes(part) == parts[torn] or intake.total >= 1
    assert intake.lines == len(ids) + intake.total


@pytest.mark.parametrize("left", [20, 40, 100])
def test_a_first_member_that_is_torn_before_its_first_line_hides_no_other(tmp_path: Path, left: int) -> None:
    first, second = (gzip.compress(lines(*span).encode(), mtime=0) for span in ((1, 501), (501, 1001)))
    path = tmp_path / "torn.gz"
    path.write_bytes(first[:left] + second)
    ids, intake = read(path)
    assert set(range(501, 1001)) <= set(ids)
    assert intake.refused["CORRUPT"] == 1


def test_a_tear_is_told_with_its_place(tmp_path: Path) -> None:
    first, second = (gzip.compress(lines(*span).encode(), mtime=0) for span in ((1, 501), (501, 1001)))
    path = tmp_path / "torn.gz"
    path.write_bytes(first[:-200] + second)
    with pytest.raises(TapeError, match="CORRUPT 1"):
        ss.compute(GRAPH, path)
    ids, intake = read(path)
    assert set(range(501, 1001)) <= set(ids)
    assert any(f"goes on with the member that begins at byte {len(first) - 200}" in line for line in intake.first)


def test_a_clock_in_another_unit_is_read_in_it_or_named(tmp_path: Path) -> None:
    path = tmp_path / "clock.cap"
    text = [trade(i) for i in range(1, 11)]
    in_ms = [line[:13] + line[19:] for line in text]
    path.write_text("".join(in_ms))
    assert ss.compute(GRAPH, path)["ts_recv"].cast("int64").to_pylist()[0] == (START_MS + 1000) * 10**6
    path.write_text("".join(text[:5] + in_ms[5:]))
    with pytest.raises(TapeError, match=rf"{path}:6 BAD_TIMESTAMP.*reads as ms, those before it are in ns"):
        ss.compute(GRAPH, path)
