"""A fitted scikit-learn model as an ONNX file that says what it needs: columns, output, golden predictions.

The file carries its facts as ONNX metadata under `signal_stream`: the columns in order, the output, and some rows with
the *original* model's predictions, so that registration can check that the conversion changed nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from signal_stream.errors import ModelError

if TYPE_CHECKING:
    import numpy as np

METADATA: Final = "signal_stream"
GOLDEN_ROWS: Final = 64


def save_onnx(
    model: Any,
    path: str | Path,
    *,
    columns: Sequence[str],
    rows: np.ndarray,
    signal: str = "",
    horizon: str = "",
    label: str = "",
) -> Path:
    """Converts a fitted scikit-learn classifier or regressor to ONNX, float32, one row tensor in.

    `rows` is an array (n, len(columns)) of float, training or test rows without missing values; up to 64 of them are
    kept as golden inputs with the model's own predictions (probability of the last class, or the regression value).
    `signal`, `horizon` ("10s") and `label` say what is predicted; `register` takes them over.

    Raises ModelError if the number of columns is not the model's, or where skl2onnx has no way to convert it. Needs the
    extra `research`.
    """
    import numpy as np
    from skl2onnx import to_onnx

    width = int(getattr(model, "n_features_in_", len(columns)))
    if width != len(columns) or rows.ndim != 2 or rows.shape[1] != width:
        raise ModelError(
            "COLUMNS", f"the model takes {width} columns, found {len(columns)} names and rows of shape {rows.shape}"
        )
    golden = np.ascontiguousarray(
        rows[np.linspace(0, len(rows) - 1, min(GOLDEN_ROWS, len(rows))).astype(int)], dtype=np.float32
    )
    classifier = hasattr(model, "predict_proba")
    values = model.predict_proba(golden)[:, -1] if classifier else np.asarray(model.predict(golden)).reshape(-1)
    options = {id(model): {"zipmap": False}} if classifier else None
    try:
        proto = to_onnx(model, golden[:1], options=options)
    except Exception as error:  # the converters raise whatever they met
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(
            "CONVERT", f"skl2onnx cannot convert {type(model).__name__}: {said[:200]}",
            next_step="Take a model that it converts, such as GradientBoostingClassifier or LogisticRegression, "
            "or write the ONNX file with the model's own library.",
        ) from error  # fmt: skip
    output = proto.graph.output[-1].name
    size = len(model.classes_) if classifier else 1
    facts = {
        "columns": list(columns),
        "output": {"name": output, "index": size - 1, "size": size},
        "golden": {"inputs": golden.astype(float).tolist(), "outputs": np.asarray(values, dtype=float).tolist()},
        "signal": signal,
        "horizon": horizon,
        "label": label,
    }
    entry = proto.metadata_props.add()
    entry.key, entry.value = METADATA, json.dumps(facts)
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(proto.SerializeToString())
    return file


def read_facts(path: str | Path) -> dict[str, Any] | None:
    """The facts that `save_onnx` wrote into a file; None for an ONNX file made otherwise."""
    from signal_stream.models.offline import model_metadata

    text = model_metadata(path).get(METADATA)
    if text is None:
        return None
    facts: dict[str, Any] = json.loads(text)
    return facts
