"""Registration of a Python module as a model."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from signal_stream.errors import ModelError
from signal_stream.features import FeatureGraph
from signal_stream.records import ModelRow
from signal_stream.registry import Entry, Golden, Output, Registry
from signal_stream.research.golden import GOLDEN_ROWS, tolerance
from signal_stream.research.registration import Declaration, new_manifest
from signal_stream.research.training_table import read_training

if TYPE_CHECKING:
    import numpy as np

    from signal_stream.models import PythonModel

_ANSWER_NS_MAX: Final = 60_000_000_000
_WORDS_S_MAX: Final = 2.0
_OWN_FILES: Final = ("golden.json", "training.json", "model.py")


def register_python(
    model: str | Path,
    *,
    graph: FeatureGraph,
    train: str | Path,
    registry: str | Path,
    name: str,
    owner: str,
    horizon: str,
    signal: str | None = None,
    label: str | None = None,
    refit: str = "7d",
    deadline: str = "5ms",
    fallback: str = "veto",
    defaults: Mapping[str, float] | None = None,
    requirements: Sequence[str] = (),
    files: Sequence[str | Path] = (),
    guards: Sequence[str | Path | Mapping[str, Any]] = (),
    now: int | None = None,
) -> Entry:
    """Checks a Python module and registers it as a model; gives the registry's entry, in stage shadow.

    The module has a function `predict(rows, instruments, times)`, or a class `Model` made with its folder that has it as a
    method: `rows` is a float64 array (n, features) in the graph's order, `instruments` a list of n ids, `times` n receive times
    (int64 nanoseconds); it gives n numbers. A class that remembers has `snapshot() -> bytes` and `restore(snapshot)` too.
    `files` are kept beside the module, in the folder. `requirements` is what has to be installed, as "numpy>=1.26".
    `guards` judge its signals wherever it is served: each `{"kind": …, …}` as in `[[guard]]`, "KIND:key=value,…", or a TOML file.

    The module runs in a worker process: its answers to up to 256 rows of the training table become its golden rows. Asked in
    another order, or restored from its snapshot, it has to give the same. `now` is the time of registration in ns, by default
    the clock's. Raises ModelError, DataError, ManifestError, RegistryError, or SettingsError for a guard, that names
    what is wrong.
    """
    declared = Declaration(
        name, owner, signal=signal, horizon=horizon, label=label, refit=refit, deadline=deadline, fallback=fallback,
        defaults=defaults, guards=guards,
    )  # fmt: skip
    table = read_training(train, graph)
    rows, numbers = _golden_rows(train, graph)
    stored = _stored(Path(model), files)
    folder = Path(tempfile.mkdtemp(prefix="signal-stream-model-"))
    try:
        for stored_name, data in stored.items():
            (folder / stored_name).write_bytes(data)
        outputs, stateful = _checked(folder / "model.py", graph, rows, tuple(requirements), str(model))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    golden = Golden(
        rows=len(rows),
        inputs_sha256=hashlib.sha256(numbers.tobytes()).hexdigest(),
        outputs_sha256=hashlib.sha256(outputs.tobytes()).hexdigest(),
        difference_max=0.0,
    )
    manifest = new_manifest(
        graph, declared, table, kind="python", dtype="f64", output=Output("predict", 0, 1), golden=golden,
        requirements=tuple(requirements), stateful=stateful,
    )  # fmt: skip
    kept = {
        "inputs": numbers.tolist(),
        "outputs": outputs.tolist(),
        "of": [[row.instrument, row.ts_recv] for row in rows],
        "tolerance": tolerance(outputs, probability=False),
    }
    stored |= {"golden.json": json.dumps(kept).encode(), "training.json": table.noted}
    return Registry(Path(registry)).register(manifest, stored, by=owner, now=time.time_ns() if now is None else now)


def _stored(model: Path, files: Sequence[str | Path]) -> dict[str, bytes]:
    """The module and what belongs to it, by the names under which they are kept."""
    found = {}
    for path, name in ((model, "model.py"), *((Path(file), Path(file).name) for file in files)):
        if name in found or (path is not model and name in _OWN_FILES):
            raise ModelError(
                "UNREADABLE", f'two files would be named "{name}"', where=str(path), next_step="Rename it."
            )
        try:
            found[name] = path.read_bytes()
        except OSError as error:
            raise ModelError("UNREADABLE", f"it cannot be read ({error.strerror})", where=str(path)) from None
    return found


def _golden_rows(train: str | Path, graph: FeatureGraph) -> tuple[list[ModelRow], np.ndarray]:
    """Complete rows of the training table, spread over it, in its order."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = pq.read_schema(train).names
    of = [name for name in ("instrument", "ts_recv") if name in names]
    table = pq.read_table(train, columns=[*graph.features, *of])
    columns = [table.column(name).cast(pa.float64()).to_numpy() for name in graph.features]
    rows = np.column_stack(columns)
    whole = np.flatnonzero(np.isfinite(rows).all(axis=1))
    if len(whole) == 0:
        what = "no row of the training table is complete, so the model cannot be asked"
        raise ModelError("ROWS", what, where=str(train), next_step="Give more rows.")
    chosen = whole[np.unique(np.linspace(0, len(whole) - 1, min(len(whole), GOLDEN_ROWS)).astype(int))]
    instruments, times = [""] * len(rows), [0] * len(rows)
    if "instrument" in of:
        instruments = [str(each) for each in table.column("instrument").to_pylist()]
    if "ts_recv" in of and pa.types.is_timestamp(table.schema.field("ts_recv").type):
        times = table.column("ts_recv").cast(pa.timestamp("ns", tz="UTC")).cast(pa.int64()).to_pylist()
    numbers = np.ascontiguousarray(rows[chosen])
    return [
        ModelRow(values.tobytes(), instruments[i], times[i]) for i, values in zip(chosen, numbers, strict=True)
    ], numbers


def _checked(
    module: Path, graph: FeatureGraph, rows: list[ModelRow], requirements: tuple[str, ...], where: str
) -> tuple[np.ndarray, bool]:
    """The model's answers to the rows, and whether it carries state. Raises ModelError where it does not answer, or otherwise
    the second time."""
    import numpy as np

    from signal_stream.models import PythonModel

    def differs(wanted: np.ndarray, found: np.ndarray, row: int, how: str, advice: str) -> None:
        same = wanted.view(np.uint64) == found.view(np.uint64)
        if not same.all():
            i = int(np.argmin(same))
            what = f"the model predicts {wanted[i]!r} for golden row {row + i}, and {found[i]!r} {how}"
            raise ModelError("STATE", what, where=where, next_step=advice)

    with PythonModel(module, columns=graph.features, requirements=requirements, spare=False, pin="none") as model:
        first = _answers(model, rows, where)
        if not model.stateful:
            again = _answers(model, rows[::-1], where)[::-1]
            advice = "It may not remember without snapshot and restore, nor draw numbers without a seed."
            differs(first, np.ascontiguousarray(again), 0, "when the rows are asked in another order", advice)
            return first, False
        half, advice = len(rows) // 2, "snapshot has to hold all that predict depends on."
        model.restore(b"")
        differs(first[:half], _answers(model, rows[:half], where), 0, "when it is made anew", advice)
        state = model.snapshot()
        model.restore(b"")
        model.restore(state)
        differs(
            first[half:], _answers(model, rows[half:], where), half, "when it is restored from its snapshot", advice
        )
        return first, True


def _answers(model: PythonModel, rows: Sequence[ModelRow], where: str) -> np.ndarray:
    import numpy as np

    found = []
    for i, row in enumerate(rows):
        [answer] = model.predict([row], time.monotonic_ns() + _ANSWER_NS_MAX)
        if answer.value is None:
            what = f"the model does not answer for a row of the training table ({answer.status}): {_words(model)}"
            raise ModelError("PYTHON", what, where=where, value=i, next_step="Mend it, and register it again.")
        found.append(answer.value)
    return np.array(found, dtype=np.float64)


def _words(model: PythonModel) -> str:
    """What the worker has complained, which may be on its way still."""
    until, pause = time.monotonic() + _WORDS_S_MAX, threading.Event()
    while time.monotonic() < until:
        status = model.status()
        if said := (status.said or status.last_error):
            return said
        pause.wait(0.01)
    return "it said nothing"
