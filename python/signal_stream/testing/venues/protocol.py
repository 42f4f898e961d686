"""What a venue does with those who read its WebSocket: whom a frame is for, what it answers, how it tells a whole book."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal, NamedTuple, TypeAlias

from signal_stream.testing.venue_book import Depth, VenueBook

Kind: TypeAlias = Literal["trades", "quotes", "depth", "reference", "bars", "other", "control"]


class Channel(NamedTuple):
    """What subscribers ask for: a kind of frames of one symbol. "other" is subscribed and used by nobody, "control" is what the
    venue says of itself, which the emulator says on its own."""

    kind: Kind
    symbol: str = ""


CONTROL: Final = Channel("control")


@dataclass(frozen=True, slots=True)
class Reply:
    """What follows from a text of the reader."""

    texts: list[str] = field(default_factory=list)
    """What the venue answers, or asks in turn."""
    join: list[Channel] = field(default_factory=list)
    leave: list[Channel] = field(default_factory=list)
    subscribes: bool = False
    """It was a request for subscriptions, whatever came of it."""


class VenueProtocol(ABC):
    """One venue's side, for one emulator: it may remember what it has seen."""

    answers_books: ClassVar[bool] = False
    """Whole books come by HTTP; else with a subscription of depth."""
    links: ClassVar[Literal["book", "connection", "none"]] = "book"
    """What a lost frame of depth breaks: the ids of its book, those of the connection, or nothing."""
    deep: ClassVar[int | None] = None
    """Levels a side at which the venue keeps its readers' books."""
    welcome: ClassVar[str] = ""
    """What it says to who connects."""

    def __init__(self, symbols: frozenset[str] = frozenset()) -> None:
        """`symbols` are those that the venue knows."""
        self.symbols = symbols
        self.asked = 0
        """Signs of life that were asked of the reader."""
        self.alive = 0
        """Signs of life that came: pings, and answers to what was asked."""

    @abstractmethod
    def channel(self, text: str) -> Channel:
        """Whom a frame is for."""

    @abstractmethod
    def depth(self, text: str) -> Depth | None:
        """What a frame of depth says of a book."""

    @abstractmethod
    def reply(self, text: str) -> Reply:
        """What follows from a text of the reader."""

    @abstractmethod
    def whole(self, book: VenueBook) -> str:
        """The frame, or the answer by HTTP, that tells a whole book."""

    def answered(self, url: str, text: str) -> Depth | None:
        """The book in an answer by HTTP; None if it holds none."""
        return None

    def asked_for(self, path: str, query: dict[str, str]) -> str | None:
        """The symbol whose book a request by HTTP asks for."""
        return None

    def address(self, path: str, socket: str) -> str | None:
        """The answer to a request by HTTP that asks where the WebSocket is."""
        return None

    def numbered(self, text: str, number: int) -> str:
        """A frame with its number on the connection, from 0."""
        return text
