"""Promise 1 and 2 on real market data: the same bits however a graph is run, and wherever it began."""

from __future__ import annotations

import random
import zlib
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

import signal_stream as ss
from signal_stream import bars, book, quotes, trades
from signal_stream.research.input import Input

if TYPE_CHECKING:
    from conftest import Capture

MID = book.mid()
CLOSE = bars("1s").close
FEATURES = {
    "obi_5": book.imbalance(levels=5),
    "micro": book.microprice() - MID,
    "ofi_1s": book.ofi(levels=1).rolling("1s").sum(),
    "flow_5s": trades.signed_qty().rolling("5s").sum(),
    "count_5s": trades.count().rolling("5s").sum(),
    "vol_30s": MID.log().diff().rolling("30s").std(),
    "z_60": MID.rolling(60).zscore(),
    "range_20": MID.rolling(20).max() - MID.rolling(20).min(),
    "skew_60": MID.diff().rolling(60).skew(),
    "rank_60": MID.rolling(60).rank(),
    "corr_60": MID.rolling(60).corr(book.imbalance()),
    "quote_mid": quotes.mid(),
    "quote_mean": quotes.microprice().rolling(50).mean(),
    "mom": CLOSE.log().diff(5).rolling(10).zscore(),
    "trend": CLOSE.ewm(span=12).mean() / CLOSE.ewm(span=26).mean() - 1,
    "volume": bars("1s").volume,
    "vwap_gap": bars("5s").vwap - MID,
    "age": trades.price.age(),
    "fresh": trades.price.max_age("500ms"),
    "at": MID.at(trades).diff(),
    "chosen": ss.where(trades.side > 0, book.ask(1).price, book.bid(1).price),
}
GRAPH = ss.FeatureGraph(name="everything", on=ss.every("100ms"), features=FEATURES)
ON_BOOK = ss.FeatureGraph(
    name="on_book", on=book, features={name: FEATURES[name] for name in ("obi_5", "vol_30s", "flow_5s", "age")}
)


def paths(captures: list[Capture]) -> list[str]:
    return [str(capture.path) for capture in captures]


@pytest.mark.parametrize("graph", [GRAPH, ON_BOOK], ids=["clock", "book"])
def test_the_same_bits_however_it_is_run(captures: list[Capture], graph: ss.FeatureGraph) -> None:
    report = ss.parity(graph, paths(captures), snapshots=50)
    assert report.same, report.difference
    assert len(set(report.runs)) == 6
    assert report.vectors > 3000 or len(captures) == 1
    counts = report.counts
    assert counts["input"] == counts["accepted"] + counts["duplicate"] + counts["late"] + counts["rejected"]
    assert counts["book_crossed"] == 0
    assert counts["book_gaps"] == 0


@pytest.mark.parametrize("operator", ["std", "ofi", "log", "ewm"])
def test_a_wrong_operator_is_found_and_named(spot: Path, operator: str) -> None:
    report = ss.parity(GRAPH, spot, snapshots=0, inject_error=operator)
    found = report.difference
    assert found is not None
    assert operator in found.operator
    assert found.bits is not None
    assert found.reference_bits is not None
    assert int(found.bits, 16) != int(found.reference_bits, 16)
    assert found.feature in GRAPH.features
    assert found.offset > 0


def test_recorded_pace_gives_the_same_bits(spot: Path, tmp_path: Path) -> None:
    """Some seconds of the tape as they were recorded, eight times as fast, through the live source."""
    from signal_stream import _core

    batch = next(iter(Input.of(spot).batches()))
    part = tmp_path / "part.arrow"
    writer = _core.TapeWriter(str(part))
    writer.write(batch.slice(0, min(2500, batch.messages)))
    writer.finish()
    graph = ss.FeatureGraph(name="g", on=ss.every("100ms"), features={"mid": MID, "ofi": FEATURES["ofi_1s"]})
    whole = ss.compute(graph, part)
    engine, rows = ss.Engine(graph), []
    source = _core.LiveSource(_core.Feed.files([part]), pace="8x")
    while source.end is None:
        piece = source.next(1.0)
        if piece is not None:
            rows += [pa.record_batch(v) for v in engine.push_vectors(piece) if len(v)]
    assert pa.Table.from_batches(rows).unify_dictionaries().equals(whole.unify_dictionaries())


def test_a_window_does_not_depend_on_where_the_stream_began(captures: list[Capture]) -> None:
    """From 20 random messages on, every value that is valid has the bits of the run from the beginning."""
    settles = {"trend"}
    chooser = random.Random(3)
    batches = list(Input.of(paths(captures)).batches())
    starts = [0]
    for batch in batches:
        starts.append(starts[-1] + batch.messages)
    whole = ss.compute(GRAPH, paths(captures)).to_pandas().set_index(["instrument", "ts_recv"])
    for _ in range(20):
        begin = chooser.randrange(starts[-1] * 3 // 4)
        before, after = ss.Engine(GRAPH), ss.Engine(GRAPH)
        pieces = []
        for batch, (first, last) in zip(batches, pairwise(starts), strict=True):
            cut = min(max(begin - first, 0), last - first)
            if cut:
                before.push_vectors(batch.slice(0, cut))
            if first <= begin < last:
                after.push_vectors(before.core.book_snapshots())
            if begin < last:
                pieces += [pa.record_batch(v) for v in after.push_vectors(batch.slice(cut, last - first))]
        late = pa.Table.from_batches(pieces).unify_dictionaries().to_pandas().set_index(["instrument", "ts_recv"])
        early = whole.loc[late.index]
        for name in GRAPH.features:
            if name in settles:
                continue
            a, b = late[name].to_numpy(), early[name].to_numpy()
            valid = ~np.isnan(a)
            assert (a[valid].view(np.int64) == b[valid].view(np.int64)).all(), (name, begin)
        filled = late["vol_30s"].notna().sum()
        assert filled > 0 or len(captures) == 1


def test_ids_are_continuous_and_the_identity_holds(captures: list[Capture]) -> None:
    known = {"BTCUSDT.BINANCE": 41_249, "BTCUSDT-PERP.BINANCE": 93_954, "BTCUSD-PERP.BINANCE": 48_270}
    for capture in captures:
        engine = ss.Engine(ON_BOOK)
        for batch in Input.of(capture.path).batches():
            engine.push_vectors(batch)
        counts = engine.counts()
        assert counts["input"] == counts["accepted"] + counts["duplicate"] + counts["late"] + counts["rejected"]
        assert (counts["gaps"], counts["book_gaps"], counts["book_crossed"]) == (0, 0, 0)
        if len(captures) == len(known):
            assert counts["input"] == known[capture.instrument]


def test_merging_is_deterministic(captures: list[Capture]) -> None:
    def run() -> int:
        crc = 0
        for batch in Input.of(paths(captures)).batches():
            for column in pa.record_batch(batch).columns:
                for buffer in column.buffers():
                    if buffer is not None:
                        crc = zlib.crc32(buffer, crc)
        return crc

    assert run() == run()
