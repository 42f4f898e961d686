"""Decisions as a pipeline makes them, for trying parts out: simulated vectors, a model that answers or not, all verdicts."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import signal_stream as ss
from signal_stream import _core, book, trades
from signal_stream.records import HALT, PASS, VETO, Decision, Latency, Prediction, Verdict

from .market_simulator import MarketSimulator
from .memory_source import MemorySource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from signal_stream.records import VectorRow

_ANSWERS: Final = (
    Prediction(0.7, (0.3, 0.7), "OK", 21_000),
    Prediction(0.2, (0.8, 0.2), "OK", 19_000),
    Prediction(None, (), "DEADLINE", 5_000_000),
    Prediction(0.5, (0.5, 0.5), "OK", 20_000),
    None,
    Prediction(None, (), "DEAD", 0),
    Prediction(-1.5, (2.5, -1.5), "OK", 22_000),
)


def sample_vectors(*, seconds: float = 4.0, seed: int = 1) -> list[VectorRow]:
    """Vectors of a simulated market, ten a second: the first ones have features that are missing, with their reasons.

    >>> rows = sample_vectors(seconds=1.0)
    >>> len(rows), rows[0].values[-1], rows[0].reasons[-1]
    (9, None, 'WARMUP')
    """
    mid = book.mid()
    graph = ss.FeatureGraph(
        name="sample",
        on=ss.every("100ms"),
        features={
            "mid": mid,
            "spread": book.spread(),
            "imbalance": book.imbalance(levels=5),
            "flow": trades.signed_qty().rolling("1s").sum(),
            "volatility": mid.log().diff().rolling(5).std(),
        },
    )
    engine = _core.Engine(_core.Plan(graph.to_json()))
    source = MemorySource.of_lines(MarketSimulator(seed=seed, duration_s=seconds).lines())
    rows: list[VectorRow] = []
    while (batch := source.next(0)) is not None:
        made = engine.push(batch)
        rows += [made.row(i) for i in range(len(made))]
    return rows


def sample_decisions(vectors: Sequence[VectorRow] | None = None) -> list[Decision]:
    """A decision for each vector (by default those of `sample_vectors`): passes, vetoes and halts in turn, with and without
    a prediction, of a live model and one in shadow.

    >>> sorted({decision.verdict.outcome for decision in sample_decisions()})
    ['HALT', 'PASS', 'VETO']
    """
    rows = sample_vectors() if vectors is None else vectors
    return [_decision(i, row) for i, row in enumerate(rows)]


def _decision(i: int, row: VectorRow) -> Decision:
    prediction = _ANSWERS[i % len(_ANSWERS)]
    missing = any(reason is not None for reason in row.reasons)
    if missing:
        prediction, verdict = None, Verdict(VETO, ("INCOMPLETE",), ("features are missing",))
    elif prediction is None or prediction.value is None:
        verdict = Verdict(VETO, ("DEADLINE",), ("the model's answer is DEADLINE",))
    elif i % 11 == 10:
        verdict = Verdict(HALT, ("STALE",), ("the oldest input is 2 s old",))
    else:
        verdict = Verdict(PASS, defaults_used=("flow",) if i % 5 == 0 else ())
    passed = verdict.outcome == PASS and prediction is not None
    return Decision(
        signal_id=hashlib.sha256(f"{i}".encode()).hexdigest()[:32],
        model="sample@1",
        stage="shadow" if i % 3 == 2 else "live",
        vector=row,
        prediction=prediction,
        verdict=verdict,
        value=prediction.value if passed and prediction is not None else None,
        latency=Latency(10_000, 20_000, 5_000, 1_000),
    )
