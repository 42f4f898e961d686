"""Where a refusal of the core becomes an error of the tree: one table, by what the core was asked for.

The core refuses with a code and a text (`_core.CoreError`). What the code means to a user depends on the question: a late
event is a fault of a tape that the engine is fed with, and of the caller's times in a bound row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal

from signal_stream.errors import (
    DataError,
    EngineError,
    GraphError,
    ReplayError,
    SignalStreamError,
    TapeError,
)

if TYPE_CHECKING:
    from signal_stream import _core

Asked = Literal["feed", "engine", "row", "graph", "registered graph", "table", "events", "log", "replay"]
"""To read a file or pipe; to compute on events; to bind and take rows; to compile a graph of the user's, or one that was
registered; to read columns as fields; to take a table as events, a user's or a log's own; to compute again."""


class BoundRowsError(EngineError, ValueError):
    """Buffers that cannot be bound, or a row of them that cannot be taken."""


_Known = tuple[type[SignalStreamError], str]

_TABLE: Final[Mapping[Asked, Mapping[str, _Known]]] = {
    "feed": {code: (TapeError, code) for code in TapeError.codes},
    "engine": {
        "LATE": (TapeError, "LATE"),
        "SNAPSHOT": (EngineError, "SNAPSHOT"),
        "SNAPSHOT_GRAPH": (EngineError, "SNAPSHOT"),
        "POISONED": (EngineError, "PANIC"),
    },
    "row": {"LATE": (BoundRowsError, "OUT_OF_ORDER")},
    "graph": {
        "UNKNOWN_NAME": (GraphError, "UNKNOWN_OPERATOR"),
        "UNKNOWN_KEY": (GraphError, "UNKNOWN_KEY"),
        "UNBOUNDED": (GraphError, "UNBOUNDED"),
        "MIXED_AGE": (GraphError, "DOMAIN"),
        "NO_SHARED_MOMENT": (GraphError, "DOMAIN"),
        "CONSTANT": (GraphError, "DOMAIN"),
        "MIXED_BARS": (GraphError, "DOMAIN"),
        "NOT_A_BOOK": (GraphError, "DOMAIN"),
        "WASM": (GraphError, "DOMAIN"),
    },
}
_OTHERWISE: Final[Mapping[Asked, _Known]] = {
    "feed": (TapeError, "UNREADABLE"),
    "engine": (EngineError, "BAD_INPUT"),
    "row": (BoundRowsError, "BAD_INPUT"),
    "graph": (GraphError, "BAD_ARGUMENT"),
    "registered graph": (GraphError, "UNREADABLE"),
    "table": (DataError, "MISSING_COLUMN"),
    "events": (DataError, "BAD_VALUE"),
    "log": (TapeError, "SCHEMA"),
    "replay": (ReplayError, "TAPE"),
}
_ADVICE: Final[Mapping[_Known, str]] = {(BoundRowsError, "OUT_OF_ORDER"): "Give times that do not fall."}


def core_error(
    error: _core.CoreError, asked: Asked, *, about: str = "", where: str = "", next_step: str = ""
) -> SignalStreamError:
    """The error of the tree for a refusal; raise it `from None`. `about` stands before the core's text.

    >>> from signal_stream import _core
    >>> try:
    ...     _core.Reader(["/no/such/tape"])
    ... except _core.CoreError as error:
    ...     found = core_error(error, "feed")
    >>> type(found).__name__, found.code
    ('TapeError', 'NOT_FOUND')
    """
    code, message, _ = error.args
    kind, known = _TABLE.get(asked, {}).get(code, _OTHERWISE[asked])
    return kind(known, about + message, where=where, next_step=next_step or _ADVICE.get((kind, known), ""))
