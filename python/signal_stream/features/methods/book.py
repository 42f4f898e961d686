"""Operators that are methods of the depth stream. Made by `make docs` from the core's table: change that, not this file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from signal_stream.features.arguments import Arguments
from signal_stream.features.refusal import checked_class

if TYPE_CHECKING:
    from signal_stream.features.expression import Expression


@checked_class
class BookMethods:
    """What the table has of the depth stream."""

    __slots__ = ()

    if TYPE_CHECKING:

        def _made(self, name: str, given: Arguments) -> Expression: ...

        def _of_book(self, name: str, given: Arguments) -> Expression: ...

    def imbalance(self, levels: int = 1) -> Expression:
        """Bid quantity minus ask quantity over their sum, over the best levels (Cao, Hansch & Wang 2009).

        `levels` is a whole number from 1 to 50. Warm-up: 1 event. Missing values: invalid while the book is.

        >>> from signal_stream import book
        >>> book.imbalance(levels=1)
        book.imbalance(levels=1)
        """
        return self._of_book("imbalance", Arguments().whole("levels", levels, 1, 50))

    def weighted_mid(self, levels: int = 5) -> Expression:
        """Mid weighted by the quantity of the other side over the best levels: I × best ask + (1 - I) × best bid,
        with I the bids' share of the quantity (Gatheral & Oomen 2010).

        Of one level it is `microprice`.

        The result: unit of price. `levels` is a whole number from 1 to 50. Warm-up: 1 event. Missing values:
        invalid where what it is made of is.

        >>> from signal_stream import book
        >>> book.weighted_mid(levels=5)
        book.weighted_mid(levels=5)
        """
        return self._made("weighted_mid", Arguments().whole("levels", levels, 1, 50))

    def weighted_imbalance(self, levels: int = 5, decay: float = 0.5) -> Expression:
        """Bid quantity minus ask quantity over their sum, level l weighing e^(-decay × (l - 1)) (Cao, Hansch & Wang
        2009).

        The result: -1 to 1. `levels` is a whole number from 1 to 50. `decay` is above 0, at most 100. Warm-up: 1
        event. Missing values: invalid where what it is made of is.

        >>> from signal_stream import book
        >>> book.weighted_imbalance(levels=5, decay=0.5)
        book.weighted_imbalance(levels=5, decay=0.5)
        """
        return self._made(
            "weighted_imbalance", Arguments().whole("levels", levels, 1, 50).number("decay", decay, 0.0, 100.0)
        )

    def level_ofi(self, level: int) -> Expression:
        """Order-flow imbalance of one level: what bids gained less what asks did since the event before (Xu, Gould
        & Howison 2018).

        Of level 1 it is `ofi`.

        The result: unit of quantity. `level` is a whole number from 1 to 50. Warm-up: 2 events. Missing values:
        invalid where what it is made of is.

        >>> from signal_stream import book
        >>> book.level_ofi(level=2)
        book.level_ofi(level=2)
        """
        return self._made("level_ofi", Arguments().whole("level", level, 1, 50))

    def scaled_ofi(self, window: int | str, level: int, levels: int = 10, *, cap: int | None = None) -> Expression:
        """Sum of `level_ofi` over the window, over the mean quantity of a level and side within it (Cont, Cucuringu
        & Zhang 2023).

        The result is a ratio. `window` is a count of 1 valid values or more, or a length of time in which `cap`
        values may lie, as of `rolling`. `level` is a whole number from 1 to 50. `levels` is a whole number from 1
        to 50. Warm-up: window + 1 events. Missing values: invalid where what it is made of is.

        >>> from signal_stream import book
        >>> book.scaled_ofi(20, level=2, levels=10)
        book.scaled_ofi(20, level=2, levels=10)
        """
        return self._made(
            "scaled_ofi", Arguments().window(window, cap, 1).whole("level", level, 1, 50).whole("levels", levels, 1, 50)
        )

    def slope(self, levels: int = 5) -> Expression:
        """Mean over both sides of the slope of the logarithm of quantity against price: the first level's against
        its way from mid, each further one's growth against the way from the level before (Naes & Skjeltorp 2006).

        The result is a ratio. `levels` is a whole number from 1 to 50. Warm-up: 1 event. Missing values: invalid
        where what it is made of is.

        >>> from signal_stream import book
        >>> book.slope(levels=5)
        book.slope(levels=5)
        """
        return self._made("slope", Arguments().whole("levels", levels, 1, 50))

    def buy_cost(self, quantity: float, levels: int = 10) -> Expression:
        """Mean price of a market order that buys so much, minus mid; invalid where the levels hold less (Irvine,
        Benston & Kandel 2000).

        The result: unit of price. `quantity` is above 0, at most 1e+18. `levels` is a whole number from 1 to 50.
        Warm-up: 1 event. Missing values: invalid where what it is made of is.

        >>> from signal_stream import book
        >>> book.buy_cost(quantity=10.0, levels=10)
        book.buy_cost(quantity=10.0, levels=10)
        """
        return self._made(
            "buy_cost", Arguments().number("quantity", quantity, 0.0, 1e18).whole("levels", levels, 1, 50)
        )

    def sell_cost(self, quantity: float, levels: int = 10) -> Expression:
        """Mid minus the mean price of a market order that sells so much; invalid where the levels hold less
        (Irvine, Benston & Kandel 2000).

        The result: unit of price. `quantity` is above 0, at most 1e+18. `levels` is a whole number from 1 to 50.
        Warm-up: 1 event. Missing values: invalid where what it is made of is.

        >>> from signal_stream import book
        >>> book.sell_cost(quantity=10.0, levels=10)
        book.sell_cost(quantity=10.0, levels=10)
        """
        return self._made(
            "sell_cost", Arguments().number("quantity", quantity, 0.0, 1e18).whole("levels", levels, 1, 50)
        )

    def bid_depth(self, bps: float, levels: int = 10) -> Expression:
        """Bid quantity within so many basis points of mid, over so many levels at most.

        The result: unit of quantity. `bps` is above 0, at most 10000. `levels` is a whole number from 1 to 50.
        Warm-up: 1 event. Missing values: invalid where what it is made of is.

        >>> from signal_stream import book
        >>> book.bid_depth(bps=10.0, levels=10)
        book.bid_depth(bps=10.0, levels=10)
        """
        return self._made("bid_depth", Arguments().number("bps", bps, 0.0, 10000.0).whole("levels", levels, 1, 50))

    def ask_depth(self, bps: float, levels: int = 10) -> Expression:
        """Ask quantity within so many basis points of mid, over so many levels at most.

        The result: unit of quantity. `bps` is above 0, at most 10000. `levels` is a whole number from 1 to 50.
        Warm-up: 1 event. Missing values: invalid where what it is made of is.

        >>> from signal_stream import book
        >>> book.ask_depth(bps=10.0, levels=10)
        book.ask_depth(bps=10.0, levels=10)
        """
        return self._made("ask_depth", Arguments().number("bps", bps, 0.0, 10000.0).whole("levels", levels, 1, 50))

    def depth_centre(self, levels: int = 5) -> Expression:
        """Mean price of both sides' levels, weighted by their quantities.

        The result: unit of price. `levels` is a whole number from 1 to 50. Warm-up: 1 event. Missing values:
        invalid where what it is made of is.

        >>> from signal_stream import book
        >>> book.depth_centre(levels=5)
        book.depth_centre(levels=5)
        """
        return self._made("depth_centre", Arguments().whole("levels", levels, 1, 50))
