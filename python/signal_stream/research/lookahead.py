"""Lookahead: the proof, on the user's own data, that no feature knows what comes later.

An input is cut at random messages. What was known at a cut is told by a run that was given nothing beyond it. Then the input is
run again in batches as large as they come: whole; cut off at the cut; and with other prices, quantities and sides behind it. All
vectors before the cut must have the same bits in each. That the other numbers matter is looked at too: a feature that they never
change behind a cut is named, since of it nothing was shown.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Unpack

from signal_stream.durations import utc
from signal_stream.features import FeatureGraph
from signal_stream.ingest import Intake
from signal_stream.research.changed_future import ChangedFuture
from signal_stream.research.difference import Difference, first_difference
from signal_stream.research.input import Input
from signal_stream.research.input_options import InputOptions, takes
from signal_stream.research.runs import Run, Vectors, Way, messages_of, slice_of, whole

if TYPE_CHECKING:
    import pyarrow as pa

    from signal_stream import _core

CUTS: Final = 20
_LOOKED_AT: Final = 256
"""Vectors behind a cut of which is looked at whether another future changes them."""


@dataclass(frozen=True, slots=True)
class LookaheadReport:
    """What was found. `vectors` are those before a cut, over all `cuts`; `unmoved` the features that no change of the future
    reached behind a cut, so that nothing was shown of them; `cut` the message before the first difference."""

    graph: str
    graph_digest: str
    events: int
    cuts: int
    vectors: int
    features: int
    unmoved: tuple[str, ...]
    intake: Intake
    seconds: float
    cut: int | None
    difference: Difference | None

    @property
    def clean(self) -> bool:
        """Whether there were vectors before a cut, and none of them was changed by what came behind it."""
        return self.difference is None and self.vectors > 0

    def __str__(self) -> str:
        """The report as people read it."""
        found = self.difference
        if found is not None:
            where = f"vector {found.vector:,} at {utc(found.ts_recv)} of {found.instrument}"
            known, other = _value(found.reference_value), _value(found.value)
            values = (
                f": {known} was known, {other} with the {found.run}" if known != other else f": with the {found.run}"
            )
            return (
                f"FAIL  a feature knows what comes later: {where}  feature {found.feature}  operator {found.operator}{values}\n"
                f"      the future began behind message {self.cut:,} of {self.events:,}; all of the vector's events are before it"
            )
        if not self.vectors:
            return (
                f"NOTHING SHOWN  no vector came before any of {self.cuts} cuts of {self.events:,} events. "
                "Give a longer input, or more cuts."
            )
        said = (
            f"PASS  {self.cuts} cuts of {self.events:,} events: {self.vectors:,} vectors before them × {self.features} features, "
            f"0 differ with the future there, cut off, or changed   {self.seconds:.1f} s"
        )
        if self.unmoved:
            said += (
                f"\n      not shown of {', '.join(self.unmoved)}: no changed price, quantity or side ever reached "
                f"{'it' if len(self.unmoved) == 1 else 'them'}, behind a cut either"
            )
        return said

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"clean": self.clean, **asdict(self)}


def _value(number: float | None) -> str:
    return "nothing" if number is None else f"{number:.6g}"


@dataclass(slots=True)
class _Cut:
    """A message, and what was known before it: how many vectors, with which digest; then some of those that came next."""

    message: int
    seed: int
    vectors: int = 0
    digest: str = ""
    next: list[pa.RecordBatch] = field(default_factory=list)

    @property
    def looked_at(self) -> int:
        """Vectors behind the cut that are kept."""
        return sum(len(each) for each in self.next)


@takes(InputOptions)
def lookahead(
    graph: FeatureGraph,
    data: Any,
    *,
    cuts: int = CUTS,
    seed: int = 0,
    leak: int = 0,
    progress: Callable[[str, int], None] | None = None,
    **options: Unpack[InputOptions],
) -> LookaheadReport:
    """Runs a graph over an input whose future is there, cut off, or changed, at `cuts` random messages (by `seed`), and compares
    the bits of all vectors before each.

    `data` and its options are as in `compute`. With `leak`, the change begins so many messages before the cut, as if features
    knew so much of the future: a proof that the proof can fail. `progress` is told (run, messages done).

    >>> import pyarrow as pa
    >>> from signal_stream import FeatureGraph, bars, lookahead
    >>> graph = FeatureGraph(name="g", on=bars("1m"), features={"m": bars("1m").close.rolling(3).mean()})
    >>> table = pa.table({"t": [1700000040 + 60 * i for i in range(500)], "close": [i % 7 + 0.1 for i in range(500)]})
    >>> lookahead(graph, table, columns={"ts_open": "t"}).clean
    True
    """
    started = time.perf_counter()
    source = Input.of(data, **options).held()

    def way(run: str, of: FeatureGraph) -> Way:
        return Way(of, source, lambda done: progress(run, done) if progress else None)

    first = way("whole", graph)
    first.intake = intake = Intake()
    for _ in whole(first):
        pass
    events = first.engine.messages if first.engine else 0
    chooser = random.Random(seed)
    chosen = sorted(chooser.sample(range(1, events), min(cuts, events - 1))) if events > 1 else []
    known = [_Cut(message, chooser.randrange(2**32)) for message in chosen]
    _note_what_was_known(known, way("known", graph))
    unmoved = set(graph.features)
    odd = _first_odd(known, unmoved, way, graph, leak)
    difference = None
    if odd is not None:
        name, run, cut = odd
        difference = first_difference(
            name, graph, lambda wide: _told(chosen, way("known", wide)), lambda wide: run(way(name, wide)), rows=cut.vectors
        )  # fmt: skip
    return LookaheadReport(
        graph=graph.name,
        graph_digest=graph.digest,
        events=events,
        cuts=len(known),
        vectors=sum(cut.vectors for cut in known),
        features=len(graph.features),
        unmoved=tuple(name for name in graph.features if name in unmoved),
        intake=intake,
        seconds=time.perf_counter() - started,
        cut=None if odd is None else odd[2].message,
        difference=difference,
    )


def _first_odd(
    cuts: list[_Cut], unmoved: set[str], way: Callable[[str, FeatureGraph], Way], graph: FeatureGraph, leak: int
) -> tuple[str, Run, _Cut] | None:
    """The first run and cut where vectors before it are not those that were known."""
    if (found := _first_unknown(whole(way("future there", graph)), cuts)) is not None:
        return "future there", whole, found
    for number, cut in enumerate(cuts, 1):
        runs: dict[str, Run] = {
            "future cut off": partial(_given_to, cut.message),
            "future changed": partial(_changed_from, max(0, cut.message - leak), cut.seed),
        }
        for name, run in runs.items():
            vectors = run(way(f"cut {number} of {len(cuts)}, {name}", graph))
            if _first_unknown(vectors, [cut], unmoved if name == "future changed" else None) is not None:
                return name, run, cut
    return None


def _note_what_was_known(cuts: list[_Cut], way: Way) -> None:
    """One run that is given the input piece by piece, each up to the next cut: what it has said by then, it knew."""
    sha, count = hashlib.sha256(), 0
    past: list[_Cut] = []
    for stop, vectors in _pieces(way, [cut.message for cut in cuts]):
        for piece in vectors:
            sha.update(piece.bits())
            count += len(piece)
            behind = [cut for cut in past if cut.looked_at < _LOOKED_AT]
            if behind:
                rows = _rows(piece)
                for cut in behind:
                    cut.next.append(rows.slice(0, _LOOKED_AT - cut.looked_at))
        if stop is not None:
            cut = cuts[len(past)]
            cut.vectors, cut.digest = count, sha.hexdigest()
            past.append(cut)


def _pieces(way: Way, stops: list[int]) -> Iterator[tuple[int | None, Vectors]]:
    """The vectors of an input that is cut at each of `stops` (messages, in order), with the stop that they led to."""
    engine = way.engine = way.source.engine(way.graph)
    done, waiting = 0, list(reversed(stops))
    for batch in way.batches():
        start, length = 0, messages_of(batch)
        while waiting and waiting[-1] <= done + length:
            stop = waiting.pop()
            yield stop, engine.stream(slice_of(batch, start, stop - done), whole=False)
            start = stop - done
        yield None, engine.stream(slice_of(batch, start, length), whole=False)
        done += length
    yield None, iter(engine.end())


def _told(stops: list[int], way: Way) -> Vectors:
    for _, vectors in _pieces(way, stops):
        yield from vectors


def _given_to(message: int, way: Way) -> Vectors:
    """A run that is given the messages up to one, in batches as large as they come; not what an end would bring about."""
    for stop, vectors in _pieces(way, [message]):
        yield from vectors
        if stop is not None:
            return


def _changed_from(message: int, seed: int, way: Way) -> Vectors:
    """A run in batches as large as they come, with another future from a message on."""
    engine = way.engine = way.source.engine(way.graph)
    future = ChangedFuture.of(seed)
    done = 0
    for batch in way.batches():
        length = messages_of(batch)
        start = max(0, message - done)
        if start < length:
            batch = future.changed(batch, start, way.source.options["columns"] or {})
        yield from engine.stream(batch, whole=False)
        done += length
    yield from engine.end()


def _first_unknown(vectors: Vectors, cuts: list[_Cut], unmoved: set[str] | None = None) -> _Cut | None:
    """The first cut before which other vectors come than were known. What is seen to change behind the last leaves `unmoved`."""
    sha, count = hashlib.sha256(), 0
    waiting, last = list(reversed(cuts)), cuts[-1] if cuts else None
    behind: list[pa.RecordBatch] = []
    wanted = last.looked_at if last and unmoved else 0
    for piece in vectors:
        while waiting and waiting[-1].vectors <= count + len(piece):
            at = sha.copy()
            at.update(piece.bits(waiting[-1].vectors - count))
            if at.hexdigest() != waiting[-1].digest:
                return waiting[-1]
            waiting.pop()
        sha.update(piece.bits())
        if last is not None and wanted and count + len(piece) > last.vectors:
            behind.append(_rows(piece).slice(max(0, last.vectors - count), wanted))
            wanted -= len(behind[-1])
        count += len(piece)
        if not waiting and not wanted:
            break
    for cut in reversed(waiting):
        if cut.vectors > count or sha.hexdigest() != cut.digest:
            return cut
    if unmoved and last is not None and behind:
        _strike_out_moved(unmoved, last.next, behind)
    return None


def _rows(piece: _core.Vectors) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.record_batch(piece.columns())


def _strike_out_moved(unmoved: set[str], left: list[pa.RecordBatch], right: list[pa.RecordBatch]) -> None:
    import pyarrow as pa

    known, other = pa.Table.from_batches(left), pa.Table.from_batches(right)
    rows = min(len(known), len(other))
    for name in list(unmoved):
        if not known.column(name).slice(0, rows).equals(other.column(name).slice(0, rows)):
            unmoved.discard(name)
