"""What a deployment has served to others, each by a server of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from signal_stream.monitor.watch import Watch
    from signal_stream.settings import Deployment


class Server(Protocol):
    """Answers at an address, on threads of its own, from `start` until `stop`.

    `name` is the section of the deployment file that asks for it. `listen` is the address as that section has it.
    """

    name: str
    listen: str

    def start(self) -> str:
        """Begins to listen; returns at once, with the address. Called again after it has failed. Raises OSError, or an error of
        the tree, where it cannot listen (the port is taken, say)."""

    def stop(self) -> None:
        """Ends, and gives back the address. May be called without a start, and twice."""


def make_servers(deployment: Deployment, watch: Watch) -> list[Server]:
    """The servers that a deployment asks for; none of them listens yet. `watch` has counted what happened to its pipeline. Raises
    CommandError where a package that one needs is not installed."""
    servers: list[Server] = []
    if deployment.metrics.listen is not None:
        from .http import MetricsServer

        servers.append(
            MetricsServer(
                deployment.metrics.listen,
                pipeline=deployment.pipeline.name,
                watch=watch,
            )
        )
    if deployment.grpc.listen is not None:
        from .grpc_server import GrpcServer

        servers.append(GrpcServer(watch.lookout, deployment.grpc))
    return servers
