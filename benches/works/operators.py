"""What each operator costs, one event a call and in a batch, beside screamer, TA-Lib, polars and csp where they have it.

One event: what a call takes. Ours is `Engine.bind` of a graph that has this feature alone, screamer's a functor, TA-Lib's a
stream; csp, whose event is no call, runs over a native curve. Batch: screamer, TA-Lib and polars over whole columns; ours is what
the operator adds to a graph that `compute` runs over the same rows, since rows are read once for all features of a graph. The
figures by operator are kept in `benches/out/operators.json`; `python -m benches.pages` makes the table in docs/ of them.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from statistics import geometric_mean
from typing import TYPE_CHECKING, Any, Final

import numpy as np

import signal_stream as ss
from benches.figure import Figure, Measured
from benches.folders import ROOT, out
from benches.machine import machine
from benches.peers import Party, party, versions
from benches.turns import in_turns, on_one_cpu
from signal_stream import bars, book, trades
from signal_stream.features.expression import in_order

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

    Column = NDArray[np.float64]

START_NS, MINUTE_NS = 1_700_000_040_000_000_000, 60_000_000_000
LEVELS: Final = 10
PEERS: Final = ("screamer", "TA-Lib", "polars", "csp")


@dataclass
class Cost:
    """Nanoseconds of one operator: by library, one event a call and a value of a batch."""

    name: str
    family: str
    event: dict[str, float] = field(default_factory=dict)
    batch: dict[str, float] = field(default_factory=dict)


def measure(*, quick: bool) -> Iterator[Figure]:
    """How often a peer's time ours is, as the geometric mean over the operators that both have."""
    on_one_cpu()
    events, rows, rounds = (256, 4_096, 1) if quick else (2_048, 131_072, 5)
    costs = [cost(row, events, rows, rounds) for row in rows_of_table()]
    field_alone = ss.FeatureGraph(name="field", on=bars("1m"), features={"field": bars("1m").close})
    table = processor_time(field_alone, table_of(Data.made(rows), "bars"))
    read = 1e9 * min(in_turns({"row": table}, rounds=2 * rounds)["row"]) / rows
    call = next(each.event["ours"] for each in costs if each.name == "field")
    kept = {
        "machine": machine(),
        "peers": versions(PEERS),
        "call": call,
        "row": read,
        "least": LEAST,
        "costs": [vars(each) for each in costs],
    }
    (out() / "operators.json").write_text(json.dumps(kept, indent=1) + "\n")
    for way, unit in (("event", "ns/update"), ("batch", "ns/value")):
        for peer in PEERS:
            both = [getattr(each, way) for each in costs if {"ours", peer} <= getattr(each, way).keys()]
            if both:
                ours, theirs = (Measured.once(geometric_mean(each[name] for each in both)) for name in ("ours", peer))
                note = f"geometric mean of {len(both)} operators that both have; least of {rounds}"
                yield Figure(f"an operator, {way}", unit, ours, peer, theirs, None, note)


def rows_of_table() -> list[dict[str, Any]]:
    """All operators, as `signal-stream operators --json` lists them."""
    from signal_stream import _core

    found: list[dict[str, Any]] = json.loads(_core.operators())
    return found


def cost(row: dict[str, Any], events: int, rows: int, rounds: int) -> Cost:
    """One operator, in every library that has it."""
    made = Cost(row["name"], row["family"])
    data = Data.made(rows)
    for name, (event, batch) in parties(row, data, events).items():
        if event is not None:
            made.event[name] = _least(event, rounds) / event()
        if batch is not None:
            made.batch[name] = _least(batch, rounds) / rows
    made.batch["ours"] = max(added(row, data, 5 * rounds) / rows, LEAST)
    return made


def _least(work: Callable[[], object], rounds: int) -> float:
    """Nanoseconds of processor time, after a round that is not counted."""
    took = []
    for _ in range(rounds + 1):
        begun = time.process_time_ns()
        work()
        took.append(time.process_time_ns() - begun)
    return float(min(took[1:]))


def parties(row: dict[str, Any], data: Data, events: int) -> dict[str, Party]:
    """By library: so many events, one a call, and all rows at once."""
    found = {"ours": ours(row, data, events)}
    for name in PEERS:
        theirs = party(name, row["name"], data.columns, events)
        if theirs is not None:
            found[name] = theirs
    return found


def ours(row: dict[str, Any], data: Data, events: int) -> Party:
    """Calls of a graph of this feature alone; a batch is `added`."""
    kind = kind_of(row)
    if kind == "panel":
        return None, None
    on, expression = expression_of(row)
    table = table_of(data, kind)
    names = [name for name in table.column_names if name not in ("ts_open", "ts_recv")]
    buffer = np.ascontiguousarray(np.column_stack([table[name].to_numpy()[:events] for name in names]))
    graph = ss.FeatureGraph(name="one", on=on, features={"x": expression})
    step = ss.Engine(graph).bind(buffer, np.zeros(1), fields=names, step="1m")

    def event() -> int:
        for number in range(events):
            step(number)
        return events

    return event, None


def added(row: dict[str, Any], data: Data, rounds: int) -> float:
    """Nanoseconds that an operator adds, over all rows, to a graph whose features are what it reads."""
    on, expression = expression_of(row)
    table = table_of(data, kind_of(row))
    read = {repr(each): each for each in in_order(expression) if each.node["op"] == "field"}
    if kind_of(row) == "levels":
        levels = [each.get("default") or 2 for each in row["arguments"] if "level" in each["name"]]
        ends = (book.bid(max(levels, default=1)), book.ask(max(levels, default=1)))
        read = {repr(each): each for end in ends for each in (end.price, end.qty)}
    read = read or {"close": bars("1m").close}
    without = ss.FeatureGraph(name="without", on=on, features=read)
    beside = ss.FeatureGraph(name="beside", on=on, features={**read, "x": expression})
    took = in_turns({each.name: processor_time(each, table) for each in (without, beside)}, rounds=rounds)
    return 1e9 * (min(took["beside"]) - min(took["without"]))


def processor_time(graph: ss.FeatureGraph, table: Any) -> Callable[[], float]:
    """Seconds of a table through a graph."""
    options: dict[str, Any] = {"missing_bars": "skip"} if "instrument" in table.column_names else {"instrument": "X"}

    def seconds() -> float:
        begun = time.process_time()
        for _ in ss.compute(graph, table, batches=True, **options):
            pass
        return time.process_time() - begun

    return seconds


def kind_of(row: dict[str, Any]) -> str:
    """The table that an operator needs."""
    if row["family"] == "across instruments":
        return "panel"
    of = row.get("of")
    return "levels" if row["family"] == "book" or of in ("book", "quotes") else "trades" if of == "trades" else "bars"


@cache
def _example() -> ModuleType:
    """What makes an expression of a row: the example that has every operator."""
    spec = importlib.util.spec_from_file_location("every", ROOT / "examples" / "every_operator" / "every.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["every"] = module
    spec.loader.exec_module(module)
    return module


def expression_of(row: dict[str, Any]) -> tuple[Any, ss.Expression]:
    """The stream and an expression whose operands are columns of the table, so that nothing but the operator is computed."""
    bar = bars("1m")
    on_trades = row.get("of") == "trades"
    price, share = (trades.price, trades.qty) if on_trades else (bar.close, bar.volume)
    made = _example().Operators(
        price=price, amount=share, streams={"bars": bar, "book": book, "trades": trades}, other=bar, length="20m",
        until="2023-12-01T20:00:00Z", members=ss.universe("all", {f"S{n:02}.X": "ab"[n % 2] for n in range(MEMBERS)}),
    )  # fmt: skip
    terms = {"forward": bar.close, "strike": bar.open, "years": 0.01, "vol": bar.volume, "discount": 0.99}
    made.operands |= terms | {"price": bar.vwap, "call": bar.vwap, "put": bar.vwap}
    made.operands |= {"x": share, "y": bar.buy_volume, "condition": bar.buy_volume}
    made.of_prices = {"y": share, "mid": bar.open, "side": bar.volume}
    made.of_one = {}
    return trades if on_trades else bar, made.of(row)


MEMBERS: Final = 64
"""Instruments of the panel."""
LEAST: Final = 3.0
"""Nanoseconds a value that can be told from noise: less is taken for so much."""


@dataclass(frozen=True, eq=False)
class Data:
    """Columns by short names: o h l c prices, u v between 0 and 1, p an option's price, bp ap bq aq the best level."""

    columns: dict[str, Column]

    @classmethod
    @cache
    def made(cls, rows: int) -> Data:
        """So many rows, from a seed."""
        random = np.random.default_rng(5)
        close = 100 * np.exp(np.cumsum(random.normal(0, 5e-4, rows)))
        opened = np.concatenate(([100.0], close[:-1])) * (1 + random.normal(0, 1e-5, rows))
        reach = np.abs(random.standard_normal((2, rows))) * 3e-4
        u = random.uniform(0.01, 0.99, rows)
        columns = {
            "o": opened, "h": np.maximum(opened, close) * (1 + reach[0]), "l": np.minimum(opened, close) * (1 - reach[1]),
            "c": close, "u": u, "v": u * random.uniform(0.1, 0.9, rows), "s": np.sign(random.standard_normal(rows)),
        }  # fmt: skip
        half = np.round(random.uniform(0.01, 0.03, rows), 2)
        columns["p"] = np.maximum(close - opened, 0) * 0.99 + 0.05 + u
        for level in range(1, LEVELS + 1):
            columns[f"bp{level}"] = np.round(close - half - 0.01 * level, 2)
            columns[f"ap{level}"] = np.round(close + half + 0.01 * level, 2)
            columns[f"bq{level}"], columns[f"aq{level}"] = random.exponential(5.0, (2, rows)) + 0.01
        return cls(columns)


@cache
def table_of(data: Data, kind: str) -> Any:
    """As bars of a minute, with the levels of a book, as trades, or as bars of many instruments side by side."""
    import pyarrow as pa

    c = data.columns
    rows = np.arange(len(c["c"]), dtype=np.int64)
    times = pa.array(START_NS + MINUTE_NS * rows)
    if kind == "trades":
        return pa.table({"ts_recv": times, "price": c["c"], "qty": c["u"], "side": c["s"]})
    if kind == "panel":
        names = [f"S{n:02}.X" for n in range(MEMBERS)]
        ids = pa.DictionaryArray.from_arrays(pa.array((rows % MEMBERS).astype(np.int32)), names)
        opens = START_NS + MINUTE_NS * (rows // MEMBERS)
        return pa.table({"ts_open": opens, "instrument": ids, "close": c["c"]})
    columns = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "u", "buy_volume": "v", "vwap": "p"}
    if kind == "levels":
        long = {"bp": "bid_price", "ap": "ask_price", "bq": "bid_qty", "aq": "ask_qty"}
        columns = {f"{long[name[:2]]}_{name[2:]}": name for name in c if name[:2] in long} | {"close": "c"}
    return pa.table({"ts_open": times, **{name: c[short] for name, short in columns.items()}})
