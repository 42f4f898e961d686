"""One call of a client: who it is, its answers, and how it ends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, NoReturn

import grpc
from google.protobuf.message import DecodeError

from signal_stream.errors import GatewayError, JournalError, LatchError, SignalStreamError

from .access import Access, Caller

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .access import Role

    Context = grpc.aio.ServicerContext[Any, Any]

NEXT_SEQ: Final = "next-seq"
ERROR: Final = "signal-stream-error"
"""Names in the trailing metadata: where to go on, and our own error with its code, as LatchError.NOT_SERVED."""
_WHY_MAX: Final = 1_000
"""Characters of a status: clients refuse answers whose status is of some kilobytes, and it repeats what they sent."""
_STATUS: Final = {
    (GatewayError, "REQUEST"): grpc.StatusCode.INVALID_ARGUMENT,
    (GatewayError, "PLACE"): grpc.StatusCode.OUT_OF_RANGE,
    (LatchError, "ANONYMOUS"): grpc.StatusCode.INVALID_ARGUMENT,
    (LatchError, "NOT_SERVED"): grpc.StatusCode.INVALID_ARGUMENT,
    (LatchError, "NOT_KILLED"): grpc.StatusCode.FAILED_PRECONDITION,
    (LatchError, "UNREADABLE"): grpc.StatusCode.FAILED_PRECONDITION,
    (JournalError, "NOT_FOUND"): grpc.StatusCode.OUT_OF_RANGE,
}


def answers(
    behaviour: Callable[[Any, Context], Awaitable[Any]], request: Any
) -> Callable[[bytes, Context], Awaitable[Any]]:
    """What serves a method: `behaviour`, for what is a `request`. Bytes that are none, and files that cannot be had, end the call
    with a status that says so, whatever the method."""

    async def answer(sent: bytes, context: Context) -> Any:
        try:
            read = request.FromString(sent)
        except DecodeError:
            what = f"these {len(sent)} bytes are no {request.DESCRIPTOR.name}"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, what)
        try:
            return await behaviour(read, context)
        except OSError as error:
            await context.abort(
                grpc.StatusCode.INTERNAL, f"{error.filename or 'the state folder'}: {error.strerror or error}"
            )

    return answer


class Call:
    """A client's call, from its request to its end."""

    def __init__(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        self._context = context
        self.caller = Caller.of(context.auth_context())

    async def allow(self, access: Access, role: Role) -> None:
        """Ends the call unless the caller has the role, and a certificate that has not expired since the handshake."""
        if self.caller.has_expired(time.time_ns()):
            await self.end(grpc.StatusCode.UNAUTHENTICATED, EXPIRED)
        refusal = access.refusal(self.caller, role)
        if refusal is not None:
            await self.end(grpc.StatusCode.PERMISSION_DENIED, refusal)

    async def write(self, encoded: bytes) -> None:
        """Sends an answer; returns when there is room for the next."""
        await self._context.write(encoded)

    async def end(self, code: grpc.StatusCode, why: str, *, next_seq: int | None = None, error: str = "") -> NoReturn:
        """Ends the call with a status; `next_seq` says where the caller may go on."""
        metadata = [(NEXT_SEQ, str(next_seq))] if next_seq is not None else []
        metadata += [(ERROR, error)] if error else []
        why = why if len(why) <= _WHY_MAX else f"{why[:_WHY_MAX]}…"
        await self._context.abort(code, why, tuple(metadata))
        raise AssertionError("abort returns nothing")

    async def fail(self, error: SignalStreamError, *, next_seq: int | None = None) -> NoReturn:
        """Ends the call with one of our errors."""
        otherwise = grpc.StatusCode.DATA_LOSS if isinstance(error, JournalError) else grpc.StatusCode.INTERNAL
        code = _STATUS.get((type(error), error.code), otherwise)
        await self.end(code, error.one_line, next_seq=next_seq, error=f"{type(error).__name__}.{error.code}")


EXPIRED: Final = "the certificate has expired: connect again with a renewed one"
