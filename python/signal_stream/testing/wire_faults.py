"""What can go wrong between a venue and those who read its WebSocket: faults of `VenueEmulator`.

Each strikes once, before the frame with number `at` (from 0, as in the capture). `missed` frames pass while nobody is
connected: the venue goes on without its readers.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class WireFault:
    """A fault before frame `at`."""

    at: int

    def __post_init__(self) -> None:
        if self.at < 0:
            raise ValueError(f"{type(self).__name__}: at is the number of a frame, from 0")


@dataclass(frozen=True, kw_only=True)
class Dropped(WireFault):
    """`frames` frames are not sent; the connection stands."""

    frames: int = 1


@dataclass(frozen=True, kw_only=True)
class Repeated(WireFault):
    """The frame is sent a second time."""


@dataclass(frozen=True, kw_only=True)
class Swapped(WireFault):
    """The frame is sent behind the `behind` frames that follow it."""

    behind: int = 1


@dataclass(frozen=True, kw_only=True)
class Frozen(WireFault):
    """Nothing more is sent on this connection, which stands and answers pings."""

    missed: int = 0


@dataclass(frozen=True, kw_only=True)
class Fragmented(WireFault):
    """The frame is sent in `parts` fragments."""

    parts: int = 7


@dataclass(frozen=True, kw_only=True)
class Oversized(WireFault):
    """A frame of `size` bytes comes before it."""

    size: int = 32 << 20
    missed: int = 0


@dataclass(frozen=True, kw_only=True)
class Closed(WireFault):
    """The venue closes the connection with a code."""

    code: int = 1001
    reason: str = ""
    missed: int = 0


@dataclass(frozen=True, kw_only=True)
class Severed(WireFault):
    """The connection breaks without a word."""

    missed: int = 0


@dataclass(frozen=True, kw_only=True)
class Refused(WireFault):
    """From here on the next `handshakes` connections and the next `requests` by HTTP are answered with 429."""

    handshakes: int = 0
    requests: int = 0
    retry_after_s: int = 0


@dataclass(frozen=True, kw_only=True)
class StaleBook(WireFault):
    """From here on the next `requests` for a book are answered with the one that the capture began with."""

    requests: int = 1
