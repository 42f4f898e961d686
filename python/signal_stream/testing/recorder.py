"""The simulated recording: a market runs, and its frames come out in the order in which they are received."""

from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from itertools import chain, repeat
from math import sqrt

from signal_stream.testing.binance_frames import BinanceFrames, Frame, FrameKind
from signal_stream.testing.draws import Draws
from signal_stream.testing.fair_value import QUIET, STEP_NS, FairValue, Step
from signal_stream.testing.instruments import SimulatedInstrument
from signal_stream.testing.limit_order_book import Fill
from signal_stream.testing.order_flow import FlowRates, OrderFlow
from signal_stream.testing.pace import Pace, Stretch

MS = 1_000_000
S = 1_000_000_000
WARM_UP_NS = 4 * S


class Recorder:
    """Runs one market and records it from `start_ns` to `stop_ns` (wall time, ns since 1970).

    The market is older than the recording by a warm-up, so that the first frame finds it in full swing.
    """

    def __init__(
        self,
        instrument: SimulatedInstrument,
        rates: FlowRates,
        fair_value: FairValue,
        *,
        seed: int,
        start_ns: int,
        stop_ns: int,
        stretches: tuple[Stretch, ...] = (),
        snapshot_levels: int,
        snapshot_every_ns: int | None,
    ) -> None:
        self._draws = Draws(seed, instrument.id, "wire")
        u = self._draws.uniform
        self.frames = BinanceFrames(
            instrument, first_update_id=int(5e10 + 1e9 * u()), first_trade_id=int(3e9 + 1e8 * u())
        )
        self.flow = OrderFlow(instrument, rates, Draws(seed, instrument.id, "flow"))
        self.flow.on_trades = self._trades
        self.book = self.flow.book
        self._latents: list[tuple[int, Step]] | None = None
        self._pace = Pace(start_ns, instrument.activity, stretches)
        self._share = instrument.coupling
        self._own_share = sqrt(1.0 - self._share * self._share)
        common = fair_value.steps(Draws(seed, "common"))
        self._common = chain(repeat(QUIET, int(instrument.lag_s * S) // STEP_NS), common)
        self._own = fair_value.steps(Draws(seed, instrument.id, "own"))
        self._spot = instrument.venue == "spot"
        self._start_ns, self._stop_ns = start_ns, stop_ns
        self._snapshot_levels, self._snapshot_every_ns = snapshot_levels, snapshot_every_ns
        self._recording = False
        self._best: tuple[int, int, int, int] | None = None
        self._diffed = 0
        self._received_ns = 0
        self._now_ns = 0
        self._out: list[Frame] = []
        self._agenda: list[tuple[int, int, Callable[[int], None]]] = []
        self._acts = 0

    def keep_truth(self) -> tuple[list[tuple[int, int, int]], list[tuple[int, Step]]]:
        """Lists that the run will fill: the book's changes, and (update id, latent state) of each step.

        Before the run; without it memory does not grow with the length of the capture.
        """
        self._latents = []
        return self.book.record_changes(), self._latents

    def run(self) -> Iterator[Frame]:
        """The frames, in receive order. Runs once."""
        flow, pace, out = self.flow, self._pace, self._out
        warm_ns = self._start_ns - WARM_UP_NS
        flow.open(pace.market_ns(warm_ns))
        self._at(warm_ns, self._latent)
        self._at(self._start_ns, self._connect)
        while True:
            due_ns, _, act = heappop(self._agenda)
            limit = pace.market_ns(min(due_ns, self._stop_ns))
            while flow.run_until(limit):
                if self._recording:
                    self._quote()
                    if out:
                        yield from out
                        out.clear()
            if due_ns >= self._stop_ns:
                return
            self._now_ns = due_ns
            act(due_ns)
            yield from out
            out.clear()

    def _wall_ns(self) -> int:
        """Wall time of the market's present; rounding must not put it before what has already happened."""
        self._now_ns = max(self._now_ns, self._pace.wall_ns(self.flow.now_ns))
        return self._now_ns

    def _at(self, wall_ns: int, act: Callable[[int], None]) -> None:
        self._acts += 1
        heappush(self._agenda, (wall_ns, self._acts, act))

    def _latent(self, now_ns: int) -> None:
        common = next(self._common)
        self.flow.step(common, share=self._share, own=next(self._own), own_share=self._own_share)
        if self._latents is not None:
            self._latents.append((self.book.update_id, common))
        self._at(now_ns + STEP_NS, self._latent)

    def _connect(self, now_ns: int) -> None:
        self._recording = True
        for side in self.book.sides:
            side.take_touched()
        self._diffed = self.book.update_id
        self._at(now_ns + self._depth_wait(), self._depth)
        self._at(now_ns + 190 * MS + self._draws.wait(30 * MS), self._ask_snapshot)

    # The streams.

    def _depth_wait(self) -> int:
        return 100 * MS if self._spot else 50 * MS + int(self._draws.uniform() * 3 * MS)

    def _depth(self, now_ns: int) -> None:
        bids, asks = (side.take_touched() for side in self.book.sides)
        if bids or asks:
            ids = {"first": self._diffed + 1, "last": self.book.update_id, "previous": self._diffed}
            json = self.frames.depth(at_ns=now_ns, **ids, bids=bids, asks=asks)
            venue_ids = (self.frames.venue_id(ids["first"]), self.frames.venue_id(ids["last"]))
            self._emit("depth", now_ns, json, self.book.update_id, venue_ids)
            self._diffed = self.book.update_id
        self._at(now_ns + self._depth_wait(), self._depth)

    def _quote(self) -> None:
        bids, asks = self.book.bids, self.book.asks
        if not (bids.keys and asks.keys):
            return
        bid, ask = bids.keys[-1], asks.keys[-1]
        best = (bid, bids.qty[bid], -ask, asks.qty[ask])
        if best != self._best:
            self._best = best
            at_ns = self._wall_ns()
            update_id = self.book.update_id
            json = self.frames.quote(at_ns=at_ns, last=update_id, bid=best[:2], ask=best[2:])
            self._emit("quote", at_ns, json, update_id, (self.frames.venue_id(update_id),) * 2)

    def _trades(self, buy: bool, fills: list[Fill]) -> None:
        if self._recording:
            at_ns = self._wall_ns()
            sent_ns = at_ns + int(self._draws.uniform() * MS)
            for fill in fills:
                trade_id = self.frames.next_trade_id
                json = self.frames.trade(
                    at_ns=at_ns, sent_ns=sent_ns, price=fill.price, qty=fill.qty, buyer_is_maker=not buy
                )
                self._emit("trade", at_ns, json, fill.update_id, (trade_id, trade_id))

    def _ask_snapshot(self, now_ns: int) -> None:
        """The venue answers with the book of this moment; the answer takes a while, and diffs overtake it."""
        bids, asks = (side.depth(self._snapshot_levels) for side in self.book.sides)
        update_id = self.book.update_id
        json = self.frames.snapshot(at_ns=now_ns, last=update_id, bids=bids, asks=asks)
        arrival_ns = now_ns + 15 * MS + self._draws.wait(20 * MS)
        ids = (self.frames.venue_id(update_id),) * 2
        self._at(arrival_ns, lambda at_ns: self._emit("snapshot", at_ns, json, update_id, ids))
        if self._snapshot_every_ns is not None:
            self._at(now_ns + self._snapshot_every_ns, self._ask_snapshot)

    def _emit(self, kind: FrameKind, at_ns: int, json: str, update_id: int, venue_ids: tuple[int, int]) -> None:
        """The frame is received after a latency of about 2.5 ms, never before its predecessor."""
        latency_ns = 2_200_000 + self._draws.wait(300_000)
        if self._draws.uniform() < 0.0005:
            latency_ns += self._draws.wait(8 * MS)
        spacing_ns = 300 + int(self._draws.uniform() * 600)
        ts_recv = max(at_ns + latency_ns, self._received_ns + spacing_ns)
        self._received_ns = ts_recv
        bid, ask = self.book.bids.best or 0, self.book.asks.best or 0
        self._out.append(Frame(kind, ts_recv, at_ns, update_id, venue_ids, bid, ask, json))
