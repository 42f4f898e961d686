"""Frames as Binance sends them, byte for byte, from integer ticks and lots."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from signal_stream.testing.fault_log import Mark
from signal_stream.testing.instruments import SimulatedInstrument

FrameKind = Literal["depth", "quote", "trade", "snapshot"]
Levels = Sequence[tuple[int, int]]
MS = 1_000_000


@dataclass(slots=True)
class Frame:
    """One line of a capture, before it is written, with what the market knew when it was made.

    `update_id` counts the market's order-book changes up to the last that the frame tells of, or that
    preceded it; `venue_ids` are the first and last id in the frame as the venue numbers them (trades: the
    trade id). Prices in ticks, and as they were when the frame was made.
    """

    kind: FrameKind
    ts_recv: int
    ts_event: int
    update_id: int
    venue_ids: tuple[int, int]
    best_bid: int
    best_ask: int
    json: str
    marks: list[Mark] = field(default_factory=list)
    """Faults that show in this frame."""

    @property
    def line(self) -> bytes:
        """The line of the capture, newline included."""
        return f"{self.ts_recv} {self.json}\n".encode()


class BinanceFrames:
    """Writes the JSON of one instrument. Times in ns since 1970, prices in ticks, quantities in lots."""

    def __init__(self, instrument: SimulatedInstrument, *, first_update_id: int, first_trade_id: int) -> None:
        self._spot = self.bids_fall = instrument.venue == "spot"
        self._symbol = instrument.symbol
        self._stream = instrument.symbol.lower()
        self._first_update_id = first_update_id
        self.next_trade_id = first_trade_id
        self._ticks, self._price_tail = _grid(instrument.tick_places, instrument.price_places)
        self._lots, self._qty_tail = _grid(instrument.lot_places, instrument.qty_places)
        self._price_form = f"%d.%0{instrument.tick_places}d{self._price_tail}"
        self._qty_form = f"%d.%0{instrument.lot_places}d{self._qty_tail}"

    def price(self, ticks: int) -> str:
        """A price as the venue prints it."""
        return self._price_form % divmod(ticks, self._ticks)

    def qty(self, lots: int) -> str:
        """A quantity as the venue prints it."""
        return self._qty_form % divmod(lots, self._lots)

    def venue_id(self, update_id: int) -> int:
        """The venue's number of a change: spot counts one by one, futures share ids venue-wide."""
        if self._spot:
            return self._first_update_id + update_id
        return self._first_update_id + 151 * update_id + (update_id * 2_654_435_761 % 4_294_967_296 >> 25)

    def depth(self, *, at_ns: int, first: int, last: int, previous: int, bids: Levels, asks: Levels) -> str:
        """The changes `first` to `last`, after the diff up to `previous`. Levels by rising price."""
        ids = f'"s":"{self._symbol}","U":{self.venue_id(first)},"u":{self.venue_id(last)}'
        if self._spot:
            head = f'@depth@100ms","data":{{"e":"depthUpdate","E":{at_ns // MS},{ids}'
        else:
            time = f'"E":{at_ns // MS},"T":{(at_ns - MS) // MS}'
            head = f'@depth@0ms","data":{{"e":"depthUpdate",{time},{ids},"pu":{self.venue_id(previous)}'
        bids = bids[::-1] if self.bids_fall else bids
        return f'{{"stream":"{self._stream}{head},"b":{self._levels(bids)},"a":{self._levels(asks)}}}}}'

    def snapshot(self, *, at_ns: int, last: int, bids: Levels, asks: Levels) -> str:
        """The REST answer: the whole book after the change `last`. Levels from the best outward."""
        time = "" if self._spot else f'"E":{at_ns // MS},"T":{(at_ns - MS) // MS},'
        sides = f'"bids":{self._levels(bids)},"asks":{self._levels(asks)}'
        return f'{{"lastUpdateId":{self.venue_id(last)},{time}{sides}}}'

    def quote(self, *, at_ns: int, last: int, bid: tuple[int, int], ask: tuple[int, int]) -> str:
        """The best (price, quantity) of both sides after the change `last`."""
        name, time = "", ""
        if not self._spot:
            name, time = '"e":"bookTicker",', f',"T":{at_ns // MS},"E":{at_ns // MS}'
        bids = f'"b":"{self.price(bid[0])}","B":"{self.qty(bid[1])}"'
        asks = f'"a":"{self.price(ask[0])}","A":"{self.qty(ask[1])}"'
        ids = f'"u":{self.venue_id(last)},"s":"{self._symbol}"'
        return f'{{"stream":"{self._stream}@bookTicker","data":{{{name}{ids},{bids},{asks}{time}}}}}'

    def trade(self, *, at_ns: int, sent_ns: int, price: int, qty: int, buyer_is_maker: bool) -> str:
        """One fill; takes the next trade id."""
        ids = f'"s":"{self._symbol}","t":{self.next_trade_id},"p":"{self.price(price)}","q":"{self.qty(qty)}"'
        self.next_trade_id += 1
        maker = "true" if buyer_is_maker else "false"
        if self._spot:
            body = f'"E":{sent_ns // MS},{ids},"T":{at_ns // MS},"m":{maker},"M":true'
        else:
            body = f'"E":{sent_ns // MS},"T":{at_ns // MS},{ids},"X":"MARKET","m":{maker}'
        return f'{{"stream":"{self._stream}@trade","data":{{"e":"trade",{body}}}}}'

    def _levels(self, levels: Levels) -> str:
        form = f'["{self._price_form}","{self._qty_form}"]'
        ticks, lots = self._ticks, self._lots
        return "[" + ",".join([form % (p // ticks, p % ticks, q // lots, q % lots) for p, q in levels]) + "]"


def _grid(places: int, printed: int) -> tuple[int, str]:
    """Units in 1, and the zeros printed behind the grid's own decimals."""
    return 10**places, "0" * (printed - places)
