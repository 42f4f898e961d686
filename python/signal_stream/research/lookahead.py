"""Lookahead: the proof, on the user's own data, that no feature knows what comes later.

An input is cut at random messages. What was known at a cut is told by a run that was given nothing beyond it. Then the input is
run again in batches as large as they come: whole; cut off at the cut; and with other prices, quantities and sides behind it. All
vectors before the cut must have the same bits in each. The last two begin with the piece of the input in which the future begins,
from a copy of the engine that ran up to there (`cuts.py` says why that shows as much). That the other numbers matter is looked at
too: a feature that they never change behind a cut is named, since of it nothing was shown.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Unpack

from signal_stream.durations import utc
from signal_stream.features import FeatureGraph
from signal_stream.ingest import Intake
from signal_stream.research.changed_future import ChangedFuture
from signal_stream.research.cuts import CHANGED, CUT_OFF, THERE, Cut, Known, piece_length, pieces_of
from signal_stream.research.difference import Difference, first_difference
from signal_stream.research.input import Input
from signal_stream.research.input_options import InputOptions, takes
from signal_stream.research.runs import Run, Vectors, Way, messages_of, slice_of, whole

if TYPE_CHECKING:
    pass

CUTS: Final = 20


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
    known = [Cut(message, max(0, message - leak), chooser.randrange(2**32)) for message in chosen]
    unmoved = set(graph.features)
    piece = piece_length(events, len(known))
    odd = Known(known, way(f"{len(known)} cuts", graph), unmoved, piece).first_odd()
    difference = None
    if odd is not None:
        name, cut = odd
        runs: dict[str, Run] = {
            THERE: whole, CUT_OFF: partial(_given_to, cut, piece), CHANGED: partial(_changed_from, cut, piece)
        }  # fmt: skip
        difference = first_difference(
            name, graph, lambda wide: _told(chosen, piece, way("known", wide)), lambda wide: runs[name](way(name, wide)),
            rows=cut.vectors,
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
        cut=None if odd is None else odd[1].message,
        difference=difference,
    )


def _told(stops: list[int], most: int, way: Way) -> Vectors:
    """A run from the beginning that is cut at each of `stops`, and where a trial may begin."""
    engine = way.engine = way.source.engine(way.graph)
    for first, piece in _pieces(way, most):
        length = messages_of(piece)
        inner = [stop - first for stop in stops if first < stop < first + length]
        for start, stop in pairwise([0, *inner, length]):
            yield from engine.stream(slice_of(piece, start, stop), whole=False)
    yield from engine.end()


def _given_to(cut: Cut, most: int, way: Way) -> Vectors:
    """A run from the beginning that is given the messages up to a cut; not what an end would bring about."""
    engine = way.engine = way.source.engine(way.graph)
    for first, piece in _pieces(way, most):
        if first < cut.message:
            yield from engine.stream(slice_of(piece, 0, min(messages_of(piece), cut.message - first)), whole=False)


def _changed_from(cut: Cut, most: int, way: Way) -> Vectors:
    """A run from the beginning with another future."""
    engine = way.engine = way.source.engine(way.graph)
    future = ChangedFuture.of(cut.seed)
    for first, piece in _pieces(way, most):
        start = max(0, cut.begin - first)
        if start < messages_of(piece):
            piece = future.changed(piece, start, way.source.options["columns"] or {})
        yield from engine.stream(piece, whole=False)
    yield from engine.end()


def _pieces(way: Way, most: int) -> Iterator[tuple[int, Any]]:
    done = 0
    for batch in way.batches():
        yield from pieces_of(batch, done, most)
        done += messages_of(batch)
