"""A model outside the pipeline: what its file says, and its predictions for rows at hand, as the worker makes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from signal_stream.errors import ModelError
from signal_stream.models.onnx_wire import OnnxText, read_onnx
from signal_stream.models.session import NUMPY, OnnxSpec, Session, SessionInfo

if TYPE_CHECKING:
    import numpy as np

_BLOCK_ROWS: Final = 8192


def onnx_text(path: str | Path) -> OnnxText:
    """What an ONNX file says of itself. Raises ModelError if it is none."""
    try:
        return read_onnx(Path(path).read_bytes())
    except OSError as error:
        raise ModelError("UNREADABLE", f"the model cannot be read ({error.strerror})", where=str(path)) from None
    except ValueError as error:
        raise ModelError("UNREADABLE", f"it is no ONNX model: {error}", where=str(path)) from None


class OfflineModel:
    """An ONNX model in this process, with the worker's own session: the same checks, the same options, the same bits."""

    def __init__(
        self, path: str | Path, *, columns: Sequence[str], output: str, output_index: int, data: bytes | None = None
    ) -> None:
        """`data` is the file's content where it is not on the disk yet. Raises ModelError if the model does not take the
        columns, has no such output, or rests on other files."""
        spec = OnnxSpec(str(path), tuple(columns), output, output_index, None, None)
        self._session = Session(spec, warm_up_runs=1, data=data)
        self._index = output_index

    @property
    def info(self) -> SessionInfo:
        """What the loaded model is like."""
        return self._session.info

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Predictions for an array (n, columns), one row at a time as live: float64 of shape (n,)."""
        import numpy as np

        return np.array([self._session.run(row.tobytes())[self._index] for row in self._typed(rows)], dtype=np.float64)

    def predict_blocks(self, rows: np.ndarray) -> np.ndarray:
        """As `predict`, thousands of rows at a time where the model takes more than one. The last bits may differ."""
        import numpy as np

        typed, found = self._typed(rows), []
        for begin in range(0, len(typed), _BLOCK_ROWS):
            block = typed[begin : begin + _BLOCK_ROWS]
            answer = self._session.run_block(block)
            if answer is None or len(answer) != len(block):
                return self.predict(rows)
            found.append(answer.reshape(len(block), -1)[:, self._index])
        return np.concatenate(found).astype(np.float64)

    def _typed(self, rows: np.ndarray) -> np.ndarray:
        import numpy as np

        with np.errstate(over="ignore"):
            return np.ascontiguousarray(rows, dtype=NUMPY[self.info.dtype])


def predict_rows(
    path: str | Path, rows: np.ndarray, *, columns: Sequence[str], output: str, output_index: int
) -> np.ndarray:
    """Predictions for an array (n, columns), one row at a time in the same session options as live: the same bits.

    Returns float64 of shape (n,). Raises ModelError if the model does not take the columns or has no such output.
    """
    return OfflineModel(path, columns=columns, output=output, output_index=output_index).predict(rows)
