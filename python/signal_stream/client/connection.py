"""`connect`: a pipeline that serves `[grpc]`, on this machine or another."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar
from weakref import WeakSet

import grpc

from signal_stream.errors import RemoteError
from signal_stream.wire import signals_pb2 as pb

from .received import ReceivedAmendment, ReceivedSignal
from .refusals import remote_error
from .subscribing import Received, Subscription

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_Reply = TypeVar("_Reply")
_SIGNALS: Final = "/signal_stream.v1.Signals/"
_CONTROL: Final = "/signal_stream.v1.Control/"
_OPTIONS: Final = (
    ("grpc.keepalive_time_ms", 10_000),  # a server whose machine is gone is noticed
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)


def connect(
    address: str,
    *,
    ca: str | Path | None = None,
    certificate: str | Path | None = None,
    key: str | Path | None = None,
    name: str | None = None,
    timeout_s: float = 10.0,
) -> Connection:
    """A pipeline whose deployment has `[grpc] listen`, at "host:port".

    Plaintext reaches a pipeline on this machine. Any other takes TLS: `ca` is the authority that signed the server's certificate,
    `certificate` and `key` are the caller's, PEM files all; `name` is the server's name in its certificate where that is not its
    host. `timeout_s` is how long an answer is waited for; nothing is asked before the first call.

    Needs the extra `grpc`. Raises RemoteError REQUEST for files that do not go together or cannot be read.

    >>> pipeline = connect("127.0.0.1:1", timeout_s=0.2)
    >>> try:
    ...     pipeline.status()
    ... except RemoteError as error:
    ...     print(error.code)
    UNREACHABLE
    """
    given = [ca, certificate, key]
    options = [*_OPTIONS, ("grpc.ssl_target_name_override", name)] if name else list(_OPTIONS)
    if not any(given):
        return Connection(grpc.insecure_channel(address, options), address, timeout_s=timeout_s)
    if not all(given):
        raise RemoteError("REQUEST", "TLS takes all three: ca, certificate and key", where=address)
    root, chain, private = (_read(Path(str(each))) for each in given)
    credentials = grpc.ssl_channel_credentials(root, private, chain)
    return Connection(grpc.secure_channel(address, credentials, options), address, timeout_s=timeout_s)


class Connection:
    """Signals of a pipeline elsewhere, its status, and its kill switch. Threads may share it.

    Raises RemoteError: UNREACHABLE, REFUSED where the certificate has no role for it, REQUEST, NOT_FOUND, FAILED.
    """

    def __init__(self, channel: grpc.Channel, address: str, *, timeout_s: float) -> None:
        self.address = address
        self._channel = channel
        self._timeout_s = timeout_s
        self._subscriptions = WeakSet[Subscription[Any]]()

    def signals(
        self,
        *,
        from_seq: int | None = None,
        oldest: bool = False,
        models: Iterable[str] = (),
        instruments: Iterable[str] = (),
        outcomes: Iterable[str] = (),
        codes: Iterable[str] = (),
        stages: Iterable[str] = (),
        heartbeat_s: float = 5.0,
        patience_s: float = 60.0,
    ) -> Subscription[ReceivedSignal]:
        """Signals from record `from_seq` of the journal on, from its `oldest`, or, without either, those that come from now on.

        Only those that match each list that is given: names of models, instrument ids, outcomes (PASS, VETO, HALT), codes (one of
        them), stages. Without `stages` only signals that may be acted upon: those of a model in shadow come only where "shadow"
        is given.
        """
        with self._can_be_said():
            request = pb.SubscribeRequest(
                oldest=oldest,
                from_seq=from_seq,
                heartbeat_ms=round(heartbeat_s * 1e3),
                filter=pb.Filter(
                    models=_texts(models), instruments=_texts(instruments), outcomes=_texts(outcomes), codes=_texts(codes),
                    stages=_texts(stages),
                ),
            )  # fmt: skip

        def signals(update: pb.Update) -> Iterator[ReceivedSignal]:
            return map(ReceivedSignal.of, update.signals)

        return self._subscribed("Subscribe", request, pb.Update.FromString, signals, patience_s)

    def amendments(
        self,
        *,
        from_seq: int | None = None,
        oldest: bool = False,
        instruments: Iterable[str] = (),
        heartbeat_s: float = 5.0,
        patience_s: float = 60.0,
    ) -> Subscription[ReceivedAmendment]:
        """What late events changed of vectors that signals rest on, where the pipeline's source says `late = "amend"`: from a
        place as `signals` takes it, of all instruments or those that are named. `record.vectors` says which vectors are
        otherwise now; the digest `old` of a first revision is the `vector_hash` of the signals that rest on it.
        """
        with self._can_be_said():
            request = pb.AmendmentsRequest(
                oldest=oldest, from_seq=from_seq, heartbeat_ms=round(heartbeat_s * 1e3), instruments=_texts(instruments)
            )

        def amendments(update: pb.AmendmentsUpdate) -> Iterator[ReceivedAmendment]:
            return map(ReceivedAmendment.of, update.amendments)

        return self._subscribed("Amendments", request, pb.AmendmentsUpdate.FromString, amendments, patience_s)

    def get(self, signal_id: str) -> ReceivedSignal:
        """The signal with this id, the whole of it."""
        with self._can_be_said():
            request = pb.GetRequest(signal_id=signal_id)
        return ReceivedSignal.of(self._ask(f"{_SIGNALS}Get", request, pb.Signal.FromString))

    def status(self) -> dict[str, Any]:
        """How the pipeline is, as `signal-stream status --json` prints it."""
        reply = self._ask(f"{_CONTROL}Status", pb.StatusRequest(), pb.StatusReply.FromString)
        found: dict[str, Any] = json.loads(reply.json)
        return found

    def kill(self, model: str | None = None, *, every: bool = False, by: str, reason: str) -> str:
        """Silences a model, or all with `every`: when it returns, what was done in words, it is on the disk, and the model is
        silent from its next signal on. As `signal-stream kill`."""
        with self._can_be_said():
            request = pb.KillRequest(model=model or "", all=every, by=by, reason=reason)
        return self._ask(f"{_CONTROL}Kill", request, pb.LatchReply.FromString).text

    def rearm(self, model: str | None = None, *, every: bool = False, by: str, reason: str) -> str:
        """Lets a model, or all with `every`, speak again; what was done in words. As `signal-stream rearm`."""
        with self._can_be_said():
            request = pb.RearmRequest(model=model or "", all=every, by=by, reason=reason)
        return self._ask(f"{_CONTROL}Rearm", request, pb.LatchReply.FromString).text

    def close(self) -> None:
        """Ends the connection and its subscriptions: iterating stops. May be called twice, by any thread."""
        for each in tuple(self._subscriptions):
            each.close()
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _subscribed(
        self,
        method: str,
        request: Any,
        read: Callable[[bytes], Any],
        of: Callable[[Any], Iterator[Received]],
        patience_s: float,
    ) -> Subscription[Received]:
        call = self._channel.unary_stream(
            f"{_SIGNALS}{method}", request_serializer=type(request).SerializeToString, response_deserializer=read
        )
        subscription = Subscription(call, request, of, address=self.address, patience_s=patience_s)
        self._subscriptions.add(subscription)
        return subscription

    @contextmanager
    def _can_be_said(self) -> Iterator[None]:
        """Raises RemoteError for values that no request can hold: a number below zero, half a character."""
        try:
            yield
        except (ValueError, OverflowError) as error:
            raise RemoteError("REQUEST", f"this cannot be asked: {error}", where=self.address) from error

    def _ask(self, method: str, request: Any, read: Callable[[bytes], _Reply]) -> _Reply:
        call = self._channel.unary_unary(
            method, request_serializer=type(request).SerializeToString, response_deserializer=read
        )
        try:
            return call(request, timeout=self._timeout_s)
        except grpc.RpcError as error:
            raise remote_error(error, self.address) from None


def _texts(values: Iterable[str]) -> list[str]:
    """Names; one alone is not taken for its letters."""
    return [values] if isinstance(values, str) else list(values)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RemoteError("REQUEST", f"cannot be read: {error.strerror}", where=str(path)) from error
