"""Words of other libraries: each is told what it is here, or that it is not there; nothing raises anything else."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import signal_stream as ss
from signal_stream.errors import GraphError
from signal_stream.features import words

x, y, n = ss.trades.price, ss.trades.qty, 5
OWNERS: dict[str, Any] = {
    "an expression": x,
    "a rolling window": x.rolling(n),
    "exponential weights": x.ewm(span=n),
    "exponential weights over time": x.ewm(half_life="5s"),
    "all values so far": x.expanding(),
    "trades": ss.trades,
    "book": ss.book,
    "quotes": ss.quotes,
    "bars('1m')": ss.bars("1m"),
    "a cross-section": ss.cross(x),
    "instrument('BTC')": ss.instrument("BTC"),
    "quotes.bid": ss.quotes.bid,
    "signal_stream": ss,
}
HERE = {name for owner in OWNERS.values() for name in dir(owner)}


@pytest.mark.parametrize("word", sorted({*words.RENAMED, *words.WRITTEN, *words.MISSING}))
def test_every_word_has_an_answer_wherever_it_is_used(word: str) -> None:
    word = word.rpartition(".")[2]
    for what, owner in OWNERS.items():
        if word in dir(owner):
            continue
        assert not hasattr(owner, word)
        with pytest.raises(GraphError, match=re.escape(f'"{word}" on {what}')) as raised:
            getattr(owner, word)
        assert isinstance(raised.value, AttributeError)
        assert raised.value.code == "UNKNOWN_OPERATOR"
        assert raised.value.where.startswith(f"{__file__}:")
        assert re.match("Here it is|Not (here|there)|Did you mean|Known are|[A-Z]|x", raised.value.next_step), word


@pytest.mark.parametrize("word", words.WRITTEN)
def test_what_is_written_in_another_way_runs(word: str) -> None:
    made = eval(words.WRITTEN[word], {"ss": ss, "x": x, "y": y, "n": n})
    assert isinstance(made, ss.Expression)
    ss.FeatureGraph(name="g", on=ss.every("1s"), features={"made": made})


@pytest.mark.parametrize("word", words.RENAMED)
def test_what_is_called_otherwise_is_there(word: str) -> None:
    assert words.RENAMED[word] in HERE


def test_no_word_is_said_to_be_missing_that_is_there() -> None:
    there = set(dir(x)) | set(ss.__all__)
    assert there & {word for word in words.MISSING if word not in ("rank", "label")} == set()


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (lambda: x.median(), r"x\.rolling\(n\)\.median\(\)"),
        (lambda: x.rolling(n).percentile(90), 'called "quantile"'),
        (lambda: x.rolling(n).kurtosis(), 'called "kurt"'),
        (lambda: x.rolling(n).mode(), "Not there yet"),
        (lambda: x.rolling(n).autocorr(), r"x\.autocorr\(n\)"),
        (lambda: x.rank(), r"x\.rolling\(n\)\.rank\(\) .* ss\.cross\(x\)\.rank\(\) among instruments"),
        (lambda: x.ewm(span=n).sum(), r"mean\(\). x\.rolling\(n\)\.sum\(\)"),
        (lambda: x.lead(1), "only the past"),
        (lambda: x.shift(-1), "only the past"),
        (lambda: x.sma(n), r"Here it is written x\.rolling\(n\)\.mean\(\)"),
        (lambda: ss.trades.rsi(14), r"Here it is written x\.rsi\(n\)"),
        (lambda: ss.bbands(x), r"Here it is written x\.bollinger_upper\(n\)"),
        (lambda: x.over("instrument"), "by instrument already"),
        (lambda: x.dt.hour, "no time of day"),
        (lambda: ss.trades.volume_bars, r"written ss\.bars\(volume=1e3\)"),
        (lambda: ss.bars(dollars=1e6), 'called "notional"'),
        (lambda: ss.bars(exchange="XNYS"), 'called "session"'),
        (lambda: x.ffill(), "stays missing"),
        (lambda: x.fillna(0), r"called \"fill\""),
        (lambda: x.cumsum(), r"written x\.expanding\(\)\.sum\(\)"),
        (lambda: ss.trades.volume, 'Here it is called "qty"'),
        (lambda: ss.quotes.bid(1).price, r"quotes\.bid\.price"),
    ],
)
def test_the_answers_that_people_need_most(use: Callable[[], object], said: str) -> None:
    with pytest.raises(GraphError, match=said):
        use()


def arguments() -> Iterator[tuple[str, Callable[..., object], str]]:
    functions: list[tuple[str, Callable[..., object]]] = [
        ("rolling", x.rolling), ("ewm", x.ewm), ("shift", x.shift), ("std", x.rolling(n).std), ("rank", x.rolling(n).rank),
        ("corr", x.rolling(n).corr), ("clip", x.clip), ("imbalance", ss.book.imbalance), ("bars", ss.bars),
        ("every", ss.every), ("rsi", ss.rsi), ("macd", ss.macd), ("atr", ss.atr), ("where", ss.where),
        ("maximum", ss.maximum), ("instrument", ss.instrument), ("FeatureGraph", ss.FeatureGraph), ("log", x.log),
    ]  # fmt: skip
    for name, function in functions:
        for keyword in {*words.KEYWORDS, *words.ARGUMENTS, "nonsense"}:
            if keyword not in _taken(function):
                yield name, function, keyword


def _taken(function: Callable[..., object]) -> set[str]:
    return set(inspect.signature(function).parameters)


def test_every_argument_of_others_is_told_by_every_function() -> None:
    for name, function, keyword in arguments():
        with pytest.raises(GraphError, match=re.escape(f'{name}(…) takes no "{keyword}"')) as raised:
            function(**{keyword: 3})
        assert isinstance(raised.value, TypeError)
        assert raised.value.code == "UNKNOWN_KEY"
        assert raised.value.next_step, (name, keyword)
        called = re.match('Here it is called "(.*)"', raised.value.next_step)
        assert called is None or called[1] in _taken(function)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("5 min", '"5m"'), ("5min", '"5m"'), ("5T", '"5m"'), ("1M", '"1m" for minutes'), ("30 sec", '"30s"'), ("1H", '"1h"'),
        ("1.5s", '"1500ms"'), ("2 weeks", '"14d"'), ("1e3s", "such as"), ("", "such as"), ("-5s", "such as"), ("5", "such as"),
        ("٣s", "such as"), ("0s", "above zero"), (f"{10**40}s", "100 years"), ("9" * 5000 + "d", "100 years"),
        ("1/2s", "such as"), (5, "in quotes"), (None, "in quotes"), (b"5s", "in quotes"), (float("nan"), "in quotes"),
    ],
)  # fmt: skip
def test_a_duration_that_is_none_is_told_what_is_meant(written: Any, meant: str) -> None:
    for use in (ss.bars, ss.every, x.max_age, ss.instrument("BTC").bars):
        with pytest.raises(GraphError, match=re.escape(meant)) as raised:
            use(written)
        assert raised.value.where.startswith(f"{__file__}:")
    if isinstance(written, str):
        with pytest.raises(GraphError, match=re.escape(meant)):
            x.rolling(written)
