"""Which function of which library does what an operator of ours does, and how its users call it.

Columns have the short names of `works/operators.py`: o h l c prices, u v between 0 and 1, bp1 ap1 bq1 aq1 the best level.
Conventions differ in places (population deviation, seeds of exponential means): the work is the same, not each number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Columns = Mapping[str, NDArray[np.float64]]

Party = tuple[Callable[[], int] | None, Callable[[], object] | None]
"""Events one a call, which says how many; all rows at once. None where the library has no such way."""

N: Final = 20
"""Rows of a window."""
OF_BARS = ("h", "l", "c")

SCREAMER: Final[dict[str, tuple[str, tuple[Any, ...], tuple[str, ...]]]] = {
    **{name: (name.capitalize(), (), ("u",)) for name in (
        "abs", "sign", "log", "exp", "sqrt", "tanh", "sigmoid", "round", "floor", "ceil", "sin", "cos", "erf", "erfc")},
    **{name: (name.capitalize(), (), ("u", "v")) for name in ("add", "sub", "mul", "div", "and", "or")},
    "not": ("Not", (), ("u",)), "eq": ("Equal", (), ("u", "v")), "ne": ("NotEqual", (), ("u", "v")),
    "lt": ("LessThan", (), ("u", "v")), "le": ("LessEqual", (), ("u", "v")), "where": ("Where", (), ("v", "u", "c")),
    "shift": ("Lag", (1,), ("c",)), "diff": ("Diff", (1,), ("c",)), "pct_change": ("Return", (1,), ("c",)),
    "log_return": ("LogReturn", (1,), ("c",)),
    **{name: (f"Rolling{name.capitalize()}", (N,), ("c",)) for name in (
        "sum", "mean", "var", "std", "zscore", "skew", "min", "max", "rank")},
    **{name: (f"Rolling{name.capitalize()}", (N,), ("c", "u")) for name in ("cov", "corr", "beta")},
    "ewm.mean": ("EwMean", (None, 12), ("c",)), "rsi": ("RollingRSI", (14,), ("c",)),
    **dict.fromkeys(("macd", "macd_signal", "macd_histogram"), ("MACD", (12, 26, 9), ("c",))),
    **dict.fromkeys(("bollinger_upper", "bollinger_lower"), ("BollingerBands", (N, 2.0), ("c",))),
    "stochastic_k": ("Stoch", (14, 1, 1), OF_BARS), "stochastic_d": ("Stoch", (14, 1, 3), OF_BARS),
    "true_range": ("TrueRange", (), OF_BARS), "atr": ("ATR", (14,), OF_BARS), "natr": ("NATR", (14,), OF_BARS),
    "dema": ("DEMA", (None, 20), ("c",)), "tema": ("TEMA", (None, 20), ("c",)), "fracdiff": ("FracDiff", (0.4, 64), ("c",)),
    "williams_r": ("WilliamsR", (14,), OF_BARS), "money_flow_index": ("MFI", (14,), ("h", "l", "c", "u")),
    "ultimate_oscillator": ("UltimateOscillator", (7, 14, 28), OF_BARS), "balance_of_power": ("BOP", (), ("o", "h", "l", "c")),
    "parkinson_variance": ("RollingParkinsonVar", (N,), ("h", "l")),
    "garman_klass_variance": ("RollingGarmanKlassVar", (N,), ("o", "h", "l", "c")),
    "rogers_satchell_variance": ("RollingRogersSatchellVar", (N,), ("o", "h", "l", "c")),
    "yang_zhang_variance": ("RollingYangZhangVar", (N,), ("o", "h", "l", "c")),
    "tick_rule": ("TickRuleSign", (), ("c",)), "roll_spread": ("RollSpread", (N,), ("c",)),
    "microprice": ("MicroPrice", (), ("bp1", "ap1", "bq1", "aq1")), "ofi": ("ContOFI", (), ("bp1", "ap1", "bq1", "aq1")),
    "imbalance": ("OFI", (), ("bq1", "aq1")),
}  # fmt: skip
"""Its class, what it is made with, and the columns that it is called with."""

TALIB: Final[dict[str, tuple[str, tuple[Any, ...], tuple[str, ...]]]] = {
    **{name: (function, (), ("u",)) for name, function in (
        ("log", "LN"), ("exp", "EXP"), ("sqrt", "SQRT"), ("tanh", "TANH"), ("floor", "FLOOR"), ("ceil", "CEIL"), ("sin", "SIN"),
        ("cos", "COS"))},
    **{name: (function, (), ("u", "v")) for name, function in (("add", "ADD"), ("sub", "SUB"), ("mul", "MULT"), ("div", "DIV"))},
    "diff": ("MOM", (1,), ("c",)), "pct_change": ("ROCP", (1,), ("c",)), "sum": ("SUM", (N,), ("c",)),
    "mean": ("SMA", (N,), ("c",)),
    "var": ("VAR", (N,), ("c",)), "std": ("STDDEV", (N,), ("c",)), "min": ("MIN", (N,), ("c",)), "max": ("MAX", (N,), ("c",)),
    "rank": ("PERCENTRANK", (N,), ("c",)), "corr": ("CORREL", (N,), ("c", "u")), "ewm.mean": ("EMA", (12,), ("c",)),
    "rsi": ("RSI", (14,), ("c",)),
    **dict.fromkeys(("macd", "macd_signal", "macd_histogram"), ("MACD", (12, 26, 9), ("c",))),
    **dict.fromkeys(("bollinger_upper", "bollinger_lower"), ("BBANDS", (N,), ("c",))),
    "stochastic_k": ("STOCHF", (14, 1), OF_BARS), "stochastic_d": ("STOCHF", (14, 3), OF_BARS),
    "true_range": ("TRANGE", (), OF_BARS), "atr": ("ATR", (14,), OF_BARS), "natr": ("NATR", (14,), OF_BARS),
    "dema": ("DEMA", (20,), ("c",)), "tema": ("TEMA", (20,), ("c",)), "williams_r": ("WILLR", (14,), OF_BARS),
    "money_flow_index": ("MFI", (14,), ("h", "l", "c", "u")), "ultimate_oscillator": ("ULTOSC", (7, 14, 28), OF_BARS),
    "balance_of_power": ("BOP", (), ("o", "h", "l", "c")), "weighted_mean": ("VWMA", (N,), ("c", "u")),
    "efficiency_ratio": ("ER", (10,), ("c",)),
}  # fmt: skip
"""Its function, its parameters behind the columns, and the columns."""


@cache
def _polars() -> dict[str, Any]:
    """Expressions."""
    import polars as pl

    o, c, u, v = (pl.col(name) for name in "ocuv")
    macd = c.ewm_mean(span=12) - c.ewm_mean(span=26)
    best = {name: pl.col(f"{name}1") for name in ("bp", "ap", "bq", "aq")}
    return {
        "neg": -u, "abs": u.abs(), "sign": u.sign(), "log": u.log(), "log1p": u.log1p(), "exp": u.exp(), "sqrt": u.sqrt(),
        "add": u + v, "sub": u - v, "mul": u * v, "div": u / v, "minimum": pl.min_horizontal(u, v),
        "maximum": pl.max_horizontal(u, v),
        "lt": u < v, "le": u <= v, "eq": u == v, "ne": u != v, "where": pl.when(v > 0).then(u).otherwise(v), "tanh": u.tanh(),
        "round": u.round(), "mod": u % v, "pow": u**v, "coalesce": pl.coalesce(u, v), "is_valid": u.is_not_null(),
        "between": u.is_between(0.2, 0.7), "floor": u.floor(), "ceil": u.ceil(), "sin": u.sin(), "cos": u.cos(),
        "shift": c.shift(1), "diff": c.diff(1), "pct_change": c.pct_change(1), "log_return": (c / c.shift(1)).log(),
        "sum": c.rolling_sum(N), "mean": c.rolling_mean(N), "var": c.rolling_var(N), "std": c.rolling_std(N),
        "zscore": (c - c.rolling_mean(N)) / c.rolling_std(N), "skew": c.rolling_skew(N, bias=False), "min": c.rolling_min(N),
        "max": c.rolling_max(N), "rank": c.rolling_rank(N), "cov": pl.rolling_cov(c, u, window_size=N),
        "corr": pl.rolling_corr(c, u, window_size=N), "beta": pl.rolling_cov(c, u, window_size=N) / u.rolling_var(N),
        "ewm.mean": c.ewm_mean(span=12), "macd": macd, "macd_signal": macd.ewm_mean(span=9), "mid": (best["bp"] + best["ap"]) / 2,
        "spread": best["ap"] - best["bp"],
        "microprice": (best["ap"] * best["bq"] + best["bp"] * best["aq"]) / (best["bq"] + best["aq"]),
        "imbalance": (best["bq"] - best["aq"]) / (best["bq"] + best["aq"]),
        "bollinger_upper": c.rolling_mean(N) + 2 * c.rolling_std(N, ddof=0),
        "bollinger_lower": c.rolling_mean(N) - 2 * c.rolling_std(N, ddof=0), "gap": (o / c.shift(1)).log(),
        "weighted_mean": (c * u).rolling_sum(N) / u.rolling_sum(N),
    }  # fmt: skip


@cache
def _csp() -> dict[str, Callable[[Callable[[str], Any]], Any]]:
    """Graphs: each is given what makes a curve of a column."""
    from csp import math, stats

    window = {"interval": N, "min_window": N}
    of_one = {"abs": math.abs, "log": math.ln, "exp": math.exp, "sqrt": math.sqrt, "tanh": math.tanh, "sin": math.sin,
              "cos": math.cos, "erf": math.erf, "neg": math.neg}  # fmt: skip
    of_two = {"add": math.add, "sub": math.sub, "mul": math.multiply, "div": math.divide, "mod": math.mod, "pow": math.pow,
              "minimum": math.min, "maximum": math.max, "lt": math.lt, "le": math.le, "eq": math.eq, "ne": math.ne}  # fmt: skip
    windows = {"sum": stats.sum, "mean": stats.mean, "var": stats.var, "std": stats.stddev, "skew": stats.skew, "min": stats.min,
               "max": stats.max, "rank": stats.rank}  # fmt: skip
    pairs = {"cov": stats.cov, "corr": stats.corr}

    def delayed(x: Any) -> Any:
        import csp

        return csp.delay(x, 1)

    return {
        **{name: lambda of, f=f: f(of("u")) for name, f in of_one.items()},
        **{name: lambda of, f=f: f(of("u"), of("v")) for name, f in of_two.items()},
        **{name: lambda of, f=f: f(of("c"), **window) for name, f in windows.items()},
        **{name: lambda of, f=f: f(of("c"), of("u"), **window) for name, f in pairs.items()},
        "zscore": lambda of: (of("c") - stats.mean(of("c"), **window)) / stats.stddev(of("c"), **window),
        "ewm.mean": lambda of: stats.ema(of("c"), span=12, adjust=True),
        "macd": lambda of: stats.ema(of("c"), span=12, adjust=True) - stats.ema(of("c"), span=26, adjust=True),
        "shift": lambda of: delayed(of("c")), "diff": lambda of: of("c") - delayed(of("c")),
        "mid": lambda of: (of("bp1") + of("ap1")) / 2.0, "spread": lambda of: of("ap1") - of("bp1"),
        "imbalance": lambda of: (of("bq1") - of("aq1")) / (of("bq1") + of("aq1")),
    }  # fmt: skip


def versions(libraries: Iterable[str]) -> dict[str, str]:
    """Of those that are installed."""
    found = {}
    for name in libraries:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def party(library: str, operator: str, columns: Columns, events: int) -> Party | None:
    """How a library does an operator's work; None where it has none, or is not installed."""
    try:
        return {"screamer": _with_screamer, "TA-Lib": _with_talib, "polars": _with_polars, "csp": _with_csp}[library](
            operator, columns, events
        )
    except ImportError:
        return None


def _with_screamer(operator: str, columns: Columns, events: int) -> Party | None:
    import screamer

    if operator not in SCREAMER:
        return None
    name, parameters, inputs = SCREAMER[operator]
    whole = [columns[each] for each in inputs]
    rows = list(zip(*(column[:events].tolist() for column in whole), strict=True))
    live, batch = (getattr(screamer, name)(*parameters) for _ in range(2))

    def event() -> int:
        for row in rows:
            live(*row)
        return events

    return event, lambda: batch(*whole)


def _with_talib(operator: str, columns: Columns, events: int) -> Party | None:
    import talib
    from talib import stream

    if operator not in TALIB:
        return None
    name, parameters, inputs = TALIB[operator]
    whole = [columns[each] for each in inputs]
    rows = list(zip(*(column[:events].tolist() for column in whole), strict=True))
    live = getattr(stream, name)(*(column[:500].copy() for column in whole), *parameters)
    update = getattr(live, "update", None)

    def event() -> int:
        for row in rows:
            update(*row)
        return events

    return (event if update is not None else None), lambda: getattr(talib, name)(*whole, *parameters)


def _with_polars(operator: str, columns: Columns, _: int) -> Party | None:
    import polars as pl

    expression = _polars().get(operator)
    if expression is None:
        return None
    frame = pl.DataFrame(dict(columns))
    return None, lambda: frame.select(x=expression)


def _with_csp(operator: str, columns: Columns, events: int) -> Party | None:
    """A run over a native curve, of which the last value is kept. Its start, a few milliseconds, is spread over more events."""
    from datetime import datetime, timedelta

    import csp

    made = _csp().get(operator)
    if made is None:
        return None
    start = datetime.fromisoformat("2024-01-01")
    rows = min(len(columns["c"]), 32 * events)
    times = np.datetime64(start, "ns") + np.arange(1, rows + 1) * np.timedelta64(1, "s")

    @csp.graph
    def one() -> None:
        curves = {}

        def of(name: str) -> Any:
            if name not in curves:
                curves[name] = csp.curve(float, (times, columns[name][:rows]))
            return curves[name]

        csp.add_graph_output("x", made(of), tick_count=1)

    def run() -> int:
        csp.run(one, starttime=start, endtime=start + timedelta(seconds=rows + 1))
        return rows

    return run, None
