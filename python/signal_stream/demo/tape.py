"""The demo's tapes: what it takes of its source, and that cut in two, to learn on and to serve."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from signal_stream.core_errors import core_error
from signal_stream.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np

    from signal_stream import _core

SPAN_MAX_NS: Final = 600_000_000_000
MESSAGES_MAX: Final = 250_000
"""What the demo takes of a long tape, so that it stays within its minute."""
SPAN_MIN_NS: Final = 90_000_000_000
"""Less would leave nothing to learn from."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken of a source. Of a `whole` one, every line is accounted for: messages + rejected == inputs."""

    messages: int
    rows: int
    bytes: int
    inputs: int
    rejected: Mapping[str, int]
    rejected_first: tuple[str, ...]
    instruments: tuple[str, ...]
    first_ns: int
    last_ns: int
    whole: bool

    @property
    def span_ns(self) -> int:
        """From the first message to the last."""
        return self.last_ns - self.first_ns


@dataclass(frozen=True, slots=True)
class Halves:
    """Where a tape was cut, and how many messages went to either side; the second begins with the books as they stood."""

    at_ns: int
    first: int
    second: int


def take(source: Path, out: Path, *, on_progress: Callable[[int], None]) -> Taken:
    """Writes a capture or tape, or as much of it as the demo can use, as a tape.

    Raises TapeError for what cannot be read, DataError for what holds too little. `on_progress` hears the messages done.
    """
    from signal_stream import _core
    from signal_stream.ingest import open_tape

    reader = open_tape([source])
    try:
        writer = _core.TapeWriter(str(out))
        first = last = done = 0
        instruments: list[str] = []
        whole = True
        while whole and (batch := reader.next()) is not None:
            if batch.messages == 0:
                continue
            if done == 0:
                first = int(_times(batch)[0])
            fits = min(_messages_before(batch, first + SPAN_MAX_NS), MESSAGES_MAX - done)
            whole = fits == batch.messages
            batch = batch.slice(0, fits)
            writer.write(batch)
            done += fits
            last = batch.last_recv or last
            instruments = batch.instruments
            on_progress(done)
        rows, messages, size = writer.finish(reader if whole else None)
    except _core.CoreError as error:
        raise core_error(error, "feed") from None
    rejects = reader.rejects()
    if last - first < SPAN_MIN_NS:
        raise DataError(
            "BAD_VALUE",
            f"it holds {messages:,} messages over {(last - first) / 1e9:.1f} s, and the demo needs a minute and a half",
            where=str(source),
            next_step="Give a longer capture, or none: then the market is simulated.",
        )
    return Taken(
        messages=messages,
        rows=rows,
        bytes=size,
        inputs=sum(json.loads(record)["inputs"] for record in reader.records()),
        rejected=rejects["counts"],
        rejected_first=tuple(rejects["first"]),
        instruments=tuple(instruments),
        first_ns=first,
        last_ns=last,
        whole=whole,
    )


def cut(tape: Path, at_ns: int, *, plan: _core.Plan, first: Path, second: Path) -> Halves:
    """Cuts a tape in time. The second half begins with a snapshot of each book, so that it stands on its own.

    Raises DataError if no book is valid at the cut.
    """
    from signal_stream import _core
    from signal_stream.ingest import read_tape

    engine = _core.Engine(plan)
    try:
        writers = _core.TapeWriter(str(first)), _core.TapeWriter(str(second))
        begun = False
        for batch in read_tape(tape):
            before = 0 if begun else _messages_before(batch, at_ns)
            if before:
                writers[0].write(batch.slice(0, before))
                engine.push(batch.slice(0, before))
            if before < batch.messages:
                if not begun:
                    begun = True
                    books = engine.book_snapshots()
                    if books.messages == 0:
                        advice = "Give a capture with a book snapshot and depth updates, or none."
                        raise DataError("BAD_VALUE", "it has no valid order book", where=str(tape), next_step=advice)
                    writers[1].write(books)
                writers[1].write(batch.slice(before, batch.messages))
        counts = [writer.finish()[1] for writer in writers]
    except _core.CoreError as error:
        raise core_error(error, "feed") from None
    return Halves(at_ns, *counts)


def _times(batch: _core.EventBatch) -> np.ndarray:
    import pyarrow as pa

    times: np.ndarray = pa.record_batch(batch)["ts_recv"].cast(pa.int64()).to_numpy()
    return times


def _messages_before(batch: _core.EventBatch, ts_ns: int) -> int:
    """How many messages of a batch lie before the first one that is not older than `ts_ns`."""
    import pyarrow as pa

    later = _times(batch) >= ts_ns
    if not later.any():
        return batch.messages
    flags = pa.record_batch(batch)["flags"].to_numpy()[: int(later.argmax())]
    return int((flags & 1).sum())
