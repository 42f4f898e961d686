"""Kafka: one event a message to events, sequence rules and books beside a bare loop over the same queue, in pairs; and signals
in transactions. Broker and clients share this machine's cores.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benches.captures import captures
from benches.figure import Figure, Goal, Measured
from benches.program import NotBuilt, built

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kafka_broker import Broker

IN = "Kafka, one event a message, to events, sequence and books"
OUT = "signals into a topic, in transactions"
IN_GOAL, OUT_GOAL = Goal("ratio", ">=", 0.8), Goal("value", ">=", 50_000)
MESSAGES = 2_000_000
SIGNALS = 100_000
COMMIT_S = 0.010
"""About how long a transaction lasts that the goal speaks of."""


def measure(*, quick: bool) -> Iterator[Figure]:
    """Both ways."""
    from tests.kafka_broker import Broker

    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(Path(folder) / "broker")
        broker.start()
        try:
            yield _in(broker, quick=quick)
            yield _out(broker, quick=quick)
        finally:
            broker.close()


def _in(broker: Broker, *, quick: bool) -> Figure:
    from signal_stream import _core
    from signal_stream.ingest import read_tape

    try:
        program = built()
    except NotBuilt as error:
        return Figure(IN, "messages/s", None, goal=IN_GOAL, note=f"not measured: {error}")
    files, what = captures()
    packed = [each for file in files for batch in read_tape(file) for each in _core.pack_events(batch)]
    copies = 1 if quick else max(1, MESSAGES // len(packed))
    broker.topic("events")
    count = broker.write("events", ((f"{key}{copy}", value, [], 0) for copy in range(copies) for key, value in packed))
    printed = subprocess.run(
        [program, "kafka", broker.servers, "events"], check=True, stdout=subprocess.PIPE, text=True
    )
    row = json.loads(printed.stdout)
    size = sum(len(value) for _, value in packed) / len(packed)
    note = f"{count:,} messages of {size:.0f} bytes ({what}); the middle of 5 pairs, broker on the same cores"
    return Figure(
        IN, "messages/s", Measured.once(row["value"]), row["peer"], Measured.once(row["peer_value"]), IN_GOAL, note
    )


def _out(broker: Broker, *, quick: bool) -> Figure:
    from signal_stream.emit import KafkaSink
    from signal_stream.testing import sample_signals

    records = sample_signals(SIGNALS // 10 if quick else SIGNALS)
    rates, best, best_took = [], 0, 0.0
    for size in (250, 500, 1_000, 2_000):
        topic = f"signals-{size}"
        sink = KafkaSink(KafkaSink.Settings(url=broker.topic(topic), transactional_id=topic))
        sink.open(None)
        sink.send(records[:size])
        begun = time.monotonic()
        for begin in range(size, len(records), size):
            sink.send(records[begin : begin + size])
        took = time.monotonic() - begun
        sink.close()
        rates.append((len(records) - size) / took)
        commit_s = took / max(1, (len(records) - size) // size)
        if not best or abs(commit_s - COMMIT_S) < abs(best_took - COMMIT_S):
            best, best_took = size, commit_s
    ours = rates[(250, 500, 1_000, 2_000).index(best)]
    each = ", ".join(f"{size:,}: {rate:,.0f}/s" for size, rate in zip((250, 500, 1_000, 2_000), rates, strict=True))
    note = f"transactions of {best:,} signals, one every {best_took * 1e3:.1f} ms; by signals a transaction {each}"
    return Figure(OUT, "signals/s", Measured.once(ours), goal=OUT_GOAL, note=note)
