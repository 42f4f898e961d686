"""A classifier for the demo: will the mid be higher in ten seconds? Fitted in a blink, and judged honestly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from signal_stream.demo.prices import PRICE, prices
from signal_stream.durations import duration_ns
from signal_stream.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    import pyarrow as pa

HORIZON: Final = "10s"
SIGNAL: Final = f"up_{HORIZON}"
LABEL: Final = f"sign of the mid's return over the next {HORIZON}"
_RETURN: Final = f"fwd_{HORIZON}"
_FOLDS: Final = 4
_ROWS_MIN: Final = 100


@dataclass(frozen=True, slots=True)
class Score:
    """How well predictions ranked returns that the model had not seen. NaN where too little moved to say.

    `windows` is how many horizons the rows span: rows 100 ms apart share most of their next ten seconds, so this, not
    their number, is what the score rests on.
    """

    rows: int
    windows: float
    rank_ic: float
    auc: float

    @property
    def error(self) -> float:
        """Standard error that the rank IC of pure chance would have."""
        return float(max(self.windows, 1.0) ** -0.5)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model and what it was fitted on: `rows` (features, float32) whose label was known, of `vectors` in all."""

    model: Any
    columns: tuple[str, ...]
    rows: np.ndarray
    vectors: int
    up_share: float
    folds: tuple[Score, ...]

    @property
    def held_out(self) -> Score:
        """The folds together, each weighing as much as it has rows."""
        return Score(
            rows=sum(fold.rows for fold in self.folds),
            windows=sum(fold.windows for fold in self.folds),
            rank_ic=_mean([(fold.rank_ic, fold.rows) for fold in self.folds]),
            auc=_mean([(fold.auc, fold.rows) for fold in self.folds]),
        )


def fit(features: Path, tape: Path, columns: Sequence[str]) -> Fitted:
    """Fits on a table of the tape's features. Uses no row whose label was not known when the tape ended.

    Held-out scores come from a walk forward with an embargo of the horizon; the model itself is fitted on all rows.
    Raises DataError if too few rows are left.
    """
    import pyarrow.parquet as pq

    import signal_stream as ss

    table = pq.read_table(features)
    vectors = table.num_rows
    price = prices(tape)
    if not price["ts_recv"].equals(table["ts_recv"]):
        raise AssertionError("the prices are not those of the table's moments")
    table = ss.label.forward_return(table.append_column(PRICE, price[PRICE]), HORIZON)
    table = table.select(["ts_recv", *columns, _RETURN]).drop_null()
    if table.num_rows < _ROWS_MIN or not _returns(table).any():
        raise DataError(
            "BAD_VALUE",
            f"{table.num_rows:,} of {vectors:,} vectors are whole and have a label that is known: too few, or all the same",
            where=str(tape),
            next_step="Give a capture of a livelier market, or a longer one.",
        )
    walk = ss.split.walk_forward(table, folds=_FOLDS, embargo=HORIZON)
    folds = tuple(_score(fold.train, fold.test, columns) for fold in walk if fold.train.num_rows >= _ROWS_MIN)
    rows, returns = _rows(table, columns), _returns(table)
    return Fitted(
        model=_model(rows, returns),
        columns=tuple(columns),
        rows=rows,
        vectors=vectors,
        up_share=float((returns[returns != 0] > 0).mean()),
        folds=folds,
    )


def score(times_ns: np.ndarray, predictions: np.ndarray, returns: np.ndarray) -> Score:
    """Predictions, in order of time, against the returns that followed."""
    import numpy as np
    from scipy.stats import spearmanr
    from sklearn.metrics import roc_auc_score

    moved = returns != 0
    both = len(np.unique(returns[moved] > 0)) == 2
    varied = len(np.unique(returns)) > 1 and len(np.unique(predictions)) > 1
    span_ns = float(times_ns[-1] - times_ns[0]) if len(times_ns) else 0.0
    return Score(
        rows=len(returns),
        windows=span_ns / duration_ns(HORIZON),
        rank_ic=float(spearmanr(predictions, returns).statistic) if varied else float("nan"),
        auc=float(roc_auc_score(returns[moved] > 0, predictions[moved])) if both else float("nan"),
    )


def _mean(weighted: Sequence[tuple[float, int]]) -> float:
    """Of those that are numbers; NaN if none is."""
    known = [(value, weight) for value, weight in weighted if value == value]
    return (
        sum(value * weight for value, weight in known) / sum(weight for _, weight in known) if known else float("nan")
    )


def _score(train: pa.Table, test: pa.Table, columns: Sequence[str]) -> Score:
    import pyarrow as pa

    times = test["ts_recv"].cast(pa.timestamp("ns", tz="UTC")).cast(pa.int64()).to_numpy()
    model = _model(_rows(train, columns), _returns(train))
    return score(times, model.predict_proba(_rows(test, columns))[:, -1], _returns(test))


def _model(rows: np.ndarray, returns: np.ndarray) -> Any:
    """Few and shallow trees, since a few hundred seconds of market say little; unmoved prices teach nothing.

    Every feature of the graph changes its sign where buyers and sellers change places, so each row teaches twice, the
    second time in the mirror. That keeps the trees from learning which way the price happened to drift.
    """
    import numpy as np
    from sklearn.ensemble import GradientBoostingClassifier

    moved = returns != 0
    seen, up = rows[moved], returns[moved] > 0
    model = GradientBoostingClassifier(
        n_estimators=60,
        max_depth=2,
        learning_rate=0.05,
        subsample=0.5,
        min_samples_leaf=max(20, len(seen) // 5),
        random_state=0,
    )
    return model.fit(np.concatenate([seen, -seen]), np.concatenate([up, ~up]))


def _rows(table: pa.Table, columns: Sequence[str]) -> np.ndarray:
    import numpy as np

    return np.column_stack([table[name].to_numpy() for name in columns]).astype(np.float32)


def _returns(table: pa.Table) -> np.ndarray:
    returns: np.ndarray = table[_RETURN].to_numpy()
    return returns
