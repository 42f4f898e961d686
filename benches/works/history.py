"""What history does to a window: statistics of the last 60 rows after something happened before them, and what a value costs.

Each library's results are compared with the same statistics in exact rational arithmetic, at rows whose windows hold nothing of
the disturbance any more. An error is over the larger of the exact value and its usual size, so that a skewness near 0 does not
make it large. Where a library gives no finite number, the error is infinite.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import numpy as np

import signal_stream as ss
from benches.figure import Figure, Goal, Measured
from benches.folders import out
from benches.machine import machine
from benches.peers import versions
from benches.turns import in_turns, on_one_cpu

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Column = NDArray[np.float64]
    Columns = Mapping[str, Column]

WINDOW: Final = 60
PEERS: Final = ("pandas", "polars", "csp")
STATISTICS: Final = ("mean", "std", "zscore", "skew", "corr")
START_NS, MINUTE_NS = 1_700_000_040_000_000_000, 60_000_000_000


@dataclass(frozen=True, slots=True)
class Story:
    """What the rows went through: `x` and `y` as a function of their number, and the first row that is looked at."""

    name: str
    x: Callable[[int], Column]
    first: Callable[[int], int]


def _walk(rows: int) -> Column:
    """Prices around 100 that move by a 20,000th a row; they lie on no tick grid."""
    random = np.random.default_rng(11)
    steps = random.normal(0.0, 5e-3, rows)
    # Far from 0 at every row, however many there are.
    found: Column = 100.0 + np.cumsum(steps - steps.mean())
    return found


def _volume(rows: int) -> Column:
    return np.random.default_rng(12).exponential(400.0, rows)


def _bad_tick(rows: int) -> Column:
    x = _walk(rows)
    x[rows // 2] = 1e12
    return x


def _shift(rows: int) -> Column:
    x = _walk(rows)
    x[rows // 3 : rows // 2] += 1e6
    return x


def _tiny(rows: int) -> Column:
    return 1e6 + 1e-5 * np.random.default_rng(13).standard_normal(rows)


STORIES: Final = (
    Story("no disturbance", _walk, lambda _: WINDOW),
    Story("one bad tick of 1e12", _bad_tick, lambda rows: rows // 2 + 2 * WINDOW),
    Story("a level shift of 1e6 and back", _shift, lambda rows: rows // 2 + 2 * WINDOW),
    Story("deviations of 1e-5 around 1e6", _tiny, lambda _: WINDOW),
)
LATER: Final = "a start 1,000 rows later"
"""Not the error, but the share of values of which a bit differs."""


def measure(*, quick: bool) -> Iterator[Figure]:
    """Errors after each story, values that a later start changes, and the time of a value: each beside each peer."""
    on_one_cpu()
    rows, looked_at, rounds = (20_000, 20, 2) if quick else (200_000, 200, 5)
    libraries, absent = _libraries()
    found = dict(details(rows, looked_at, libraries))
    for what in (*(story.name for story in STORIES), LATER):
        worst = {name: max(found[what, name].values()) for name in libraries}
        unit = "share of values" if what == LATER else "relative error"
        goal = Goal("value", "<=", 0.0 if what == LATER else 1e-12)
        note = f"worst of {', '.join(STATISTICS)} over {WINDOW} rows, {rows:,} rows"
        for name in (each for each in libraries if each != "ours"):
            yield Figure(
                f"{what}, then a window",
                unit,
                Measured.once(worst["ours"]),
                name,
                Measured.once(worst[name]),
                goal,
                note,
            )
    columns = {"x": _walk(rows), "y": _volume(rows)}
    kept = [{"story": story, "library": name, "found": each} for (story, name), each in found.items()]
    took = in_turns({name: _seconds(run, columns) for name, run in libraries.items()}, rounds=rounds)
    scale = 1e9 / rows / len(STATISTICS)
    for name in (each for each in libraries if each != "ours"):
        ours, theirs = (Measured.least(took[each], scale=scale) for each in ("ours", name))
        yield Figure(
            "five statistics of a window, batch",
            "ns/value",
            ours,
            name,
            theirs,
            None,
            f"least of {rounds}, {rows:,} rows",
        )
    times = {name: min(took[name]) * scale for name in libraries}
    facts = {
        "machine": machine(),
        "peers": versions(PEERS),
        "rows": rows,
        "compared": looked_at,
        "window": WINDOW,
        "ns": times,
        "found": kept,
    }
    (out() / "history.json").write_text(json.dumps(facts, indent=1) + "\n")
    for name, why in absent.items():
        yield Figure("history", "", None, name, None, None, f"peer not measured: {why}")


def details(
    rows: int, looked_at: int, libraries: Mapping[str, Any]
) -> Iterator[tuple[tuple[str, str], dict[str, float]]]:
    """(story, library) and, by statistic, the worst error; for a later start the share of values that differ."""
    y = _volume(rows)
    for story in STORIES:
        x = story.x(rows)
        where = np.unique(np.linspace(story.first(rows), rows - 1, looked_at).astype(int))
        wanted = exact(x, y, where)
        for name, run in libraries.items():
            got = run({"x": x, "y": y})
            yield (story.name, name), {each: _error(got[each][where], wanted[each]) for each in STATISTICS}
    x = _walk(rows)
    for name, run in libraries.items():
        whole, later = run({"x": x, "y": y}), run({"x": x[1_000:], "y": y[1_000:]})
        yield (LATER, name), {each: _differing(whole[each][1_000:], later[each]) for each in STATISTICS}


def _error(got: Column, wanted: Column) -> float:
    if not np.isfinite(got).all():
        return math.inf
    size = np.maximum(np.abs(wanted), np.sqrt(np.mean(wanted * wanted)))
    return float((np.abs(got - wanted) / size).max())


def _differing(whole: Column, later: Column) -> float:
    """Where the later start has values."""
    there = ~np.isnan(later)
    return float((whole[there].view(np.int64) != later[there].view(np.int64)).mean())


def exact(x: Column, y: Column, where: NDArray[np.int64]) -> dict[str, Column]:
    """The statistics at some rows: sums of fractions, roots to 60 digits."""
    found: dict[str, list[float]] = {name: [] for name in STATISTICS}
    n = WINDOW
    for row in where.tolist():
        a = [Fraction(value) for value in x[row - n + 1 : row + 1].tolist()]
        b = [Fraction(value) for value in y[row - n + 1 : row + 1].tolist()]
        mean, other = sum(a) / n, sum(b) / n
        m2 = sum((value - mean) ** 2 for value in a)
        m3 = sum((value - mean) ** 3 for value in a)
        both = sum((p - mean) * (q - other) for p, q in zip(a, b, strict=True))
        theirs = sum((value - other) ** 2 for value in b)
        found["mean"].append(float(mean))
        found["std"].append(_over_root(Fraction(1), 1 / (m2 / (n - 1))))
        found["zscore"].append(_over_root(a[-1] - mean, m2 / (n - 1)))
        # Joanes & Gill's G1: sqrt(n (n - 1)) / (n - 2) times m3 / m2^1.5 of the divisor n.
        found["skew"].append(_over_root(Fraction(n * m3, (n - 2) * m2), m2 / (n - 1)))
        found["corr"].append(_over_root(both, m2 * theirs))
    return {name: np.array(values) for name, values in found.items()}


def _over_root(x: Fraction, square: Fraction) -> float:
    """x / sqrt(square), rounded once."""
    with localcontext() as context:
        context.prec = 60
        root = (Decimal(square.numerator) / Decimal(square.denominator)).sqrt()
        return float(Decimal(x.numerator) / Decimal(x.denominator) / root)


Run = Callable[["Columns"], dict[str, "Column"]]


def _seconds(run: Run, columns: Columns) -> Callable[[], float]:
    def seconds() -> float:
        begun = time.process_time()
        run(columns)
        return time.process_time() - begun

    return seconds


def _libraries() -> tuple[dict[str, Run], dict[str, str]]:
    """Ours and those that are installed; why others are not there."""
    found: dict[str, Run] = {"ours": ours}
    absent = {}
    for name, run in zip(PEERS, (with_pandas, with_polars, with_csp), strict=True):
        try:
            __import__(name)
        except ImportError as error:
            absent[name] = str(error)
        else:
            found[name] = run
    return found, absent


def ours(columns: Columns) -> dict[str, Column]:
    """A table of bars through the graph."""
    import pyarrow as pa

    bar = ss.bars("1m")
    window = bar.close.rolling(WINDOW)
    features = {
        "mean": window.mean(), "std": window.std(), "zscore": window.zscore(), "skew": window.skew(),
        "corr": window.corr(bar.volume),
    }  # fmt: skip
    times = START_NS + MINUTE_NS * np.arange(len(columns["x"]), dtype=np.int64)
    table = pa.table({"ts_open": times, "close": columns["x"], "volume": columns["y"]})
    made = ss.compute(ss.FeatureGraph(name="window", on=bar, features=features), table, instrument="X")
    return {name: made[name].to_numpy() for name in STATISTICS}


def with_pandas(columns: Columns) -> dict[str, Column]:
    """`Series.rolling`."""
    import pandas as pd

    x, y = pd.Series(columns["x"]), pd.Series(columns["y"])
    window = x.rolling(WINDOW)
    mean, std = window.mean(), window.std()
    found = {"mean": mean, "std": std, "zscore": (x - mean) / std, "skew": window.skew(), "corr": window.corr(y)}
    return {name: series.to_numpy() for name, series in found.items()}


def with_polars(columns: Columns) -> dict[str, Column]:
    """`Expr.rolling_*`, on one thread as the others."""
    import polars as pl

    x, y = pl.col("x"), pl.col("y")
    mean, std = x.rolling_mean(WINDOW), x.rolling_std(WINDOW)
    made = pl.DataFrame(dict(columns)).select(
        mean=mean, std=std, zscore=(x - mean) / std, skew=x.rolling_skew(WINDOW, bias=False),
        corr=pl.rolling_corr(x, y, window_size=WINDOW),
    )  # fmt: skip
    return {name: made[name].to_numpy().astype(float) for name in STATISTICS}


def with_csp(columns: Columns) -> dict[str, Column]:
    """`csp.stats` over native curves, as fast as it reads them."""
    from datetime import datetime, timedelta

    import csp
    from csp import stats

    rows, start = len(columns["x"]), datetime.fromisoformat("2024-01-01")
    times = np.datetime64(start, "ns") + np.arange(1, rows + 1) * np.timedelta64(1, "s")
    last: Column = np.full(rows, np.nan)

    @csp.graph
    def window() -> None:
        x, y = (csp.curve(float, (times, columns[name])) for name in ("x", "y"))
        options = {"interval": WINDOW, "min_window": WINDOW}
        mean, std = stats.mean(x, **options), stats.stddev(x, **options)
        made = {
            "mean": mean, "std": std, "zscore": (x - mean) / std, "skew": stats.skew(x, **options),
            "corr": stats.corr(x, y, **options),
        }  # fmt: skip
        for name, output in made.items():
            csp.add_graph_output(name, output)

    made = csp.run(window, starttime=start, endtime=start + timedelta(seconds=rows + 1), output_numpy=True)
    found = {}
    for name in STATISTICS:
        at, values = made[name]
        column = last.copy()
        # It ticks from the first full window on.
        column[((at - times[0]) // np.timedelta64(1, "s")).astype(int)] = values
        found[name] = column
    return found
