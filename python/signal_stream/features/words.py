"""Words of other libraries, and what they are here: pandas, polars, numpy, TA-Lib.

One table. A word is written in another way here (code that runs), or is not there, with what to do instead.
"""

from __future__ import annotations

from typing import Final

from signal_stream.errors import did_you_mean, nearest

RENAMED: Final = {
    "lag": "shift", "delay": "shift", "shifted": "shift", "delta": "diff", "difference": "diff", "ret": "pct_change",
    "rets": "pct_change", "returns": "pct_change", "return_": "pct_change", "pct": "pct_change", "pctchange": "pct_change",
    "percent_change": "pct_change", "logret": "log_return", "log_ret": "log_return", "log_returns": "log_return",
    "ln": "log", "absolute": "abs", "fabs": "abs", "stdev": "std", "stddev": "std", "stdv": "std", "variance": "var",
    "average": "mean", "avg": "mean", "total": "sum", "z": "zscore", "z_score": "zscore", "skewness": "skew",
    "correlation": "corr", "correl": "corr", "covariance": "cov", "minimum": "min", "maximum": "max", "lowest": "min",
    "highest": "max", "mid_price": "mid", "midprice": "mid", "micro_price": "microprice",
    "weighted_mid": "microprice", "wmid": "microprice", "obi": "imbalance", "order_flow_imbalance": "ofi", "bids": "bid",
    "asks": "ask", "best_bid": "bid", "best_ask": "ask", "quantity": "qty", "amount": "qty", "volume": "qty", "size": "qty",
    "signed_volume": "signed_qty", "is_buyer_maker": "side", "direction": "side", "o": "open", "h": "high", "l": "low",
    "c": "close", "price": "close", "v": "volume", "vol": "volume", "last": "close", "number_of_trades": "trades",
    "buy_vol": "buy_volume",
    "taker_buy_volume": "buy_volume", "staleness": "age", "alias": "named",
    "fillna": "fill", "fill_null": "fill", "fill_nan": "fill", "nan_to_num": "fill",
    "notna": "is_valid", "notnull": "is_valid", "is_not_null": "is_valid", "rint": "round", "expit": "sigmoid",
    "logistic": "sigmoid", "signedpower": "signed_power", "winsorize": "winsorise", "neutralize": "neutralise",
    "indneutralize": "neutralise", "standardize": "zscore", "quantile_bucket": "bucket", "ntile": "bucket",
    "is_between": "between", "norm_cdf": "normal_cdf", "ndtr": "normal_cdf", "norm_pdf": "normal_pdf",
    "norm_ppf": "normal_quantile", "ppf": "normal_quantile", "ndtri": "normal_quantile", "probit": "normal_quantile",
    "kurtosis": "kurt", "percentile": "quantile", "idxmax": "argmax", "arg_max": "argmax", "idxmin": "argmin",
    "arg_min": "argmin",
    "product": "prod", "wma": "decay_linear", "linearreg_slope": "slope", "r_squared": "rsquare", "r2": "rsquare",
    "residual": "resid", "resi": "resid",
}  # fmt: skip
"""Another name for what the same object has."""

WRITTEN: Final = {
    "rolling_mean": "x.rolling(n).mean()", "mean": "x.rolling(n).mean()", "sma": "x.rolling(n).mean()",
    "ma": "x.rolling(n).mean()", "moving_average": "x.rolling(n).mean()", "ts_mean": "x.rolling(n).mean()",
    "average": "x.rolling(n).mean()", "avg": "x.rolling(n).mean()", "rolling_sum": "x.rolling(n).sum()",
    "sum": "x.rolling(n).sum()", "ts_sum": "x.rolling(n).sum()", "rolling_std": "x.rolling(n).std()",
    "std": "x.rolling(n).std()", "stdev": "x.rolling(n).std()", "stddev": "x.rolling(n).std()",
    "ts_std": "x.rolling(n).std()", "volatility": "x.log_return().rolling(n).std()",
    "realized_vol": "x.realised_variance(n).sqrt()", "rolling_var": "x.rolling(n).var()", "var": "x.rolling(n).var()",
    "variance": "x.rolling(n).var()", "rolling_min": "x.rolling(n).min()", "min": "x.rolling(n).min()",
    "lowest": "x.rolling(n).min()", "ts_min": "x.rolling(n).min()", "rolling_max": "x.rolling(n).max()",
    "max": "x.rolling(n).max()", "highest": "x.rolling(n).max()", "ts_max": "x.rolling(n).max()",
    "rolling_skew": "x.rolling(n).skew()", "skew": "x.rolling(n).skew()", "rolling_rank": "x.rolling(n).rank()",
    "ts_rank": "x.rolling(n).rank()", "rolling_corr": "x.rolling(n).corr(y)", "corr": "x.rolling(n).corr(y)",
    "correl": "x.rolling(n).corr(y)", "ts_corr": "x.rolling(n).corr(y)", "rolling_cov": "x.rolling(n).cov(y)",
    "cov": "x.rolling(n).cov(y)", "beta": "x.rolling(n).beta(y)",
    "zscore": "x.rolling(n).zscore()", "z": "x.rolling(n).zscore()", "rolling_zscore": "x.rolling(n).zscore()",
    "standardize": "x.rolling(n).zscore()", "normalize": "x.rolling(n).zscore()",
    "ema": "x.ewm(span=n).mean()", "ewma": "x.ewm(span=n).mean()", "ewm_mean": "x.ewm(span=n).mean()",
    "exponential_moving_average": "x.ewm(span=n).mean()", "rma": "x.ewm(alpha=1 / n).mean()",
    "smma": "x.ewm(alpha=1 / n).mean()", "wilder": "x.ewm(alpha=1 / n).mean()",
    "rsi": "x.rsi(n)", "macd": "x.macd()", "atr": 'ss.bars("1m").atr(n)',
    "ppo": "100 * x.macd() / x.ewm(span=26).mean()",
    "bbands": "x.bollinger_upper(n)", "bollinger": "x.bollinger_upper(n)", "bollinger_bands": "x.bollinger_upper(n)",
    "macdsignal": "x.macd_signal()", "macdhist": "x.macd_histogram()", "pct_b": "x.percent_b(n)", "bbp": "x.percent_b(n)",
    "stoch": 'ss.bars("1m").stochastic_d(n)', "stochf": 'ss.bars("1m").stochastic_k(n)',
    "willr": 'ss.bars("1m").williams_r(n)', "mfi": 'ss.bars("1m").money_flow_index(n)', "bop": 'ss.bars("1m").balance_of_power()',
    "ultosc": 'ss.bars("1m").ultimate_oscillator()', "vwma": "x.weighted_mean(y, n)", "frac_diff": "x.fracdiff(0.4)",
    "realized_variance": "x.realised_variance(n)", "rv": "x.realised_variance(n)", "bipower": "x.bipower_variation(n)",
    "semivariance": "x.downside_semivariance(n)", "medrv": "x.med_realised_variance(n)", "lee_mykland": "x.jump_statistic(n)",
    "parkinson": 'ss.bars("1m").parkinson_variance(n).sqrt()', "garman_klass": 'ss.bars("1m").garman_klass_variance(n).sqrt()',
    "rogers_satchell": 'ss.bars("1m").rogers_satchell_variance(n).sqrt()',
    "yang_zhang": 'ss.bars("1m").yang_zhang_variance(n).sqrt()',
    "vpin": 'ss.bars(volume=1e3, split="divide").flow_toxicity(50)', "cvd": "ss.trades.volume_delta(n)",
    "roll": "x.roll_spread(n)", "overnight_gap": 'ss.bars("1d", session="XNYS").gap()', "clv": 'ss.bars("1m").close_location()',
    "roc": "100 * x.pct_change(n)", "rocp": "x.pct_change(n)", "mom": "x.diff(n)", "momentum": "x.diff(n)",
    "lag": "x.shift(n)", "delta": "x.diff(n)", "ret": "x.pct_change(n)", "returns": "x.pct_change(n)",
    "median": "x.rolling(n).median()", "rolling_median": "x.rolling(n).median()", "quantile": "x.rolling(n).quantile(0.9)",
    "rolling_quantile": "x.rolling(n).quantile(0.9)", "percentile": "x.rolling(n).quantile(0.9)",
    "iqr": "x.rolling(n).quantile(0.75) - x.rolling(n).quantile(0.25)", "mad": "x.rolling(n).mad()",
    "kurt": "x.rolling(n).kurt()", "kurtosis": "x.rolling(n).kurt()", "rolling_kurt": "x.rolling(n).kurt()",
    "argmax": "x.rolling(n).argmax()", "argmin": "x.rolling(n).argmin()", "idxmax": "x.rolling(n).argmax()",
    "idxmin": "x.rolling(n).argmin()", "arg_max": "x.rolling(n).argmax()", "arg_min": "x.rolling(n).argmin()",
    "ts_argmax": "x.rolling(n).argmax()", "ts_argmin": "x.rolling(n).argmin()", "prod": "x.rolling(n).prod()",
    "product": "x.rolling(n).prod()", "decay_linear": "x.rolling(n).decay_linear()", "wma": "x.rolling(n).decay_linear()",
    "linearreg_slope": "x.rolling(n).slope()", "linreg": "x.rolling(n).slope()", "slope": "x.rolling(n).slope()",
    "rsquare": "x.rolling(n).rsquare()", "resid": "x.rolling(n).resid()",
    "sem": "x.rolling(n).std() / n ** 0.5", "ewmstd": "x.ewm(span=n).std()", "ewmvar": "x.ewm(span=n).var()",
    "hma": "(2 * x.rolling(8).decay_linear() - x.rolling(16).decay_linear()).rolling(4).decay_linear()",
    "vwap": "(ss.trades.price * ss.trades.qty).rolling(n).sum() / ss.trades.qty.rolling(n).sum()",
    "count": "ss.trades.count().rolling(n).sum()", "square": "x ** 2", "pow": "x ** y", "power": "x ** y", "mod": "x % y",
    "cumsum": "x.expanding().sum()", "cum_sum": "x.expanding().sum()", "cumcount": "x.expanding().count()",
    "cummax": "x.expanding().max()", "cum_max": "x.expanding().max()", "cummin": "x.expanding().min()",
    "cum_min": "x.expanding().min()", "cumprod": "x.log().expanding().sum().exp()",
    "cum_prod": "x.log().expanding().sum().exp()", "cum_count": "x.expanding().count()",
    "obv": '(ss.bars("1m").close.diff().sign() * ss.bars("1m").volume).expanding().sum()',
    "ad": '(ss.bars("1m").close_location() * ss.bars("1m").volume).expanding().sum()',
    "drawdown": "x / x.expanding().max() - 1", "max_drawdown": "(x / x.expanding().max() - 1).expanding().min()",
    "cusum": "x.cusum_events(h=0.5)", "garch": "x.garch_variance(omega=1e-6, alpha=0.1, beta=0.85)",
    "hawkes": "ss.trades.count().hawkes_intensity(mu=0.1, alpha=0.5, beta=1.0)",
    "ewm_mean_by": 'x.ewm(half_life="5m").mean_next()',
    "log10": "x.log() / 2.302585092994046", "log2": "x.log() / 0.6931471805599453",
    "neg": "-x", "negative": "-x",
    "add": "x + y", "plus": "x + y", "sub": "x - y", "subtract": "x - y", "mul": "x * y", "multiply": "x * y",
    "div": "x / y", "truediv": "x / y", "divide": "x / y", "lt": "x < y", "le": "x <= y", "gt": "x > y", "ge": "x >= y",
    "eq": "x == y", "ne": "x != y", "and_": "(x < y) & (y < 3)", "or_": "(x < y) | (y < 3)", "not_": "~(x < y)",
    "when": "ss.where(x < y, x, y)", "then": "ss.where(x < y, x, y)", "otherwise": "ss.where(x < y, x, y)",
    "mask": "ss.where(x < y, x, y)", "where": "ss.where(x < y, x, y)", "iif": "ss.where(x < y, x, y)",
    "if_else": "ss.where(x < y, x, y)", "max_horizontal": "ss.maximum(x, y)", "min_horizontal": "ss.minimum(x, y)",
    "maximum": "ss.maximum(x, y)", "minimum": "ss.minimum(x, y)", "fmax": "ss.maximum(x, y)", "fmin": "ss.minimum(x, y)",
    "isna": "~x.is_valid()", "isnull": "~x.is_valid()", "is_null": "~x.is_valid()", "is_nan": "~x.is_valid()",
    "combine_first": "ss.coalesce(x, y)", "coalesce": "ss.coalesce(x, y)",
    "crossover": "(x > y) * (x.shift() <= y.shift())", "crossunder": "(x < y) * (x.shift() >= y.shift())",
    "clip_lower": "x.clip(lower=0)", "clip_upper": "x.clip(upper=0)", "relu": "x.clip(lower=0)",
    "trange": 'ss.bars("1m").true_range()', "true_range": 'ss.bars("1m").true_range()',
    "typical_price": '(ss.bars("1m").high + ss.bars("1m").low + ss.bars("1m").close) / 3',
    "hlc3": '(ss.bars("1m").high + ss.bars("1m").low + ss.bars("1m").close) / 3',
    "bid_price": "ss.book.bid(1).price", "ask_price": "ss.book.ask(1).price", "bid_qty": "ss.book.bid(1).qty",
    "ask_qty": "ss.book.ask(1).qty", "bid_size": "ss.book.bid(1).qty", "ask_size": "ss.book.ask(1).qty",
    "best_bid": "ss.book.bid(1).price", "best_ask": "ss.book.ask(1).price", "mid": "ss.book.mid()",
    "tick_bars": "ss.bars(ticks=500).close", "volume_bars": "ss.bars(volume=1e3).close",
    "dollar_bars": "ss.bars(notional=1e6).close", "value_bars": "ss.bars(notional=1e6).close",
    "imbalance_bars": 'ss.bars(ticks=500, rule="imbalance").close', "run_bars": 'ss.bars(ticks=500, rule="run").close',
    "session": 'ss.session("XNYS").phase()', "market_hours": 'ss.session("XNYS").is_open()',
    "holiday": 'ss.session("XNYS").is_open()', "calendar": 'ss.session("XNYS").phase()',
    "is_open": 'ss.session("XNYS").is_open()',
    "time_to_expiry": 'ss.years_until("2026-12-18T21:00:00Z")', "tte": 'ss.years_until("2026-12-18T21:00:00Z")',
    "ohlc": 'ss.bars("1m").close', "ohlcv": 'ss.bars("1m").close', "resample": 'ss.bars("1m").close',
    "asfreq": 'ss.bars("1m").close', "candles": 'ss.bars("1m").close', "klines": 'ss.bars("1m").close',
    "group_by_dynamic": 'ss.bars("1m").close', "groupby_dynamic": 'ss.bars("1m").close',
    "cs_rank": "ss.cross(x).rank()", "cross_section": "ss.cross(x).zscore()", "cross_sectional": "ss.cross(x).zscore()",
    "cs_zscore": "ss.cross(x).zscore()", "demean": "ss.cross(x).demean()", "market": "ss.cross(x).mean()",
    "winsorize": "ss.cross(x).winsorise()", "winsorise": "ss.cross(x).winsorise()",
    "neutralize": 'ss.cross(x, universe=ss.universe("u", {"A.X": "tech"})).neutralise()',
    "neutralise": 'ss.cross(x, universe=ss.universe("u", {"A.X": "tech"})).neutralise()',
    "indneutralize": 'ss.cross(x, universe=ss.universe("u", {"A.X": "tech"})).neutralise()',
    "sector": 'ss.cross(x, universe=ss.universe("u", {"A.X": "tech"})).neutralise()',
    "price": "ss.trades.price", "qty": "ss.trades.qty", "close": 'ss.bars("1m").close', "open": 'ss.bars("1m").open',
    "high": 'ss.bars("1m").high', "low": 'ss.bars("1m").low', "volume": 'ss.bars("1m").volume',
}  # fmt: skip
"""Code that gives it: x and y are expressions, n a whole number."""

_AHEAD: Final = "A feature knows only the past: ss.label makes what lies ahead."
_INSTRUMENTS: Final = "An engine keeps the state of each instrument apart: every feature is by instrument already."
_CALENDAR: Final = (
    'An expression has no time of day: ss.session("XNYS") tells it, as .minutes_since_open(), .phase() or .weekday().'
)
_HOLES: Final = "Not here: what is missing stays missing, with its reason. x.at(stream) is the last value known."
_PYTHON: Final = "Python functions do not run in the engine: write it with operators."
_DATA: Final = "An expression holds no data: ss.compute(graph, data) gives a table."
_LATER: Final = "Not there yet."

MISSING: Final = {
    **dict.fromkeys(("lead", "next", "future", "forward", "fwd", "forward_return", "target", "label"), _AHEAD),
    **dict.fromkeys(("mode", "nunique", "n_unique", "entropy", "hurst", "first", "kama"), _LATER),
    **dict.fromkeys(("trix", "adx", "cci", "sar", "aroon", "supertrend"), _LATER),
    **dict.fromkeys(("trunc", "cast", "astype", "tan", "arctan"), _LATER),
    **dict.fromkeys(("cut", "qcut", "digitize", "isin", "is_in", "interpolate", "hist", "value_counts"), _LATER),
    "kalman": _LATER,
    "rank": "x.rolling(n).rank() ranks the newest value in its window, ss.cross(x).rank() among instruments.",
    **dict.fromkeys(("over", "groupby", "group_by", "by", "partition_by", "partition", "unstack", "pivot"), _INSTRUMENTS),
    **dict.fromkeys(("dt", "hour", "minute", "second", "weekday", "dayofweek", "day_of_week", "day", "month"), _CALENDAR),
    **dict.fromkeys(("year", "date", "time", "timestamp", "tz_localize", "tz_convert"), _CALENDAR),
    **dict.fromkeys(("time_of_day", "expiry"), _CALENDAR),
    **dict.fromkeys(("ffill", "forward_fill", "pad", "bfill", "dropna", "drop_nulls"), _HOLES),
    **dict.fromkeys(("apply", "map", "map_elements", "map_batches", "rolling_apply", "agg", "aggregate"), _PYTHON),
    **dict.fromkeys(("transform", "pipe", "eval", "rolling_map", "reduce"), _PYTHON),
    **dict.fromkeys(("shape", "dtype", "dtypes", "values", "index", "columns", "iloc", "loc", "head", "tail"), _DATA),
    **dict.fromkeys(("to_numpy", "to_list", "tolist", "to_pandas", "to_frame", "plot", "describe", "collect"), _DATA),
    **dict.fromkeys(("sort_values", "reindex", "join", "merge", "filter", "select", "with_columns", "item"), _DATA),
    "rolling.autocorr": "A function of the series: x.autocorr(n), over n pairs.",
    "rename": 'A feature is named where the graph is made: features={"name": x}.',
    "ewm.sum": "Not there: the weights add up to 1, so that there is mean(). x.rolling(n).sum() is of a window.",
}  # fmt: skip
"""What is not here, and what to do instead."""

KEYWORDS: Final = {
    "halflife": "half_life", "hl": "half_life", "periods": "n", "period": "n", "timeperiod": "n", "length": "n",
    "lag": "n", "lags": "n", "window": "n", "window_size": "window", "win": "window", "size": "window",
    "depth": "levels", "n_levels": "levels", "num_levels": "levels", "level": "levels", "k": "levels",
    "min": "lower", "a_min": "lower", "lower_bound": "lower", "max": "upper", "a_max": "upper", "upper_bound": "upper",
    "tick": "ticks", "n_ticks": "ticks", "trades": "ticks", "count": "ticks", "dollar": "notional", "dollars": "notional",
    "value": "notional", "money": "notional", "turnover": "notional", "qty": "volume", "quantity": "volume",
    "amount": "volume", "calendar": "session", "exchange": "session", "market": "session", "kind": "rule",
    "decay": "alpha", "other": "y", "freq": "duration", "interval": "duration", "every": "duration", "fastperiod": "fast",
    "slowperiod": "slow", "cond": "condition", "max_events": "cap", "maxlen": "cap", "clock": "on", "columns": "features",
}  # fmt: skip
"""Another name for an argument that the function has."""
_ALTERNATIVES: Final = {"n": ("window", "length"), "window": ("n", "length"), "duration": ("length", "n")}

ARGUMENTS: Final = {
    "min_periods": "rolling(n) waits for n values, rolling(duration) until so much time was observed.",
    "min_samples": "rolling(n) waits for n values, rolling(duration) until so much time was observed.",
    "adjust": "The mean is that of pandas with adjust=True; there is no other.",
    "ignore_na": "Missing values take no weight, as in pandas with ignore_na=True; there is no other way.",
    "center": "A window ends at the newest value: a feature knows only the past.",
    "closed": "A window of time is (t - T, t]: open at its old end, closed at the newest.",
    "win_type": "All values of a window weigh the same; ewm(…) weighs newer ones more.",
    "weights": "All values of a window weigh the same; ewm(…) weighs newer ones more.",
    "pct": "rank() is a share of the window already, in (0, 1].",
    "fill_value": "What is missing stays missing, with its reason.",
    "fill_method": "What is missing stays missing, with its reason.",
    "axis": "An expression has one axis: the events of its stream.",
    "step": "A window is read at every event; on=every(…) says how often a vector is made.",
    "raw": "Python functions do not run in the engine.",
    "method": "There is one formula; see the page of the operator.",
    "signalperiod": "macd is the difference of the two means; its signal line is x.macd_signal().",
    "signal": "macd is the difference of the two means; its signal line is x.macd_signal().",
    "tz": "Times are UTC.",
    "schedule": "on= says when a vector is made.",
}  # fmt: skip
"""Arguments of other libraries that have no counterpart."""


def answer(name: str, known: set[str], owner: str = "") -> str:
    """What to write instead of an unknown name: `known` is what the object has, `owner` "x", "rolling" or "ewm".

    >>> answer("lag", {"shift", "diff"})
    'Here it is called "shift".'
    >>> answer("sma", {"shift", "diff"})
    'Here it is written x.rolling(n).mean().'
    """
    word = name.lower()
    if RENAMED.get(word) in known:
        return f'Here it is called "{RENAMED[word]}".'
    owned = MISSING.get(f"{owner}.{word}")
    if owned is not None:
        return owned
    if nearest(name, known) == word:
        return did_you_mean(name, known)
    if word in MISSING:
        return MISSING[word]
    if word in WRITTEN:
        return f"Here it is written {WRITTEN[word]}."
    return did_you_mean(name, known)


def keyword_answer(function: str, keyword: str, known: list[str]) -> str:
    """What to write instead of an unknown argument of a function.

    >>> keyword_answer("ewm", "halflife", ["span", "half_life"])
    'Here it is called "half_life".'
    """
    word = keyword.lower()
    ours = KEYWORDS.get(word, "")
    for name in (ours, *_ALTERNATIVES.get(ours, ())):
        if name in known:
            return f'Here it is called "{name}".'
    if word in ARGUMENTS:
        return ARGUMENTS[word]
    return did_you_mean(keyword, known) or f"{function}() takes no arguments."
