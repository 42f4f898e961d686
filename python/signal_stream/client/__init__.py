"""A pipeline elsewhere, as a Python program sees it: `signal_stream.connect("host:port")`."""

from signal_stream.errors import RemoteError

try:
    import grpc as _grpc  # noqa: F401
except ModuleNotFoundError as error:
    raise RemoteError(
        "NO_PACKAGE", f"{error.name} is not installed", next_step='It comes with `pip install "signal-stream[grpc]"`.'
    ) from error

from .connection import Connection, connect
from .received import ReceivedAmendment, ReceivedSignal
from .subscribing import Subscription

__all__ = ["Connection", "ReceivedAmendment", "ReceivedSignal", "Subscription", "connect"]
