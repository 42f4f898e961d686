"""A venue's WebSocket as a source: subscribed, kept alive, connected again, with books fetched where one is needed."""

from __future__ import annotations

import os
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field

from signal_stream.core_errors import core_error
from signal_stream.errors import TapeError, did_you_mean
from signal_stream.settings import Problem
from signal_stream.settings.address import check_server
from signal_stream.settings.values import PositiveNs, Within

from .feed import FeedSettings, FeedSource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from signal_stream import _core

_EXAMPLES: Final = {"url": "wss://HOST", "rest": "https://HOST"}


class WebSocketSource(FeedSource):
    """`wss://HOST`. What is sent while nobody is connected is lost: then each instrument is said to be disconnected, and its
    book is `BUILDING` until a new one was fetched. What came is in the log, so that a restart knows it."""

    class Settings(FeedSettings):
        """`[source] url = "wss://HOST[:PORT]"`: A venue's WebSocket; `ws://` for one on this machine."""

        venue: str
        """Whose."""
        symbols: tuple[str, ...] = Field(strict=False)
        """Symbols as the venue writes them: `["BTCUSDT"]`."""
        streams: tuple[Literal["trades", "quotes", "depth", "reference", "bars"], ...] | None = Field(
            default=None, strict=False
        )
        """What of them: `trades`, `quotes`, `depth`, `reference` (mark and index price, funding, open interest, as far as the
        venue says them), `bars` (its own, of a minute, as they end); absent: the first three, as far as the venue has them."""
        stale_after_ns: Annotated[PositiveNs, Within("1ns", "1d")] = Field(alias="stale_after")
        """A connection that brings no frame for so long is lost, and made again."""
        reconnect_ns: Annotated[PositiveNs, Within("1ns", "1h")] = Field(default=250_000_000, alias="reconnect")
        """Pause before the first new attempt; it doubles with each that fails, and is cut by up to a half at random."""
        reconnect_max_ns: Annotated[PositiveNs, Within("1ns", "1d")] = Field(
            default=30_000_000_000, alias="reconnect_max"
        )
        """The longest pause, where the venue does not ask for a longer one."""
        rest: str | None = None
        """`https://HOST[:PORT]` that answers requests for books; absent: the venue's own."""
        ca: Path | None = Field(default=None, strict=False)
        """PEM file of the certificates to trust; absent: Mozilla's."""
        frame_bytes_max: int = Field(default=16 << 20, ge=1_024, le=1 << 30)
        """Bytes of a frame at most; a longer one is refused, and its connection lost."""
        stamped: bool = False
        """Frames and books begin with their receive time in ns and a space, as a relay of ours sends them."""
        seed: int | None = Field(default=None, ge=0, le=(1 << 63) - 1)
        """What the random parts of pauses are drawn from; absent: another at each start."""

        @classmethod
        def listed(cls) -> dict[str, list[str]]:
            """What keys may say, where the core knows it."""
            from signal_stream import _core

            return {"venue": [venue for venue, _ in _core.websocket_venues()]}

        def problems(self) -> Iterator[Problem]:
            """A venue that nobody knows; a pace for what comes as it comes; an address that the core refuses."""
            from signal_stream import _core

            venues = self.listed()["venue"]
            if self.venue not in venues:
                yield Problem("venue", f'venue = "{self.venue}" is none that can be subscribed to',
                              did_you_mean(self.venue, venues))  # fmt: skip
                return
            if self.pace not in (1.0, inf):
                what = f'pace = "{self.pace:g}x" is for recorded files; {self.url} comes as it comes'
                yield Problem("pace", what, 'Leave pace out, or write "recorded".')
            for key, url in (("url", self.url), ("rest", self.rest)):
                try:
                    check_server(url or f"{key}://absent")
                except ValueError as error:
                    yield Problem(key, f'{key} = "{url}": {error}', f"Write {_EXAMPLES[key]}.")
                    return
            if self.reconnect_max_ns < self.reconnect_ns:
                yield Problem("reconnect_max", "reconnect_max is below reconnect, the first pause", "Raise it.")
            for key, example, named in (("symbols", "BTCUSDT", self.symbols), ("streams", "trades", self.streams)):
                if named is not None and (not named or not all(named)):
                    yield Problem(key, f"{key} names nothing", f'Name one at least: {key} = ["{example}"].')
                    return
            folded = [symbol.casefold() for symbol in self.symbols]
            if len(set(folded)) < len(folded):
                twice = next(self.symbols[i] for i, each in enumerate(folded) if each in folded[:i])
                yield Problem("symbols", f'symbols names "{twice}" twice', "Name each once.")
            try:
                _core.websocket(**self.options(ca=None, instruments=None))
            except _core.CoreError as error:
                key, _, what = str(error.args[1]).partition(": ")
                if key == "streams":
                    yield Problem(key, what, "Leave the others out.")
                else:
                    key = key if key in _EXAMPLES else "url"
                    yield Problem(key, f'{key} = "{getattr(self, key)}": {what}', f"Write {_EXAMPLES[key]}.")
            yield from super().problems()

        def options(self, *, ca: bytes | None, instruments: str | None) -> dict[str, Any]:
            """The settings in the core's words."""
            return {
                "url": self.url,
                "venue": self.venue,
                "symbols": list(self.symbols),
                "streams": None if self.streams is None else list(self.streams),
                "instruments": instruments,
                "rest": self.rest,
                "ca": ca,
                "stale_after_ns": self.stale_after_ns,
                "reconnect_ns": self.reconnect_ns,
                "reconnect_max_ns": self.reconnect_max_ns,
                "seed": int.from_bytes(os.urandom(8)) if self.seed is None else self.seed % (1 << 64),
                "frame_bytes_max": self.frame_bytes_max,
                "stamped": self.stamped,
            }

    live = True
    rate = 1.0

    def __init__(self, settings: Settings) -> None:
        """Opens nothing."""
        super().__init__(settings)
        self._settings = settings
        self.name = settings.venue

    def core_feed(self) -> _core.Feed:
        """The connection, not made yet. Raises TapeError: certificates, or a file of instruments, that cannot be read."""
        from signal_stream import _core

        path = self._settings.ca
        try:
            ca = None if path is None else path.read_bytes()
            return _core.websocket(**self._settings.options(ca=ca, instruments=self.settings.known_instruments))
        except OSError as error:
            raise TapeError("UNREADABLE", f"ca cannot be read: {error.strerror}", where=str(path)) from None
        except _core.CoreError as error:
            raise core_error(error, "feed") from None
