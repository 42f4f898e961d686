"""Every operator of `signal-stream operators` on the streams that an input has: what the graphs beside this file share.

The list is the core's own, so an operator that is new is in the graphs at once. `tests/parity/test_every_operator.py` runs them.
"""

import json
import operator
from typing import Any

import signal_stream as ss
from signal_stream import Expression, FeatureGraph, _core, cross, minutes_until, session

TABLE: list[dict[str, Any]] = json.loads(_core.operators())
SIGNS = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "%": operator.mod, "**": operator.pow,
    "<": operator.lt, "<=": operator.le, "==": operator.eq, "!=": operator.ne, "&": operator.and_, "|": operator.or_,
}  # fmt: skip
WITHOUT_DEFAULT = {"window": 20, "n": 20, "m": 10, "span": 12, "d": 0.4, "short": 5, "long": 20, "q": 2, "level": 2}
WITHOUT_DEFAULT |= {"quantity": 0.001, "bps": 20.0, "h": 0.001, "omega": 1e-6, "mu": 0.1, "alpha": 0.1, "beta": 0.8}
SLOW = {"hawkes_intensity": {"beta": 1e-5}}
"""What fades over a day, so that bars of a day have it too."""
OF_SIGNS, OF_PRICES = {"sign", "eq", "ne", "and", "or", "not"}, {"floor", "ceil", "round"}
"""Formulas that would say the same of all numbers between 0 and 1."""
TIMED = {row["name"]: row for row in TABLE if row["family"] == "rolling" and row["name"] != "prod"}
"""Statistics that are taken over a time too: all but the product, as hundreds of prices multiply beyond what a double holds."""


def called(row: dict[str, Any]) -> str:
    """A row's name, apart from others': a book has a slope, and so has a window."""
    return f"rolling.{row['name']}" if row["family"].startswith("rolling") else str(row["name"])


def needs(row: dict[str, Any]) -> str | None:
    """The stream without which an operator has no meaning."""
    if row["family"] == "book":
        return "book"
    of: str | None = row.get("of")
    return {"quotes": "book"}.get(of or "", of)


def every_operator(
    *,
    name: str,
    on: Any,
    price: Expression,
    amount: Expression,
    streams: dict[str, Any],
    other: Any,
    length: str,
    until: str,
    members: Any,
    without: tuple[str, ...] = (),
) -> FeatureGraph:
    """The graph. `streams` are those of the input by their names; `price` and `amount` numbers of one of them; `other` a stream
    at whose events they are looked at; `length` a window of time; `until` a moment after the input's end; `without` operators
    that need a column that the input lacks."""
    made = Operators(price, amount, streams, other, length, until, members)
    rows = [row for row in TABLE if needs(row) in (None, *streams) and row["name"] not in without]
    features = {called(row): made.of(row) for row in rows}
    features |= {f"{each}_{length}": made.statistic(price.rolling(length), row) for each, row in sorted(TIMED.items())}
    return FeatureGraph(name=name, on=on, features=features)


class Operators:
    """Operators with operands within their domains: prices where they are of prices, numbers between 0 and 1 elsewhere."""

    def __init__(
        self, price: Expression, amount: Expression, streams: dict[str, Any], other: Any, length: str, until: str,
        members: Any,
    ) -> None:  # fmt: skip
        self.price, self.streams, self.other, self.length, self.until = price, streams, other, length, until
        self.amount, self.members = amount, members
        share = price.rolling(20).rank() - 0.025
        usual = price.rolling(20).mean()
        terms = {"forward": price, "strike": usual, "years": 0.01, "vol": 0.1 + share, "discount": 0.99}
        call, put = (ss.black_price(**terms, right=right) for right in ("call", "put"))
        self.operands: dict[str, Any] = {
            **terms, "right": "call", "price": call, "call": call, "put": put,
            "x": share, "y": 1 - share * share, "condition": share > 0.5, "low": 0.2, "high": 0.7,
        }  # fmt: skip
        up = price.diff().sign()
        rises, rose = price.diff() > 0, price.diff(2) > 0
        self.of_prices = {"y": amount, "mid": usual, "side": up}
        self.of_prices |= {"bid": price.rolling(20).min(), "ask": price.rolling(20).max()}
        signs, prices = {"x": rises, "y": rose}, {"x": price}
        self.of_one = dict.fromkeys(OF_SIGNS, signs) | dict.fromkeys(OF_PRICES, prices) | {"is_valid": {"x": price.diff().log()}}
        """Formulas that have operands of their own."""

    def of(self, row: dict[str, Any]) -> Expression:
        """A row of the table as an expression."""
        made: Expression = getattr(self, "_" + row["family"].replace(" ", "_"), self._composite)(row)
        return made

    def _formula(self, row: dict[str, Any]) -> Expression:
        operands = self.operands | self.of_one.get(row["name"], {})
        given = {each: operands[each] for each in row["operands"]}
        first, *others = given.values()
        sign = row["sign"]
        if sign and others:
            made: Expression = SIGNS[sign](first, *others)
        elif row["name"] == "not":
            made = ~first
        elif "right" in given:
            made = getattr(ss, row["name"])(**given)
        elif hasattr(ss, row["name"]):
            made = getattr(ss, row["name"])(*given.values())
        else:
            made = getattr(first, row["name"])(*others)
        return made

    def _book(self, row: dict[str, Any]) -> Expression:
        made: Expression = getattr(self.streams["book"], row["name"])()
        return made

    def _lag(self, row: dict[str, Any]) -> Expression:
        made: Expression = getattr(self.price, row["name"])()
        return made

    def statistic(self, of: Any, row: dict[str, Any]) -> Expression:
        """A statistic of a window or of exponential weights."""
        others = [self.amount for _ in row["operands"][1:]]
        given = {"q": 0.9} if row["name"] == "quantile" else {}
        made: Expression = getattr(of, row["name"].rpartition(".")[2])(*others, **given)
        return made

    def _rolling(self, row: dict[str, Any]) -> Expression:
        return self.statistic(self.price.rolling(20), row)

    _rolling_of_two = _rolling

    def _ewm(self, row: dict[str, Any]) -> Expression:
        return self.statistic(self.price.ewm(span=12), row)

    def _ewm_over_time(self, row: dict[str, Any]) -> Expression:
        return self.statistic(self.price.ewm(half_life=self.length), row)

    def _expanding(self, row: dict[str, Any]) -> Expression:
        return self.statistic(self.price.expanding(), row)

    def _crossing(self, row: dict[str, Any]) -> Expression:
        made: dict[str, Expression] = {
            "age": self.price.age(),
            "max_age": self.price.max_age(self.length),
            "at": self.price.at(self.other),
        }
        return made[row["name"]]

    def _time(self, row: dict[str, Any]) -> Expression:
        venue = session("XNYS" if row["name"] in ("is_open", "is_half_day", "weekday") else "24/7")
        if row["name"] == "minutes_until":
            return minutes_until(self.until)
        if row["name"] == "open_minutes_until":
            return venue.minutes_until(self.until)
        made: Expression = getattr(venue, row["name"])()
        return made

    def _source(self, row: dict[str, Any]) -> Expression:
        return {"const": 2.0 * self.amount, "field": self.amount}[row["name"]]

    def _across_instruments(self, row: dict[str, Any]) -> Expression:
        made: Expression = getattr(cross(self.price, universe=self.members), row["name"].removeprefix("cross."))()
        return made

    def _composite(self, row: dict[str, Any]) -> Expression:
        of = self.price if row["of"] is None else self.streams["book" if row["of"] == "quotes" else row["of"]]
        others = [self.of_prices[each] for each in row["operands"][1:]]
        given = {
            each["name"]: each["default"] if each.get("default") is not None else WITHOUT_DEFAULT[each["name"]]
            for each in row["arguments"]
        }
        made: Expression = getattr(of, row["name"])(*others, **given | SLOW.get(row["name"], {}))
        return made
