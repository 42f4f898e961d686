"""`venue` and `instruments` of sources: whose frames they are, and how many decimal places they have."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from tests.venue_run import EXCERPT, PATIENCE_S, SETTINGS

from signal_stream.errors import TapeError
from signal_stream.ingest.file_source import FileSource
from signal_stream.ingest.websocket_source import WebSocketSource
from signal_stream.testing import VenueEmulator

SHARED = {"lateness": "0ms", "late": "drop", "queue_rows": 65_536, "pace": "max"}


def read_all(source: Any, enough: int) -> list[Any]:
    """The batches up to the one with which so many messages have come, or up to the last."""
    source.open(None)
    batches: list[Any] = []
    latest = time.monotonic() + PATIENCE_S
    try:
        while sum(batch.messages for batch in batches) < enough and not source.ended:
            assert time.monotonic() < latest, source.stats()
            batch = source.next(5_000_000)
            if batch is not None:
                batches.append(batch)
    finally:
        source.close()
    return batches


def read(source: Any, enough: int) -> Any:
    """The last of them."""
    return read_all(source, enough)[-1]


def test_a_file_is_read_as_frames_of_the_venue_that_is_stated() -> None:
    url = f"file://{EXCERPT}"
    right = FileSource(FileSource.Settings.read(SHARED | {"url": url, "venue": "binance"}))
    assert read(right, 1 << 30).instruments == ["BTCUSDT.BINANCE"]
    wrong = FileSource(FileSource.Settings.read(SHARED | {"url": url, "venue": "okx"}))
    with pytest.raises(TapeError, match=r"refused .* of .* lines") as raised:
        read(wrong, 1 << 30)
    assert raised.value.code == "REJECTED"


def test_a_followed_file_is_too(tmp_path: Path) -> None:
    path = tmp_path / "growing"
    path.write_text(
        '1723161255208000000 {"channel":"bbo","data":{"coin":"A","time":1723161255208,"bbo":[null,null]}}\n'
    )
    keys = SHARED | {"url": f"file://{path}", "follow": True, "pace": "recorded"}
    source = FileSource(FileSource.Settings.read(keys | {"venue": "hyperliquid"}))
    # One line would not be enough to recognise whose it is.
    assert read(source, 1).instruments == ["A.HYPERLIQUID"]


def test_a_socket_has_the_scales_and_definitions_of_a_file(tmp_path: Path) -> None:
    known = tmp_path / "instruments.toml"
    known.write_text(
        '[[instrument]]\nid = "BTCUSDT.BINANCE"\nprice_scale = 3\nqty_scale = 5\nkind = "spot"\ntick = "0.01"\n'
        '[[instrument]]\nid = "ETHUSDT.BINANCE"\nprice_scale = 3\nkind = "spot"\n'
    )
    with VenueEmulator(EXCERPT, stamped=True) as venue:
        keys = SETTINGS | {"url": venue.url, "rest": venue.rest, "instruments": str(known)}
        source = WebSocketSource(WebSocketSource.Settings.read(keys))
        batches = read_all(source, 1_000)
        position = source.position
    import pyarrow as pa

    prices = [price for each in batches for price in pa.record_batch(each.records("trade")).column("price").to_pylist()]
    assert prices and all(61_000_000 < price < 63_000_000 for price in prices), "thousandths"
    assert batches[-1].definition("BTCUSDT.BINANCE", batches[-1].last_recv)["tick"] == "0.01"
    assert b"ETHUSDT" not in position, "what is not subscribed is no part of the place"
