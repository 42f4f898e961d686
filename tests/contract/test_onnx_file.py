"""What `save_onnx` and `seal_onnx` write: a file that predicts what the original predicts, or a line that says why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import onnx
import onnxruntime
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import xgboost
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

import signal_stream as ss
from signal_stream.errors import ManifestError, ModelError
from signal_stream.research.golden import golden_indices, rows_as_doubles
from signal_stream.research.onnx_file import read_info
from signal_stream.research.tree_models import unrounded

COLUMNS = ["a", "b", "c"]
DRAW = np.random.default_rng(7)
ROWS = DRAW.random((300, 3))
UP = ROWS[:, 0] + ROWS[:, 1] ** 2 > 0.9
MANY = {"max_examples": 15, "deadline": None, "suppress_health_check": list(HealthCheck)}


def asked(path: Path, rows: np.ndarray, index: int = -1) -> np.ndarray:
    """What the runtime itself predicts for rows of doubles."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    node = session.get_inputs()[0]
    given = rows.astype(np.float32 if node.type == "tensor(float)" else np.float64)
    return session.run(None, {node.name: given})[-1].reshape(len(rows), -1)[:, index].astype(np.float64)


# Predictions are the original's


def boosted(kind: str) -> Any:
    quick: dict[str, Any] = {"n_estimators": 8, "random_state": 0}
    lgb: dict[str, Any] = quick | {"verbose": -1, "n_jobs": 1}
    hist: dict[str, Any] = {"max_iter": 8, "random_state": 0}
    return {
        "logistic": LogisticRegression,
        "tree": lambda: DecisionTreeClassifier(max_depth=6),
        "forest": lambda: RandomForestClassifier(**quick),
        "extra trees": lambda: ExtraTreesClassifier(**quick),
        "gradients": lambda: GradientBoostingClassifier(**quick),
        "exponential": lambda: GradientBoostingClassifier(loss="exponential", **quick),
        "histograms": lambda: HistGradientBoostingClassifier(**hist),
        "lightgbm": lambda: lightgbm.LGBMClassifier(**lgb),
        "lightgbm ova": lambda: lightgbm.LGBMClassifier(objective="multiclassova", num_class=2, **lgb),
        "lightgbm dart": lambda: lightgbm.LGBMClassifier(boosting_type="dart", **lgb),
        "xgboost": lambda: xgboost.XGBClassifier(**quick),
        "xgboost dart": lambda: xgboost.XGBClassifier(booster="dart", rate_drop=0.5, **quick),
        "xgboost base": lambda: xgboost.XGBClassifier(base_score=0.2, **quick),
        "linear": LinearRegression,
        "forest of values": lambda: RandomForestRegressor(**quick),
        "gradients of values": lambda: GradientBoostingRegressor(**quick),
        "histograms of values": lambda: HistGradientBoostingRegressor(**hist),
        "histograms of counts": lambda: HistGradientBoostingRegressor(loss="poisson", **hist),
        "lightgbm values": lambda: lightgbm.LGBMRegressor(**lgb),
        "lightgbm counts": lambda: lightgbm.LGBMRegressor(objective="tweedie", **lgb),
        "lightgbm forest": lambda: lightgbm.LGBMRegressor(
            boosting_type="rf", bagging_freq=1, bagging_fraction=0.5, **lgb
        ),
        "xgboost values": lambda: xgboost.XGBRegressor(**quick),
        "xgboost counts": lambda: xgboost.XGBRegressor(objective="count:poisson", **quick),
    }[kind]()


CLASSIFIERS = (
    "logistic", "tree", "forest", "extra trees", "gradients", "exponential", "histograms", "lightgbm", "lightgbm dart",
    "xgboost", "xgboost dart", "xgboost base",
)  # fmt: skip
REGRESSORS = (
    "linear", "forest of values", "gradients of values", "histograms of values", "histograms of counts",
    "lightgbm values", "lightgbm counts", "lightgbm forest", "xgboost values", "xgboost counts",
)  # fmt: skip


@settings(**MANY)
@given(
    kind=st.sampled_from(CLASSIFIERS + REGRESSORS),
    scaled=st.booleans(),
    classes=st.sampled_from([2, 3]),
    words=st.booleans(),
    offset=st.sampled_from([0.0, 100.0, 61_000.0, -1e6]),
    spread=st.sampled_from([1e-3, 1.0, 50.0]),
    seed=st.integers(0, 999),
)
@example(kind="gradients", scaled=True, classes=3, words=False, offset=-1e6, spread=50.0, seed=1)
def test_any_model_is_written_exactly_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
    kind: str, scaled: bool, classes: int, words: bool, offset: float, spread: float, seed: int,
) -> None:  # fmt: skip
    """Rows that the file was not compared with are predicted as well as those that it was."""
    draw = np.random.default_rng(seed)
    rows = offset + spread * np.column_stack(
        [draw.normal(size=500), draw.integers(0, 40, 500) / 8, draw.standard_t(2, size=500)]
    )
    drive = (rows[:, 0] - rows[:, 1]) / spread
    model = boosted(kind)
    if scaled:
        model = make_pipeline(StandardScaler(), model)
    more: dict[str, Any] = {}
    if kind in CLASSIFIERS:
        classes = 2 if kind == "exponential" else classes
        target = np.digitize(drive, np.quantile(drive, np.arange(1, classes) / classes))
        if words and "xgboost" not in kind:
            target = np.array(["down", "flat", "up"])[target]
        model.fit(rows[:400], target[:400])
        more["class_"] = model.classes_[seed % classes].item()
        wanted = model.predict_proba(rows)[:, seed % classes]
        allowed = 1e-5
    else:
        target = np.abs(drive) + 0.1
        model.fit(rows[:400], target[:400])
        wanted = np.asarray(model.predict(rows), dtype=np.float64)
        allowed = 1e-5 * np.ptp(wanted)
    path = tmp_path_factory.mktemp("model") / "m.onnx"
    ss.save_onnx(model, path, columns=COLUMNS, rows=rows[:400], horizon="1s", **more)
    index = seed % classes if kind in CLASSIFIERS else 0
    assert np.abs(asked(path, rows[:400], index) - wanted[:400]).max() <= allowed
    wrong = np.abs(asked(path, rows[400:], index) - wanted[400:]) > 10 * allowed
    assert wrong.sum() <= 1, "a threshold between float32 values may be met by a rare row"


@pytest.mark.parametrize("kind", ["histograms", "lightgbm", "xgboost"])
def test_boosted_models_are_found_wherever_they_stand(kind: str, tmp_path: Path) -> None:
    searched = GridSearchCV(make_pipeline(StandardScaler(), boosted(kind)), {}, cv=2).fit(ROWS, UP)
    path = ss.save_onnx(searched, tmp_path / "m.onnx", columns=COLUMNS, rows=ROWS)
    assert np.abs(asked(path, ROWS) - searched.predict_proba(ROWS)[:, 1]).max() < 1e-5


def test_boosters_and_early_ends_predict_what_they_predict(tmp_path: Path) -> None:
    data = xgboost.DMatrix(ROWS, UP, feature_names=COLUMNS)
    halves: dict[str, Any] = {"eval_set": [(ROWS[200:], ~UP[200:])]}
    early = xgboost.XGBClassifier(n_estimators=50, early_stopping_rounds=2, random_state=0)
    early.fit(ROWS[:200], UP[:200], verbose=False, **halves)
    stopped = lightgbm.LGBMClassifier(n_estimators=50, verbose=-1, random_state=0)
    stopped.fit(ROWS[:200], UP[:200], callbacks=[lightgbm.early_stopping(2, verbose=False)], **halves)
    assert early.best_iteration < 49
    assert stopped.best_iteration_ < 50
    binary = xgboost.train({"objective": "binary:logistic"}, data, 5)
    leaves = lightgbm.train(
        {"objective": "binary", "verbose": -1, "sigmoid": 0.7}, lightgbm.Dataset(ROWS, UP.astype(int)), 5
    )
    for name, model, wanted in (
        ("early", early, early.predict_proba(ROWS)[:, 1]),
        ("stopped", stopped, stopped.predict_proba(ROWS)[:, 1]),
        ("xgboost", binary, binary.predict(data)),
        ("lightgbm", leaves, leaves.predict(ROWS)),
    ):
        path = ss.save_onnx(model, tmp_path / f"{name}.onnx", columns=COLUMNS, rows=ROWS)
        assert np.abs(asked(path, ROWS) - wanted).max() < 1e-5, name


@settings(max_examples=300)
@given(value=st.floats(-1e30, 1e30), near=st.floats(-4, 4))
def test_a_moved_threshold_divides_doubles_as_the_threshold_divides_their_floats(value: float, near: float) -> None:
    limit = unrounded(value)
    ulp = float(np.spacing(np.float32(value)))
    for x in (limit, np.nextafter(limit, np.inf), np.nextafter(limit, -np.inf), value + near * ulp):
        assert (x <= limit) == (float(np.float32(x)) <= value)


def test_float32_is_taken_only_where_it_changes_nothing(tmp_path: Path) -> None:
    middle = 61_000 + 0.005 * DRAW.integers(0, 80, 2000)
    rows = np.column_stack([middle, middle + 0.002 * DRAW.normal(size=2000), DRAW.normal(size=2000)])
    up = np.roll(middle, -1) > rows[:, 1]
    near = make_pipeline(StandardScaler(), GradientBoostingClassifier(n_estimators=10, random_state=0))
    path = ss.save_onnx(near.fit(rows, up), tmp_path / "m.onnx", columns=COLUMNS, rows=rows)
    info = read_info(path)
    assert info is not None
    assert (info.dtype, info.rows_checked) == ("f64", 2000)
    assert np.abs(asked(path, rows) - near.predict_proba(rows)[:, 1]).max() < 1e-5
    path = ss.save_onnx(LogisticRegression().fit(ROWS, UP), path, columns=COLUMNS, rows=ROWS)
    assert (read_info(path) or info).dtype == "f32"


def test_small_values_are_held_to_their_own_spread(tmp_path: Path) -> None:
    """A model of returns of a millionth: to be right within 1e-5 would be to be anything."""
    model = Ridge().fit(ROWS, ROWS[:, 0] * 1e-6)
    path = ss.save_onnx(model, tmp_path / "m.onnx", columns=COLUMNS, rows=ROWS)
    assert np.abs(asked(path, ROWS) - model.predict(ROWS)).max() < 1e-5 * np.ptp(model.predict(ROWS))
    with pytest.raises(ModelError, match="is off by"):
        ss.seal_onnx(path, columns=COLUMNS, rows=ROWS, predict=lambda rows: rows[:, 1] * 1e-6)


def test_golden_rows_hold_the_extremes_and_are_the_same_each_time() -> None:
    rows, wanted = DRAW.normal(size=(5000, 4)), DRAW.normal(size=5000)
    kept = golden_indices(rows, wanted)
    assert len(kept) == 256
    assert (np.diff(kept) > 0).all()
    for column in (wanted, *rows.T):
        assert {int(np.argmin(column)), int(np.argmax(column))} <= set(kept.tolist())
    assert (golden_indices(rows.copy(), wanted.copy()) == kept).all()
    assert golden_indices(rows[:3], wanted[:3]).tolist() == [0, 1, 2]
    assert len(golden_indices(DRAW.normal(size=(300, 3000)), wanted[:300])) == 66


# Names


@settings(**MANY)
@given(
    order=st.permutations(COLUMNS), kind=st.sampled_from(["logistic", "histograms", "lightgbm", "xgboost", "booster"])
)
def test_names_that_a_model_carries_are_the_columns_in_order(
    tmp_path_factory: pytest.TempPathFactory, order: list[str], kind: str
) -> None:
    frame = pd.DataFrame(ROWS, columns=COLUMNS)[order]
    if kind == "booster":
        model: Any = xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(frame, UP), 3)
    else:
        model = boosted(kind).fit(frame, UP)
    path = tmp_path_factory.mktemp("model") / "m.onnx"
    if order == COLUMNS:
        ss.save_onnx(model, path, columns=COLUMNS, rows=frame)
        assert (read_info(path).names or []) == COLUMNS  # type: ignore[union-attr]
        return
    at = next(i for i, name in enumerate(order) if name != COLUMNS[i])
    with pytest.raises(ModelError, match=f'"{order[at]}" as column {at}, and columns has "{COLUMNS[at]}"') as raised:
        ss.save_onnx(model, path, columns=COLUMNS, rows=frame)
    assert raised.value.code == "COLUMNS"
    assert not path.exists()


# Classes and outputs


def test_of_more_than_two_classes_the_one_that_is_meant_is_said(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    words = np.array(["down", "flat", "up"])[np.digitize(ROWS[:, 0], [0.3, 0.6])]
    model = LogisticRegression().fit(ROWS, words)
    with pytest.raises(ModelError, match=r"3 classes \('down', 'flat', 'up'\).* Say class_='up'"):
        ss.save_onnx(model, path, columns=COLUMNS, rows=ROWS)
    for index, word in enumerate(model.classes_):
        ss.save_onnx(model, path, columns=COLUMNS, rows=ROWS, class_=word)
        assert np.abs(asked(path, ROWS, index) - model.predict_proba(ROWS)[:, index]).max() < 1e-5
        assert (read_info(path).output.index, read_info(path).output.size) == (index, 3)  # type: ignore[union-attr]
    with pytest.raises(ModelError, match="no class 'sideways'"):
        ss.save_onnx(model, path, columns=COLUMNS, rows=ROWS, class_="sideways")
    with pytest.raises(ModelError, match="1 class "):
        ss.save_onnx(DecisionTreeClassifier().fit(ROWS, [1] * 300), path, columns=COLUMNS, rows=ROWS)


def test_of_several_values_the_one_that_is_meant_is_said(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    model = LinearRegression().fit(ROWS, ROWS[:, :2])
    with pytest.raises(ModelError, match="2 values, and nobody said which"):
        ss.save_onnx(model, path, columns=COLUMNS, rows=ROWS)
    for output in range(2):
        ss.save_onnx(model, path, columns=COLUMNS, rows=ROWS, output=output)
        assert np.abs(asked(path, ROWS, output) - ROWS[:, output]).max() < 1e-5
    with pytest.raises(ModelError, match="no number 2"):
        ss.save_onnx(model, path, columns=COLUMNS, rows=ROWS, output=2)


# Rows as people have them


@pytest.mark.parametrize(
    "made",
    [
        lambda rows: rows.tolist(),
        lambda rows: rows.astype(object),
        lambda rows: pd.DataFrame(rows, columns=COLUMNS),
        lambda rows: pd.DataFrame(rows, columns=COLUMNS, index=range(5, 305))[["c", "a", "b"]].assign(label=1, day="x"),
        lambda rows: pd.DataFrame(rows),
        lambda rows: pl.DataFrame(rows, schema=COLUMNS),
        lambda rows: pa.table(dict(zip(COLUMNS, rows.T, strict=True))),
        lambda rows: pa.record_batch(dict(zip(COLUMNS, rows.T, strict=True))),
        lambda rows: np.ma.masked_array(rows),
        lambda rows: csr_array(rows),
        lambda rows: np.asfortranarray(rows),
    ],
)
def test_rows_come_as_any_table_of_numbers(made: Any) -> None:
    assert (rows_as_doubles(made(ROWS), COLUMNS) == ROWS).all()


def test_incomplete_rows_are_left_out() -> None:
    holes = ROWS.copy()
    holes[3, 1], holes[5, 0] = np.nan, np.inf
    table = pl.DataFrame(ROWS, schema=COLUMNS).with_columns(
        b=pl.when(pl.int_range(300) == 3).then(None).otherwise(pl.col("b"))
    )
    assert (rows_as_doubles(holes, COLUMNS) == np.delete(ROWS, [3, 5], axis=0)).all()
    assert (rows_as_doubles(table, COLUMNS) == np.delete(ROWS, 3, axis=0)).all()


@pytest.mark.parametrize(
    ("rows", "code", "said"),
    [
        (ROWS[0], "COLUMNS", r"shape \(3,\)"),
        (ROWS[:, :2], "COLUMNS", r"shape \(300, 2\)"),
        (ROWS[:0], "ROWS", "there are no rows"),
        (np.full((4, 3), np.nan), "ROWS", "each of the 4 rows"),
        ([["x", "y", "z"]], "ROWS", "no table of numbers"),
        ([[1, 2], [3]], "ROWS", "no table of numbers"),
        (None, "COLUMNS", "shape"),
        (pd.DataFrame(ROWS, columns=["a", "b", "d"]), "COLUMNS", 'no column "c"'),
        (pd.DataFrame({"a": ["x"], "b": [1], "c": [2]}), "ROWS", 'column "a" of the rows is'),
        (pd.DataFrame({"a": pd.to_datetime(["2024-01-01"]), "b": [1], "c": [2]}), "ROWS", 'column "a"'),
    ],
)
def test_rows_that_are_none_are_a_line(rows: Any, code: str, said: str) -> None:
    with pytest.raises(ModelError, match=said) as raised:
        rows_as_doubles(rows, COLUMNS)
    assert raised.value.code == code


# Models that cannot be written


class Own(ClassifierMixin, BaseEstimator):
    """A model of the user's own, for which nobody wrote a converter."""

    def fit(self, rows: np.ndarray, up: np.ndarray) -> Own:
        self.classes_, self.n_features_in_ = np.unique(up), rows.shape[1]
        return self

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        return np.full((len(rows), 2), 0.5)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Own().fit(ROWS, UP), r"skl2onnx cannot convert Own.*seal_onnx"),
        (LogisticRegression(), "LogisticRegression is not fitted"),
        (make_pipeline(StandardScaler(), LogisticRegression()), "Pipeline is not fitted"),
        (lightgbm.LGBMClassifier(), "LGBMClassifier is not fitted"),
        (xgboost.XGBClassifier(), "XGBClassifier is not fitted"),
        (LogisticRegression, "is no fitted model"),
        ("m.onnx", "is no fitted model"),
        (StandardScaler().fit(ROWS), "is no fitted model"),
        (LinearSVC().fit(ROWS, UP), "without probabilities"),
        (
            HistGradientBoostingClassifier(max_iter=2, categorical_features=[2]).fit((9 * ROWS).round(), UP),
            "categories",
        ),
        (lightgbm.LGBMRegressor(n_estimators=2, linear_tree=True, verbose=-1).fit(ROWS, ROWS[:, 0]), "linear leaves"),
        (xgboost.XGBRegressor(n_estimators=2, booster="gblinear").fit(ROWS, ROWS[:, 0]), "which is no trees"),
        (xgboost.XGBClassifier(n_estimators=2, objective="binary:hinge").fit(ROWS, UP), "hinge"),
    ],
    ids=str,
)
def test_a_model_that_cannot_be_written_is_named_in_a_line(model: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=rf"(?s){said}") as raised:
        ss.save_onnx(model, tmp_path / "m.onnx", columns=COLUMNS, rows=ROWS)
    assert raised.value.code == "CONVERT"
    assert "\n" not in raised.value.message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("columns", ["abc", ["a", "b"], ["a", "b", "b"], ["a", "b", 3], []])
def test_columns_that_are_not_the_models_are_refused(columns: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as raised:
        ss.save_onnx(LogisticRegression().fit(ROWS, UP), tmp_path / "m.onnx", columns=columns, rows=ROWS)
    assert raised.value.code == "COLUMNS"


def test_mistakes_beside_the_model_are_lines(tmp_path: Path) -> None:
    model = LogisticRegression().fit(ROWS, UP)
    with pytest.raises(ManifestError, match="horizon is '10seconds'"):
        ss.save_onnx(model, tmp_path / "m.onnx", columns=COLUMNS, rows=ROWS, horizon="10seconds")
    with pytest.raises(ModelError, match="cannot be written") as raised:
        ss.save_onnx(model, tmp_path, columns=COLUMNS, rows=ROWS)
    assert raised.value.code == "WRITE"


# Files from elsewhere


def elsewhere(path: Path, *, kind: int = TensorProto.FLOAT, batch: Any = "n", **metadata: str) -> Path:
    """A linear model, written without any of our code: a + 2b + 3c."""
    dtype = np.float32 if kind == TensorProto.FLOAT else np.float64
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "linear",
        [helper.make_tensor_value_info("x", kind, [batch, 3])],
        [helper.make_tensor_value_info("y", kind, [batch, 1])],
        [numpy_helper.from_array(np.array([[1], [2], [3]], dtype), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, metadata)
    onnx.save(model, path)
    return path


def linear(rows: np.ndarray) -> np.ndarray:
    return rows @ [1.0, 2.0, 3.0]


@pytest.mark.parametrize("batch", ["n", 1])
@pytest.mark.parametrize(("kind", "dtype"), [(TensorProto.FLOAT, "f32"), (TensorProto.DOUBLE, "f64")])
def test_a_file_from_elsewhere_is_sealed(tmp_path: Path, batch: Any, kind: int, dtype: str) -> None:
    path = elsewhere(tmp_path / "m.onnx", kind=kind, batch=batch)
    assert read_info(path) is None
    for predict in (linear, linear(ROWS), linear(ROWS).tolist(), lambda rows: linear(rows)[:, None]):
        assert ss.seal_onnx(path, columns=COLUMNS, rows=ROWS, predict=predict, horizon="1s") == path
        info = read_info(path)
        assert info is not None
        assert (info.columns, info.dtype, info.output.name) == (COLUMNS, dtype, "y")
        assert np.abs(linear(np.array(info.inputs)) - info.outputs).max() < 1e-9
    assert len(onnx.load(path).metadata_props) == 1, "sealed again, it has the info once"


def test_what_is_sealed_is_what_the_original_says(tmp_path: Path) -> None:
    path = elsewhere(tmp_path / "m.onnx")
    before = path.read_bytes()
    for predict, said in (
        (lambda rows: rows @ [3.0, 2.0, 1.0], "the file is off by"),
        (linear(ROWS)[:7], "7 predictions for 300 complete rows"),
        (lambda rows: 1 / 0, "the model itself fails on the rows: division by zero"),
        (lambda rows: np.full(len(rows), np.nan), "the model itself predicts"),
        (lambda rows: np.zeros((len(rows), 2)), "predict gives 2 numbers a row"),
    ):
        with pytest.raises(ModelError, match=said):
            ss.seal_onnx(path, columns=COLUMNS, rows=ROWS, predict=predict)
    assert path.read_bytes() == before


def test_names_in_a_file_and_in_its_original_are_the_columns(tmp_path: Path) -> None:
    path = elsewhere(tmp_path / "m.onnx", feature_names='["b", "a", "c"]')
    with pytest.raises(ModelError, match='the file was fitted on "b" as column 0'):
        ss.seal_onnx(path, columns=COLUMNS, rows=ROWS, predict=linear)
    named = LinearRegression().fit(pd.DataFrame(ROWS, columns=["c", "b", "a"]), linear(ROWS))
    with pytest.raises(ModelError, match='the original was fitted on "c" as column 0'):
        ss.seal_onnx(elsewhere(path), columns=COLUMNS, rows=ROWS, predict=named.predict)


def test_tensors_beside_the_file_are_taken_in(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(onnx.load(elsewhere(path)), path, save_as_external_data=True, location="w.bin", size_threshold=0)
    ss.seal_onnx(path, columns=COLUMNS, rows=ROWS, predict=linear)
    (tmp_path / "w.bin").unlink()
    assert np.abs(asked(path, ROWS) - linear(ROWS)).max() < 1e-5


def test_which_output_is_meant_is_said_where_there_are_several(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    floats = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width])
        for name, width in (("x", 3), ("same", 3), ("twice", 3))
    ]
    nodes = [helper.make_node("Identity", ["x"], ["same"]), helper.make_node("Add", ["x", "x"], ["twice"])]
    graph = helper.make_graph(nodes, "two", floats[:1], floats[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    more: dict[str, Any]
    for more, said in (
        ({}, "several outputs of floats"),
        ({"output": "thrice"}, 'no output "thrice"'),
        ({"output": "twice"}, "3 numbers, and nobody said which"),
        ({"output": "twice", "index": 3}, "no number 3"),
    ):
        with pytest.raises(ModelError, match=said) as raised:
            ss.seal_onnx(path, columns=COLUMNS, rows=ROWS, predict=lambda rows: 2 * rows, **more)
        assert raised.value.code == "OUTPUT"
    for predict in (lambda rows: 2 * rows, lambda rows: 2 * rows[:, 1]):
        ss.seal_onnx(path, columns=COLUMNS, rows=ROWS, predict=predict, output="twice", index=1)
        assert np.array(read_info(path).outputs).max() > 1.5  # type: ignore[union-attr]
