"""Where numbers come from: the streams of an instrument, and clocks.

`book` is the depth stream, `quotes` the best-quote stream, `trades` the trades, `bars(…)` bars built from trades; they
are not mixed. A name here means the instrument that the graph runs for; `instrument("…")` names another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from signal_stream.durations import duration_text
from signal_stream.features.bar_spec import BarSpec, Source, pace_ns
from signal_stream.features.expression import Expression
from signal_stream.features.methods.bars import BarMethods
from signal_stream.features.methods.book import BookMethods
from signal_stream.features.methods.quoted import QuotedMethods
from signal_stream.features.methods.trades import TradeMethods
from signal_stream.features.refusal import (
    GraphTypeError,
    checked,
    checked_class,
    no_such_name,
    raise_graph_error,
    shown,
    whole,
)
from signal_stream.instrument_ids import id_fault, shown_id

if TYPE_CHECKING:
    from signal_stream.features.arguments import Arguments

_LEVELS_MAX = 50


class _Stream:
    """One stream of one instrument: the graph's own, or a named one."""

    __slots__ = ("_code", "_instrument", "source")

    def __init__(self, source: Source, code: str, instrument: str | None) -> None:
        self.source = source
        self._code = code
        self._instrument = instrument

    def __repr__(self) -> str:
        return self._code

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__") or name in _Stream.__slots__:
            raise AttributeError(name)
        no_such_name(name, self._code, {each for each in dir(type(self)) if not each.startswith("_")} - {"source"})

    def _node(self, op: str, name: str, **parameters: int) -> dict[str, object]:
        node: dict[str, object] = {"op": op, "of": self.source, "name": name, **parameters}
        if self._instrument is not None:
            node["instrument"] = self._instrument
        return node

    def _field(self, name: str, code: str) -> Expression:
        return Expression(self._node("field", name), (), f"{self._code}.{code}")

    def _made(self, name: str, given: Arguments) -> Expression:
        """An operator of the table, of this stream."""
        node: dict[str, object] = {"op": name, "of": self.source, **given.plain}
        if self._instrument is not None:
            node["instrument"] = self._instrument
        return Expression(node, (), f"{self._code}.{name}({', '.join(given.code)})")

    def _of_book(self, name: str, given: Arguments) -> Expression:
        """A function of the table, of this stream's book."""
        node = self._node("book", name, **given.plain)
        return Expression(node, (), f"{self._code}.{name}({', '.join(given.code)})")


class Level:
    """One price level of one side of a book."""

    __slots__ = ("_level", "_side", "_stream")

    def __init__(self, stream: _Stream, side: str, level: int) -> None:
        self._stream, self._side, self._level = stream, side, level

    @property
    def price(self) -> Expression:
        """Price of the level, in the quote currency; invalid (`EMPTY`) where the book has fewer levels."""
        return self._field("price")

    @property
    def qty(self) -> Expression:
        """Quantity at the level, in the instrument's unit; invalid (`EMPTY`) where the book has fewer levels."""
        return self._field("qty")

    def __call__(self, level: int = 1) -> Level:
        """Refuses: the level is chosen already."""
        code, what = f"{self!r}({shown(level)})", self._stream
        quoted = isinstance(what, QuoteStream)
        next_step = f"Quotes have the best level only: {what!r}.{self._side}.price." if quoted else "Leave it out."
        raise_graph_error("BAD_ARGUMENT", code, value=level, next_step=next_step, kind=GraphTypeError)

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__") or name in Level.__slots__:
            raise AttributeError(name)
        no_such_name(name, repr(self), {"price", "qty"})

    @property
    def _code(self) -> str:
        """As it is typed: quotes have one level only, without a number."""
        return self._side if isinstance(self._stream, QuoteStream) else f"{self._side}({self._level})"

    def _field(self, what: str) -> Expression:
        return self._stream._field(f"{self._side}_{what}_{self._level}", f"{self._code}.{what}")

    def __repr__(self) -> str:
        return f"{self._stream!r}.{self._code}"


@checked_class
class _Quoted(QuotedMethods, _Stream):
    """Functions of the best bid and ask. All invalid while a side is empty (`EMPTY`)."""

    __slots__ = ()


@checked_class
class BookStream(BookMethods, _Quoted):
    """The depth stream: one event a message, applied whole. Invalid while the book waits for its snapshot
    (`BUILDING`), after lost messages (`GAP`) and while it is crossed (`CROSSED`)."""

    __slots__ = ()

    def ofi(self, levels: int = 1) -> Expression:
        """Order-flow imbalance of the best level (Cont, Kukanov & Stoikov 2014), in units of quantity a book event."""
        if whole(levels, "levels", 1, _LEVELS_MAX) != 1:
            raise_graph_error(
                "BAD_ARGUMENT", f"ofi(levels={levels})", value=levels, next_step="Use levels=1, the best level."
            )
        return Expression(self._node("book", "ofi", levels=1), (), f"{self._code}.ofi(levels=1)")

    def bid(self, level: int) -> Level:
        """Bid level 1, 2, …, the best first."""
        return Level(self, "bid", _level(level))

    def ask(self, level: int) -> Level:
        """Ask level 1, 2, …, the best first."""
        return Level(self, "ask", _level(level))


@checked_class
class QuoteStream(_Quoted):
    """The best-quote stream: one event a quote."""

    __slots__ = ()

    @property
    def bid(self) -> Level:
        """The best bid."""
        return Level(self, "bid", 1)

    @property
    def ask(self) -> Level:
        """The best ask."""
        return Level(self, "ask", 1)

    def imbalance(self) -> Expression:
        """(bid qty - ask qty) / (bid qty + ask qty) of the best quote, in [-1, 1]."""
        return Expression(self._node("book", "imbalance", levels=1), (), f"{self._code}.imbalance()")


@checked_class
class TradeStream(TradeMethods, _Stream):
    """The trades: one event a trade."""

    __slots__ = ()

    @property
    def price(self) -> Expression:
        """Price of the trade."""
        return self._field("price", "price")

    @property
    def qty(self) -> Expression:
        """Quantity of the trade, in the instrument's unit."""
        return self._field("qty", "qty")

    @property
    def side(self) -> Expression:
        """1.0 if the buyer was the aggressor, -1.0 if the seller, 0.0 if the venue does not say."""
        return self._field("side", "side")

    def signed_qty(self) -> Expression:
        """Quantity, negative where the seller was the aggressor."""
        product = self.qty * self.side
        return Expression(product.node, product.operands, f"{self._code}.signed_qty()")

    def count(self) -> Expression:
        """1.0 at each trade: `trades.count().rolling("5s").sum()` counts them."""
        return self._field("count", "count()")


class BarStream(BarMethods, _Stream):
    """Bars from trades, stamped and known at their end. Bars of time are left-closed; one without trades has volume 0 and
    no prices (`EMPTY`), the first is invalid (`WARMUP`) unless the stream began at its start. Bars that trades fill begin
    with a trade and end with one."""

    __slots__ = ()

    @property
    def open(self) -> Expression:
        """First price."""
        return self._field("open", "open")

    @property
    def high(self) -> Expression:
        """Highest price."""
        return self._field("high", "high")

    @property
    def low(self) -> Expression:
        """Lowest price."""
        return self._field("low", "low")

    @property
    def close(self) -> Expression:
        """Last price."""
        return self._field("close", "close")

    @property
    def volume(self) -> Expression:
        """Sum of quantities."""
        return self._field("volume", "volume")

    @property
    def vwap(self) -> Expression:
        """Volume-weighted mean price."""
        return self._field("vwap", "vwap")

    @property
    def trades(self) -> Expression:
        """Number of trades."""
        return self._field("trades", "trades")

    @property
    def buy_volume(self) -> Expression:
        """Sum of quantities bought by aggressors."""
        return self._field("buy_volume", "buy_volume")


Stream = BookStream | QuoteStream | TradeStream | BarStream

book = BookStream("book", "book", None)
"""The depth stream of the graph's instrument."""
quotes = QuoteStream("quotes", "quotes", None)
"""The best-quote stream of the graph's instrument."""
trades = TradeStream("trades", "trades", None)
"""The trades of the graph's instrument."""


@checked
def bars(
    length: str | None = None,
    *,
    ticks: int | None = None,
    volume: float | None = None,
    notional: float | None = None,
    rule: str = "fixed",
    split: str = "whole",
    span: int | None = None,
    session: str | None = None,
    of: str | None = None,
) -> BarStream:
    """Bars of the graph's instrument: of a length of time, or filled by trades.

    `ticks` counts trades, `volume` their quantity in the instrument's unit, `notional` price times quantity in the quote
    currency. Such a bar ends at the trade that reaches the measure, and is known at that trade's moment to everything that
    is evaluated at it. With `split="whole"` what the trade has beyond the measure stays in the bar, and the next one
    begins with nothing; with `split="divide"` (volume and notional) the trade is divided, so that each bar holds exactly
    the measure, and one trade may end several.

    `rule="imbalance"` and `rule="run"` end a bar where buying less selling, or the larger of the two, reaches what the bars
    before lead to expect (López de Prado 2018, 2.3.2). The measure is then what the first bar holds, which sets the
    expectations and is invalid (`WARMUP`); later bars hold an eighth to eight times of it. `span` (bars; 20) is how far the
    means over bars before reach back.

    `session` names a venue's calendar (a market identifier code, as "XNYS"; `pip install "signal-stream[calendars]"`): bars
    of time then lie in its sessions, from each opening on, the last of a session cut off at its close; "1d" is one bar a
    session. Nights, weekends and holidays have no bars, half days short ones, and trades outside of sessions are in none.

    "1w" and "1mo" (2mo, 3mo, 4mo, 6mo, 12mo) are weeks from Monday on and months of the calendar, in UTC, 1970 to 2049; a bar is
    stamped at its end, the first moment of the next. They are made of trades, or of bars of a day or a part of it.

    `of="1m"` fills bars of ticks, volume or notional with bars of that length instead of trades: rows of a table, bars of a
    tape, or bars of that length that trades make first. Each is taken as one trade: the one that reaches the measure is in
    the bar whole, or with `split="divide"` its sums are divided, and every part has its prices. Notional is vwap × volume.

    `specs/trades_and_bars.md` has the exact rules, and what lost trades do (`GAP`).

    >>> bars("1m").close.diff()
    bars('1m').close.diff(1)
    >>> bars(volume=1e3, split="divide").vwap
    bars(volume=1000.0, split='divide').vwap
    >>> bars(ticks=500, rule="imbalance").close
    bars(ticks=500, rule='imbalance').close
    >>> bars(volume=1e6, of="1m").close
    bars(volume=1000000.0, of='1m').close
    """
    return _bars("", None, BarSpec.of(length, ticks, volume, notional, rule, split, span, session, of))


def _bars(owner: str, instrument: str | None, spec: BarSpec) -> BarStream:
    return BarStream(spec.source, owner + spec.code, instrument)


@checked_class
@dataclass(frozen=True, slots=True)
class Instrument:
    """The streams of a named instrument."""

    id: str

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__") or name == "id":
            raise AttributeError(name)
        no_such_name(name, repr(self), {"book", "quotes", "trades", "bars"})

    @property
    def book(self) -> BookStream:
        """Its depth stream."""
        return BookStream("book", f"{self!r}.book", self.id)

    @property
    def quotes(self) -> QuoteStream:
        """Its best-quote stream."""
        return QuoteStream("quotes", f"{self!r}.quotes", self.id)

    @property
    def trades(self) -> TradeStream:
        """Its trades."""
        return TradeStream("trades", f"{self!r}.trades", self.id)

    def bars(
        self,
        length: str | None = None,
        *,
        ticks: int | None = None,
        volume: float | None = None,
        notional: float | None = None,
        rule: str = "fixed",
        split: str = "whole",
        span: int | None = None,
        session: str | None = None,
        of: str | None = None,
    ) -> BarStream:
        """Its bars: as `bars` for the graph's own instrument."""
        spec = BarSpec.of(length, ticks, volume, notional, rule, split, span, session, of)
        return _bars(f"{self!r}.", self.id, spec)

    def __repr__(self) -> str:
        return f"instrument({self.id!r})"


@checked
def instrument(id: str) -> Instrument:
    """Another instrument's streams, by id: `instrument("BTCUSDT-PERP.BINANCE").book.mid()`."""
    if not isinstance(id, str) or id_fault(id) is not None:
        raise_graph_error(
            "BAD_ARGUMENT", f"instrument({shown_id(id) if isinstance(id, str) else shown(id)})", value=id,
            next_step='Give an id such as "BTCUSDT.BINANCE".',
        )  # fmt: skip
    return Instrument(id)


@dataclass(frozen=True, slots=True)
class Clock:
    """Multiples of a duration since 1970 UTC on the graph's axis."""

    ns: int

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__") or name == "ns":
            raise AttributeError(name)
        no_such_name(name, f"the clock {self!r}", set())

    @property
    def source(self) -> Source:
        """As the graph's JSON names it."""
        return {"every_ns": self.ns}

    def __repr__(self) -> str:
        return f"every({duration_text(self.ns)!r})"


@checked
def every(duration: str) -> Clock:
    """A clock for `FeatureGraph(on=…)`: a vector at each multiple of the duration, with everything known by then."""
    return Clock(pace_ns(duration, "every"))


def _level(level: object) -> int:
    best = "" if level else " The best is 1."
    return whole(level, "level", 1, _LEVELS_MAX, advice=f"Give a whole number from 1 to {_LEVELS_MAX}.{best}")
