"""DBN as Databento's own decoder reads it (databento-dbn): every file, every record, every field.

A record's fields are those that `expected` reads to say what messages it becomes, and those that docs/dbn.md says are not kept;
a field that is in neither fails the test.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import databento_dbn as dbn
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.books import Rebuilt
from tests.messages import Message, messages_of

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "tests" / "data" / "dbn-samples").glob("*.dbn*"))
NO_PRICE, NO_TIME, NO_SIZE, NO_QUANTITY = 2**63 - 1, 2**64 - 1, 2**32 - 1, 2**63 - 1
DERIVED = {"ts_index", "size_hint", "ts_out", "levels", "rtype"}
"""What the Python class adds to a record, and the type that says which class it is."""
SIDES = {"A": "ask", "B": "bid", "N": "none"}
ACTIONS = {"A": "add", "M": "change", "C": "cancel", "R": "clear", "F": "match"}
MINUTE = 60_000_000_000
VENUES = {1: "GLBX", 2: "XNAS"}
LENGTHS = {"OHLCV_1S": 10**9, "OHLCV_1M": MINUTE, "OHLCV_1H": 60 * MINUTE, "OHLCV_1D": 1440 * MINUTE}
STATISTICS = {
    1: "open", 2: "indicative_open", 3: "settlement", 4: "low", 5: "high", 6: "cleared_volume", 7: "lowest_ask", 8: "highest_bid",
    9: "open_interest", 10: "fixing", 11: "close", 12: "net_change", 13: "vwap", 14: "settlement_iv", 15: "delta",
    16: "uncrossing", 17: "price_limit_high", 18: "price_limit_low", 19: "block_volume", 20: "indicative_close",
    21: "breaker_level_1", 22: "breaker_level_2", 23: "breaker_level_3", 24: "auction_reference", 25: "auction_high",
    26: "auction_low", 10001: "venue_volume", 10002: "venue_price",
}  # fmt: skip
CLASSES = {
    "K": "equity", "B": "bond", "I": "index", "X": "spot", "Y": "spot", "F": "future", "S": "spread", "T": "spread",
    "M": "spread", "C": "option", "P": "option",
}  # fmt: skip


def content(path: Path) -> bytes:
    found: bytes = pa.input_stream(path, compression="zstd" if path.suffix == ".zst" else None).read()
    return found


def decoded(path: Path) -> tuple[Any, list[Any]]:
    """The header and the records, by Databento's decoder."""
    return decoded_bytes(content(path))


def decoded_bytes(given: bytes) -> tuple[Any, list[Any]]:
    decoder = dbn.DBNDecoder(upgrade_policy=dbn.VersionUpgradePolicy.UPGRADE_TO_V3)
    decoder.write(given)
    header, *records = decoder.decode()
    return header, records


class Seen:
    """A record that remembers which of its fields were read."""

    def __init__(self, record: Any) -> None:
        self._record = record
        self._read: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self._read.add(name)
        return getattr(self._record, name)


def fields(record: Any) -> set[str]:
    names = {name for name in dir(record) if not name.startswith(("_", "pretty_"))}
    return {name for name in names if not callable(getattr(record, name))} - DERIVED


def not_kept(kind: str) -> set[str]:
    """The fields that docs/dbn.md says have no place, in its row for a kind of record; those of levels without their number."""
    rows = [line.split("|") for line in (ROOT / "docs" / "dbn.md").read_text().splitlines() if line.startswith("|")]
    (words,) = [row[3] for row in rows if f"(`{kind}`)" in row[1]]
    return set(re.findall(r"`(\w+)`", words))


def row(field: str | None = None, **cells: Any) -> dict[str, Any]:
    return {name: value for name, value in {"field": field, **cells}.items() if value not in (None, 0, 0.0, "none")}


class Expected:
    """What the records of a file become, message by message."""

    def __init__(self, header: Any) -> None:
        self.names = {
            int(each["symbol"]): symbol for symbol, spans in header.mappings.items() for each in spans if each["symbol"]
        }
        self.out: list[Message] = []
        self.books: list[tuple[int, dict[str, list[tuple[int, int]]]]] = []
        """How many messages came before each whole book that a record tells, and the book."""
        self.orders: list[dict[str, Any]] = []
        self.newest: Any = None
        self.bars_end: int | None = None

    def add(self, kind: str, r: Any, rows: list[dict[str, Any]], **times: int) -> None:
        assert not int(getattr(r, "flags", 0)) & dbn.F_MAYBE_BAD_BOOK, "no sample has such a flag"
        instrument = f"{self.names.get(r.instrument_id, r.instrument_id)}.{VENUES[r.publisher_id]}"
        event = None if r.ts_event == NO_TIME else r.ts_event
        self.out.append(Message(kind, instrument, times.get("recv", 0) or r.ts_recv, times.get("event", event), rows))

    def price(self, px: int, **more: Any) -> dict[str, Any]:
        assert px != NO_PRICE
        return row(price=px, **more)

    def take(self, r: Any) -> None:
        getattr(self, type(r._record).__name__)(r)

    def end(self) -> None:
        self.end_event()
        self.mark()

    def mark(self) -> None:
        if self.bars_end is not None:
            self.out.append(Message("mark", None, self.bars_end + 1, None, [{}]))

    def trade(self, r: Any, order: int = 0) -> None:
        self.add("trade", r, [self.price(r.price, qty=r.size, side=SIDES[r.side], order_id=order)])

    def quote(self, r: Any) -> None:
        sides = [("bid", r.bid_px_00, r.bid_sz_00), ("ask", r.ask_px_00, r.ask_sz_00)]
        rows = [row(side=side, price=px, qty=qty) if px != NO_PRICE else row(side=side) for side, px, qty in sides]
        self.add("quote", r, rows)

    def MBOMsg(self, r: Any) -> None:
        if r.action == "T" or (self.newest is not None and self.newest.instrument_id != r.instrument_id):
            self.end_event()
        told = self.price(r.price, qty=r.size, side=SIDES[r.side], order_id=r.order_id) if r.action != "R" else row()
        if r.action == "T":
            return self.trade(r, r.order_id)
        self.orders.append(told | row(action=ACTIONS[r.action]))
        self.newest = r
        _ = r.ts_recv, r.ts_event, r.publisher_id, r.instrument_id, r.price, r.size, r.side, r.order_id
        if int(r.flags) & dbn.F_LAST:
            self.end_event()
        return None

    def end_event(self) -> None:
        """The orders of an event of the venue are one message, known at the last of them."""
        if self.newest is not None:
            self.add("order", self.newest, self.orders)
            self.orders, self.newest = [], None

    def TradeMsg(self, r: Any) -> None:
        assert r.action == "T"
        self.trade(r)

    def MBP1Msg(self, r: Any) -> None:
        self.quote(r)
        _ = r.price, r.size, r.side  # of an update that is no trade: how the levels came about
        if r.action == "T":
            self.trade(r)

    def CMBP1Msg(self, r: Any) -> None:
        self.MBP1Msg(r)

    def MBP10Msg(self, r: Any) -> None:
        book = {}
        for side in ("bid", "ask"):
            levels = [(getattr(r, f"{side}_px_0{n}"), getattr(r, f"{side}_sz_0{n}")) for n in range(10)]
            book[side] = [(px, qty) for px, qty in levels if px != NO_PRICE and qty]
        if r.action == "T":
            self.trade(r)
        self.books.append((r.ts_recv, book))
        _ = r.instrument_id, r.publisher_id, r.ts_event, r.price, r.size, r.side, r.flags

    def BBOMsg(self, r: Any) -> None:
        self.quote(r)
        if r.price != NO_PRICE:
            side = SIDES[r.side]
            self.add(
                "reference", r, [row("last_price", price=r.price, side=side), row("last_qty", qty=r.size, side=side)]
            )

    def CBBOMsg(self, r: Any) -> None:
        self.BBOMsg(r)

    def OHLCVMsg(self, r: Any) -> None:
        length = LENGTHS[r._record.rtype.name]
        end = r.ts_event + length
        if self.bars_end is not None and self.bars_end < end:
            self.mark()
        self.bars_end = end
        prices = [row(field, price=getattr(r, field)) for field in ("open", "high", "low", "close")]
        self.add("bar", r, [*prices, row("volume", qty=r.volume), row("length_ns", count=length)], recv=end, event=end)

    def StatusMsg(self, r: Any) -> None:
        words = {True: 1, False: 0}
        told = [
            ("trading_state", int(r.action)), ("trading_reason", int(r.reason)), ("trading_event", int(r.trading_event)),
            ("is_trading", words.get(r.is_trading)), ("is_quoting", words.get(r.is_quoting)),
            ("is_short_sale_restricted", words.get(r.is_short_sell_restricted)),
        ]  # fmt: skip
        self.add("reference", r, [row(field, count=count) for field, count in told if count is not None])
        if r.is_trading in words:
            state = "resumed" if words[r.is_trading] else "halted"
            self.add("status", r, [row(code=state, scope="instrument")])

    def StatMsg(self, r: Any) -> None:
        assert int(r.update_action) == 1
        field = STATISTICS[int(r.stat_type)]
        rows = []
        if r.price != NO_PRICE:
            pure = field in ("settlement_iv", "delta")
            rows.append(row(field, value=r.price / 1e9) if pure else row(field, price=r.price))
        if r.quantity != NO_QUANTITY:
            counts = field in ("cleared_volume", "open_interest", "block_volume", "venue_volume")
            rows.append(row(field if counts else "statistic_qty", qty=r.quantity))
        if r.ts_ref != NO_TIME:
            rows.append(row("statistic_time_ns", count=r.ts_ref))
        if r.stat_flags != 255:
            rows.append(row("statistic_flags", count=r.stat_flags))
        self.add("reference", r, rows)

    def ImbalanceMsg(self, r: Any) -> None:
        rows = []
        for field, px in [
            ("auction_reference", r.ref_price), ("auction_continuous_price", r.cont_book_clr_price),
            ("auction_cross_price", r.auct_interest_clr_price), ("auction_short_sale_price", r.ssr_filling_price),
            ("auction_match_price", r.ind_match_price), ("auction_high", r.upper_collar), ("auction_low", r.lower_collar),
        ]:  # fmt: skip
            rows += [row(field, price=px)] if px != NO_PRICE else []
        for field, size, side in [
            ("auction_paired_qty", r.paired_qty, "N"), ("auction_imbalance_qty", r.total_imbalance_qty, r.side),
            ("auction_market_qty", r.market_imbalance_qty, "N"), ("auction_unpaired_qty", r.unpaired_qty, r.unpaired_side),
        ]:  # fmt: skip
            rows += [row(field, qty=size, side=SIDES[side])] if size != NO_SIZE else []
        rows += [row("auction_time_ns", count=r.auction_time)] if r.auction_time != NO_TIME else []
        rows += [row("auction_type", count=ord(r.auction_type))] if r.auction_type != "~" else []
        for field, code in [
            ("auction_status", r.auction_status), ("auction_freeze", r.freeze_status), ("auction_extensions", r.num_extensions)
        ]:  # fmt: skip
            rows.append(row(field, count=code))
        rows += [row("auction_variation", count=ord(r.significant_imbalance))] if r.significant_imbalance != "~" else []
        self.add("reference", r, rows)

    def InstrumentDefMsg(self, r: Any) -> None:
        assert r.security_update_action != "D"
        self.names[r.instrument_id] = r.raw_symbol
        text: dict[str, Any] = {"symbol": r.raw_symbol, "kind": CLASSES[r.instrument_class], "venue": None}
        numbers = {
            "multiplier": (r.unit_of_measure_qty, 9), "tick": (r.min_price_increment, 9), "lot": (r.min_lot_size, 0),
        }  # fmt: skip
        if r.unit_of_measure_qty == NO_PRICE:
            numbers["multiplier"] = (r.contract_multiplier, 0)
        for key, (number, places) in numbers.items():
            if 0 < number < (NO_PRICE if places else 2**31 - 1):
                text[key] = f"{number / 10**places:.9f}".rstrip("0").rstrip(".")
        if r.currency:
            text["currency"] = r.currency
        if text["kind"] in ("future", "option") and r.expiration != NO_TIME:
            text["expiry"] = r.expiration
        if text["kind"] == "option":
            text |= {
                "strike": f"{r.strike_price / 1e9:.9f}".rstrip("0").rstrip("."), "underlying": r.underlying,
                "right": "call" if r.instrument_class == "C" else "put",
                "style": {"E": "european", "A": "american"}.get(r.cfi[2:3]),
            }  # fmt: skip
        _ = r.strike_price, r.underlying, r.cfi, r.expiration, r.contract_multiplier
        self.add("definition", r, [{}])
        text["venue"] = VENUES[r.publisher_id]
        self.out[-1].rows[0]["definition"] = text
        limits = [("price_limit_low", r.low_limit_price), ("price_limit_high", r.high_limit_price)]
        told = [row(field, price=px) for field, px in limits if px != NO_PRICE]
        if told:
            self.add("reference", r, told)


def compare(header: Any, records: list[Any], found: list[Message]) -> None:
    expected = Expected(header)
    for record in records:
        seen = Seen(record)
        expected.take(seen)
        kind, has = type(record).__name__, fields(record)
        named = not_kept(kind)
        kept, lost = seen._read & has, {name for name in has if name in named or re.sub(r"_\d\d$", "", name) in named}
        assert not kept & lost, f"{kind}: {kept & lost} are kept after all"
        assert kept | lost == has, f"{kind}: {has - kept - lost} are neither kept nor named in docs/dbn.md"
    expected.end()
    depth = [each for each in found if each.kind in ("book_diff", "book_snapshot")]
    others = [each for each in found if each.kind not in ("book_diff", "book_snapshot")]
    assert others == expected.out
    # Depth is told as what changed: with what came so far, a book has each record's levels.
    book = Rebuilt()
    waiting = iter(depth)
    following = next(waiting, None)
    for ts_recv, told in expected.books:
        while following is not None and following.ts_recv <= ts_recv:
            book.take(following)
            following = next(waiting, None)
        assert {"bid": book.top("bid", 10), "ask": book.top("ask", 10)} == told
    assert following is None


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name.removeprefix("test_data."))
def test_every_field_of_every_file_is_as_databento_reads_it(path: Path) -> None:
    header, records = decoded(path)
    compare(header, records, messages_of(path))


def test_all_kinds_and_versions_were_there() -> None:
    seen = {(content(path)[3], str(decoded(path)[0].schema)) for path in SAMPLES}
    assert len({schema for _, schema in seen}) == 17
    assert {version for version, _ in seen} == {1, 2, 3}


# Files of our own making, of Databento's own records: what the samples are too small for.

HEADER = dbn.Metadata(
    dataset="GLBX.MDP3", start=0, stype_in=dbn.SType.RAW_SYMBOL, stype_out=dbn.SType.INSTRUMENT_ID, schema=None,
    symbols=["ESH1"], partial=[], not_found=[], mappings=[],
)  # fmt: skip
NAMED = {
    "A": dbn.Action.ADD, "M": dbn.Action.MODIFY, "C": dbn.Action.CANCEL, "R": dbn.Action.CLEAR, "T": dbn.Action.TRADE,
    "F": dbn.Action.FILL,
}  # fmt: skip
NAMED_SIDES = {"A": dbn.Side.ASK, "B": dbn.Side.BID, "N": dbn.Side.NONE}
FLAGS = st.sampled_from([0, dbn.F_LAST, dbn.F_LAST | dbn.F_SNAPSHOT, dbn.F_LAST | 2])
PRICES = st.integers(-5, 5).map(lambda n: n * 250_000_000)
SIZES = st.integers(1, 9)
WHO = st.sampled_from([7, 7, 8, 5482])


def record_of(kind: Any, at: int, who: int, **more: Any) -> Any:
    return kind(publisher_id=1, instrument_id=who, ts_event=1_000 + at, ts_recv=1_100 + at, ts_in_delta=5, **more)


def write(folder: Path, records: list[Any]) -> Path:
    path = folder / "made.dbn"
    path.write_bytes(HEADER.encode() + b"".join(bytes(record) for record in records))
    return path


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(WHO, st.sampled_from("AMCRTF"), st.sampled_from("ABN"), PRICES, SIZES, FLAGS), max_size=30))
def test_orders_of_an_event_are_one_message(tmp_path_factory: pytest.TempPathFactory, rows: list[Any]) -> None:
    records = [
        record_of(
            dbn.MBOMsg, at, who, order_id=at * (action != "R"), price=px, size=size, flags=flags, action=NAMED[action],
            side=NAMED_SIDES[side], sequence=at,
        )
        for at, (who, action, side, px, size, flags) in enumerate(rows)
    ]  # fmt: skip
    path = write(tmp_path_factory.mktemp("dbn"), records)
    header, decoded_ = decoded_bytes(path.read_bytes())
    compare(header, decoded_, messages_of(path))


LADDER = st.lists(st.tuples(st.integers(1, 14), SIZES), max_size=10, unique_by=lambda level: level[0])


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(LADDER, LADDER, st.integers(-3, 3)), min_size=1, max_size=25))
def test_ten_levels_are_told_as_what_changed(tmp_path_factory: pytest.TempPathFactory, rows: list[Any]) -> None:
    records, middle = [], 100
    for at, (bids, asks, move) in enumerate(rows):
        middle += move
        levels = []
        for n in range(10):
            bid, ask = (sorted(side)[n] if n < len(side) else None for side in (bids, asks))
            levels.append(dbn.BidAskPair(
                bid_px=NO_PRICE if bid is None else (middle - bid[0]) * 10**9, bid_sz=0 if bid is None else bid[1],
                ask_px=NO_PRICE if ask is None else (middle + ask[0]) * 10**9, ask_sz=0 if ask is None else ask[1],
            ))  # fmt: skip
        records.append(record_of(
            dbn.MBP10Msg, at, 7, price=10**9, size=1, action=dbn.Action.TRADE if at % 3 == 1 else dbn.Action.ADD,
            side=dbn.Side.ASK, depth=0, sequence=0, flags=dbn.F_LAST, levels=levels,
        ))  # fmt: skip
    path = write(tmp_path_factory.mktemp("dbn"), records)
    header, decoded_ = decoded_bytes(path.read_bytes())
    found = messages_of(path)
    compare(header, decoded_, found)
    # A reader that stands at any record knows which sides go on behind their tenth level.
    book, waiting = Rebuilt(), iter(each for each in found if each.kind.startswith("book"))
    following = next(waiting, None)
    for record in records:
        while following is not None and following.ts_recv <= record.ts_recv:
            book.take(following)
            following = next(waiting, None)
        for side in ("bid", "ask"):
            full = all(getattr(level, f"{side}_px") != NO_PRICE for level in record.levels)
            assert (book.cut[side] is not None) == full
