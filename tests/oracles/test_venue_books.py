"""Books of venues through the whole line: recordings become events, events books, and the best levels are those that the venue's
own words make in a book of dicts here, message by message; the venue's checksums are met. The recordings are those in
`ws-frames` beside the captures (conftest.py says where), or small ones of our own making.
"""

from __future__ import annotations

import json
import zlib
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from tests.venue_recordings import recording

import signal_stream as ss
from signal_stream import book

if TYPE_CHECKING:
    from collections.abc import Iterator

GRAPH = ss.FeatureGraph(
    name="best",
    on=book,
    features={
        "bid": book.bid(1).price,
        "bid_qty": book.bid(1).qty,
        "ask": book.ask(1).price,
        "ask_qty": book.ask(1).qty,
        "tenth": book.bid(10).price,
    },
)
Best = tuple[float, ...]


def frames(path: Path) -> Iterator[Any]:
    with pa.CompressedInputStream(str(path), "zstd") as stream:
        lines = stream.read().splitlines()
    for line in map(json.loads, lines):
        if line["t"] == "recv":
            yield json.loads(line["data"])


def has_filler(frame: Any) -> bool:
    return any(level[0] == "0" for side in frame["data"]["changes"].values() for level in side)


class Naive:
    """A side of a book by price: what the venue wrote."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[Decimal, tuple[str, str]]] = {"b": {}, "a": {}}

    def put(self, side: str, price: str, qty: str) -> None:
        if Decimal(qty):
            self.sides[side][Decimal(price)] = (price, qty)
        else:
            self.sides[side].pop(Decimal(price), None)

    def top(self, side: str, levels: int) -> list[tuple[str, str]]:
        prices = sorted(self.sides[side], reverse=side == "b")[:levels]
        return [self.sides[side][price] for price in prices]

    def best(self) -> Best:
        return tuple(float(text) for side in "ba" for text in self.top(side, 1)[0])


def kraken(path: Path) -> Iterator[tuple[str, Naive, bool]]:
    books: dict[str, Naive] = defaultdict(Naive)
    for frame in frames(path):
        if not isinstance(frame, list) or frame[-2] != "book-1000":
            continue
        checksum = None
        for part in frame[1:-2]:
            if "as" in part:
                books[frame[-1]] = Naive()
            for key, levels in part.items():
                for price, qty, *_ in levels if key != "c" else ():
                    books[frame[-1]].put(key[0], price, qty)
            checksum = part.get("c", checksum)
        made = books[frame[-1]]
        text = "".join(
            word.replace(".", "").lstrip("0") for side in "ab" for level in made.top(side, 10) for word in level
        )
        yield frame[-1], made, checksum is None or zlib.crc32(text.encode()) == int(checksum)


def okx(path: Path) -> Iterator[tuple[str, Naive, bool]]:
    books: dict[str, Naive] = defaultdict(Naive)
    for frame in frames(path):
        if frame.get("arg", {}).get("channel") != "books" or "data" not in frame:
            continue
        name = frame["arg"]["instId"]
        for data in frame["data"]:
            if frame["action"] == "snapshot":
                books[name] = Naive()
            for side in ("bids", "asks"):
                for price, qty, *_ in data[side]:
                    books[name].put(side[0], price, qty)
            ranks = zip(books[name].top("b", 25), books[name].top("a", 25), strict=True)
            text = ":".join(word for pair in ranks for level in pair for word in level)
            yield name, books[name], zlib.crc32(text.encode()) == data["checksum"] % 2**32


@pytest.mark.parametrize(("venue", "said"), [("KRAKEN", kraken), ("OKX", okx)])
def test_best_levels_are_the_venues_and_checksums_are_met(venue: str, said: Any, tmp_path: Path) -> None:
    path, checksums = recording(venue, tmp_path)
    expected: dict[str, list[Best]] = defaultdict(list)
    for name, made, right in said(path):
        assert right, "this book is not the venue's"
        expected[f"{name}.{venue}"].append(made.best())
    engine = ss.Engine(GRAPH)
    found: dict[str, list[Best]] = defaultdict(list)
    for batch in ss.read_tape(path, max_rejected="100%"):
        for vectors in engine.push_vectors(batch):
            table = pa.record_batch(vectors).to_pydict()
            for instrument, *best in zip(
                *(table[name] for name in ("instrument", "bid", "bid_qty", "ask", "ask_qty")), strict=True
            ):
                found[instrument].append(tuple(best))
    counts = engine.counts()
    assert (counts["book_checksums"], counts["book_mismatches"]) == (checksums, 0)
    assert (counts["book_gaps"], counts["book_crossed"], counts["rejected"]) == (0, 0, 0)
    assert found == expected
    assert engine.core.take_notices() == []


def test_orphan_cancels_are_counted_and_the_books_go_on(tmp_path: Path) -> None:
    engine = ss.Engine(GRAPH)
    path, orphans = recording("INDEPENDENT_RESERVE", tmp_path)
    for batch in ss.read_tape(path, max_rejected="100%"):
        engine.push_vectors(batch)
    counts = engine.counts()
    assert (counts["book_orphans"], counts["book_gaps"]) == (orphans, 0)
    kinds = {kind for _, kind, _, _ in engine.core.take_notices()}
    assert kinds == {"UNKNOWN_ORDERS"}


def test_fillers_are_no_levels(tmp_path: Path) -> None:
    engine = ss.Engine(GRAPH)
    path, fillers = recording("KUCOIN", tmp_path)
    assert sum(frame.get("subject") == "trade.l2update" and has_filler(frame) for frame in frames(path)) == fillers
    for batch in ss.read_tape(path, max_rejected="100%"):
        for vectors in engine.push_vectors(batch):
            prices = pa.record_batch(vectors).select(["bid", "ask", "tenth"]).to_pydict()
            assert all(price is None or price > 0 for column in prices.values() for price in column)
    assert (engine.counts()["book_gaps"], engine.counts()["book_crossed"]) == (0, 0)
