"""`profile`: where the time of a graph goes, on the user's own data.

A thread beside the engine looks some thousand times a second at which step runs, which the engine says in one word of memory. So
the steps run as they do in `compute`, and a share is the share of the looks. Windows that share a state count at the node that
keeps it; what late events have made again (`amend_within`) counts as events.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Unpack

from signal_stream.errors import DataError
from signal_stream.ingest import Intake
from signal_stream.research.input import Input
from signal_stream.research.input_options import InputOptions, takes

if TYPE_CHECKING:
    from signal_stream.features import FeatureGraph

SECONDS: Final = 2.0
SAMPLES_MIN: Final = 100


@dataclass(frozen=True, slots=True)
class ProfileReport:
    """Where the time went. `passes` over the input, the quicker half of all, took the `samples`; `messages` are those of one
    pass, and `ns_per_message` the time of the quickest over them. `reading` is the share in which the input was read and decoded,
    `events` that of order, books, bars, values taken over from other streams, and vectors; `nodes` has the share of each node.
    All shares sum to 1."""

    explained: dict[str, Any]
    """The plan, as `FeatureGraph.explain` gives it."""
    passes: int
    samples: int
    messages: int
    ns_per_message: float
    reading: float
    events: float
    nodes: dict[int, float]
    """By the number of the node in the plan."""

    @classmethod
    def of(cls, graph: FeatureGraph, passes: list[_Pass], messages: int) -> ProfileReport:
        """What passes over so many messages each say."""
        explained = graph.explain()
        samples = sum(each.samples for each in passes)
        counts = [sum(of_passes) for of_passes in zip(*(each.nodes for each in passes), strict=True)]
        found = dict(enumerate(counts))
        nodes = {node["node"]: found.get(node["node"], 0) / samples for node in explained["nodes"]}
        reading, events = (sum(each.reading for each in passes), sum(each.events for each in passes))
        ns = min(each.seconds for each in passes) * 1e9 / messages
        return cls(explained, len(passes), samples, messages, ns, reading / samples, events / samples, nodes)

    def ns(self, share: float) -> float:
        """Nanoseconds a message of a share."""
        return share * self.ns_per_message

    def error(self, share: float) -> float:
        """How far a share may be off: one standard error of the samples."""
        return sqrt(share * (1 - share) / self.samples)

    def as_json(self) -> dict[str, Any]:
        """The plan, and beside it the times: `profile` for the whole, `share` and `ns_per_message` for each node."""
        whole = {
            "passes": self.passes, "samples": self.samples, "messages": self.messages,
            "ns_per_message": self.ns_per_message, "reading": self.reading, "events": self.events,
        }  # fmt: skip
        nodes = [
            {**node, "share": (share := self.nodes[node["node"]]), "ns_per_message": self.ns(share)}
            for node in self.explained["nodes"]
        ]
        return {**self.explained, "profile": whole, "nodes": nodes}


class _Pass(NamedTuple):
    """A pass over the input, and the samples that fell into it."""

    seconds: float
    reading: int
    events: int
    nodes: list[int]

    @property
    def samples(self) -> int:
        return self.reading + self.events + sum(self.nodes)


@takes(InputOptions)
def profile(
    graph: FeatureGraph,
    data: Any,
    *,
    seconds: float = SECONDS,
    progress: Callable[[str, int], None] | None = None,
    **options: Unpack[InputOptions],
) -> ProfileReport:
    """Runs a graph over an input, as often as there is time within `seconds` and until samples are enough, and says where the
    time went, by the quicker half of the passes.

    `data` and its options are those of `compute`; making an Arrow table of the vectors is not counted. `progress` is called with
    the pass and the messages that it has taken. Raises DataError and TapeError as `compute` does, and for an input without a
    message.

    >>> import pyarrow as pa
    >>> from signal_stream import FeatureGraph, bars, profile
    >>> graph = FeatureGraph(name="g", on=bars("1m"), features={"up": bars("1m").close.diff()})
    >>> day = pa.table({"t": [1700000040, 1700000100], "close": [10.0, 12.5]})
    >>> report = profile(graph, day, columns={"ts_open": "t"}, instrument="BTC", seconds=0.01)
    >>> report.messages, round(report.reading + report.events + sum(report.nodes.values()), 9)
    (2, 1.0)
    """
    from signal_stream import _core

    source = Input.of(data, **options).held()
    passes: list[_Pass] = []
    began = time.perf_counter()
    while sum(each.samples for each in passes) < SAMPLES_MIN or time.perf_counter() - began < seconds:
        engine = source.engine(graph)
        engine.sampled = sampled = _core.Profile()
        start = time.perf_counter()
        with sampled:
            for _ in source.vectors(engine, Intake()):
                if progress is not None:
                    progress(f"pass {len(passes) + 1}", engine.messages)
        passes.append(_Pass(time.perf_counter() - start, *sampled.samples()))
        if not engine.messages:
            what = "the input has no message, so that nothing can be measured"
            raise DataError("BAD_VALUE", what, next_step="Give a longer one.")
    # In a pass that took longer the engine had to wait for the processor, at whatever step it was.
    seen = sorted((each for each in passes if each.samples), key=lambda each: each.seconds)
    return ProfileReport.of(graph, seen[: (len(seen) + 1) // 2], engine.messages)
