"""Traders of a simulated market: they place, withdraw and take orders, and so move the book.

The model is zero-intelligence order flow around a reference price. Limit orders arrive with intensities
that fall with the distance from the best price, and each order is withdrawn at a rate that falls with it
too (Cont, Stoikov and Talreja, 2010). The best queues react to the market's leaning, and a queue that runs
empty may carry the reference price with it (Huang, Lehalle and Rosenbaum, 2015). Market orders excite
market orders (Hawkes, in its cluster form: an order has children). News moves the reference at once: stale
orders are swept or withdrawn within milliseconds, and makers close the spread around the new price.
"""

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush

from signal_stream.testing.draws import Draws, line_quantiles, reach_quantiles
from signal_stream.testing.fair_value import Regime, Step
from signal_stream.testing.instruments import SimulatedInstrument
from signal_stream.testing.limit_order_book import BookSide, Fill, LimitOrderBook

MS = 1_000_000.0
S = 1_000_000_000.0


@dataclass(frozen=True, kw_only=True)
class FlowRates:
    """How often traders act, in market time (`activity` 1.0). Distances in basis points of the price."""

    deep_hz: float = 160.0
    """Limit orders behind the best price, both sides."""
    join_hz: float = 36.0
    """Limit orders at the best price, both sides."""
    join_life_s: float = 2.8
    """Mean life of an order at the best price."""
    deep_life_s: float = 0.55
    """Mean life of an order just behind it; at distance d it is (1 + d / knee_bp) times this."""
    knee_bp: float = 0.33
    """Distance at which the intensity of deep orders has halved."""
    reach_bp: float = 45.0
    """No order is placed beyond."""
    take_hz: float = 1.6
    """Market orders that nobody set off, calm; volatile: 2.5 times as many."""
    children: float = 0.84
    """Mean number of market orders that one sets off, below 1."""
    maker_ms: float = 4.0
    """Mean wait of makers who see an open spread."""
    flee_ms: float = 5.0
    """Mean time in which a stale order is withdrawn after news."""
    lean: float = 0.75
    """Tilt of arriving, withdrawn and taken orders at pressure 1, between 0 and 1."""
    follow: float = 0.5
    """Probability that the reference price follows a best queue that ran empty."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value <= 0.0:
                raise ValueError(f"{name} is above 0, not {value}")
        if self.children >= 1.0 or self.lean >= 1.0:
            raise ValueError("children and lean are below 1, or the market explodes")


class OrderFlow:
    """One market: an order book, and the traders' next actions in order of market time (ns).

    Invariants: the book never crosses; without news or depletion the best bid tends to `reference` (ticks),
    the best ask to the tick above it.
    """

    def __init__(self, instrument: SimulatedInstrument, rates: FlowRates, draws: Draws) -> None:
        self.book = LimitOrderBook()
        self.now_ns = 0
        self.regime: Regime = "calm"
        self.pressure = 0.0
        self.fundamental = float(instrument.ticks)
        self.reference = instrument.ticks
        self.on_trades: Callable[[bool, list[Fill]], None] = lambda _buy, _fills: None
        self._rates, self._draws = rates, draws
        self._look_s = rates.join_life_s / (1.0 + rates.lean)
        self._tick_bp = 1e4 / instrument.ticks
        self._volatility = instrument.volatility
        self._offset = 0.0  # of the reference from the fundamental: what depleted queues have moved
        self._makers_awake = False
        self._agenda: list[tuple[int, int, Callable[[int], None], int]] = []
        self._actions = 0
        knee = max(1, round(rates.knee_bp / self._tick_bp))
        self._knee = knee
        self._distances = reach_quantiles(knee, max(2, round(rates.reach_bp / self._tick_bp)))
        unit = instrument.trade_qty * 10**instrument.lot_places
        self._take_qty = _quantities(unit, TAKE_SHAPE)
        self._rest_qty = _quantities(unit, REST_SHAPE)
        self._join_qty = _quantities(unit, JOIN_SHAPE)

    def open(self, now_ns: int) -> None:
        """Fill the book as it stands on a quiet day and set the traders going at market time `now_ns`."""
        self.now_ns = now_ns
        rates = self._rates
        resting = 0.5 * rates.deep_hz * rates.deep_life_s
        for side, touch in ((self.book.bids, self.reference), (self.book.asks, self.reference + 1)):
            for _ in range(int(0.5 * rates.join_hz * rates.join_life_s)):
                self._place(side, touch, self._draws.of(self._join_qty), self._look_s)
            for i in range(len(self._distances)):
                distance = self._distances[i]
                stay = 1.0 + distance / self._knee
                if self._draws.uniform() * len(self._distances) < resting * stay:
                    self._place_deep(side, touch, distance)
        for act, hz in (
            (self._deep, rates.deep_hz),
            (self._join, rates.join_hz),
            (self._take, rates.take_hz),
        ):
            self._after(S / hz, act, 0)

    def run_until(self, market_ns: int) -> bool:
        """Let the next trader act if it is due before `market_ns`; False when none is."""
        agenda = self._agenda
        if agenda[0][0] >= market_ns:
            return False
        self.now_ns, _, act, argument = heappop(agenda)
        act(argument)
        return True

    def step(self, step: Step, *, share: float, own: Step, own_share: float) -> None:
        """Take in the latent state: the common one and the market's own, weighted."""
        self.regime = step.regime
        self.pressure = max(-1.0, min(1.0, share * step.pressure + own_share * own.pressure))
        scale = self._volatility / self._tick_bp
        for weight, jumps_bp in ((share, step.jumps_bp), (own_share, own.jumps_bp)):
            for jump_bp in jumps_bp:
                self.fundamental += jump_bp * weight * scale
        if self._draws.uniform() < 0.01:
            self._offset *= 0.5
        self._news(round(self.fundamental + self._offset))

    # Orders that arrive.

    def _deep(self, _: int) -> None:
        rates, u = self._rates, self._draws.uniform
        side = self.book.bids if u() < 0.5 else self.book.asks
        best = side.best
        if best is not None:
            self._place_deep(side, best, self._draws.of(self._distances))
        self._after(S / rates.deep_hz, self._deep, 0)

    def _place_deep(self, side: BookSide, best: int, distance: int) -> None:
        price = best - side.sign * distance
        if price > 0:
            life_s = self._rates.deep_life_s * (1.0 + distance / self._knee)
            self._place(side, price, self._draws.of(self._rest_qty), life_s)

    def _join(self, _: int) -> None:
        rates, u = self._rates, self._draws.uniform
        side = self.book.bids if u() < 0.5 * (1.0 + rates.lean * self.pressure) else self.book.asks
        best = side.best
        if best is not None:
            self._place(side, best, self._draws.of(self._join_qty), self._look_s)
        self._after(S / rates.join_hz, self._join, 0)

    def _make(self, _: int) -> None:
        """A maker narrows the spread towards the reference price, without crossing it."""
        book, u = self.book, self._draws.uniform
        side, target = book.bids, self.reference
        if u() < 0.5:
            side, target = book.asks, self.reference + 1
        best, other = side.best, book.opposite(side).best
        if other is not None:
            target = min(target, other - 1) if side is book.bids else max(target, other + 1)
        room = side.sign * (target - best) if best is not None else 1
        if room > 0:
            back = 0 if u() < 0.35 else int(room * u() * u())
            qty, life_s = (self._join_qty, self._look_s) if back == 0 else (self._rest_qty, 0.3)
            self._place(side, target - side.sign * back, self._draws.of(qty), life_s)
        self._makers_awake = False
        self._wake_makers()

    def _place(self, side: BookSide, price: int, qty: int, life_s: float) -> None:
        self._after(life_s * S, self._withdraw, self.book.add(side, price, qty))

    # Orders that leave.

    def _withdraw(self, order_id: int) -> None:
        """The owner looks at the order again; at the best price the market's leaning decides if it stays.

        One look in 1 + lean leads to a withdrawal when nothing leans, so `_look_s` is that much shorter
        than the life.
        """
        place = self.book.orders.get(order_id)
        if place is None:
            return
        side, key = place
        if key == side.keys[-1]:
            lean = self._rates.lean
            if self._draws.uniform() * (1.0 + lean) > 1.0 - lean * side.sign * self.pressure:
                self._after(self._look_s * S, self._withdraw, order_id)
                return
        self._flee(order_id)

    def _flee(self, order_id: int) -> None:
        place = self.book.orders.get(order_id)
        if place is None:
            return
        self.book.cancel(order_id)
        self._follow(*place)

    # Orders that take.

    def _take(self, _: int) -> None:
        rates, draws = self._rates, self._draws
        buy = draws.uniform() < 0.5 * (1.0 + rates.lean * self.pressure)
        self._market_order(int(buy))
        self._after(S / (rates.take_hz * (2.5 if self.regime == "volatile" else 1.0)), self._take, 0)

    def _market_order(self, buy: int) -> None:
        draws = self._draws
        self._trade(bool(buy), draws.of(self._take_qty), None)
        u = draws.uniform
        while u() < self._rates.children / (1.0 + self._rates.children):
            delay = 15.0 * MS if u() < 0.6 else 900.0 * MS
            self._after(delay, self._market_order, buy if u() < 0.93 else 1 - buy)

    def _sweep(self, buy: int) -> None:
        """Someone quick hits what the news has made stale, no further than the new reference."""
        limit = self.reference if buy else self.reference + 1
        self._trade(bool(buy), 6 * self._draws.of(self._take_qty), limit)

    def _trade(self, buy: bool, qty: int, limit: int | None) -> None:
        side = self.book.asks if buy else self.book.bids
        key = side.keys[-1] if side.keys else 0
        if limit is None and side.keys:
            limit = side.keys[-1] * side.sign - side.sign * 2 * self._knee
        fills = self.book.take(side, qty, limit)
        if fills:
            self.on_trades(buy, fills)
            self._follow(side, key)

    # The reference price.

    def _news(self, reference: int) -> None:
        """Move the reference; orders beyond it are stale, and their owners or someone quicker will act."""
        old, self.reference = self.reference, reference
        if reference == old:
            return
        side, worst = (self.book.asks, -reference) if reference > old else (self.book.bids, reference + 1)
        rates = self._rates
        stale = 0
        for key in reversed(side.keys):
            if key < worst:
                break
            for order_id in side.queues[key]:
                self._after(rates.flee_ms * MS, self._flee, order_id)
                stale += 1
        if stale:
            for _ in range(1 + int(3.0 * self._draws.uniform())):
                self._after(0.6 * rates.flee_ms * MS, self._sweep, int(reference > old))
        self._wake_makers()

    def _follow(self, side: BookSide, key: int) -> None:
        """After an order left: if the queue at the reference ran empty, the reference may follow."""
        if key not in side.qty:
            at_reference = key == (self.reference if side.sign > 0 else -self.reference - 1)
            if at_reference and side.keys and self._draws.uniform() < self._rates.follow:
                best = side.keys[-1] * side.sign
                reference = best if side.sign > 0 else best - 1
                self._offset += reference - self.reference
                self.reference = reference
            self._wake_makers()

    def _wake_makers(self) -> None:
        if not self._makers_awake:
            bid, ask = self.book.bids.best, self.book.asks.best
            if bid is None or ask is None or bid < self.reference or ask > self.reference + 1:
                self._makers_awake = True
                self._after(self._rates.maker_ms * MS, self._make, 0)

    def _after(self, mean_ns: float, act: Callable[[int], None], argument: int) -> None:
        self._actions += 1
        heappush(self._agenda, (self.now_ns + self._draws.wait(mean_ns), self._actions, act, argument))


# (probability, quantity in median market orders): incoming, resting behind the best, joining the best.
TAKE_SHAPE = (
    (0.0, 0.005),
    (0.2, 0.04),
    (0.5, 1.0),
    (0.75, 3.0),
    (0.9, 9.0),
    (0.97, 22.0),
    (0.997, 60.0),
    (1.0, 200.0),
)
REST_SHAPE = ((0.0, 0.008), (0.25, 0.03), (0.5, 0.8), (0.75, 4.0), (0.92, 12.0), (0.99, 45.0), (1.0, 160.0))
JOIN_SHAPE = ((0.0, 0.01), (0.25, 0.8), (0.5, 4.0), (0.8, 15.0), (0.95, 40.0), (1.0, 110.0))


def _quantities(unit: float, shape: tuple[tuple[float, float], ...]) -> tuple[int, ...]:
    """Lots, at least 1, from a shape in multiples of `unit` lots."""
    return tuple(max(1, lots) for lots in line_quantiles(*((p, x * unit) for p, x in shape)))
