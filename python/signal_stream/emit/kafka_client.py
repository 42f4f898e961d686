"""confluent-kafka: imported here alone, and not before a Kafka sink is opened; its exceptions as errors of the tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from signal_stream.errors import SinkError

if TYPE_CHECKING:
    from types import ModuleType

_FENCED: Final = ("_FENCED", "PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH", "INVALID_TXN_STATE")


def kafka() -> ModuleType:
    """The client library. Raises SinkError NO_CLIENT where the extra is not installed."""
    try:
        import confluent_kafka
    except ImportError as error:
        raise SinkError(
            "NO_CLIENT", f"the Kafka client is not installed ({error})", next_step="pip install signal-stream[kafka]"
        ) from error
    return confluent_kafka


class Remarks:
    """What the client says of brokers while it goes on trying: the newest of it makes a timeout's text."""

    def __init__(self) -> None:
        self.newest = ""

    def __call__(self, error: Any) -> None:
        """The client's `error_cb`."""
        self.newest = str(error.str())


def sink_error(error: Exception, what: str, *, where: str, remarks: Remarks | None = None) -> SinkError:
    """The SinkError for an exception of the client."""
    found: Any = error.args[0] if error.args else None
    name = found.name() if hasattr(found, "name") else ""
    text = str(found.str()) if hasattr(found, "str") else f"{type(error).__name__}: {error}"
    if name in _FENCED:
        return SinkError(
            "LOCKED",
            f"{what}: another process sends under this transactional_id ({text})",
            where=where,
            next_step="Give each pipeline a transactional_id of its own.",
        )
    said = f" ({remarks.newest})" if remarks is not None and remarks.newest and remarks.newest not in text else ""
    return SinkError("WRITE", f"{what}: {text}{said}", where=where, next_step="The journal has the signals.")
