"""What many instruments cost: rows of a table side by side against one instrument's, symbols of a capture against ten."""

from __future__ import annotations

import json
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

import signal_stream as ss
from benches.figure import Figure, Goal, Measured
from benches.program import NotBuilt, figures_of
from benches.turns import in_turns, on_one_cpu, timed

if TYPE_CHECKING:
    from collections.abc import Iterator

MINUTE_NS = 60_000_000_000
START_NS = 1_700_000_040_000_000_000
BAR = ss.bars("1m")
GRAPH = ss.FeatureGraph(
    name="many", on=BAR,
    features={
        "step": BAR.close.diff(),
        "z_60": BAR.close.rolling(60).zscore(),
        "flow": BAR.volume.rolling(20).sum(),
        "trend": BAR.close.ewm(span=12).mean() / BAR.close.ewm(span=26).mean() - 1,
        "corr": BAR.close.rolling(30).corr(BAR.volume),
    },
)  # fmt: skip
TRADES = ss.FeatureGraph(name="trades", on=ss.trades, features={"step": ss.trades.price.diff()})

ENGINE = Goal("ratio", ">=", 0.5)


def measure(*, quick: bool) -> Iterator[Figure]:
    """Rates of many beside those of few, each over the same number of rows."""
    on_one_cpu()
    rows, rounds = (60_000, 2) if quick else (600_000, 5)
    tables = {count: _table(rows, count) for count in (1, 10, 300, 3000)}
    parties = {str(count): timed(partial(_count, GRAPH, table)) for count, table in tables.items()}
    took = in_turns(parties, rounds=rounds)
    one = _rates(took["1"], rows)
    for count in (10, 300, 3000):
        yield Figure(
            f"bars of {count:,} instruments side by side", "rows/s", _rates(took[str(count)], rows), "one instrument", one,
            Goal("ratio", ">=", 0.5) if count == 300 else None, f"{rows:,} rows, 5 features, table in, vectors out",
        )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        files = {count: _capture(Path(folder), rows // 4, count) for count in (10, 3000)}
        parties = {str(count): timed(partial(_count, TRADES, path)) for count, path in files.items()}
        took = in_turns(parties, rounds=rounds)
    yield Figure(
        "capture of 3,000 symbols", "events/s", _rates(took["3000"], rows // 4), "of 10 symbols", _rates(took["10"], rows // 4),
        Goal("ratio", ">=", 0.5), f"{rows // 4:,} trades in turn, lines in, vectors out",
    )  # fmt: skip
    try:
        found = figures_of("instruments")
    except NotBuilt as error:
        yield Figure(
            "events of 3,000 instruments at random", "events/s", None, goal=ENGINE, note=f"not measured: {error}"
        )
        return
    for row in found:
        yield Figure(
            row["work"], row["unit"], Measured.once(row["value"]), row["peer"], Measured.once(row["peer_value"]),
            ENGINE if row["work"].endswith(" of 3,000 instruments") else None,
            "the engine alone, each event of an instrument by the throw of a die; the second line is what memory allows",
        )  # fmt: skip


def _rates(took: list[float], events: int) -> Measured:
    return Measured.most([events / seconds for seconds in took])


def _count(graph: ss.FeatureGraph, data: object) -> int:
    return sum(batch.num_rows for batch in ss.compute(graph, data, batches=True))


def _table(rows: int, instruments: int) -> pa.Table:
    """Bars in order of time: each minute one of each instrument."""
    draw = np.random.default_rng(7)
    opens = START_NS + MINUTE_NS * (np.arange(rows) // instruments)
    names = pa.array([f"S{i % instruments}" for i in range(rows)])
    close, volume = 100 + draw.random(rows), 1 + draw.random(rows)
    return pa.table({"instrument": names, "ts_open": opens, "close": close, "volume": volume})


def _capture(folder: Path, events: int, symbols: int) -> str:
    """Trades of symbols in turn, a millisecond apart."""
    path = folder / f"{symbols}.cap"
    with path.open("w") as file:
        for i in range(events):
            ms, symbol = START_NS // 10**6 + i, f"S{i % symbols}USDT"
            data = {
                "e": "trade", "E": ms, "s": symbol, "t": i // symbols + 1, "p": f"{100 + i % 7}.5", "q": "1.0", "T": ms,
                "m": False, "M": True,
            }  # fmt: skip
            line = json.dumps({"stream": f"{symbol.lower()}@trade", "data": data}, separators=(",", ":"))
            file.write(f"{ms * 10**6} {line}\n")
    return str(path)
