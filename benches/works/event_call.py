"""The graph of 23 outputs, one event a call from Python: `Engine.bind`, against the same outputs in plain C.

Both sides are called as cheaply as they allow: ours with a row number, C with a row's buffer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import signal_stream as ss
from benches import floors, talib_graph
from benches.figure import Figure, Goal, Measured
from benches.graph23 import graph
from benches.minutes import FIELDS, Minutes
from benches.turns import Party, in_turns, on_one_cpu, timed

if TYPE_CHECKING:
    from collections.abc import Iterator

OUTPUTS = len(graph.features)
GOAL = Goal("ratio", "<=", 1.5)


def measure(*, quick: bool) -> Iterator[Figure]:
    """Two figures: beside C, and beside TA-Lib's streams."""
    on_one_cpu()
    events, rounds = (2_048, 10) if quick else (4_096, 300)
    minutes = Minutes.made(events)
    work, unit = "graph23, one event a call from Python", "ns/value"
    parties = {"ours": ours(minutes)}
    notes = {}
    for name, party in (("c_ext_buf", in_c), ("TA-Lib streams", in_talib)):
        try:
            parties[name] = party(minutes)
        except (floors.NoFloor, talib_graph.NoTalib, ImportError) as error:
            notes[name] = f"peer not measured: {error}"
    took = in_turns(parties, rounds=rounds)
    value = Measured.least(took["ours"], scale=1e9 / events / OUTPUTS)
    for name, outputs, goal in (("c_ext_buf", OUTPUTS, GOAL), ("TA-Lib streams", len(talib_graph.OWN), None)):
        peers = Measured.least(took[name], scale=1e9 / events / outputs) if name in took else None
        note = f"Engine.bind, {OUTPUTS} outputs; peer {outputs} outputs; {events} events a round, least of all rounds"
        yield Figure(work, unit, value, name, peers, goal, notes.get(name, note))


def ours(minutes: Minutes) -> Party:
    """A bound engine, called for every row; it goes on from round to round."""
    rows, out = minutes.rows(0, len(minutes)), np.zeros(OUTPUTS)
    step = ss.Engine(graph).bind(rows, out, fields=list(FIELDS), step="1m")

    def call_all() -> None:
        for i in range(len(rows)):
            step(i)

    return timed(call_all)


def in_c(minutes: Minutes) -> Party:
    """The C extension, called for every row's buffer."""
    native = floors.graph23()
    native.reset()
    rows, out, update = list(minutes.rows(0, len(minutes))), np.zeros(OUTPUTS), native.update

    def call_all() -> None:
        for row in rows:
            update(row, out)

    return timed(call_all)


def in_talib(minutes: Minutes) -> Party:
    """TA-Lib's streams, called for every row's numbers."""
    update = talib_graph.streams(minutes)
    rows = [tuple(row) for row in minutes.rows(0, len(minutes))[:, :4].tolist()]

    def call_all() -> None:
        for high, low, close, volume in rows:
            update(high, low, close, volume)

    return timed(call_all)
