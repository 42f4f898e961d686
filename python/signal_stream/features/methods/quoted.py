"""Operators that are methods of the best bid and ask. Made by `make docs` from the core's table: change that, not this file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from signal_stream.features.arguments import Arguments
from signal_stream.features.refusal import checked_class

if TYPE_CHECKING:
    from signal_stream.features.expression import Expression


@checked_class
class QuotedMethods:
    """What the table has of the best bid and ask."""

    __slots__ = ()

    if TYPE_CHECKING:

        def _made(self, name: str, given: Arguments) -> Expression: ...

        def _of_book(self, name: str, given: Arguments) -> Expression: ...

    def mid(self) -> Expression:
        """(best ask + best bid) / 2 (Hasbrouck 2007).

        Warm-up: 1 event. Missing values: invalid where an operand is.

        >>> from signal_stream import book
        >>> book.mid()
        book.mid()
        """
        return self._of_book("mid", Arguments())

    def spread(self) -> Expression:
        """best ask - best bid (Hasbrouck 2007).

        Warm-up: 1 event. Missing values: invalid where an operand is.

        >>> from signal_stream import book
        >>> book.spread()
        book.spread()
        """
        return self._of_book("spread", Arguments())

    def microprice(self) -> Expression:
        """(ask price x bid quantity + bid price x ask quantity) / (bid quantity + ask quantity) (Gatheral & Oomen
        2010).

        Warm-up: 1 event. Missing values: invalid where an operand is.

        >>> from signal_stream import book
        >>> book.microprice()
        book.microprice()
        """
        return self._of_book("microprice", Arguments())

    def relative_spread(self) -> Expression:
        """Best ask minus best bid, over mid (Hasbrouck 2007).

        The result is a ratio. Warm-up: 1 event. Missing values: invalid where what it is made of is.

        >>> from signal_stream import book
        >>> book.relative_spread()
        book.relative_spread()
        """
        return self._made("relative_spread", Arguments())
