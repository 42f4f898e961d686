"""`Signals`: subscriptions to the journal, and single signals of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import grpc

from signal_stream.errors import GatewayError, JournalError, SignalStreamError
from signal_stream.store import silencing

from .amendment_filter import AmendmentFilter
from .rpc import EXPIRED, Call
from .sent_signal import to_message
from .signal_filter import SignalFilter
from .subscription import Subscription

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from signal_stream.store import State
    from signal_stream.wire import signals_pb2 as pb

    from .access import Access
    from .journal_feed import JournalFeed
    from .subscription import Wanted

HEARTBEAT_MS: Final = 5_000
DROP_S: Final = 30.0
"""How long the status of one that was cut off waits to be taken."""
_HEARTBEAT_MS_MIN: Final = 100
_HEARTBEAT_MS_MAX: Final = 60_000


class SignalsService:
    """Serves subscribers, at most `subscribers_max` at a time. One event loop."""

    def __init__(
        self, place: State, feed: JournalFeed, access: Access, *, subscribers_max: int, stalled_after_s: float
    ) -> None:
        self.subscriptions: set[Subscription] = set()
        self._place = place
        self._feed = feed
        self._access = access
        self._subscribers_max = subscribers_max
        self._stalled_after_s = stalled_after_s

    @property
    def count(self) -> int:
        """Subscribers that are served; one that is being cut off is none."""
        return sum(not each.is_ending() for each in self.subscriptions.copy())

    async def subscribe(self, request: pb.SubscribeRequest, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        """See `Signals.Subscribe` in the proto."""
        await self._serve(request, context, self._signals_of)

    async def amendments(self, request: pb.AmendmentsRequest, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        """See `Signals.Amendments` in the proto."""
        await self._serve(request, context, self._amendments_of)

    async def _serve(
        self,
        request: pb.SubscribeRequest | pb.AmendmentsRequest,
        context: grpc.aio.ServicerContext[Any, Any],
        wanted: Callable[[Any], Awaitable[Wanted]],
    ) -> None:
        call = Call(context)
        await call.allow(self._access, "read")
        if (count := self.count) >= self._subscribers_max:
            why = f"{count} subscribers are served already, which is [grpc] subscribers_max"
            await call.end(grpc.StatusCode.RESOURCE_EXHAUSTED, why)
        subscription: Subscription | None = None
        try:
            subscription = await self._subscription(request, await wanted(request), call)
            self.subscriptions.add(subscription)
            await subscription.run()
        except SignalStreamError as error:
            await call.fail(error, next_seq=_go_on(error, subscription))
        finally:
            if subscription is not None:
                self.subscriptions.discard(subscription)

    async def get(self, request: pb.GetRequest, context: grpc.aio.ServicerContext[Any, Any]) -> pb.Signal:
        """See `Signals.Get` in the proto."""
        call = Call(context)
        await call.allow(self._access, "read")
        try:
            found = await asyncio.to_thread(self._place.reader().find, request.signal_id.lower(), kind="signal")
        except JournalError as error:
            if error.code != "NOT_FOUND":
                await call.fail(error)
            found = None
        if found is None:
            why = f'the journal has no signal with the id "{request.signal_id}"'
            await call.end(grpc.StatusCode.NOT_FOUND, why)
        return to_message(found)

    def look(self, now_ns: int) -> None:
        """Ends subscribers that do not read, and those whose certificate has expired."""
        for each in self.subscriptions:
            if each.is_ending():
                if each.is_ending(DROP_S):
                    each.drop()
            elif each.is_stalled(self._stalled_after_s):
                why = (
                    f"nothing was read for {self._stalled_after_s:g} s: cut off before record {each.seq}; subscribe from "
                    "there to go on"
                )
                each.end(grpc.StatusCode.RESOURCE_EXHAUSTED, why)
            elif each.expires_ns is not None and now_ns > each.expires_ns:
                each.end(grpc.StatusCode.UNAUTHENTICATED, EXPIRED)

    def end_all(self, why: str) -> None:
        """Ends every subscription: the server stops."""
        for each in self.subscriptions:
            each.end(grpc.StatusCode.UNAVAILABLE, why)

    async def _signals_of(self, request: pb.SubscribeRequest) -> SignalFilter:
        """Which signals. Raises GatewayError."""
        named: Collection[str] = request.filter.models
        known = await asyncio.to_thread(self._known, named) if named else ()
        return SignalFilter.read(request.filter, models=known)

    async def _amendments_of(self, request: pb.AmendmentsRequest) -> AmendmentFilter:
        """Which amendments."""
        return AmendmentFilter(frozenset(request.instruments))

    async def _subscription(
        self, request: pb.SubscribeRequest | pb.AmendmentsRequest, wanted: Wanted, call: Call
    ) -> Subscription:
        """What was asked for. Raises GatewayError."""
        beat_ms = min(max(request.heartbeat_ms or HEARTBEAT_MS, _HEARTBEAT_MS_MIN), _HEARTBEAT_MS_MAX)
        made = Subscription(
            self._feed,
            self._place.journal_folder,
            wanted,
            seq=self._first(request),
            heartbeat_s=beat_ms / 1e3,
            call=call,
        )
        made.expires_ns = call.caller.expires_ns
        return made

    def _first(self, request: pb.SubscribeRequest | pb.AmendmentsRequest) -> int:
        """The record that a subscription begins with."""
        if request.oldest:
            if request.HasField("from_seq"):
                raise GatewayError("REQUEST", "both from_seq and oldest are given", next_step="Give one of them.")
            return self._oldest()
        if not request.HasField("from_seq"):
            return self._feed.end_seq
        seq = request.from_seq
        if seq > self._feed.end_seq:
            self._feed.look()
        if seq > (end := self._feed.end_seq):
            raise GatewayError(
                "PLACE",
                f"the journal holds {end} records, and {seq} is beyond the next: a power cut took some, or it is another journal",
                value=end,
                next_step=f"Compare what you have with the journal, and ask from {end} on.",
            )
        if seq < self._feed.kept_from and seq < (oldest := self._oldest()):
            raise GatewayError(
                "PLACE",
                f"record {seq} was removed: the journal begins at record {oldest}",
                value=oldest,
                next_step=f"Ask from {oldest} on, or for the oldest.",
            )
        return seq

    def _oldest(self) -> int:
        return self._place.reader().first_seq if self._place.journal_folder.is_dir() else 0

    def _known(self, names: Collection[str]) -> Collection[str]:
        """Models of this pipeline: those that are served, and, where another is named, all that ever were."""
        if not self._place.journal_folder.is_dir():
            return names
        journal = self._place.reader()
        known = set(silencing.served_models(journal))
        if not known.issuperset(names):
            known |= {name for record in journal.records(kind="open") for name in silencing.models_of(record)}
        return known


def _go_on(error: SignalStreamError, subscription: Subscription | None) -> int | None:
    """Where a subscriber may go on after an error."""
    if error.code in ("PLACE", "NOT_FOUND") and isinstance(error.value, int):
        return error.value
    return None if subscription is None else subscription.seq
