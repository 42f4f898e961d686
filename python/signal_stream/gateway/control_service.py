"""`Control`: how a pipeline is, and its kill switch, on the way of `signal-stream kill`."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

from signal_stream.errors import GatewayError, SignalStreamError
from signal_stream.monitor.look import look
from signal_stream.store import silencing
from signal_stream.wire import signals_pb2 as pb

from .rpc import Call

if TYPE_CHECKING:
    from collections.abc import Callable

    import grpc

    from signal_stream.store import State
    from signal_stream.store.silencing import Silencing

    from .access import Access

    Context = grpc.aio.ServicerContext[Any, Any]
    Request = pb.KillRequest | pb.RearmRequest


class ControlService:
    """Answers when what was asked for is on the disk. Reading a status is for readers, moving the kill switch for control."""

    def __init__(self, place: State, access: Access) -> None:
        self._place = place
        self._access = access

    async def status(self, _request: pb.StatusRequest, context: Context) -> pb.StatusReply:
        """See `Control.Status` in the proto."""
        call = Call(context)
        await call.allow(self._access, "read")
        try:
            found = await asyncio.to_thread(look, self._place.folder, now=time.time_ns())
        except SignalStreamError as error:
            await call.fail(error)
        return pb.StatusReply(
            state=found["state"], reason=found["reason"], latches=found["latches"], json=json.dumps(found).encode()
        )

    async def kill(self, request: pb.KillRequest, context: Context) -> pb.LatchReply:
        """See `Control.Kill` in the proto."""
        return await self._move(silencing.kill, request, context)

    async def rearm(self, request: pb.RearmRequest, context: Context) -> pb.LatchReply:
        """See `Control.Rearm` in the proto."""
        return await self._move(silencing.rearm, request, context)

    async def _move(self, move: Callable[..., Silencing], request: Request, context: Context) -> pb.LatchReply:
        call = Call(context)
        await call.allow(self._access, "control")
        try:
            model = _scope(request)
            by = _signed(request.by, call.caller.name)
            done = await asyncio.to_thread(move, self._place, model, by=by, reason=request.reason, now=time.time_ns())
        except SignalStreamError as error:
            await call.fail(error)
        latch = done.latch
        return pb.LatchReply(
            text="\n".join(done.lines),
            latch_seq=0 if latch is None else latch.seq,
            ts_ns=0 if latch is None else latch.ts,
            standing=done.standing,
        )


def _scope(request: Request) -> str | None:
    """The model that is meant, None for all. Raises GatewayError REQUEST if it is not clear."""
    if bool(request.model) == request.all:
        message = "it is not clear what to kill or re-arm"
        raise GatewayError("REQUEST", message, value=request.model, next_step="Give a model, or set all.")
    return request.model or None


def _signed(by: str, certificate: str | None) -> str:
    """The name that is written down: over TLS with that of the certificate, which nobody can make up.

    >>> _signed("ann", None), _signed("ann", "desk-1"), _signed("", "ann"), _signed("ann", "ann")
    ('ann', 'ann (certificate desk-1)', 'ann', 'ann')
    """
    if certificate is None or by == certificate:
        return by
    return f"{by} (certificate {certificate})" if by.strip() else certificate
