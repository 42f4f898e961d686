"""A subscription, as who reads it sees it: signals, or amendments, one after the other, without a gap over broken connections."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, Self, TypeVar

import grpc

from signal_stream.errors import RemoteError

from .received import ReceivedAmendment, ReceivedSignal
from .refusals import remote_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from signal_stream.wire import signals_pb2 as pb

_RETRY_S: Final = 0.1
_RETRY_S_MAX: Final = 5.0
_SILENT_BEATS: Final = 4


Received = TypeVar("Received", ReceivedSignal, ReceivedAmendment)


class Answers(Protocol):
    """A call in progress: its answers, one after the other. `cancel` ends it."""

    def __next__(self) -> Any: ...
    def cancel(self) -> object: ...


class Subscription(Generic[Received]):
    """Iterating gives signals, or amendments, oldest first, without an end; each once.

    `next_seq` is where a later subscription goes on behind the signal that was given last: keep it with what was made of the
    signals. `end_seq` is how many records the journal held when the last answer came. Where the connection breaks, or the
    pipeline's side is restarted, it connects again and goes on from there, for at most `patience_s` seconds without an answer.

    One thread iterates; `close` may be called by another. Raises RemoteError: CUT_OFF where this side did not read for too long
    (its value is where to go on), NOT_FOUND where the journal does not hold the place (any more), REFUSED, REQUEST, and
    UNREACHABLE after `patience_s`.
    """

    def __init__(
        self,
        call: Callable[[Any], Answers],
        request: pb.SubscribeRequest | pb.AmendmentsRequest,
        of: Callable[[Any], Iterator[Received]],
        *,
        address: str,
        patience_s: float,
    ) -> None:
        self.next_seq: int | None = request.from_seq if request.HasField("from_seq") else None
        self.end_seq = 0
        self._call = call
        self._of: Callable[[Any], Iterator[Received]] = of
        self._request = request
        self._address = address
        self._patience_s = patience_s
        self._answers: Answers | None = None
        self._given: Iterator[Received] = iter(())
        self._behind: int | None = None
        self._is_begun = self._is_closed = False
        self._heard = time.monotonic()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Received:
        while True:
            for each in self._given:
                self.next_seq = each.seq + 1
                return each
            if self._behind is not None:
                self.next_seq, self._behind = self._behind, None
            self._receive()

    def wait_begun(self) -> Self:
        """Waits for the first answer: what the journal gets from now on will be given."""
        while self.next_seq is None or self._answers is None:
            self._receive()
            if self.next_seq is None:
                self.next_seq = self._behind
        return self

    def close(self) -> None:
        """Ends it: iterating stops. May be called twice, by any thread."""
        self._is_closed = True
        if self._answers is not None:
            self._answers.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _receive(self) -> None:
        """The next answer, over a new connection where the last one broke."""
        pause = _RETRY_S
        while True:
            if self._is_closed:
                raise StopIteration
            try:
                if self._answers is None:
                    self._answers = self._call(self._resumed())
                answer = next(self._answers)
            except StopIteration:
                self._answers = None
                continue
            except ValueError:
                if self._is_closed:
                    raise StopIteration from None
                raise RemoteError("UNREACHABLE", "the connection was closed here", where=self._address) from None
            except grpc.RpcError as error:
                self._answers = None
                if self._is_closed:
                    raise StopIteration from None
                refused = remote_error(error, self._address)
                if refused.code != "UNREACHABLE" or time.monotonic() - self._heard > self._patience_s:
                    raise refused from None
                time.sleep(pause * random.uniform(0.5, 1))  # many that lost one server do not come back at once
                pause = min(2 * pause, _RETRY_S_MAX)
                continue
            self._heard, self._is_begun = time.monotonic(), True
            self.end_seq = answer.end_seq
            self._behind = answer.next_seq
            self._given = self._of(answer)
            return

    def _resumed(self) -> pb.SubscribeRequest | pb.AmendmentsRequest:
        if self._is_begun and self.next_seq is not None:
            self._request.from_seq = self.next_seq
            self._request.oldest = False
        return self._request
