"""The monitor's log: a line an event, as JSON or for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import structlog

from signal_stream.durations import utc

from .label import label

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping
    from typing import TextIO

    from .events import Event

_TEXT_MAX: Final = 500
_MS: Final = 1_000_000
_FIRST: Final = ("timestamp", "level", "event", "code", "pipeline", "model")


class EventLog:
    """Writes events to a stream that may fail: whoever reads it may be gone, and nothing else ends for that."""

    def __init__(self, stream: TextIO, *, form: Literal["json", "console"], pipeline: str) -> None:
        renderer: Any = (
            structlog.processors.JSONRenderer(ensure_ascii=False)
            if form == "json"
            else structlog.dev.ConsoleRenderer(colors=False, pad_event_to=18, sort_keys=False)
        )
        self._log = structlog.wrap_logger(
            structlog.PrintLogger(stream), processors=[_ordered, renderer], pipeline=label(pipeline)
        )

    def write(self, event: Event, *, now: int) -> None:
        """One line: time (UTC), level, event, pipeline, model, code, and what is particular to it."""
        said = {name: _printable(value) for name, value in event.said().items()}
        model = {} if event.model is None else {"model": label(event.model)}
        try:
            self._log.msg(
                event.kind, timestamp=utc(now // _MS * _MS), level=event.level, code=event.code, **model, **said
            )
        except (OSError, ValueError):
            return


def _printable(value: Any) -> Any:
    """A text without line ends, control characters and halves of characters, of bounded length."""
    if not isinstance(value, str):
        return value
    text = "".join(each if each.isprintable() else " " for each in value[:_TEXT_MAX])
    return text.encode("utf-8", "replace").decode("utf-8")


def _ordered(_logger: object, _method: str, said: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """What every line has stands first."""
    return {name: said[name] for name in (*_FIRST, *(each for each in said if each not in _FIRST)) if name in said}
