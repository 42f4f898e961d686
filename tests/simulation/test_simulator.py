"""Is the simulated market a market, is a capture the same everywhere, and are faults where the log says?"""

import gzip
import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from signal_stream.testing import (
    BTCUSDT,
    BTCUSDT_PERP,
    ETHUSDT,
    BadQuantity,
    BrokenJson,
    Burst,
    Capture,
    ClockJump,
    Crossed,
    Duplicate,
    FairValue,
    Fault,
    FaultLog,
    FlowRates,
    Freeze,
    Gap,
    LimitOrderBook,
    MarketSimulator,
    Reorder,
    SnapshotMissing,
    TruncatedGzip,
)

SPOT = MarketSimulator(seed=7, duration_s=20.0)
PERP = MarketSimulator(seed=7, duration_s=20.0, instruments=(BTCUSDT_PERP,))


@pytest.fixture(scope="module", params=[SPOT, PERP], ids=["spot", "usdm"])
def simulator(request: pytest.FixtureRequest) -> MarketSimulator:
    made: MarketSimulator = request.param
    return made


@pytest.fixture(scope="module")
def clean(simulator: MarketSimulator) -> Capture:
    return simulator.capture()


class Reader:
    """An independent reader of a capture: joins snapshot and diffs, and notes what is wrong.

    `notes` holds (line, code). The book is kept in exact decimal text turned into integers of 1e-8.
    """

    def __init__(self, lines: Sequence[bytes]) -> None:
        self.notes: list[tuple[int, str]] = []
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.joined = False
        self.diffs: list[dict] = []
        self.last: dict[str, int] = {}
        self.crossed = False
        self.broken = False  # a diff is missing: the book means nothing until the next snapshot
        newest = 0
        for number, line in enumerate(lines, start=1):
            stamp, _, text = line.partition(b" ")
            if int(stamp) < newest:
                self.notes.append((number, "LATE"))
                continue
            if newest and int(stamp) > newest + 7 * 86_400 * 10**9:
                self.notes.append((number, "FUTURE"))
                continue
            newest = int(stamp)
            try:
                frame = json.loads(text)
                self.read(number, frame)
            except ValueError:
                self.notes.append((number, "REJECT"))
        if not self.joined:
            self.notes.append((0, "BUILDING"))

    def read(self, number: int, frame: dict) -> None:
        if "lastUpdateId" in frame:
            self.join(frame)
            return
        data = frame["data"]
        if frame["stream"].endswith("@trade"):
            exact(data["q"])
            self.follow("trade", number, data["t"] - 1, data["t"], data["t"])
        elif frame["stream"].endswith("@bookTicker"):
            exact(data["B"]), exact(data["A"])
            assert float(data["b"]) < float(data["a"])
            if data["u"] == self.last.get("quote"):
                self.notes.append((number, "DUPLICATE"))
            elif data["u"] < self.last.get("quote", 0):
                self.notes.append((number, "LATE"))
            self.last["quote"] = max(data["u"], self.last.get("quote", 0))
        else:
            for _, qty in data["b"] + data["a"]:
                exact(qty)
            previous = data.get("pu", data["U"] - 1)
            if self.follow("depth", number, previous, data["U"], data["u"]):
                self.broken = self.broken or (number, "GAP") in self.notes[-1:]
                self.diffs.append(data)
                if self.joined and not self.broken:
                    self.change(data)
                    crossed = max(self.bids) >= min(self.asks)
                    if crossed and not self.crossed:
                        self.notes.append((number, "CROSSED"))
                    elif self.crossed and not crossed:
                        self.notes.append((number, "UNCROSSED"))
                    self.crossed = crossed

    def follow(self, stream: str, number: int, previous: int, first: int, last: int) -> bool:
        seen = self.last.get(stream)
        if seen is not None and last <= seen:
            self.notes.append((number, "DUPLICATE" if last == seen else "LATE"))
            return False
        assert previous < first <= last
        if seen is not None and previous != seen:
            self.notes.append((number, "GAP"))
        self.last[stream] = last
        return True

    def join(self, snapshot: dict) -> None:
        assert not self.joined, "one snapshot only in these tests"
        self.bids = {exact(price): exact(qty) for price, qty in snapshot["bids"]}
        self.asks = {exact(price): exact(qty) for price, qty in snapshot["asks"]}
        self.joined = True
        last = snapshot["lastUpdateId"]
        newer = [diff for diff in self.diffs if diff["u"] > last]
        if newer:
            assert newer[0].get("pu", newer[0]["U"] - 1) <= last
        for diff in newer:
            self.change(diff)

    def change(self, diff: dict) -> None:
        for side, levels in ((self.bids, diff["b"]), (self.asks, diff["a"])):
            for price, qty in levels:
                if exact(qty):
                    side[exact(price)] = exact(qty)
                else:
                    side.pop(exact(price), None)


def exact(text: str) -> int:
    """Decimal text in units of 1e-8; ValueError if it is below zero or finer than that."""
    if not re.fullmatch(r"\d+\.\d{1,8}", text):
        raise ValueError(text)
    whole, _, part = text.partition(".")
    return int(whole + part.ljust(8, "0"))


def notes(capture: Capture) -> list[tuple[int, str]]:
    return Reader(capture.lines).notes


def payload(line: bytes) -> bytes:
    return line.partition(b" ")[2]


# The same capture everywhere.


@pytest.mark.parametrize(
    ("instrument", "digest"),
    [(BTCUSDT, "5565a0aaee252d39"), (BTCUSDT_PERP, "5fde319af4fb4a98"), (ETHUSDT, "3c3ec8985e4511a3")],
    ids=lambda value: getattr(value, "id", ""),
)
def test_the_bytes_of_a_seed_are_the_same_on_every_machine(instrument, digest) -> None:
    """A change of the model changes these digests: whoever tuned on the old market must know."""
    simulator = MarketSimulator(seed=1, duration_s=10.0, instruments=(instrument,))
    assert hashlib.sha256(b"".join(simulator.lines())).hexdigest()[:16] == digest


def test_every_way_to_a_capture_gives_the_same_lines(simulator, clean, tmp_path: Path) -> None:
    log = simulator.write_capture(tmp_path / "capture.gz")
    assert len(log) == 0
    assert gzip.decompress((tmp_path / "capture.gz").read_bytes()) == b"".join(clean.lines)
    assert list(simulator.lines()) == clean.lines


def test_another_seed_is_another_market(simulator, clean) -> None:
    other = MarketSimulator(seed=8, duration_s=2.0, instruments=simulator.instruments)
    assert not set(other.lines()) & set(clean.lines)


# A capture like the venue's.

FORMS = {
    "spot depth": '{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":<N>,"s":"BTCUSDT",'
    '"U":<N>,"u":<N>,"b":<L>,"a":<L>}}',
    "spot quote": '{"stream":"btcusdt@bookTicker","data":{"u":<N>,"s":"BTCUSDT",'
    '"b":"<P>","B":"<Q>","a":"<P>","A":"<Q>"}}',
    "spot trade": '{"stream":"btcusdt@trade","data":{"e":"trade","E":<N>,"s":"BTCUSDT","t":<N>,'
    '"p":"<P>","q":"<Q>","T":<N>,"m":<B>,"M":true}}',
    "spot snapshot": '{"lastUpdateId":<N>,"bids":<L>,"asks":<L>}',
    "usdm depth": '{"stream":"btcusdt@depth@0ms","data":{"e":"depthUpdate","E":<N>,"T":<N>,"s":"BTCUSDT",'
    '"U":<N>,"u":<N>,"pu":<N>,"b":<L>,"a":<L>}}',
    "usdm quote": '{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":<N>,"s":"BTCUSDT",'
    '"b":"<P>","B":"<Q>","a":"<P>","A":"<Q>","T":<N>,"E":<N>}}',
    "usdm trade": '{"stream":"btcusdt@trade","data":{"e":"trade","E":<N>,"T":<N>,"s":"BTCUSDT","t":<N>,'
    '"p":"<P>","q":"<Q>","X":"MARKET","m":<B>}}',
    "usdm snapshot": '{"lastUpdateId":<N>,"E":<N>,"T":<N>,"bids":<L>,"asks":<L>}',
}
DECIMALS = {"spot": (r"\d+\.\d{2}0{6}", r"\d+\.\d{5}000"), "usdm": (r"\d+\.\d0", r"\d+\.\d{3}")}


def test_frames_have_the_form_of_the_venue(simulator: MarketSimulator, clean: Capture) -> None:
    """The forms are those of recorded frames: order of the keys, decimals, no spaces."""
    venue = simulator.instruments[0].venue
    price, qty = DECIMALS[venue]
    level = rf'\["{price}","{qty}"\]'
    tokens = {"N": r"\d+", "P": price, "Q": qty, "B": "(true|false)", "L": rf"\[({level}(,{level})*)?\]"}
    forms = {}
    for name, form in FORMS.items():
        pattern = re.escape(form)
        for token, meaning in tokens.items():
            pattern = pattern.replace(f"<{token}>", meaning)
        forms[name] = re.compile(r"17231612\d{11} " + pattern + "\n")
    kinds = Counter()
    for frame in clean.frames:
        assert forms[f"{venue} {frame.kind}"].fullmatch(frame.line.decode()), frame.line[:200]
        kinds[frame.kind] += 1
    assert kinds["snapshot"] == 1
    assert min(kinds["depth"], kinds["quote"], kinds["trade"]) > 100


def test_ids_and_times_are_continuous_and_the_book_never_crosses(clean: Capture) -> None:
    assert notes(clean) == []
    received = [frame.ts_recv for frame in clean.frames]
    assert all(a < b for a, b in pairwise(received))
    sent = [frame.ts_event for frame in clean.frames]
    assert sent == sorted(sent)


def test_the_snapshot_comes_late_and_its_first_diffs_are_already_there(clean: Capture) -> None:
    kinds = [frame.kind for frame in clean.frames]
    snapshot = clean.frames[kinds.index("snapshot")]
    early = [frame for frame in clean.frames[: kinds.index("snapshot")] if frame.kind == "depth"]
    assert early
    assert early[0].update_id < snapshot.update_id
    assert 150e6 < snapshot.ts_event - SPOT.start_ns < 600e6


def test_a_reader_of_the_diffs_has_the_true_book(simulator: MarketSimulator) -> None:
    """With a snapshot of all levels the joined book is the venue's book, level by level, at each diff."""
    whole = MarketSimulator(seed=3, duration_s=12.0, instruments=simulator.instruments, snapshot_levels=100_000)
    capture = whole.capture()
    ticks = 10 ** (8 - simulator.instruments[0].tick_places)
    lots = 10 ** (8 - simulator.instruments[0].lot_places)
    joined = 0
    for line in range(1, len(capture.frames) + 1):
        if capture.frames[line - 1].kind == "depth" and line % 7 == 0:
            reader = Reader(capture.lines[:line])
            if not reader.joined:
                continue
            true = capture.book(line)
            assert {price * ticks: qty * lots for price, qty in true.bids} == reader.bids
            assert {price * ticks: qty * lots for price, qty in true.asks} == reader.asks
            joined += 1
    assert joined > 5


def test_quotes_and_trades_are_those_of_the_true_book(simulator: MarketSimulator, clean: Capture) -> None:
    """A quote shows the best levels; a trade is at the best opposite price and within its quantity."""
    ticks = 10 ** (8 - simulator.instruments[0].tick_places)
    lots = 10 ** (8 - simulator.instruments[0].lot_places)
    for line, frame in enumerate(clean.frames, start=1):
        if frame.kind == "quote":
            data, book = json.loads(frame.json)["data"], clean.book(line)
            shown = [exact(data[key]) for key in "bBaA"]
            assert shown == [
                book.bids[0][0] * ticks,
                book.bids[0][1] * lots,
                book.asks[0][0] * ticks,
                book.asks[0][1] * lots,
            ]
        elif frame.kind == "trade" and line > 1:
            data, book = json.loads(frame.json)["data"], clean.book_after(frame.update_id - 1)
            price, qty = (book.bids if data["m"] else book.asks)[0]
            assert exact(data["p"]) == price * ticks
            assert 0 < exact(data["q"]) <= qty * lots


# A market like the real one.


def test_orders_at_a_price_are_filled_first_come_first_served() -> None:
    """Against a plain list of orders, over random orders, cancels and takes."""
    draw = random.Random(5)
    book = LimitOrderBook()
    resting: list[list[int]] = []  # sign, price, qty, id in order of arrival
    for n in range(4000):
        sign = draw.choice((1, -1))
        side = book.bids if sign > 0 else book.asks
        act = draw.random()
        if act < 0.6:
            other = book.opposite(side).best
            price = draw.randint(990, 1010)
            if other is not None and (price - other) * sign >= 0:
                continue
            qty = draw.randint(1, 9)
            resting.append([sign, price, qty, book.add(side, price, qty)])
        elif act < 0.8 and resting:
            order = draw.choice(resting)
            assert book.cancel(order[3])
            assert not book.cancel(order[3])
            resting.remove(order)
        else:
            qty, limit = draw.randint(1, 30), draw.choice((None, draw.randint(990, 1010)))
            expected = []
            for order in sorted((o for o in resting if o[0] == sign), key=lambda o: (-o[0] * o[1], o[3])):
                if qty == 0 or (limit is not None and (order[1] - limit) * sign < 0):
                    break
                traded = min(qty, order[2])
                qty -= traded
                order[2] -= traded
                expected.append((order[1], traded, order[3]))
            want = sum(traded for _, traded, _ in expected) + qty
            assert [fill[:3] for fill in book.take(side, want, limit)] == expected
            resting = [order for order in resting if order[2]]
        if n % 50 == 0:
            book.check_invariants()


def test_imbalance_and_order_flow_foretell_the_mid() -> None:
    """Rank correlation with the next 10 s, over three captures: something to find, and not too much."""
    found = {"imbalance": [], "ofi": []}
    for seed in (1, 2, 3):
        bid, bid_qty, ask, ask_qty, ts = _quotes(MarketSimulator(seed=seed).lines())
        grid = np.arange(ts[0], ts[-1], 100_000_000)
        at = np.searchsorted(ts, grid, side="right") - 1
        mid = ((bid + ask) / 2)[at]
        forward = np.log(mid[100:] / mid[:-100])
        imbalance = ((bid_qty - ask_qty) / (bid_qty + ask_qty))[at]
        flow = np.zeros(len(ts))
        flow[1:] = (bid[1:] >= bid[:-1]) * bid_qty[1:] - (bid[1:] <= bid[:-1]) * bid_qty[:-1]
        flow[1:] += (ask[1:] >= ask[:-1]) * ask_qty[:-1] - (ask[1:] <= ask[:-1]) * ask_qty[1:]
        total = np.cumsum(flow)
        before = np.maximum(np.searchsorted(ts, grid - 10**9, side="right") - 1, 0)
        found["imbalance"].append(_rank_correlation(imbalance[:-100], forward))
        found["ofi"].append(_rank_correlation((total[at] - total[before])[:-100], forward))
    assert all(0.05 < np.mean(ics) < 0.35 for ics in found.values()), found


def test_the_market_at_large_is_like_the_recorded_one() -> None:
    """Wide bands around six minutes of Binance BTC: rates, spread, volatility, tails, clustering."""
    lines = list(MarketSimulator(seed=11).lines())
    bid, _, ask, _, ts = _quotes(iter(lines))
    seconds = (ts[-1] - ts[0]) / 1e9
    trades = [json.loads(payload(line))["data"] for line in lines if b"@trade" in line]
    assert 40 < len(ts) / seconds < 160
    assert 10 < len(trades) / seconds < 60
    assert np.median(ask - bid) == pytest.approx(0.01)
    assert 0.5 < np.quantile(ask - bid, 0.99) < 20.0
    mid = ((bid + ask) / 2)[np.searchsorted(ts, np.arange(ts[0], ts[-1], 10**9), side="right") - 1]
    returns_bp = 1e4 * np.diff(np.log(mid))
    assert 0.6 < returns_bp.std() < 2.6
    assert (returns_bp**4).mean() / returns_bp.var() ** 2 > 6.0
    signs = np.array([-1 if trade["m"] else 1 for trade in trades])
    assert np.corrcoef(signs[1:], signs[:-1])[0, 1] > 0.4
    counts = np.bincount([(trade["T"] - trades[0]["T"]) // 1000 for trade in trades])
    assert counts.var() / counts.mean() > 5.0


def test_instruments_hear_the_same_news_and_the_perpetual_hears_it_first() -> None:
    market = MarketSimulator(seed=2, instruments=(BTCUSDT, BTCUSDT_PERP, ETHUSDT))
    grid = np.arange(market.start_ns + 10**9, market.start_ns + 340 * 10**9, 250_000_000)
    mids = {}
    for instrument in market.instruments:
        bid, _, ask, _, ts = _quotes(market.lines(instrument=instrument.id))
        mids[instrument.id] = np.log((bid + ask) / 2)[np.searchsorted(ts, grid, side="right") - 1]
    btc, perp, eth = (np.diff(mids[instrument.id][::40]) for instrument in market.instruments)
    assert np.corrcoef(btc, perp)[0, 1] > 0.75
    assert 0.2 < np.corrcoef(btc, eth)[0, 1] < 0.95
    fast_btc, fast_perp = np.diff(mids[BTCUSDT.id]), np.diff(mids[BTCUSDT_PERP.id])
    leads = np.corrcoef(fast_perp[:-1], fast_btc[1:])[0, 1]
    lags = np.corrcoef(fast_perp[1:], fast_btc[:-1])[0, 1]
    assert leads > 0.3 > lags + 0.2
    with pytest.raises(ValueError, match="BTCUSDT-PERP"):
        list(market.lines(instrument="XRPUSDT.BINANCE"))


def test_regimes_are_known_to_the_truth() -> None:
    capture = MarketSimulator(seed=4, duration_s=200.0).capture()
    regimes = [capture.regime(line) for line in range(1, len(capture.frames) + 1)]
    assert set(regimes) == {"calm", "volatile"}
    assert all(-1.0 <= capture.pressure(line) <= 1.0 for line in range(1, len(regimes), 500))


def _quotes(lines: Iterator[bytes]) -> tuple[np.ndarray, ...]:
    """Bid, bid quantity, ask, ask quantity, receive time of each quote."""
    rows, stamps = [], []
    for line in lines:
        stamp, _, text = line.partition(b" ")
        if b"@bookTicker" in text[:60]:
            data = json.loads(text)["data"]
            rows.append([float(data[key]) for key in "bBaA"])
            stamps.append(int(stamp))
    return (*np.array(rows).T, np.array(stamps))


def _rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's, ties by their mean rank."""

    def ranks(values: np.ndarray) -> np.ndarray:
        _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
        return (np.cumsum(counts) - counts / 2)[inverse]

    return float(np.corrcoef(ranks(x), ranks(y))[0, 1])


# Faults are where the log says, and nowhere else.


def without(lines: Sequence[bytes], numbers: Sequence[int | None]) -> list[bytes]:
    return [line for n, line in enumerate(lines, start=1) if n not in numbers]


@pytest.mark.parametrize("stream", ["depth", "quote", "trade"])
def test_duplicates(simulator: MarketSimulator, clean: Capture, stream: str) -> None:
    capture = simulator.capture(faults=[Duplicate(rate_hz=0.5, stream=stream, copies=2)])
    found = [(entry.line, "DUPLICATE") for entry in capture.faults]
    assert len(found) >= 4
    assert notes(capture) == found
    assert without(capture.lines, [line for line, _ in found]) == clean.lines
    for entry in capture.faults:
        assert entry.line is not None and entry.until_line == entry.line
        assert payload(capture.lines[entry.line - 1]) == payload(capture.lines[entry.line - 2])


@pytest.mark.parametrize("stream", ["depth", "trade"])
def test_gaps(simulator: MarketSimulator, clean: Capture, stream: str) -> None:
    capture = simulator.capture(faults=[Gap(rate_hz=0.3, stream=stream, frames=3)])
    found = [(entry.line, "GAP") for entry in capture.faults if entry.line]
    assert len(found) >= 2
    assert notes(capture) == found
    assert len(clean.lines) - len(capture.lines) in range(3 * len(found), 3 * len(capture.faults) + 1)
    assert set(capture.lines) < set(clean.lines)


def test_a_gap_is_healed_by_the_next_snapshot_where_they_come() -> None:
    often = MarketSimulator(seed=7, duration_s=12.0, snapshot_every_s=4.0)
    capture = often.capture(faults=[Gap(at_s=5.0)])
    [gap] = capture.faults
    snapshots = [n for n, frame in enumerate(capture.frames, start=1) if frame.kind == "snapshot"]
    assert len(snapshots) == 3
    assert gap.line is not None and snapshots[1] < gap.line < snapshots[2]


@pytest.mark.parametrize(("stream", "by"), [("depth", 1), ("depth", 4), ("trade", 1), ("quote", 1)])
def test_reordered_frames(simulator: MarketSimulator, clean: Capture, stream: str, by: int) -> None:
    capture = simulator.capture(faults=[Reorder(rate_hz=0.3, stream=stream, by=by)])
    shown = [entry for entry in capture.faults if entry.until_line]
    assert shown
    expected = []
    for entry in shown:
        lines = [entry.line, entry.until_line][-len(entry.expect) :]
        expected += zip(lines, entry.expect, strict=True)
    assert notes(capture) == expected
    assert Counter(map(payload, capture.lines)) == Counter(map(payload, clean.lines))
    received = [frame.ts_recv for frame in capture.frames]
    assert received == sorted(received)


def test_crossed_books(simulator: MarketSimulator, clean: Capture) -> None:
    capture = simulator.capture(faults=[Crossed(rate_hz=0.3, frames=2)])
    expected = []
    for entry in capture.faults:
        expected += [(entry.line, "CROSSED"), (entry.until_line, "UNCROSSED")]
    assert expected
    assert notes(capture) == [note for note in expected if note[0]]
    changed = [n for n, pair in enumerate(zip(capture.lines, clean.lines, strict=True), 1) if pair[0] != pair[1]]
    assert changed == [line for line, _ in expected if line]


@pytest.mark.parametrize("stream", ["depth", "quote", "trade"])
@pytest.mark.parametrize(
    "fault",
    [
        lambda stream: BrokenJson(rate_hz=0.5, stream=stream),
        lambda stream: BadQuantity(rate_hz=0.5, stream=stream, kind="negative"),
        lambda stream: BadQuantity(rate_hz=0.5, stream=stream, kind="over-precise"),
    ],
    ids=["broken", "negative", "over-precise"],
)
def test_frames_that_must_be_refused(simulator: MarketSimulator, clean: Capture, fault, stream: str) -> None:
    capture = simulator.capture(faults=[fault(stream)])
    bad = [entry.line for entry in capture.faults]
    assert len(bad) >= 3
    assert [line for line, code in notes(capture) if code == "REJECT"] == bad
    assert {code for _, code in notes(capture)} == {code for entry in capture.faults for code in entry.expect}
    assert without(capture.lines, bad) == without(clean.lines, bad)


def test_a_clock_that_goes_back_or_ahead(simulator: MarketSimulator, clean: Capture) -> None:
    back = simulator.capture(faults=[ClockJump(at_s=9.0, by_s=-2.0, frames=5)])
    [entry] = back.faults
    assert entry.line is not None and entry.until_line == entry.line + 4
    late = [(line, "LATE") for line in range(entry.line, entry.line + 5)]
    assert [note for note in notes(back) if note[1] == "LATE"] == late
    assert list(map(payload, back.lines)) == list(map(payload, clean.lines))
    ahead = simulator.capture(faults=[ClockJump(at_s=9.0, by_s=8 * 86_400.0)])
    assert [note for note in notes(ahead) if note[1] == "FUTURE"] == [(ahead.faults.entries[0].line, "FUTURE")]


def test_a_snapshot_that_never_comes(simulator: MarketSimulator, clean: Capture) -> None:
    capture = simulator.capture(faults=[SnapshotMissing()])
    [entry] = capture.faults
    assert notes(capture) == [(0, "BUILDING")]
    assert entry.line is not None and clean.frames[entry.line - 1].kind == "snapshot"
    assert capture.lines == without(clean.lines, [entry.line])


@pytest.mark.parametrize("missed", ["late", "lost", "none"])
def test_a_feed_that_freezes(simulator: MarketSimulator, clean: Capture, missed) -> None:
    capture = simulator.capture(faults=[Freeze(at_s=8.0, duration_s=3.0, missed=missed)])
    [entry] = capture.faults
    assert entry.line is not None and entry.until_line is not None
    before, after = capture.frames[entry.line - 2], capture.frames[entry.line - 1]
    assert 2.9e9 < after.ts_recv - before.ts_recv < 3.6e9
    begin_ns, end_ns = simulator.start_ns + 8 * 10**9, simulator.start_ns + 11 * 10**9
    in_time = [frame for frame in clean.frames if begin_ns <= frame.ts_recv < end_ns]
    if missed == "late":
        held = capture.frames[entry.line - 1 : entry.until_line]
        assert [frame.json for frame in held] == [frame.json for frame in in_time]
        assert list(map(payload, capture.lines)) == list(map(payload, clean.lines))
        assert notes(capture) == []
    elif missed == "lost":
        assert len(clean.lines) - len(capture.lines) == len(in_time)
        assert [code for _, code in notes(capture)] == ["GAP", "GAP"]
    else:
        assert notes(capture) == []
        assert capture.lines[: entry.line - 2] == clean.lines[: entry.line - 2]
    received = [frame.ts_recv for frame in capture.frames]
    assert all(a < b for a, b in pairwise(received))


def test_a_burst_is_more_of_the_same_market() -> None:
    simulator = MarketSimulator(seed=7, duration_s=60.0)
    capture = simulator.capture(faults=[Burst(at_s=20.0, duration_s=10.0, factor=8.0)])
    [entry] = capture.faults
    assert entry.line is not None and entry.until_line is not None
    span = capture.frames[entry.line - 1 : entry.until_line]
    assert simulator.start_ns + 20 * 10**9 <= span[0].ts_event
    assert span[-1].ts_event < simulator.start_ns + 30 * 10**9 <= capture.frames[entry.until_line].ts_event
    outside = (len(capture.frames) - len(span)) / 50.0
    assert 5.0 < len(span) / 10.0 / outside < 11.0
    assert notes(capture) == []
    assert capture.lines[: entry.line - 1] == simulator.capture().lines[: entry.line - 1]


def test_a_gzip_file_that_ends_early(simulator: MarketSimulator, clean: Capture, tmp_path: Path) -> None:
    path = tmp_path / "cut.gz"
    log = simulator.write_capture(path, faults=[TruncatedGzip(keep=0.6)])
    [entry] = log
    lines = []
    with gzip.open(path) as file, pytest.raises(EOFError):
        for line in file:
            lines.append(line)
    assert entry.line is not None and 1 < entry.line < len(clean.lines)
    assert [line for line in lines if line.endswith(b"\n")] == clean.lines[: entry.line - 1]
    with pytest.raises(ValueError, match="write_capture"):
        simulator.lines(faults=[TruncatedGzip(keep=0.5)])


def test_many_faults_at_once_leave_the_truth_alone(simulator: MarketSimulator, clean: Capture) -> None:
    faults: list[Fault] = [
        Gap(rate_hz=0.3),
        Duplicate(rate_hz=0.4, stream="trade"),
        Reorder(rate_hz=0.3, stream="quote"),
        BrokenJson(rate_hz=0.3, stream="quote"),
        Freeze(at_s=15.0, duration_s=1.0),
    ]
    capture, again = (simulator.capture(faults=faults) for _ in range(2))
    assert capture.lines == again.lines
    assert capture.faults == again.faults
    assert Counter(entry.fault for entry in capture.faults).keys() == {fault.name for fault in faults}
    for entry in capture.faults.of("Duplicate"):
        assert entry.line is None or payload(capture.lines[entry.line - 1]) in map(payload, clean.lines)
    last = len(capture.frames)
    assert capture.book(last) == clean.book_after(capture.frames[-1].update_id)
    log = FaultLog()
    assert list(simulator.lines(faults=faults, log=log)) == capture.lines
    assert log == capture.faults


@pytest.mark.parametrize(
    "make",
    [
        lambda: MarketSimulator(seed=1, duration_s=0.0),
        lambda: MarketSimulator(seed=1, instruments=()),
        lambda: MarketSimulator(seed=1, instruments=(BTCUSDT, BTCUSDT)),
        lambda: FlowRates(children=1.0),
        lambda: FlowRates(join_hz=0.0),
        lambda: FairValue(children=1.0),
        lambda: Gap(),
        lambda: Gap(at_s=1.0, rate_hz=1.0),
        lambda: Duplicate(at_s=-1.0),
        lambda: Burst(at_s=1.0, duration_s=1.0, factor=0.0),
        lambda: Freeze(at_s=1.0, duration_s=0.0),
        lambda: TruncatedGzip(keep=1.0),
        lambda: MarketSimulator(seed=1).lines(
            faults=[Burst(at_s=1.0, duration_s=5.0, factor=2.0), Burst(at_s=3.0, duration_s=5.0, factor=2.0)]
        ),
    ],
)
def test_nonsense_is_refused(make) -> None:
    with pytest.raises(ValueError):
        make()
