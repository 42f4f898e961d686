"""What `register` compares before a model gets a version: graph, table, names, file, number type, predictions."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import signal_stream as ss
from signal_stream import trades
from signal_stream.errors import DataError, ModelError, SignalStreamError
from signal_stream.models.offline import OfflineModel
from signal_stream.models.onnx_wire import read_onnx
from signal_stream.registry import Manifest, Registry
from signal_stream.research.onnx_file import METADATA, read_info
from signal_stream.research.registration import Declaration, register
from signal_stream.testing import MarketSimulator

DECLARED = Declaration("micro", "tests", horizon="1s")
TWICE: dict[str, Any] = {"opset_imports": [helper.make_opsetid("", 17)], "ir_version": 9}


def graph(window: str = "2s", clock: str = "100ms", axis: str = "recv") -> ss.FeatureGraph:
    features = {
        "price": trades.price,
        "flow": trades.signed_qty().rolling(window).sum(),
        "drift": trades.price - trades.price.rolling(20).mean(),
    }
    return ss.FeatureGraph(name="ticks", on=ss.every(clock), axis=axis, features=features)


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("capture") / "market.gz"
    MarketSimulator(seed=7, duration_s=20.0).write_capture(path)
    return path


@pytest.fixture
def made(tmp_path: Path, capture: Path) -> Path:
    """A folder with a table and a model that was fitted on it."""
    ss.backfill(graph(), capture, tmp_path / "train.parquet")
    rows = training_rows(tmp_path)
    model = LogisticRegression().fit(rows, rows[:, 1] > 0)
    ss.save_onnx(model, tmp_path / "m.onnx", columns=graph().features, rows=rows, signal="up")
    return tmp_path


def training_rows(folder: Path) -> np.ndarray:
    table = pq.read_table(folder / "train.parquet")
    rows = np.column_stack([table[name].to_numpy() for name in graph().features])
    return rows[np.isfinite(rows).all(axis=1)]


def registered(
    folder: Path,
    *,
    made_by: ss.FeatureGraph | None = None,
    model: str = "m.onnx",
    train: str = "train.parquet",
    **more: Any,
) -> Manifest:
    """The manifest that a registration gives."""
    declared = replace(DECLARED, **more)
    entry = register(made_by or graph(), folder / model, folder / train, folder / "registry", declared, now=1)
    return Registry(folder / "registry").load(entry.ref).manifest


def trained_on(folder: Path, manifest: Manifest) -> dict[str, Any]:
    """What a version says of its training table."""
    model = Registry(folder / "registry").load(f"{manifest.name}@{manifest.version}")
    found: dict[str, Any] = json.loads(model.files["training.json"].read_bytes())
    return found


# The table


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (graph(window="30s"), "the same features, computed otherwise"),
        (graph(clock="200ms"), "the same features, but on is"),
        (graph(axis="event"), 'axis is "event" now and was "recv"'),
    ],
)
def test_the_table_is_of_this_very_graph(made: Path, other: ss.FeatureGraph, said: str) -> None:
    with pytest.raises(DataError, match=said) as raised:
        registered(made, made_by=other)
    assert raised.value.value == graph().digest
    assert not (made / "registry").exists()
    rows = pq.read_metadata(made / "train.parquet").num_rows
    assert trained_on(made, registered(made)) == {"rows": rows, "graph_digest": graph().digest}


def test_the_instruments_of_the_table_are_noted(made: Path) -> None:
    table = pq.read_table(made / "train.parquet")
    assert registered(made).instruments == ("BTCUSDT.BINANCE",)
    at = table.schema.get_field_index("instrument")
    two = pa.array(["B.X", "A.X"] * (len(table) // 2) + ["A.X"] * (len(table) % 2))
    for column, noted in (
        (two, ("A.X", "B.X")),
        (two.dictionary_encode(), ("A.X", "B.X")),
        (pa.array(["TABLE"] * len(table)), ()),
        (pa.array([7] * len(table)), ()),
    ):
        pq.write_table(table.set_column(at, "instrument", column), made / "other.parquet")
        assert registered(made, train="other.parquet").instruments == noted
    pq.write_table(table.drop_columns(["instrument"]), made / "other.parquet")
    assert registered(made, train="other.parquet").instruments == ()


def test_what_people_do_with_a_table_keeps_or_drops_its_graph(made: Path, capture: Path) -> None:
    labelled = ss.label.forward_return(pq.read_table(made / "train.parquet"), "1s", price="price")
    train = next(iter(ss.split.walk_forward(labelled, folds=2))).train
    for kept in (ss.compute(graph(), capture), labelled, train):
        pq.write_table(kept, made / "kept.parquet")
        assert trained_on(made, registered(made, train="kept.parquet"))["graph_digest"] == graph().digest
    pl.read_parquet(made / "train.parquet").write_parquet(made / "lost.parquet")
    for made_by in (graph(), graph(window="30s")):
        assert trained_on(made, registered(made, train="lost.parquet", made_by=made_by))["graph_digest"] is None


def rewritten(folder: Path, change: Callable[[pa.Table], pa.Table]) -> str:
    pq.write_table(change(pq.read_table(folder / "train.parquet")), folder / "other.parquet")
    return "other.parquet"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table.drop_columns(["flow"]), 'no column "flow"'),
        (lambda table: table.append_column("flow", table["flow"]), 'more than one column "flow"'),
        (lambda table: table.slice(0, 0), "no rows"),
        (
            lambda table: table.set_column(4, "flow", table["flow"].cast(pa.string()).combine_chunks()).set_column(
                table.column_names.index("flow"), "flow", pa.array(["x"] * len(table))
            ),
            "which is no number|more than one",
        ),
    ],
)
def test_a_table_that_does_not_fit_is_a_line(made: Path, change: Callable[[pa.Table], pa.Table], said: str) -> None:
    with pytest.raises(DataError, match=said):
        registered(made, train=rewritten(made, change))


def test_a_path_that_is_no_table_is_a_line(made: Path) -> None:
    (made / "text.csv").write_text("price,flow,drift\n1,2,3\n")
    for path, said in (("missing", "no such file"), (".", "it cannot be read"), ("text.csv", "Parquet")):
        with pytest.raises(DataError, match=said):
            registered(made, train=path)


# The file


def changed(folder: Path, change: Callable[[onnx.ModelProto], object]) -> str:
    proto = onnx.load(folder / "m.onnx")
    change(proto)
    onnx.save(proto, folder / "changed.onnx")
    return "changed.onnx"


def name_columns(proto: onnx.ModelProto) -> None:
    entry = proto.metadata_props.add()
    entry.key, entry.value = "feature_names", '["drift", "flow", "price"]'


def damage_info(proto: onnx.ModelProto) -> None:
    proto.metadata_props[0].value = proto.metadata_props[0].value[:-9]


def other_weights(proto: onnx.ModelProto) -> None:
    (node,) = (node for node in proto.graph.node if node.op_type == "LinearClassifier")
    next(each for each in node.attribute if each.name == "coefficients").floats[4] += 1.0


def weights_that_are_no_numbers(proto: onnx.ModelProto) -> None:
    (node,) = (node for node in proto.graph.node if node.op_type == "LinearClassifier")
    next(each for each in node.attribute if each.name == "coefficients").floats[4] = float("nan")


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (
            lambda proto: setattr(proto, "ir_version", 99),
            "UNREADABLE",
            r"IR version 99, and onnxruntime \S+ supports \d+ at",
        ),
        (lambda proto: setattr(proto.opset_import[0], "version", 99), "UNREADABLE", "opset 99 of .* supports"),
        (lambda proto: proto.ClearField("metadata_props"), "GOLDEN", r"save_onnx\(.*seal_onnx\("),
        (name_columns, "COLUMNS", 'names "drift" as column 0, the row has "price"'),
        (damage_info, "GOLDEN", "what it says of itself is damaged"),
        (other_weights, "GOLDEN", "the original predicts"),
        (weights_that_are_no_numbers, "GOLDEN", "the original predicts .*, the ONNX file nan"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused(
    made: Path, change: Callable[[onnx.ModelProto], object], code: str, said: str
) -> None:
    with pytest.raises(ModelError, match=said) as raised:
        registered(made, model=changed(made, change))
    assert raised.value.code == code
    assert "changed.onnx" in str(raised.value)


def test_a_file_of_other_columns_is_refused(made: Path) -> None:
    rows = training_rows(made)
    turned = rows[:, ::-1]
    model = LogisticRegression().fit(turned, rows[:, 1] > 0)
    ss.save_onnx(model, made / "turned.onnx", columns=graph().features[::-1], rows=turned)
    with pytest.raises(ModelError, match='column 0 of the model is "drift", of the graph "price"'):
        registered(made, model="turned.onnx")


def test_tensors_beside_the_file_are_refused_at_register_and_at_load(made: Path) -> None:
    rows = training_rows(made)
    network = make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(5, 4), max_iter=20, random_state=0)).fit(
        rows, rows[:, 1]
    )
    path = ss.save_onnx(network, made / "whole.onnx", columns=graph().features, rows=rows)
    output = (read_info(path) or pytest.fail("not sealed")).output
    proto = onnx.load(path)
    for tensor in proto.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name))
    onnx.save(proto, made / "split.onnx", save_as_external_data=True, location="weights.bin", size_threshold=32)
    for use in (
        lambda: registered(made, model="split.onnx"),
        lambda: OfflineModel(made / "split.onnx", columns=graph().features, output=output.name, output_index=0),
    ):
        with pytest.raises(ModelError, match=r'lies outside the file, in "weights.bin"'):
            use()
    assert registered(made, model="whole.onnx").golden.rows > 0


def nested(place: str) -> onnx.ModelProto:
    """A model whose one tensor lies elsewhere, at a place of the schema."""
    far = numpy_helper.from_array(np.ones(4, np.float32), "far")
    onnx.external_data_helper.set_external_data(far, "far.bin")
    far.ClearField("raw_data")
    value = helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])
    constant = helper.make_node("Constant", [], ["y"], value=far)
    inner = helper.make_graph([constant], "inner", [], [value])
    if place == "initializer":
        return helper.make_model(helper.make_graph([], "g", [], [value], [far]), **TWICE)
    if place == "constant":
        return helper.make_model(helper.make_graph([constant], "g", [], [value]), **TWICE)
    if place == "branch":
        node = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
        return helper.make_model(helper.make_graph([node], "g", [], [value]), **TWICE)
    if place == "function":
        function = helper.make_function("d", "f", [], ["y"], [constant], TWICE["opset_imports"])
        return helper.make_model(helper.make_graph([], "g", [], [value]), functions=[function], **TWICE)
    sparse = helper.make_sparse_tensor(far, numpy_helper.from_array(np.arange(4)), [8])
    proto = helper.make_model(helper.make_graph([], "g", [], [value]), **TWICE)
    proto.graph.sparse_initializer.append(sparse)
    return proto


@pytest.mark.parametrize("place", ["initializer", "constant", "branch", "function", "sparse"])
def test_a_tensor_beside_the_file_is_found_wherever_it_is_named(place: str) -> None:
    found = read_onnx(nested(place).SerializeToString())
    assert set(found.external) == {("far", "far.bin")}
    assert (found.ir_version, found.opsets) == (9, {"ai.onnx": 17})


def test_bytes_that_are_no_model_are_told(made: Path) -> None:
    whole = (made / "m.onnx").read_bytes()
    assert METADATA in read_onnx(whole).metadata
    for data in (b"", b"no model at all", b"ORTM" * 9, whole[: len(whole) // 2], whole + b"\x0f"):
        with pytest.raises(ValueError, match="not those of an ONNX model"):
            read_onnx(data)
        (made / "junk.onnx").write_bytes(data)
        with pytest.raises(ModelError, match="it is no ONNX model"):
            registered(made, model="junk.onnx")
    for path in ("missing.onnx", "."):
        with pytest.raises(ModelError, match="cannot be read"):
            registered(made, model=path)


def test_how_far_predictions_may_differ_is_kept_with_the_golden_rows(made: Path) -> None:
    """A probability by itself, a value by its spread, so that serving judges as registration did."""
    rows = training_rows(made)
    model = LinearRegression().fit(rows, 1e6 * rows[:, 1])
    ss.save_onnx(model, made / "value.onnx", columns=graph().features, rows=rows, signal="flow")
    for file, by_spread in (("m.onnx", False), ("value.onnx", True)):
        entry = register(graph(), made / file, made / "train.parquet", made / "registry", DECLARED, now=1)
        kept = json.loads(Registry(made / "registry").load(entry.ref).files["golden.json"].read_bytes())
        spread = max(kept["outputs"]) - min(kept["outputs"]) if by_spread else 1.0
        assert kept["tolerance"] == pytest.approx(1e-5 * spread, rel=1e-6)


# Number types


def test_doubles_stay_doubles(made: Path) -> None:
    path = made / "doubles.onnx"
    doubles = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["n", w]) for name, w in (("x", 3), ("y", 1))]
    weights = numpy_helper.from_array(np.array([[1e-9], [1.0], [1.0]]), "w")
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    onnx.save(helper.make_model(helper.make_graph([node], "g", doubles[:1], doubles[1:], [weights]), **TWICE), path)
    ss.seal_onnx(path, columns=graph().features, rows=training_rows(made), predict=lambda rows: rows @ [1e-9, 1.0, 1.0])
    manifest = registered(made, model="doubles.onnx")
    assert manifest.dtype == "f64"
    assert manifest.golden.difference_max < 1e-12
    assert registered(made).dtype == "f32"


def test_info_of_a_file_of_floats_do_not_pass_for_one_of_doubles(made: Path) -> None:
    entry = onnx.load(made / "m.onnx").metadata_props[0]
    doubles = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["n", w]) for name, w in (("x", 3), ("p", 2))]
    weights = numpy_helper.from_array(np.ones((3, 2)), "w")
    made_of = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["p"])], "g", doubles[:1], doubles[1:], [weights]
    )
    proto = helper.make_model(made_of, **TWICE)
    helper.set_model_props(proto, {METADATA: entry.value.replace('"probabilities"', '"p"')})
    onnx.save(proto, made / "doubles.onnx")
    with pytest.raises(ModelError, match="takes f64, and took f32 when it was sealed") as raised:
        registered(made, model="doubles.onnx")
    assert raised.value.code == "DTYPE"


# What is declared


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"deadline": "5"}, 'deadline is "5"'),
        ({"horizon": "10seconds"}, 'horizon is "10seconds"'),
        ({"refit": "sometimes"}, 'refit is "sometimes"'),
        ({"deadline": "0s"}, "deadline_ns = 0"),
        ({"fallback": "hope"}, 'fallback = "hope"'),
        ({"name": "a@b"}, 'name = "a@b"'),
        ({"owner": " "}, "owner"),
        ({"defaults": {"flaw": 0.0}}, 'Did you mean "flow"'),
        ({"defaults": {"flow": float("nan")}}, "defaults.flow"),
    ],
)
def test_a_mistake_in_what_is_declared_is_a_line(made: Path, more: dict[str, Any], said: str) -> None:
    with pytest.raises(SignalStreamError, match=said) as raised:
        registered(made, **more)
    assert len(str(raised.value).splitlines()) <= 2
    assert not (made / "registry").exists()
