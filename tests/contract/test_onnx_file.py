"""What `save_onnx` says of models that it cannot write."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier

import signal_stream as ss
from signal_stream.errors import ModelError

ROWS = np.random.default_rng(7).random((200, 2))
UP = ROWS[:, 0] > 0.5


class Own(ClassifierMixin, BaseEstimator):
    """A model of the user's own, for which nobody wrote a converter."""

    def fit(self, rows: np.ndarray, up: np.ndarray) -> Own:
        self.classes_, self.n_features_in_ = np.unique(up), rows.shape[1]
        return self

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        return np.full((len(rows), 2), 0.5)


@pytest.mark.parametrize(
    "model", [Own(), HistGradientBoostingClassifier(max_iter=2)], ids=lambda model: type(model).__name__
)
def test_a_model_without_a_converter_is_named_in_a_line(model: Own, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as raised:
        ss.save_onnx(model.fit(ROWS, UP), tmp_path / "m.onnx", columns=["a", "b"], rows=ROWS)
    assert raised.value.code == "CONVERT"
    assert type(model).__name__ in str(raised.value) and "\n" not in raised.value.message
    assert not (tmp_path / "m.onnx").exists()


def test_other_columns_than_the_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="takes 2 columns"):
        ss.save_onnx(Own().fit(ROWS, UP), tmp_path / "m.onnx", columns=["a"], rows=ROWS)
