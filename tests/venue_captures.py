"""Captures of venues as `VenueEmulator` serves them: recordings where they are at hand, frames of our own making where there are
none, laid out as the venues document them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import shared_data

START = 1_700_000_000_000_000_000
STEP = 50_000_000


@dataclass(frozen=True)
class VenueCapture:
    """What a venue's script is tried on."""

    venue: str
    """Of settings."""
    protocol: str
    """Of the emulator."""
    path: Path | None
    """A recording; None where frames are made."""
    focus: str
    """The symbol whose book is looked at."""
    instrument: str
    """Its id."""
    symbols: tuple[str, ...] = ()
    requests: int = 1
    """Requests for subscriptions that the script makes."""
    made: Callable[[], list[str]] | None = None

    def lines(self) -> list[str] | Path:
        """What the emulator takes."""
        if self.made is not None:
            return self.made()
        assert self.path is not None
        return self.path


def captures() -> list[VenueCapture]:
    """Each venue whose capture is at hand."""
    folder = shared_data() / "ws-frames"
    kraken = (
        "XBT/CHF",
        "XMR/USD",
        "ADA/XBT",
        "ETH/CHF",
        "GRT/ETH",
        "KSM/XBT",
        "OCEAN/XBT",
        "OMG/USD",
        "SC/EUR",
        "WAVES/EUR",
    )
    kucoin = ("FET-BTC", "EQZ-BTC", "ANKR-BTC", "SNX-BTC", "BCHSV-USDT", "NRG-BTC", "CAPP-BTC", "DAPPT-BTC", "COV-BTC")
    deribit = (
        "BTC-24SEP21-8000-P",
        "BTC-24SEP21-34000-P",
        "BTC-31DEC21-34000-P",
        "ETH-30JUL21-2800-C",
        "BTC-30JUL21-24000-P",
    )
    futures = ("SUSHIUSDT", "AKROUSDT", "KEEPUSDT", "CTKUSDT")
    okx = ("BTC-USDT", "UNI-USD-SWAP", "BTC-USD-220527")
    reserve = ("eth-aud", "dot-nzd", "matic-usd", "bch-sgd", "pmgt-nzd")

    def recorded(
        venue: str, protocol: str, symbols: tuple[str, ...], instrument: str, requests: int = 1
    ) -> VenueCapture:
        name = {"binance": "BINANCE_FUTURES", "independentreserve": "INDEPENDENT_RESERVE"}.get(
            protocol, protocol.upper()
        )
        path = folder / f"{name}.jsonl.zst"
        return VenueCapture(venue, protocol, path, symbols[0], instrument, symbols, requests)

    listed = [
        VenueCapture("bybit", "bybit", None, "BTCUSDT", "BTCUSDT.BYBIT", ("BTCUSDT",), made=bybit),
        VenueCapture("hyperliquid", "hyperliquid", None, "BTC", "BTC.HYPERLIQUID", ("BTC",), 3, made=hyperliquid),
        recorded("binance-usdm", "binance", futures, "SUSHIUSDT-PERP.BINANCE"),
        recorded("coinbase", "coinbase", ("BTC-USD", "ETH-USD"), "BTC-USD.COINBASE", 4),
        recorded("kraken", "kraken", kraken, "XBT/CHF.KRAKEN", 3),
        recorded("okx", "okx", okx, "BTC-USDT.OKX"),
        recorded("kucoin", "kucoin", kucoin, "FET-BTC.KUCOIN", 3),
        recorded("deribit", "deribit", deribit, "BTC-24SEP21-8000-P.DERIBIT"),
        recorded("independentreserve", "independentreserve", reserve, "ETH-AUD.INDEPENDENTRESERVE"),
    ]
    return [each for each in listed if each.path is None or each.path.exists()]


class _Market:
    """A book of whole ticks that changes a little with each step, around a price that wanders."""

    def __init__(self, seed: int, deep: int) -> None:
        self._draw = random.Random(seed)
        self._deep = deep
        self._middle = 60_000
        self._qtys: dict[int, int] = {}
        self._shown: dict[str, dict[int, int]] = {"b": {}, "a": {}}

    def step(self) -> dict[str, list[list[str]]]:
        """What changed among the best levels, a side each: price and quantity, 0 where the level is gone."""
        draw = self._draw
        self._middle += draw.choice((-2, -1, 0, 0, 1, 2))
        for _ in range(6):
            self._qtys[self._middle + draw.randint(-self._deep - 9, self._deep + 9)] = draw.randint(0, 900)
        shown = self._best()
        changes: dict[str, list[list[str]]] = {}
        for side, levels in shown.items():
            before = self._shown[side]
            gone = [[f"{price}.0", "0"] for price in before if price not in levels]
            new = [[f"{price}.0", f"{qty / 100}"] for price, qty in levels.items() if before.get(price) != qty]
            changes[side] = gone + new
        self._shown = shown
        return changes

    def _best(self) -> dict[str, dict[int, int]]:
        # Whoever crosses the middle is traded away.
        bids = {price: qty for price, qty in self._qtys.items() if price < self._middle and qty}
        asks = {price: qty for price, qty in self._qtys.items() if price > self._middle and qty}
        self._qtys.pop(self._middle, None)
        best = {"b": sorted(bids, reverse=True)[: self._deep], "a": sorted(asks)[: self._deep]}
        return {"b": {price: bids[price] for price in best["b"]}, "a": {price: asks[price] for price in best["a"]}}

    def whole(self) -> dict[str, list[list[str]]]:
        """The best levels."""
        return {
            side: [[f"{price}.0", f"{qty / 100}"] for price, qty in levels.items()]
            for side, levels in self._shown.items()
        }


def _steps(market: _Market) -> Iterator[tuple[int, dict[str, list[list[str]]]]]:
    for _ in range(80):
        market.step()
    for n in range(600):
        yield n, market.step()


def bybit() -> list[str]:
    """A snapshot of 50 levels, then diffs, best quotes and trades."""
    market, found = _Market(1, 50), []
    for n, changes in _steps(market):
        ts, kind = START + n * STEP, "snapshot" if n == 0 else "delta"
        sides = market.whole() if n == 0 else changes
        data = {"s": "BTCUSDT", **sides, "u": 100 + n, "seq": 9_000 + n}
        about = {"type": kind, "ts": ts // 1_000_000, "cts": ts // 1_000_000}
        found.append(_line(ts, {"topic": "orderbook.50.BTCUSDT", **about, "data": data}))
        best = {side: levels[:1] for side, levels in market.whole().items()}
        quote = {
            "topic": "orderbook.1.BTCUSDT",
            **about,
            "type": "snapshot",
            "data": {"s": "BTCUSDT", **best, "u": n + 1, "seq": n},
        }
        found.append(_line(ts + 1_000, quote))
        if n % 3 == 0:
            price, qty = best["a"][0]
            trade = {
                "T": ts // 1_000_000,
                "s": "BTCUSDT",
                "S": "Buy",
                "v": qty,
                "p": price,
                "L": "PlusTick",
                "i": f"t{n}",
                "BT": False,
            }
            found.append(
                _line(ts + 2_000, {"topic": "publicTrade.BTCUSDT", **about, "type": "snapshot", "data": [trade]})
            )
    return found


def hyperliquid() -> list[str]:
    """Whole books of 20 levels, best quotes and trades."""
    market, found = _Market(2, 20), []
    for n, _ in _steps(market):
        ts = START + n * STEP
        sides = [[{"px": price, "sz": qty, "n": 1} for price, qty in market.whole()[side]] for side in ("b", "a")]
        about = {"coin": "BTC", "time": ts // 1_000_000}
        found.append(_line(ts, {"channel": "l2Book", "data": {**about, "levels": sides}}))
        found.append(_line(ts + 1_000, {"channel": "bbo", "data": {**about, "bbo": [side[0] for side in sides]}}))
        if n % 3 == 0:
            trade = {**about, "side": "B", "px": sides[1][0]["px"], "sz": sides[1][0]["sz"], "hash": "0x0", "tid": n}
            found.append(_line(ts + 2_000, {"channel": "trades", "data": [trade]}))
    return found


def _line(ts: int, frame: object) -> str:
    return f"{ts} {json.dumps(frame, separators=(',', ':'))}"
