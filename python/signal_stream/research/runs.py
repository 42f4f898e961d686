"""Ways of running a graph over an input: what `parity` and `lookahead` compare."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from signal_stream.features import FeatureGraph
from signal_stream.ingest import MAX_REJECTED, Intake
from signal_stream.research.compute import counted_vectors, input_batches, vectors_of
from signal_stream.research.engine import Engine

if TYPE_CHECKING:
    from signal_stream import _core

Vectors = Iterator["_core.Vectors"]
Run = Callable[["Way"], Vectors]


@dataclass(frozen=True, slots=True)
class Input:
    """What is run, and how its columns are read; as in `compute`."""

    data: Any
    columns: Mapping[str, str] | None = None
    instrument: str | None = None
    latency: str | None = None
    lateness: str | None = None
    instruments: list[str] | None = None
    time_unit: str | None = None
    max_rejected: float | str = MAX_REJECTED
    missing_bars: str | None = None
    length: str | None = None
    amend_within: str | None = None

    def tapes(self) -> list[str]:
        """The files, where the input is tapes or captures."""
        from signal_stream.ingest import sniff

        given = [self.data] if isinstance(self.data, str | Path) else self.data
        if not (isinstance(given, Sequence) and all(isinstance(path, str | Path) for path in given)):
            return []
        return [] if any(sniff(path) == "table" for path in given) else [str(path) for path in given]

    def engine(self, graph: FeatureGraph) -> Engine:
        """A fresh engine for it."""
        return Engine(
            graph, columns=self.columns, instrument=self.instrument, latency=self.latency, lateness=self.lateness,
            instruments=self.instruments, time_unit=self.time_unit, missing_bars=self.missing_bars,
            length=self.length, amend_within=self.amend_within,
        )  # fmt: skip


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
        source = self.source
        batches = input_batches(
            source.data, columns=source.columns, max_rejected=source.max_rejected, intake=self.intake
        )
        for batch in batches:
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
    source, intake = way.source, Intake() if way.intake is None else way.intake
    for vectors in counted_vectors(way.engine, source.data, source.columns, source.max_rejected, intake):
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
                engine = Engine.restore(way.graph, engine.snapshot(), like=engine)
                start = stop
            yield from engine.stream(slice_of(batch, start, length))
            done += length
        yield from engine.end()
        way.engine = engine

    return restored
