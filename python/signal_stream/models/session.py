"""One ONNX Runtime session, checked against what the caller expects and bound to fixed buffers. The only importer of
onnxruntime."""

from __future__ import annotations

import hashlib
import math
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeAlias

from signal_stream.errors import ModelError, did_you_mean
from signal_stream.models.onnx_wire import read_onnx

VALUES_MAX = 64
FLOATS = {"tensor(float)": "f32", "tensor(double)": "f64"}
NUMPY = {"f32": "float32", "f64": "float64"}


@dataclass(frozen=True, slots=True)
class OnnxSpec:
    """Which file, and what of it: told to the worker as JSON.

    `columns` are the row's columns in the model's order; `input_name` None means the model's only input; `output`
    and `output_index` choose the number that becomes the prediction's value; `sha256` is the digest that the file
    must have, None for any.
    """

    path: str
    columns: tuple[str, ...]
    output: str
    output_index: int
    input_name: str | None
    sha256: str | None

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        """The spec that `as_plain` has made plain, by way of JSON."""
        return cls(**{**plain, "columns": tuple(plain["columns"])})

    def as_plain(self) -> dict[str, Any]:
        """The spec as JSON can carry it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """What a loaded and warmed-up model is like. `stateful`: its answers depend on the rows before."""

    dtype: str
    values: int
    sha256: str
    runtime: str
    run_ns_p50: int
    stateful: bool = False


class Session:
    """A model ready to run, one row at a time, on one thread: from the bytes in `row` to the numbers in `values`.

    `compute` goes from `row` to `values`, and raises what the runtime raises.
    Invariant: `row` and `values` are the buffers that the runtime reads and writes; they are never replaced.
    """

    info: SessionInfo
    row: memoryview
    values: memoryview
    compute: Callable[[], object]
    _run_block: Callable[[Any], Any]

    def __init__(self, spec: OnnxSpec, *, warm_up_runs: int, data: bytes | None = None) -> None:
        """Reads (unless `data` is the file's content), checks, builds and warms up the model. Raises ModelError."""
        import numpy as np
        import onnxruntime as ort

        def refused(code: str, what: str, next_step: str) -> ModelError:
            return ModelError(code, what, where=spec.path, next_step=next_step)

        try:
            model = Path(spec.path).read_bytes() if data is None else data
        except OSError as error:
            what = f"the model cannot be read ({error.strerror})"
            raise refused("UNREADABLE", what, "Check the path and its permissions.") from None
        sha256 = hashlib.sha256(model).hexdigest()
        if spec.sha256 is not None and sha256 != spec.sha256:
            what = f"the model has sha256 {sha256}, expected was {spec.sha256}"
            raise refused("UNREADABLE", what, "Restore the file as it was registered, or register the new one.")
        _check_text(model, spec, refused)

        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001  the runtime's exceptions have no class in common
            what, advice = _why_not_loaded(error, f"onnxruntime {ort.__version__}")
            raise refused("UNREADABLE", what, advice) from None

        name, dtype = _checked_input(session, spec, refused)
        kind = _checked_output(session, spec, refused)
        width = len(spec.columns)
        row = np.zeros((1, width), NUMPY[dtype])
        try:
            shape = np.shape(session.run([spec.output], {name: row})[0])
        except Exception as error:  # noqa: BLE001  as above
            what = f"the model fails on a row of {width} zeros ({_first_line(error)})"
            raise refused("COLUMNS", what, "Check its columns and its conversion.") from None
        count = math.prod(shape)
        if (shape and shape[0] != 1) or not 1 <= count <= VALUES_MAX:
            what = f'output "{spec.output}" has shape {list(shape)} for one row'
            raise refused("OUTPUT", what, f"It must be [1] or [1, K], K up to {VALUES_MAX}.")
        if not 0 <= spec.output_index < count:
            what = (
                f'output "{spec.output}" has {count} number{"s"[: count > 1]}, there is no number {spec.output_index}'
            )
            raise refused("OUTPUT", what, f"Choose an index from 0 to {count - 1}.")

        values = np.zeros(shape, NUMPY[kind])
        binding = session.io_binding()
        binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(row))
        binding.bind_ortvalue_output(spec.output, ort.OrtValue.ortvalue_from_numpy(values))
        # The runtime's own method: the one around it looks after GPU graphs, for a microsecond a call.
        self.compute = partial(session._sess.run_with_iobinding, binding._iobinding, None)
        self._run_block = lambda rows: session.run([spec.output], {name: rows})[0]
        self.row = memoryview(row.data).cast("B")
        self.values = memoryview(values.reshape(-1).data)

        run_ns = sorted(self._timed_run() for _ in range(max(warm_up_runs, 1)))
        self.info = SessionInfo(
            dtype=dtype,
            values=count,
            sha256=sha256,
            runtime=f"onnxruntime {ort.__version__}",
            run_ns_p50=run_ns[len(run_ns) // 2],
        )

    def run(self, payload: bytes) -> list[float]:
        """The model's numbers for one row. Raises what the runtime raises, and ValueError for another row length."""
        self.row[:] = payload
        self.compute()
        return [float(value) for value in self.values]

    def run_block(self, rows: Any) -> Any:
        """The output tensor for many rows at once; None where the model takes one at a time."""
        try:
            return self._run_block(rows)
        except Exception:  # noqa: BLE001  the runtime's exceptions have no class in common
            return None

    def _timed_run(self) -> int:
        begin_ns = time.perf_counter_ns()
        self.compute()
        return time.perf_counter_ns() - begin_ns


Refused: TypeAlias = Callable[[str, str, str], ModelError]


def _check_text(model: bytes, spec: OnnxSpec, refused: Refused) -> None:
    """Refuses what no digest covers, and names of columns that are not the ones that the row has."""
    try:
        text = read_onnx(model)
    except ValueError as error:
        what = f"onnxruntime cannot load the model: {error}"
        raise refused("UNREADABLE", what, "Convert it again and check it with onnx.checker.") from None
    if text.external:
        tensor, place = text.external[0]
        what = f'its tensor "{tensor}" lies outside the file, in "{place}", which no digest covers'
        advice = "Take it in: signal_stream.seal_onnx does, and so does onnx.save(onnx.load(path), path)."
        raise refused("UNREADABLE", what, advice)
    names = text.feature_names
    if names is not None and names != list(spec.columns):
        pairs = zip(names, spec.columns, strict=False)
        at = next(
            (i for i, (carried, given) in enumerate(pairs) if carried != given), min(len(names), len(spec.columns))
        )
        carried, given = (f'"{found[at]}"' if at < len(found) else "none" for found in (names, list(spec.columns)))
        what = f"its metadata names {carried} as column {at}, the row has {given} there"
        raise refused("COLUMNS", what, "Fit and convert it on the graph's features in their order.")


_VERSION = re.compile(r"model IR version: (\d+), max supported IR version: (\d+)")
_OPSET = re.compile(r"Opset (\d+) is under development.*support for domain (\S+) is till opset (\d+)", re.DOTALL)
_WHERE_IN_RUNTIME = re.compile(
    r"^\[ONNXRuntimeError\] : \d+ : \w+ : (?:Load model from .*? failed:)?(?:/\S+:\d+ .*?\) (?=[A-Z]))?"
)


def _why_not_loaded(error: Exception, runtime: str) -> tuple[str, str]:
    """What the runtime does not take, and what to do."""
    said = str(error)
    if found := _VERSION.search(said):
        what = f"the file has IR version {found[1]}, and {runtime} supports {found[2]} at most"
        return what, f"Save it with ir_version = {found[2]} or less, or upgrade onnxruntime."
    if found := _OPSET.search(said):
        what = f"the file has opset {found[1]} of {found[2]}, and {runtime} supports {found[3]} at most"
        return what, f"Convert it with target_opset {found[3]} or less, or upgrade onnxruntime."
    line = _WHERE_IN_RUNTIME.sub("", " ".join(said.split()))[:600]
    return f"{runtime} cannot load the model ({line})", "Convert it again and check it with onnx.checker."


def _checked_input(session: Any, spec: OnnxSpec, refused: Refused) -> tuple[str, str]:
    """The name of the model's input and its dtype."""
    inputs = {node.name: node for node in session.get_inputs()}
    one_row = "Convert the model with one input that takes the whole row."
    if spec.input_name is None and len(inputs) != 1:
        raise refused("COLUMNS", f"the model has {len(inputs)} inputs ({', '.join(inputs)})", one_row)
    name = next(iter(inputs)) if spec.input_name is None else spec.input_name
    if name not in inputs:
        raise refused("COLUMNS", f'the model has no input "{name}"', did_you_mean(name, inputs))
    if len(inputs) > 1:
        others = ", ".join(other for other in inputs if other != name)
        raise refused("COLUMNS", f'the model needs {others} beside "{name}"', one_row)
    node = inputs[name]
    dtype = FLOATS.get(node.type)
    if dtype is None:
        what = f'input "{name}" is a {node.type}'
        raise refused("DTYPE", what, "A row is one tensor of floats or doubles: convert the model so.")
    if len(node.shape) != 2:
        what = f'input "{name}" has shape {node.shape}'
        raise refused("COLUMNS", what, "A row is a tensor of shape [1, columns]: convert the model so.")
    width = len(spec.columns)
    if isinstance(node.shape[1], int) and node.shape[1] != width:
        what = f"the model takes {node.shape[1]} columns, the graph gives {width} ({', '.join(spec.columns)})"
        raise refused("COLUMNS", what, "Train and convert the model on these columns, in this order.")
    return name, dtype


def _checked_output(session: Any, spec: OnnxSpec, refused: Refused) -> str:
    """The dtype of the chosen output."""
    outputs = {node.name: node.type for node in session.get_outputs()}
    kind = outputs.get(spec.output)
    if kind is None:
        what = f'the model has no output "{spec.output}"'
        raise refused("OUTPUT", what, did_you_mean(spec.output, outputs))
    if kind.startswith("seq("):
        what = f'output "{spec.output}" is a sequence of maps (ZipMap)'
        raise refused("OUTPUT", what, 'Convert the classifier again with options={"zipmap": False}.')
    if kind not in FLOATS:
        what = f'output "{spec.output}" is a {kind}'
        raise refused("OUTPUT", what, f"Choose an output of floats; there are: {', '.join(outputs)}.")
    return FLOATS[kind]


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
