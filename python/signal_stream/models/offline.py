"""A model outside the pipeline: what its file says, and its predictions for rows at hand, as the worker makes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from signal_stream.errors import ModelError
from signal_stream.models.session import NUMPY, OnnxSpec, Session

if TYPE_CHECKING:
    import numpy as np


def model_metadata(path: str | Path) -> dict[str, str]:
    """The custom metadata of an ONNX file. Raises ModelError if it is none."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(Path(path).read_bytes(), options, providers=["CPUExecutionProvider"])
    except OSError as error:
        raise ModelError("UNREADABLE", f"the model cannot be read ({error.strerror})", where=str(path)) from None
    except Exception as error:  # noqa: BLE001 - the runtime's exceptions have no class in common
        what = str(error).strip().splitlines()[0][:200]
        raise ModelError(
            "UNREADABLE", f"it is no ONNX model that the runtime can load ({what})", where=str(path)
        ) from None
    return dict(session.get_modelmeta().custom_metadata_map)


def predict_rows(
    path: str | Path, rows: np.ndarray, *, columns: Sequence[str], output: str, output_index: int
) -> np.ndarray:
    """Predictions for an array (n, columns), one row at a time in the same session options as live: the same bits.

    Returns float64 of shape (n,). Raises ModelError if the model does not take the columns or has no such output.
    """
    import numpy as np

    spec = OnnxSpec(str(path), tuple(columns), output, output_index, None, None)
    session = Session(spec, warm_up_runs=1)
    typed = np.ascontiguousarray(rows, dtype=NUMPY[session.facts.dtype])
    return np.array([session.run(row.tobytes())[output_index] for row in typed], dtype=np.float64)
