"""The gRPC side of a gateway: its services at one address, on an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from signal_stream.errors import GatewayError, SignalStreamError
from signal_stream.store import State
from signal_stream.wire import signals_pb2 as pb

from .access import Access
from .control_service import ControlService
from .journal_feed import LOOK_S, JournalFeed
from .rpc import answers
from .signals_service import SignalsService
from .tls import ServerCertificate

if TYPE_CHECKING:
    from signal_stream.monitor.look import Lookout
    from signal_stream.settings import GrpcSettings

SIGNALS: Final = pb.DESCRIPTOR.services_by_name["Signals"].full_name
CONTROL: Final = pb.DESCRIPTOR.services_by_name["Control"].full_name
_TURN_S: Final = 50e-6
"""What one thread may compute before another has its turn: the interpreter's own 5 ms are seen in the slowest hundredth."""
_REQUEST_BYTES_MAX: Final = 64 << 10
_CALLS_MAX: Final = 256
"""Calls at a time, beside subscriptions."""
_STOP_S: Final = 2.0
_OPTIONS: Final = (
    ("grpc.so_reuseport", 0),  # an address that is taken is an error
    ("grpc.max_receive_message_length", _REQUEST_BYTES_MAX),
    ("grpc.max_concurrent_streams", 100),  # of one connection
    ("grpc.keepalive_time_ms", 30_000),  # a caller whose machine is gone is noticed
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
)


class GrpcServer:
    """Serves one state folder. `start` returns when it listens; `stop` ends all calls.

    A subscriber holds no thread and no queue: signals wait in the journal until it takes them.
    """

    def __init__(self, lookout: Lookout, settings: GrpcSettings) -> None:
        self.name = "grpc"
        self.listen = settings.listen or ""
        self._lookout = lookout
        self._place = State(lookout.folder)
        self._settings = settings
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._certificate: ServerCertificate | None = None
        self.signals: SignalsService | None = None

    def start(self) -> str:
        """Listens, and returns the address.

        Raises GatewayError: ADDRESS where the address cannot be had, CERTIFICATE for files that do not serve."""
        started: Future[str] = Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name="signal-stream-grpc", daemon=True)
        self._thread.start()
        return started.result()

    def stop(self) -> None:
        """Ends every call and gives the address back. May be called twice."""
        loop, thread = self._loop, self._thread
        if loop is not None and self._stopping is not None:
            with suppress(RuntimeError):  # it has ended
                loop.call_soon_threadsafe(self._stopping.set)
        if thread is not None:
            thread.join(_STOP_S * 2)

    def _run(self, started: Future[str]) -> None:
        sys.setswitchinterval(min(_TURN_S, sys.getswitchinterval()))
        try:
            asyncio.run(self._serve(started))
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    async def _serve(self, started: Future[str]) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        feed = JournalFeed(self._place)
        access = Access.by(self._settings)
        service = self.signals = SignalsService(
            self._place,
            feed,
            access,
            subscribers_max=self._settings.subscribers_max,
            stalled_after_s=self._settings.stalled_after_ns / 1e9,
        )
        control = ControlService(self._place, access)
        health_service = health.aio.HealthServicer()
        server = grpc.aio.server(options=_OPTIONS, maximum_concurrent_rpcs=self._settings.subscribers_max + _CALLS_MAX)
        server.add_generic_rpc_handlers(_handlers(service, control))
        health_pb2_grpc.add_HealthServicer_to_server(health_service, server)
        names = (SIGNALS, CONTROL, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
        address = self._listen(server)
        feed.begin()
        await self._say(health_service)
        await server.start()
        started.set_result(address)
        try:
            while not self._stopping.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), LOOK_S)
                feed.begin()
                service.look(time.time_ns())
                await self._say(health_service)
        finally:
            await health_service.enter_graceful_shutdown()
            service.end_all("the gateway stops: connect again")
            await server.stop(_STOP_S)
            feed.close()

    def _listen(self, server: grpc.aio.Server) -> str:
        """Takes the address; returns it with its port. Raises GatewayError."""
        wanted = self.listen
        try:
            if self._settings.is_tls:
                self._certificate = ServerCertificate.of(self._settings)
                port = server.add_secure_port(wanted, self._certificate.credentials)
            else:
                port = server.add_insecure_port(wanted)
        except RuntimeError as error:
            message = f"the address cannot be had: {error}"
            advice = "Another program listens there, or it is no address of this machine: change [grpc] listen."
            raise GatewayError("ADDRESS", message, where=wanted, next_step=advice) from error
        if port == 0:
            raise GatewayError("ADDRESS", "the address cannot be had", where=wanted)
        return f"{wanted.rpartition(':')[0]}:{port}"

    async def _say(self, service: health.aio.HealthServicer) -> None:
        """Health by the standard protocol: whether signals can be relied on now."""
        serves = await asyncio.to_thread(_is_ready, self._lookout)
        found = health_pb2.HealthCheckResponse.SERVING if serves else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in ("", SIGNALS):
            await service.set(name, found)
        await service.set(CONTROL, health_pb2.HealthCheckResponse.SERVING)  # a kill needs no process that serves


def _is_ready(lookout: Lookout) -> bool:
    """As `/readyz` says."""
    try:
        return bool(lookout.look(now=time.time_ns())["health"]["is_ready"])
    except (OSError, SignalStreamError):
        return False


def _handlers(signals: SignalsService, control: ControlService) -> tuple[grpc.GenericRpcHandler, ...]:
    def unary(behaviour: Any, request: Any, reply: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(
            answers(behaviour, request), response_serializer=reply.SerializeToString
        )

    return (
        grpc.method_handlers_generic_handler(
            SIGNALS,
            {
                # answers are encoded already: the same bytes go to every subscriber
                "Subscribe": grpc.unary_stream_rpc_method_handler(answers(signals.subscribe, pb.SubscribeRequest)),
                "Amendments": grpc.unary_stream_rpc_method_handler(answers(signals.amendments, pb.AmendmentsRequest)),
                "Get": unary(signals.get, pb.GetRequest, pb.Signal),
            },
        ),
        grpc.method_handlers_generic_handler(
            CONTROL,
            {
                "Status": unary(control.status, pb.StatusRequest, pb.StatusReply),
                "Kill": unary(control.kill, pb.KillRequest, pb.LatchReply),
                "Rearm": unary(control.rearm, pb.RearmRequest, pb.LatchReply),
            },
        ),
    )
