"""A graph as a WASM module, run by wasmtime over real rows: every bit and reason of the native engine, and its state moves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import wasmtime

import signal_stream as ss
from signal_stream import bars, book, trades
from signal_stream.errors import GraphError
from signal_stream.research.wasm import compile_wasm

DATA = Path(__file__).parents[1] / "data"
LATE, MISSING_BAR, OTHER_GRAPH, DAMAGED = -1, -2, -4, -5


class Module:
    """A module's graph, as a host holds it."""

    def __init__(self, module: bytes) -> None:
        engine = wasmtime.Engine()
        compiled = wasmtime.Module(engine, module)
        assert compiled.imports == []
        self.store = wasmtime.Store(engine)
        self.exports = wasmtime.Instance(self.store, compiled, []).exports(self.store)
        self.memory: Any = self.exports["memory"]
        self.handle = self._call("open")
        assert self.handle, "no graph in the module"
        self.digest, columns, features = (self._text(i) for i in range(3))
        self.columns, self.features = columns.split("\n"), features.split("\n")

    def _call(self, name: str, *given: int) -> int:
        return self.exports[f"ss_{name}"](self.store, *given)  # type: ignore[operator]

    def _of(self, name: str, *given: int) -> int:
        return self._call(name, self.handle, *given)

    def _read(self, at: int, count: int) -> bytes:
        return bytes(self.memory.read(self.store, at, at + count))

    def _text(self, which: int) -> str:
        return self._read(self._of("text", which), self._of("text_length", which)).decode()

    def push(self, t: int, row: np.ndarray) -> int:
        self.memory.write(self.store, row.astype("<f8").tobytes(), self._of("row"))
        return self._of("push", t)

    def vector(self) -> tuple[bytes, bytes]:
        """Bits of the values, and reasons."""
        count = len(self.features)
        return self._read(self._of("values"), 8 * count), self._read(self._of("reasons"), count)

    def snapshot(self) -> bytes:
        count = self._of("snapshot")
        return self._read(self._of("state"), count)

    def restore(self, state: bytes) -> int:
        self.memory.write(self.store, state, self._of("state_room", len(state)))
        return self._of("restore")


def minutes() -> tuple[ss.FeatureGraph, list[str], np.ndarray, np.ndarray]:
    """Bars of a minute of Binance, with every tenth close missing, and one day's flat minutes."""
    bar = bars("1m")
    ret = bar.close.log().diff()
    graph = ss.FeatureGraph(
        name="minutes", on=bar,
        features={
            "ret": ret, "vol": ret.rolling(30).std(), "z": bar.close.rolling(60).zscore(), "skew": ret.rolling(50).skew(),
            "rank": bar.volume.rolling(20).rank(), "max": bar.high.rolling("15m").max(), "sum": bar.volume.rolling("1h").sum(),
            "ewm": bar.close.ewm(span=20).mean(), "corr": ret.rolling(40).corr(bar.volume),
            "beta": ret.rolling(40).beta(bar.volume),
            "change": bar.close.pct_change(5), "or": ss.where(bar.volume > 1, ret, 0.0), "tanh": (ret * 1e3).tanh(),
            "rsi": bar.close.rsi(14), "garch": (1e3 * ret).garch_variance(omega=0.1, alpha=0.1, beta=0.8),
            "over_time": bar.close.ewm(half_life="5m").std(), "linear": bar.close.ewm(half_life="5m").mean_linear(),
            "so_far": bar.volume.expanding(min_periods=3).var(), "highest": bar.high.expanding().max(),
        },
    )  # fmt: skip
    table = pd.read_csv(DATA / "binance-1m-bars" / "btcusdt_1m.csv.gz").head(1_500)
    fields = ["high", "close", "volume"]
    rows = np.array(table[fields], dtype=float, order="C")
    rows[::10, 1] = np.nan
    times = (np.arange(len(rows), dtype=np.int64) + 28_333_334) * 60_000_000_000
    return graph, fields, rows, times


def deribit() -> tuple[ss.FeatureGraph, list[str], np.ndarray, np.ndarray]:
    """Trades of Deribit at their times, many of which come together."""
    graph = ss.FeatureGraph(
        name="trades", on=trades,
        features={
            "flow": trades.signed_qty().rolling("5s").sum(), "vwap": trades.price.rolling(50).mean(),
            "n": trades.count().rolling("10s").sum(), "r": trades.price.log_return(3), "std": trades.price.rolling("30s").std(),
            "cusum": trades.price.cusum_events(h=2.0), "hawkes": trades.count().hawkes_intensity(mu=0.1, alpha=0.2, beta=0.5),
            "next": trades.price.ewm(half_life="2s").mean_next(),
        },
    )  # fmt: skip
    table = pd.read_csv(DATA / "deribit-excerpt" / "btc-perpetual.csv.gz")
    rows = np.column_stack([table["price"], table["volume"].abs(), np.sign(table["volume"])]).astype(float)
    return graph, ["price", "qty", "side"], np.ascontiguousarray(rows), table["timestamp"].to_numpy() * 1_000_000


def levels() -> tuple[ss.FeatureGraph, list[str], np.ndarray, np.ndarray]:
    """Books of a Binance capture, with empty sides and some that cross."""
    graph = ss.FeatureGraph(
        name="books", on=book,
        features={
            "obi": book.imbalance(levels=3), "ofi": book.ofi(levels=1).rolling("1s").sum(), "mid": book.mid(),
            "micro": book.microprice(), "spread": book.spread().rolling(100).mean(),
            "vol": book.mid().log().diff().rolling(50).std(),
        },
    )  # fmt: skip
    names = [f"{side}_{what}_{level}" for side in ("bid", "ask") for what in ("price", "qty") for level in (1, 2, 3)]
    places = [name.split("_") for name in names]
    cells = {"_".join(place): getattr(getattr(book, place[0])(int(place[2])), place[1]) for place in places}
    raw = ss.FeatureGraph(name="raw", on=book, features=cells)
    table = ss.compute(raw, next((DATA / "binance-excerpt").glob("*.gz")))
    rows = np.column_stack([table[name].to_numpy(zero_copy_only=False).astype(float) for name in names])
    rows[50::97, names.index("bid_qty_1")] = 0.0
    rows[70::89, names.index("bid_price_1")] *= 1.01
    return graph, names, np.ascontiguousarray(rows), table["ts_recv"].cast("int64").to_numpy()


@pytest.mark.parametrize("source", [minutes, deribit, levels], ids=lambda source: source.__name__)
def test_a_module_has_the_bits_of_the_engine(source: Any) -> None:
    graph, fields, rows, times = source()
    count = len(graph.features)
    out, reasons = np.zeros(count), np.zeros(count, dtype=np.uint8)
    take = ss.Engine(graph).bind(rows, out, fields=fields, times=times, reasons=reasons)
    binary = compile_wasm(graph, columns=fields)
    module = Module(binary)
    assert (module.columns, module.features, module.digest) == (fields, list(graph.features), graph.digest)
    restored, invalid = len(rows) // 2, 0
    for i, t in enumerate(times.tolist()):
        if i == restored:
            state = module.snapshot()
            module = Module(binary)
            assert module.restore(state) == 0
        assert take(i) == module.push(t, rows[i])
        assert module.vector() == (out.tobytes(), reasons.tobytes()), f"row {i}"
        invalid += np.count_nonzero(reasons)
    assert 0 < invalid < count * len(rows) and len(rows) > 200


def test_a_state_moves_between_native_and_wasm_both_ways() -> None:
    graph, fields, rows, times = minutes()
    binary = compile_wasm(graph, columns=fields)
    count = len(graph.features)
    outs = [np.zeros(count), np.zeros(count)]
    whole, later = (
        ss.Engine(graph).bind(rows, out, fields=fields, times=times, reasons=np.zeros(count, dtype=np.uint8))
        for out in outs
    )
    module = Module(binary)
    for i in range(700):
        whole(i)
    state = ss.Engine.bound_snapshot(whole)
    assert module.restore(state) == 0
    assert module.snapshot() == state
    for i in range(700, 900):
        whole(i)
        module.push(int(times[i]), rows[i])
    ss.Engine.bound_restore(later, module.snapshot())
    for i in range(900, 1_000):
        whole(i)
        later(i)
        np.testing.assert_array_equal(*outs)


def test_a_module_refuses_rows_and_states_that_are_not_its_own() -> None:
    graph, fields, rows, times = minutes()
    module = Module(compile_wasm(graph, columns=fields))
    assert module.push(int(times[1]), rows[1]) >= 0
    before = module.snapshot()
    assert module.push(int(times[0]), rows[0]) == LATE
    assert module.push(int(times[3]), rows[3]) == MISSING_BAR
    assert module.restore(before[:-1] + bytes([before[-1] ^ 1])) == DAMAGED
    other = ss.FeatureGraph(name="other", on=bars("1m"), features={"c": bars("1m").close})
    assert Module(compile_wasm(other)).restore(before) == OTHER_GRAPH
    assert module.snapshot() == before, "what is refused changes nothing"


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        (ss.FeatureGraph(name="g", on=ss.every("1s"), features={"p": trades.price}), r"on a clock, every\(1s\)"),
        (
            ss.FeatureGraph(
                name="g", on=trades, features={"p": trades.price, "half": ss.session("XNYS").is_half_day()}
            ),
            "time",
        ),
        (
            ss.FeatureGraph(name="g", on=trades, features={"p": trades.price - ss.instrument("B").trades.price}),
            "reads B:trades, of another instrument",
        ),
    ],
)
def test_what_a_row_does_not_bring_about_is_refused_by_name(graph: ss.FeatureGraph, said: str) -> None:
    with pytest.raises(GraphError, match=said) as refused:
        compile_wasm(graph)
    assert "signal-stream serve" in str(refused.value)


def test_the_command_writes_a_module(tmp_path: Path) -> None:
    file = tmp_path / "graph.py"
    file.write_text(
        "import signal_stream as ss\nbar = ss.bars('1m')\n"
        "graph = ss.FeatureGraph(name='g', on=bar, features={'m': bar.close.rolling(3).mean()})\n"
    )
    command = [sys.executable, "-m", "signal_stream", "compile", "--wasm", str(file), "-o", str(tmp_path / "g.wasm")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{tmp_path / 'g.wasm'}  g  ")
    module = Module((tmp_path / "g.wasm").read_bytes())
    for i, close in enumerate([1.0, 2.0, 6.0]):
        module.push(i * 60_000_000_000, np.array([close]))
    assert module.vector() == (np.array([3.0]).tobytes(), b"\0")
