"""A fitted model as an ONNX file that says what it needs: columns, output, golden predictions.

The file carries its info as ONNX metadata under `signal_stream`: the columns in order, the output, and some rows with
the *original* model's predictions, so that registration can check that the conversion changed nothing. `save_onnx`
converts and seals; `seal_onnx` seals a file that another converter wrote.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from signal_stream.durations import duration_ns
from signal_stream.errors import ManifestError, ModelError, did_you_mean
from signal_stream.registry import Output
from signal_stream.research.golden import (
    check_names,
    column_names,
    golden_indices,
    rows_as_doubles,
    tolerance,
    worst_difference,
)
from signal_stream.research.tree_models import (
    SEAL,
    as_regressor,
    conversions_to_doubles,
    fitted_names,
    is_booster,
    know_boosted,
)

if TYPE_CHECKING:
    import numpy as np

METADATA: Final = "signal_stream"
_DEPTH_MAX: Final = 8
_BETWEEN: Final = 4_096
"""Rows between the training rows on which float32 is compared."""
_ODD_SHARE: Final = 0.001
"""Of them, so many may be predicted otherwise."""


@dataclass(frozen=True, slots=True)
class SealedInfo:
    """What a sealed file says: its columns and output, the golden rows with the original's predictions, and what is predicted.

    `names` are those that the original itself carries, None if it has none. `rows_checked` rows were compared when it was
    sealed, and differed by at most `difference_max`. Files of earlier releases lack the last five.
    """

    columns: list[str]
    output: Output
    inputs: list[list[float]]
    outputs: list[float]
    signal: str
    horizon: str
    label: str
    dtype: str = ""
    probability: bool = True
    names: list[str] | None = None
    rows_checked: int = 0
    difference_max: float | None = None

    @classmethod
    def from_json(cls, text: str, *, where: str) -> Self:
        """Raises ModelError if the text is not what `to_json` writes."""
        try:
            data = json.loads(text)
            golden = data.pop("golden")
            data |= {"inputs": golden["inputs"], "outputs": golden["outputs"], "output": Output(**data["output"])}
            info = cls(**data)
            if not info.columns or not info.inputs or len(info.inputs) != len(info.outputs):
                raise ValueError("columns or golden rows are missing")
            if any(len(row) != len(info.columns) for row in info.inputs):
                raise ValueError("a golden row has another width")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ModelError(
                "GOLDEN", f"what it says of itself is damaged ({error})", where=where, next_step=SEAL
            ) from None
        return info

    def to_json(self) -> str:
        """JSON; `from_json` reads it back."""
        data = {each.name: getattr(self, each.name) for each in fields(self)}
        data["golden"] = {"inputs": data.pop("inputs"), "outputs": data.pop("outputs")}
        return json.dumps(data | {"output": asdict(self.output)})


def save_onnx(
    model: Any,
    path: str | Path,
    *,
    columns: Sequence[str],
    rows: Any,
    class_: Any = None,
    output: int | None = None,
    signal: str = "",
    horizon: str = "",
    label: str = "",
) -> Path:
    """Converts a fitted classifier or regressor to ONNX, one row tensor in, and checks that it predicts the same.

    Takes models and pipelines of scikit-learn, HistGradientBoosting among them, and of XGBoost and LightGBM (their
    scikit-learn classes, alone or in a pipeline, and their Boosters). The signal is the probability of the class `class_`
    (of two classes the last, if none is said; of more it must be said), or the value of a regressor, `output` being the
    number of it where there are several.

    `rows` are the training rows, (n, len(columns)): an array, a list of lists, or a table of pandas, polars or Arrow whose
    columns are taken by name. Rows with a missing value are left out. The ONNX file is compared with the model's own
    predictions for all of them as float64, and takes float32 only if that changes no probability by more than 1e-5 and no
    value by more than 1e-5 of the values' spread, and if 999 of 1,000 rows that lie between them are predicted alike too (a
    float32 far from zero is coarse); else it takes float64, where the model can be written so. Up to 256 rows, the extremes
    of each column and of the predictions among them, are kept as golden rows. `signal`, `horizon` ("10s") and `label` say
    what is predicted; `register` takes them over.

    Raises ModelError if the model was fitted on other columns or in another order, is not fitted, has no way to ONNX, or
    predicts something else there. Needs the extra `research`.

    >>> import numpy as np, signal_stream as ss, tempfile
    >>> from sklearn.linear_model import LogisticRegression
    >>> rows = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 0.0]])
    >>> model = LogisticRegression().fit(rows, [0, 0, 1, 1])
    >>> path = tempfile.mkdtemp() + "/m.onnx"
    >>> ss.save_onnx(model, path, columns=["a", "b"], rows=rows, signal="up", horizon="1s").name
    'm.onnx'
    """
    names = column_names(columns)
    _check_horizon(horizon)
    original = as_regressor(model) if is_booster(model) else model
    _check_fitted(original)
    carried = fitted_names(original)
    kind = type(model).__name__
    check_names(carried, names, whose=f"the {kind}")
    width = _width(original)
    if width is not None and width != len(names):
        what = f"the model takes {width} columns, and {len(names)} are named ({', '.join(names[:20])})"
        raise ModelError("COLUMNS", what, next_step="Name the columns that it was fitted on, in their order.")
    table = rows_as_doubles(rows, names)
    probability, index = _class_index(original, class_, output)
    asked = _predictions(original.predict_proba if probability else original.predict, table, carried)
    if not probability:
        index = _output_index(asked.shape[1], output)
    wanted = asked[:, index]

    doubles = know_boosted(list(_models_in(original)))
    differences: list[tuple[float, int, str]] = []
    allowed = tolerance(wanted, probability=probability)
    coarse: tuple[Any, SealedInfo] | None = None
    for dtype in ("f64",) if doubles else ("f32", "f64"):
        try:
            proto = _converted(original, kind, table[:1], dtype)
            chosen = Output(name=proto.graph.output[-1].name, index=index, size=asked.shape[1])
            found = _predicted(proto, path, names, chosen, table)
        except ModelError:
            if differences or coarse:  # float32 could be written: that is what counts
                break
            raise
        worst, row = worst_difference(found, wanted)
        if worst > allowed:
            differences.append((worst, row, dtype))
            continue
        info = _sealed_info(names, chosen, table, wanted, probability, carried, dtype, worst, signal, horizon, label)
        if dtype == "f32":
            between = _between(table)
            right = _predictions(original.predict_proba if probability else original.predict, between, carried)[
                :, index
            ]
            if not _are_alike(_predicted(proto, path, names, chosen, between), right, allowed):
                coarse = proto, info
                continue
        return _write(proto, path, info)
    if coarse is not None:  # doubles cannot be written, or are worse
        return _write(coarse[0], path, coarse[1])
    worst, row, dtype = min(differences)
    raise ModelError(
        "GOLDEN", f"the ONNX form of {kind} predicts row {row} otherwise: {float(wanted[row])!r} by the model, off by "
        f"{worst:.3g} in {dtype}", value=worst, next_step=f"It may be off by {allowed:.3g}. {SEAL}",
    )  # fmt: skip


def seal_onnx(
    path: str | Path,
    *,
    columns: Sequence[str],
    rows: Any,
    predict: Callable[[np.ndarray], Any] | Any,
    output: str | None = None,
    index: int | None = None,
    signal: str = "",
    horizon: str = "",
    label: str = "",
) -> Path:
    """Makes an ONNX file that another converter wrote ready for `register`, and checks it against the original.

    The file takes one row of float32 or float64, (1, len(columns)), and gives floats. `predict` is the original: a function
    from rows (n, len(columns)), float64, to predictions of shape (n,), or to (n, k) of which number `index` is meant; or an
    array of such predictions, one for each of `rows`. `output` names the tensor of the file, where it has several of floats,
    and `index` the number in it, where that has several (of two probabilities the last, if none is said). `rows`, what is
    compared, and the texts are as in `save_onnx`.

    The file is rewritten with its columns, output and golden predictions; tensors that lay in files beside it are taken in.
    Raises ModelError if it predicts something else, or cannot be served. Needs the extra `research`.

    >>> import numpy as np, onnx, signal_stream as ss, tempfile
    >>> from onnx import TensorProto, helper
    >>> floats = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width]) for name, width in (("x", 2), ("y", 1))]
    >>> node = helper.make_node("ReduceMean", ["x"], ["y"], axes=[1])
    >>> graph = helper.make_graph([node], "mean", floats[:1], floats[1:])
    >>> path = tempfile.mkdtemp() + "/mean.onnx"
    >>> onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    >>> rows = np.array([[0.0, 1.0], [1.0, 3.0]])
    >>> ss.seal_onnx(path, columns=["a", "b"], rows=rows, predict=lambda rows: rows.mean(axis=1), horizon="1s").name
    'mean.onnx'
    """
    import numpy as np

    from signal_stream.models.offline import onnx_text

    names = column_names(columns)
    _check_horizon(horizon)
    where = str(path)
    table = rows_as_doubles(rows, names)
    file = Path(path).expanduser()
    text = onnx_text(file)
    check_names(text.feature_names, names, whose="the file", where=where)
    carried = fitted_names(getattr(predict, "__self__", None)) if callable(predict) else None
    check_names(carried, names, whose="the original", where=where)
    proto = _loaded(file, where)
    name = _output_name(proto, output, where)
    if callable(predict):
        asked = _predictions(predict, table, carried)
    else:
        kept = np.asarray(predict, dtype=np.float64)
        if len(kept) != len(table):
            raise ModelError(
                "ROWS", f"predict has {len(kept)} predictions for {len(table)} complete rows", where=where,
                next_step="Give one for each row, and rows without missing values.",
            )  # fmt: skip
        asked = kept.reshape(len(kept), -1)
    size, dtype = _size_of(proto, where, names, name)
    probability = "prob" in name.lower()
    if index is None:
        if size > 2 or (size == 2 and not probability):
            raise ModelError(
                "OUTPUT", f'output "{name}" has {size} numbers, and nobody said which is the signal', where=where,
                value=size, next_step=f"Say index=0 to {size - 1}.",
            )  # fmt: skip
        index = size - 1
    if index not in range(size):
        raise ModelError("OUTPUT", f'output "{name}" has {size} numbers, there is no number {index}', where=where)
    if asked.shape[1] not in (1, size):
        what = f"predict gives {asked.shape[1]} numbers a row, and the output {size}"
        raise ModelError("OUTPUT", what, where=where, next_step="Let it give the one that is meant, or all.")
    wanted = asked[:, 0 if asked.shape[1] == 1 else index]
    chosen = Output(name=name, index=index, size=size)
    worst, row = worst_difference(_predicted(proto, path, names, chosen, table), wanted)
    allowed = tolerance(wanted, probability=probability)
    if not worst <= allowed:
        raise ModelError(
            "GOLDEN", f"the original predicts {float(wanted[row])!r} for row {row}, the file is off by {worst:.3g}", where=where,
            value=worst, next_step=f"It may be off by {allowed:.3g}: see order of columns, output, index and number type "
            f"(the file takes {dtype}).",
        )  # fmt: skip
    info = _sealed_info(names, chosen, table, wanted, probability, carried, dtype, worst, signal, horizon, label)
    return _write(proto, path, info)


def read_info(path: str | Path) -> SealedInfo | None:
    """The info that `save_onnx` or `seal_onnx` wrote into a file; None for an ONNX file made otherwise."""
    from signal_stream.models.offline import onnx_text

    text = onnx_text(path).metadata.get(METADATA)
    return None if text is None else SealedInfo.from_json(text, where=str(path))


def _check_horizon(horizon: str) -> None:
    try:
        _ = horizon and duration_ns(horizon)
    except ValueError as error:
        raise ManifestError("BAD_VALUE", f"horizon is {horizon!r}", value=horizon, next_step=f"Give {error}.") from None


def _check_fitted(model: Any) -> None:
    if isinstance(model, type) or not (hasattr(model, "predict") or hasattr(model, "predict_proba")):
        what = f"{model!r:.80} is no fitted model: it has no predict"
        raise ModelError("CONVERT", what, next_step="Give a fitted classifier or regressor.")
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(model)
    except NotFittedError:
        raise ModelError("CONVERT", f"the {type(model).__name__} is not fitted", next_step="Call fit first.") from None
    except TypeError:
        return  # an object of no library: its own predict tells


def _width(model: Any) -> int | None:
    try:
        return int(model.n_features_in_)
    except Exception:  # noqa: BLE001  libraries raise what they like where there is none
        return None


def _class_index(model: Any, class_: Any, output: int | None) -> tuple[bool, int]:
    """Whether the signal is a probability, and of which class."""
    kind = type(model).__name__
    if hasattr(model, "predict_proba"):
        classes = model.classes_
        if isinstance(classes, list):
            what = f"{kind} predicts {len(classes)} targets at once"
            raise ModelError("CONVERT", what, next_step="Fit one model a target.")
        known = classes.tolist()
        if output is not None:
            raise ModelError("OUTPUT", f"{kind} has classes: {known}", next_step="Say class_=, not output=.")
        if class_ is not None:
            if class_ not in known:
                raise ModelError(
                    "OUTPUT", f"{kind} has no class {class_!r}", value=class_, next_step=f"It has {known}."
                )
            return True, known.index(class_)
        if len(known) != 2:
            what = f"{kind} has {len(known)} class{'es' * (len(known) > 1)} ({', '.join(map(repr, known[:20]))})"
            raise ModelError(
                "OUTPUT", f"{what}, and nobody said which is the signal", value=known,
                next_step=f"Say class_={known[-1]!r} for the probability of that class.",
            )  # fmt: skip
        return True, 1
    from sklearn.base import is_classifier, is_regressor

    if class_ is not None:
        raise ModelError("OUTPUT", f"{kind} gives no probabilities of classes", next_step="Leave class_ out.")
    try:
        regressor = is_regressor(model)
        classifier = is_classifier(model)
    except Exception:  # noqa: BLE001  an object of no library: the converter tells
        return False, 0
    if classifier:
        advice = "Fit it inside sklearn.calibration.CalibratedClassifierCV, which gives probabilities."
        raise ModelError("CONVERT", f"{kind} predicts classes without probabilities", next_step=advice)
    if not regressor:
        what = f"{kind} is neither a classifier with probabilities nor a regressor"
        raise ModelError("CONVERT", what, next_step=SEAL)
    return False, 0


def _output_index(size: int, output: int | None) -> int:
    if output is None and size > 1:
        what = f"the model predicts {size} values, and nobody said which is the signal"
        raise ModelError("OUTPUT", what, value=size, next_step=f"Say output=0 to {size - 1}.")
    if output is not None and output not in range(size):
        what = f"the model predicts {size} value{'s' * (size > 1)}, there is no number {output}"
        raise ModelError("OUTPUT", what, value=output)
    return output or 0


def _predictions(predict: Callable[[Any], Any], rows: np.ndarray, names: Sequence[str] | None) -> np.ndarray:
    """The original's predictions, (n, k) of float64, on rows named as it was fitted."""
    import numpy as np

    given: Any = rows
    if names is not None:
        try:
            import pandas as pd

            given = pd.DataFrame(rows, columns=list(names))
        except ImportError:
            pass  # then by position, which is the same
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = np.asarray(predict(given), dtype=np.float64)
    except Exception as error:
        said = " ".join(str(error).split())[:300] or type(error).__name__
        raise ModelError("ROWS", f"the model itself fails on the rows: {said}") from error
    if found.ndim not in (1, 2) or len(found) != len(rows):
        raise ModelError("OUTPUT", f"the model gives shape {found.shape} for {len(rows)} rows", value=found.shape)
    found = found.reshape(len(rows), -1)
    bad = ~np.isfinite(found).all(axis=1)
    if bad.any():
        what = f"the model itself predicts {found[np.argmax(bad)].tolist()} for row {int(np.argmax(bad))}"
        raise ModelError("GOLDEN", what, next_step="A prediction must be a finite number.")
    return found


def _models_in(model: Any, depth: int = 0) -> Iterator[Any]:
    """A model and all fitted ones that it is made of."""
    import numpy as np
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    if depth > _DEPTH_MAX or isinstance(model, str | bytes):
        return
    if isinstance(model, dict):
        model = list(model.values())
    if isinstance(model, np.ndarray):
        model = model.ravel().tolist() if model.dtype == object else []
    if isinstance(model, list | tuple):
        for each in model:
            yield from _models_in(each, depth + 1)
        return
    if not hasattr(model, "predict") and not hasattr(model, "transform"):
        if type(model).__name__ == "_CalibratedClassifier":
            yield from _models_in(model.estimator, depth + 1)
        return
    try:
        check_is_fitted(model)
    except (NotFittedError, TypeError):
        return
    yield model
    for name, value in vars(model).items():
        if name.endswith("_") or name in ("steps", "estimators", "estimator"):
            yield from _models_in(value, depth + 1)


def _converted(model: Any, kind: str, row: np.ndarray, dtype: str) -> Any:
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    tensor = (FloatTensorType if dtype == "f32" else DoubleTensorType)([None, row.shape[1]])
    options: dict[int, Any] | None = {id(model): {"zipmap": False}} if hasattr(model, "predict_proba") else None
    own = conversions_to_doubles() if dtype == "f64" else {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")

            def convert(options: dict[int, Any] | None) -> Any:
                return convert_sklearn(
                    model, initial_types=[("row", tensor)], options=options, custom_conversion_functions=own
                )

            try:
                return convert(options)
            except NameError as error:  # an option that a model inside does not know
                if "zipmap" not in str(error):
                    raise
                return _without_zipmap(convert(None), len(model.classes_), dtype)
    except ModelError:
        raise
    except Exception as error:  # the converters raise whatever they met
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError("CONVERT", f"skl2onnx cannot convert {kind}: {said[:200]}", next_step=_OWN_LIBRARY) from error


def _without_zipmap(proto: Any, classes: int, dtype: str) -> Any:
    """The model with its probabilities as a tensor instead of a sequence of maps."""
    from onnx import TensorProto, helper

    nodes = [node for node in proto.graph.node if node.op_type == "ZipMap"]
    for node in nodes:
        kind = TensorProto.FLOAT if dtype == "f32" else TensorProto.DOUBLE
        proto.graph.output[-1].CopyFrom(helper.make_tensor_value_info(node.input[0], kind, [None, classes]))
        proto.graph.node.remove(node)
    return proto


_OWN_LIBRARY: Final = (
    "Take a model that it converts, such as GradientBoostingClassifier or LogisticRegression, or write the ONNX file with the "
    "model's own library and seal it: signal_stream.seal_onnx(path, columns=…, rows=…, predict=…)."
)


def _predicted(proto: Any, path: str | Path, names: Sequence[str], output: Output, rows: np.ndarray) -> np.ndarray:
    """What the ONNX model predicts for rows of doubles. Raises ModelError."""
    from signal_stream.models.offline import OfflineModel

    model = OfflineModel(path, columns=names, output=output.name, output_index=output.index, data=_bytes(proto))
    if model.info.values != output.size:
        what = f'output "{output.name}" has {model.info.values} numbers, the model predicts {output.size}'
        raise ModelError("OUTPUT", what, where=str(path))
    found: np.ndarray = model.predict_blocks(rows)
    return found


def _between(rows: np.ndarray) -> np.ndarray:
    """Rows that lie halfway between two of these: such as the model will meet, and was not compared on."""
    import numpy as np

    first, second = np.random.default_rng(0).integers(0, len(rows), (2, _BETWEEN))
    between: np.ndarray = rows[first] + (rows[second] - rows[first]) / 2
    return between


def _are_alike(found: np.ndarray, wanted: np.ndarray, allowed: float) -> bool:
    """Whether all but a thousandth of the predictions are the same: one row may stand on a threshold."""
    import numpy as np

    return bool(np.mean(~(np.abs(found - wanted) <= 10 * allowed)) <= _ODD_SHARE)


def _sealed_info(
    names: list[str], output: Output, rows: np.ndarray, wanted: np.ndarray, probability: bool, carried: list[str] | None,
    dtype: str, worst: float, signal: str, horizon: str, label: str,
) -> SealedInfo:  # fmt: skip
    kept = golden_indices(rows, wanted)
    return SealedInfo(
        columns=names, output=output, inputs=rows[kept].tolist(), outputs=wanted[kept].tolist(), signal=signal,
        horizon=horizon, label=label, dtype=dtype, probability=probability, names=carried, rows_checked=len(rows),
        difference_max=worst,
    )  # fmt: skip


def _loaded(file: Path, where: str) -> Any:
    """The model with all its tensors, and without info of an earlier sealing."""
    import onnx

    try:
        proto = onnx.load(file)
    except Exception as error:
        said = " ".join(str(error).split())[:300]
        raise ModelError("UNREADABLE", f"the model or its tensors cannot be read: {said}", where=where) from error
    kept = [entry for entry in proto.metadata_props if entry.key != METADATA]
    del proto.metadata_props[:]
    proto.metadata_props.extend(kept)
    return proto


def _output_name(proto: Any, output: str | None, where: str) -> str:
    from onnx import TensorProto

    names = [each.name for each in proto.graph.output]
    if output is not None:
        if output not in names:
            raise ModelError("OUTPUT", f'no output "{output}"', where=where, next_step=did_you_mean(output, names))
        return output
    floats = [
        each.name
        for each in proto.graph.output
        if each.type.tensor_type.elem_type in (TensorProto.FLOAT, TensorProto.DOUBLE)
    ]
    if len(floats) == 1:
        return str(floats[0])
    if not floats:
        what = f"none of its outputs is a tensor of floats ({', '.join(names)})"
        raise ModelError("OUTPUT", what, where=where, next_step='Convert a classifier with options={"zipmap": False}.')
    what = f"it has several outputs of floats ({', '.join(floats)}), and nobody said which is the signal"
    raise ModelError("OUTPUT", what, where=where, next_step=f'Say output="{floats[-1]}", for example.')


def _size_of(proto: Any, where: str, names: Sequence[str], output: str) -> tuple[int, str]:
    """How many numbers the output has, and which number type the row."""
    from signal_stream.models.offline import OfflineModel

    info = OfflineModel(where, columns=names, output=output, output_index=0, data=_bytes(proto)).info
    return info.values, info.dtype


def _bytes(proto: Any) -> bytes:
    try:
        data: bytes = proto.SerializeToString()
    except Exception as error:  # beyond protobuf's 2 GiB
        raise ModelError("CONVERT", f"the model is too large for one ONNX file ({error})") from error
    return data


def _write(proto: Any, path: str | Path, info: SealedInfo) -> Path:
    """Writes the file with its info; it appears under its name only when it is whole."""
    entry = proto.metadata_props.add()
    entry.key, entry.value = METADATA, info.to_json()
    file = Path(path).expanduser()
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(_bytes(proto))
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise ModelError("WRITE", f"the model cannot be written ({error.strerror})", where=str(path)) from None
    return Path(path)
