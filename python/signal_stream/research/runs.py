"""Ways of running a graph over an input: what `parity` and `lookahead` compare."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from signal_stream.features import FeatureGraph
from signal_stream.ingest import Intake
from signal_stream.research.engine import Engine
from signal_stream.research.input import Input, vectors_of

if TYPE_CHECKING:
    from signal_stream import _core

Vectors = Iterator["_core.Vectors"]
Run = Callable[["Way"], Vectors]


@dataclass(slots=True)
class Way:
    """One way of running a graph over an input."""

    graph: FeatureGraph
    source: Input
    on_progress: Callable[[int], None]
    engine: Engine | None = None
    intake: Intake | None = None

    def batches(self) -> Iterator[Any]:
        """The input from its beginning, with progress."""
        done = 0
        for batch in self.source.batches(self.intake):
            yield batch
            done += messages_of(batch)
            self.on_progress(done)


def messages_of(batch: Any) -> int:
    """Messages of a tape's batch, rows of a table's."""
    from signal_stream import _core

    return int(batch.messages if isinstance(batch, _core.EventBatch) else batch.num_rows)


def slice_of(batch: Any, start: int, stop: int) -> Any:
    """Some of them."""
    from signal_stream import _core

    return batch.slice(start, stop) if isinstance(batch, _core.EventBatch) else batch.slice(start, stop - start)


def whole(way: Way) -> Vectors:
    """In batches as large as they come."""
    way.engine = way.source.engine(way.graph)
    for vectors in way.source.vectors(way.engine, Intake() if way.intake is None else way.intake):
        yield vectors
        way.on_progress(way.engine.messages)


def cut_into(size: int) -> Run:
    """In batches of so many messages."""

    def cut(way: Way) -> Vectors:
        way.engine = way.source.engine(way.graph)
        yield from vectors_of(way.engine, way.batches(), chunk=size)

    return cut


def replayed(way: Way) -> Vectors:
    """As a live stream: read by its own thread, through the bounded queue, as fast as it goes."""
    from signal_stream.ingest import open_live

    way.engine = way.source.engine(way.graph)
    done = 0
    with open_live(way.source.tapes(), pace="max") as live:
        for batch in live:
            yield from way.engine.stream(batch)
            done += messages_of(batch)
            way.on_progress(done)


def restored_at(messages: int, snapshots: int, seed: int) -> Run:
    """Saved and restored at so many random messages of all."""
    chooser = random.Random(seed)
    cuts = sorted(chooser.sample(range(1, messages), min(snapshots, messages - 1))) if messages > 1 else []

    def restored(way: Way) -> Vectors:
        engine = way.source.engine(way.graph)
        done, waiting = 0, list(reversed(cuts))
        for batch in way.batches():
            start, length = 0, messages_of(batch)
            while waiting and waiting[-1] <= done + length:
                stop = waiting.pop() - done
                yield from engine.stream(slice_of(batch, start, stop))
                engine = engine.copy()
                start = stop
            yield from engine.stream(slice_of(batch, start, length))
            done += length
        yield from engine.end()
        way.engine = engine

    return restored
