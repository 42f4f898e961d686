"""What venues compute themselves, over real sockets: reference data and bars are subscribed by name, and come as of a file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.venue_run import PATIENCE_S, SETTINGS, messages_of

import signal_stream as ss
from signal_stream.ingest.websocket_source import WebSocketSource
from signal_stream.testing import VenueEmulator

FRAMES = Path(__file__).parents[1] / "data" / "frames"
START = 1_700_000_000_000_000_000
REFERENCE, BAR, QUOTE = 10, 5, 2


class Case(NamedTuple):
    """A venue and what is asked of it."""

    venue: str
    symbol: str
    streams: tuple[str, ...]
    signs: tuple[str, ...]
    """What stands in the frames that come."""
    kinds: set[int]


CASES = [
    Case("binance", "BNBBTC", ("bars",), ("bnbbtc@kline_1m@+08:00",), {BAR}),
    Case("binance-usdm", "BTCUSDT", ("reference",), ("btcusdt@markPrice@1s",), {REFERENCE}),
    Case("binance-usdm", "ETHUSDT", ("reference", "bars"), ("ethusdt_perpetual@continuousKline_1m",), {BAR}),
    Case("bybit-linear", "BTCUSDT", ("reference",), ('"tickers.BTCUSDT"',), {REFERENCE}),
    Case("hyperliquid", "BTC", ("reference",), ("activeAssetCtx", '"coin":"BTC"'), {REFERENCE}),
    Case("okx", "BTC-USD-SWAP", ("reference",), ("funding-rate", "mark-price", "open-interest"), {REFERENCE}),
]


def frames_of(case: Case) -> list[str]:
    """The venue's frames of these streams, twice each, so that a market goes on."""
    text = (FRAMES / f"{case.venue.partition('-')[0]}.txt").read_text().splitlines()
    each = any if case.venue == "okx" else all
    frames = [line for line in text if line.startswith("{") and each(sign in line for sign in case.signs)]
    assert frames
    return [f"{START + 1_000 * n} {frame}" for n, frame in enumerate(frames * 2)]


def said(message: dict[str, Any]) -> dict[str, Any]:
    """Without columns that are there for another message of the batch."""
    return {key: value for key, value in message.items() if value}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.venue}-{'-'.join(case.streams)}")
def test_streams_are_subscribed_by_name_and_come_as_of_a_file(case: Case, tmp_path: Path) -> None:
    lines = frames_of(case)
    path = tmp_path / "recorded.capture"
    path.write_text("\n".join(lines) + "\n")
    expected = [each for batch in ss.read_tape(path, max_rejected="100%") for each in messages_of(batch)]
    with VenueEmulator(lines, venue=case.venue.partition("-")[0], stamped=True) as venue:
        keys = {"url": venue.url, "rest": venue.rest, "venue": case.venue, "symbols": [case.symbol]}
        source = WebSocketSource(WebSocketSource.Settings.read(SETTINGS | keys | {"streams": list(case.streams)}))
        source.open(None)
        found: list[dict[str, Any]] = []
        latest = time.monotonic() + PATIENCE_S
        try:
            while len(found) < len(expected):
                assert time.monotonic() < latest, source.stats()
                batch = source.next(5_000_000)
                found += [] if batch is None else messages_of(batch)
        finally:
            source.close()
    assert [said(each) for each in found] == [said(each) for each in expected]
    assert {each["kind"] for each in found} == case.kinds


@pytest.mark.parametrize(
    ("venue", "stream"),
    [("binance", "reference"), ("bybit", "reference"), ("okx", "bars"), ("kraken", "reference"), ("coinbase", "bars")],
)
def test_a_stream_that_the_venue_does_not_have_is_refused(venue: str, stream: str) -> None:
    keys = {"url": "wss://a", "venue": venue, "symbols": ["A-B"], "streams": ["trades", stream]}
    (problem,) = WebSocketSource.Settings.read(SETTINGS | keys).problems()
    assert problem.key == "streams" and f"{venue} has no {stream}, only trades, quotes, depth" in problem.message


def test_who_names_no_streams_gets_what_happens_on_the_market(tmp_path: Path) -> None:
    """Bars and reference data are extra."""
    kinds = {"trade": 1, "bookTicker": QUOTE, "markPrice@1s": REFERENCE}
    lines = [line for line in (FRAMES / "binance.txt").read_text().splitlines() if "btcusdt@" in line]
    lines = [f"{START + n} {line}" for n, line in enumerate(lines) if any(f"@{kind}" in line for kind in kinds)]
    assert any("markPrice" in line for line in lines)
    with VenueEmulator(lines, venue="binance", stamped=True) as venue:
        keys = {"url": venue.url, "rest": venue.rest, "venue": "binance-usdm", "symbols": ["BTCUSDT"]}
        source = WebSocketSource(WebSocketSource.Settings.read(SETTINGS | keys))
        source.open(None)
        found: set[int] = set()
        latest = time.monotonic() + PATIENCE_S
        try:
            while not found >= {1, QUOTE}:
                assert time.monotonic() < latest, source.stats()
                batch = source.next(5_000_000)
                found |= set() if batch is None else {each["kind"] for each in messages_of(batch)}
            asked = source.stats()["connection"]
        finally:
            source.close()
        assert REFERENCE not in found
    assert asked["subscriptions"] == 1
