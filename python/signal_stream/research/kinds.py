"""The kinds of events that a table can hold, and what each asks of its columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from signal_stream.durations import duration_text
from signal_stream.errors import DataError, GraphError, did_you_mean
from signal_stream.features import FeatureGraph, bars, book, quotes, trades
from signal_stream.research.fields import LEVELLED, PLAIN, is_field, stem
from signal_stream.research.table_options import stated_ns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from signal_stream.features import Expression

KINDS: Final = ("bars", "trades", "quotes", "book")
OTHERS: Final = ("definitions", "reference", "lobster")
"""Tables of what no graph reads, and files of their own kind."""
_SIDES: Final = ("bid", "ask")


@dataclass(frozen=True, slots=True)
class EventKind:
    """What each row of a table is."""

    name: str
    """One of `KINDS`."""
    bars_ns: int | None = None
    """Length of the bars, where rows are bars."""

    @classmethod
    def of(cls, name: str, length: str | None) -> EventKind:
        """The kind that was named; DataError for others, and for bars without a length."""
        if name not in KINDS:
            raise DataError(
                "BAD_VALUE", f'kind is "{name}"', value=name,
                next_step=did_you_mean(str(name), [*KINDS, *OTHERS]) or f"Say one of {', '.join([*KINDS, *OTHERS])}.",
            )  # fmt: skip
        if name != "bars":
            if length is not None:
                raise DataError(
                    "BAD_VALUE", f'a length of bars is given ("{length}"), but the rows are {name}', value=length,
                    next_step="Leave it out.",
                )  # fmt: skip
            return cls(name)
        if length is None:
            raise DataError(
                "BAD_VALUE", "the rows are bars, and nobody said how long", next_step='Say --length 1m (length="1m").'
            )
        ns = stated_ns("length", length) or 0
        try:
            bars(duration_text(ns))
        except GraphError as error:
            raise DataError("BAD_VALUE", f"length is {length!r}", value=length, next_step=error.next_step) from None
        return cls(name, ns)

    def fields(self, columns: Mapping[str, str], names: list[str]) -> dict[str, str]:
        """Our fields and the columns that hold them; DataError for a field of another kind, and where one is missing that
        an event of this kind has."""
        given = {_levelled(field): column for field, column in columns.items() if is_field(field)}
        for field in given:
            if not self.has(field):
                raise DataError(
                    "MISSING_COLUMN", f'columns names "{field}", which {self.name} do not have', value=field,
                    next_step=f"{self.name.capitalize()} have {self._said()}.",
                )  # fmt: skip
        found = {_levelled(name): name for name in names if is_field(name) and self.has(_levelled(name))} | given
        missing = [field for field in self._needed(found) if field not in found]
        if missing or not found:
            shown = missing or list(PLAIN[1][:4])
            raise DataError(
                "MISSING_COLUMN", f"{self.name} need {', '.join(shown)}, for which the table has no column",
                next_step=f"Name it: columns={{\"{shown[0]}\": …}} (--columns {shown[0]}=…). The table has {', '.join(names)}.",
            )  # fmt: skip
        return found

    def graph(self, fields: Mapping[str, str]) -> FeatureGraph:
        """A graph that reads these fields: what is said of a table for it is said of all of them."""
        if self.bars_ns is not None:
            stream = bars(duration_text(self.bars_ns))
            return FeatureGraph(name="table", on=stream, features={field: getattr(stream, field) for field in fields})
        if self.name == "trades":
            return FeatureGraph(name="table", on=trades, features={field: getattr(trades, field) for field in fields})
        on = book if self.name == "book" else quotes
        return FeatureGraph(name="table", on=on, features={field: self._level(field) for field in fields})

    def levels(self, fields: Iterable[str], side: str) -> int:
        """How many levels of a side of quotes or books a table has."""
        return sum(stem(field) == f"{side}_price" for field in fields)

    def _level(self, field: str) -> Expression:
        side, what, level = field.split("_")
        if self.name == "quotes":
            quoted: Expression = getattr(getattr(quotes, side), what)
            return quoted
        of_book: Expression = getattr(getattr(book, side)(int(level)), what)
        return of_book

    def has(self, field: str) -> bool:
        """Whether an event of the kind has the field."""
        if self.name == "bars":
            return field in PLAIN[1]
        if self.name == "trades":
            return field in PLAIN[0]
        return stem(field) in LEVELLED and (self.name == "book" or field.endswith("_1"))

    def _needed(self, found: Mapping[str, str]) -> list[str]:
        """What an event of the kind cannot be without: bars may have any fields."""
        if self.name == "bars":
            return []
        if self.name == "trades":
            return ["price", "qty"]
        deepest = {side: max([1, *(int(f.split("_")[2]) for f in found if f.startswith(side))]) for side in _SIDES}
        return [
            f"{side}_{what}_{n}" for side in _SIDES for n in range(1, deepest[side] + 1) for what in ("price", "qty")
        ]

    def _said(self) -> str:
        if self.name in ("bars", "trades"):
            return ", ".join(PLAIN[1] if self.name == "bars" else PLAIN[0])
        first = "bid_price_1, bid_qty_1, ask_price_1, ask_qty_1"
        return first if self.name == "quotes" else f"{first}, bid_price_2 and so on"


def _levelled(field: str) -> str:
    return f"{field}_1" if field in LEVELLED else field
