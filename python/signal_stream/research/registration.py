"""Registration: the checks that a model must pass, and the manifest that it gets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from signal_stream.durations import duration_ns
from signal_stream.errors import DataError, ManifestError, ModelError, did_you_mean
from signal_stream.features import FeatureGraph
from signal_stream.records import canonical_json
from signal_stream.registry import Distribution, Golden, Manifest
from signal_stream.research.compute import GRAPH_METADATA
from signal_stream.research.golden import check_names, tolerance, worst_difference
from signal_stream.research.onnx_file import SealedInfo, read_info

if TYPE_CHECKING:
    import numpy as np

    from signal_stream.models.offline import OfflineModel
    from signal_stream.registry import Entry

NAMELESS: Final = "TABLE"
"""What research calls the instrument of a table that names none."""
QUANTILES: Final = (0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a model's owner declares beside what the files say. Durations as users write them."""

    name: str
    owner: str
    signal: str | None = None
    horizon: str | None = None
    label: str | None = None
    refit: str = "7d"
    deadline: str = "5ms"
    fallback: str = "veto"
    defaults: Mapping[str, float] | None = None


def register(
    graph: FeatureGraph, model: str | Path, train: str | Path, registry: str | Path, declared: Declaration, *, now: int
) -> Entry:
    """Checks a model against its graph and training table and registers it; gives the registry's entry.

    Checks: the training table was made by this graph, where its metadata says by which (`training.json` of the version keeps
    whether it did), and has the graph's features; the ONNX file's columns, and the names that the model itself carries, are
    the features in order; no tensor lies outside the file; it takes float32 or float64 as when it was sealed; its predictions
    of the golden rows are the original's, within 1e-5 of a probability or of a value's spread. `now` is the time of
    registration in ns. Raises ModelError, DataError, ManifestError or RegistryError that names what is wrong.
    """
    from signal_stream.models.offline import OfflineModel
    from signal_stream.registry import Registry

    info = read_info(model)
    if info is None:
        raise ModelError(
            "GOLDEN", "the file carries no columns and no golden predictions, so nothing could be checked", where=str(model),
            next_step="Write it with signal_stream.save_onnx(model, path, columns=…, rows=…), or seal a file from elsewhere: "
            "signal_stream.seal_onnx(path, columns=…, rows=…, predict=…).",
        )  # fmt: skip
    _check_columns(graph, info.columns, str(model))
    check_names(info.names, info.columns, whose="the model", where=str(model))
    served = OfflineModel(
        model, columns=info.columns, output=info.output.name, output_index=info.output.index
    )  # also checks what lies outside the file
    if served.info.values != info.output.size:
        what = (
            f'output "{info.output.name}" has {served.info.values} numbers, and {info.output.size} when it was sealed'
        )
        raise ModelError("OUTPUT", what, where=str(model), next_step=_SEAL_AGAIN)
    if info.dtype and served.info.dtype != info.dtype:
        what = f"the file takes {served.info.dtype}, and took {info.dtype} when it was sealed"
        raise ModelError("DTYPE", what, where=str(model), next_step=_SEAL_AGAIN)
    golden, golden_file = _golden(info, served, str(model))
    horizon = declared.horizon or info.horizon
    if not horizon:
        raise ModelError(
            "OUTPUT", "nobody said how far ahead the model looks", where=str(model), next_step="Say --horizon 10s."
        )
    training, distribution, instruments = _training(train, graph)
    manifest = Manifest(
        name=declared.name,
        kind="onnx",
        signal=declared.signal or info.signal or declared.name,
        horizon_ns=_duration("horizon", horizon),
        label=declared.label or info.label,
        owner=declared.owner,
        refit_cadence_ns=_duration("refit", declared.refit),
        graph_name=graph.name,
        graph=graph.to_json(),
        graph_digest=graph.digest,
        schema_digest=graph.plan.schema_digest,
        columns=graph.features,
        dtype=served.info.dtype,
        output=info.output,
        deadline_ns=_duration("deadline", declared.deadline),
        fallback=declared.fallback,
        golden=golden,
        training_distribution=distribution,
        defaults=dict(declared.defaults or {}),
        instruments=instruments,
    )
    files: dict[str, Path | bytes] = {"model.onnx": Path(model), "golden.json": golden_file, "training.json": training}
    return Registry(Path(registry)).register(manifest, files, by=declared.owner, now=now)


_SEAL_AGAIN: Final = (
    "It was changed since: seal it again with signal_stream.seal_onnx(path, columns=…, rows=…, predict=…)."
)


def _duration(what: str, text: str) -> int:
    try:
        return duration_ns(text)
    except ValueError as error:
        raise ManifestError("BAD_VALUE", f'{what} is "{text}"', value=text, next_step=f"Give {error}.") from None


def _check_columns(graph: FeatureGraph, columns: list[str], where: str) -> None:
    features = list(graph.features)
    if columns == features:
        return
    missing = [name for name in features if name not in columns]
    extra = [name for name in columns if name not in features]
    if extra:
        raise ModelError(
            "COLUMNS", f'the model expects a column "{extra[0]}" that graph "{graph.name}" does not make',
            where=where, value=extra, next_step=did_you_mean(extra[0], features),
        )  # fmt: skip
    if missing:
        raise ModelError(
            "COLUMNS", f"the model was not trained on {', '.join(missing)}", where=where, next_step="Fit it again."
        )
    at = next(i for i, (a, b) in enumerate(zip(columns, features, strict=True)) if a != b)
    raise ModelError(
        "COLUMNS", f'column {at} of the model is "{columns[at]}", of the graph "{features[at]}": same names, other order',
        where=where, next_step="Fit the model on the graph's order.",
    )  # fmt: skip


def _golden(info: SealedInfo, served: OfflineModel, where: str) -> tuple[Golden, bytes]:
    import numpy as np

    inputs = np.asarray(info.inputs, dtype=np.float64)
    wanted = np.asarray(info.outputs, dtype=np.float64)
    found = served.predict(inputs)
    worst, row = worst_difference(found, wanted)
    allowed = tolerance(wanted, probability=info.probability)
    if not worst <= allowed:
        raise ModelError(
            "GOLDEN", f"the original predicts {float(wanted[row])!r} for golden row {row}, the ONNX file {float(found[row])!r}",
            where=where, value=worst, next_step=f"They may differ by {allowed:.3g}: convert again, and compare.",
        )  # fmt: skip
    text = json.dumps({"inputs": inputs.tolist(), "outputs": found.tolist(), "tolerance": allowed}).encode()
    golden = Golden(
        rows=len(wanted),
        inputs_sha256=hashlib.sha256(inputs.tobytes()).hexdigest(),
        outputs_sha256=hashlib.sha256(found.tobytes()).hexdigest(),
        difference_max=max(worst, info.difference_max or 0.0),
    )
    return golden, text


def _training(train: str | Path, graph: FeatureGraph) -> tuple[bytes, dict[str, Distribution], tuple[str, ...]]:
    """What is known of the training table as JSON (its rows, and the graph that it says made it), its distribution, and its
    instruments, none where it does not name them.
    Raises DataError where another graph made it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(train) as file:
            digest = (file.schema_arrow.metadata or {}).get(GRAPH_METADATA + b".digest", b"").decode() or None
            if digest is not None and digest != graph.digest:
                raise DataError(
                    "BAD_VALUE", f"the training table was made by another graph ({digest[:12]}…) than "
                    f'"{graph.name}" ({graph.digest[:12]}…): {_graphs_differ(file, graph)}', where=str(train), value=digest,
                    next_step="Register with the graph that made it, or backfill again and fit on the new table.",
                )  # fmt: skip
            rows = file.metadata.num_rows
            if rows == 0:
                raise DataError("BAD_VALUE", "the training table has no rows", where=str(train))
            noted = canonical_json({"rows": rows, "graph_digest": digest}).encode()
            return noted, _distributions(file, str(train), graph.features), _instruments(file)
    except FileNotFoundError:
        raise DataError("UNKNOWN_TYPE", "there is no such file", where=str(train)) from None
    except OSError as error:
        why = error.strerror or "it is no file" if Path(train).is_dir() else error.strerror or str(error)
        raise DataError("UNKNOWN_TYPE", f"it cannot be read: {why}", where=str(train)) from None
    except pa.ArrowException as error:
        raise DataError("UNKNOWN_TYPE", f"it cannot be read as Parquet: {error}", where=str(train)) from None


def _instruments(file: Any) -> tuple[str, ...]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if "instrument" not in file.schema_arrow.names:
        return ()
    column = file.read(["instrument"]).column(0)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return ()
    named = tuple(sorted(name for name in pc.unique(column).to_pylist() if name))
    return () if named == (NAMELESS,) else named


def _graphs_differ(file: Any, graph: FeatureGraph) -> str:
    """Where the graph of a table differs from another, in words."""
    try:
        old = json.loads(file.schema_arrow.metadata[GRAPH_METADATA])
    except (KeyError, ValueError):
        return "which one, it does not say"
    names = [str(name) for name, _ in old["features"]]
    if names != list(graph.features):
        return f"it has the features {', '.join(names)}"
    new = json.loads(graph.to_json())
    for key in ("axis", "on"):
        if old.get(key) != new.get(key):
            return f"the same features, but {key} is {json.dumps(new.get(key))} now and was {json.dumps(old.get(key))}"
    return "the same features, computed otherwise"


def _distributions(file: Any, where: str, features: tuple[str, ...]) -> dict[str, Distribution]:
    """Count, null share, mean, standard deviation, extremes and quantiles of each feature, column by column."""
    import pyarrow as pa

    names = file.schema_arrow.names
    found = {}
    for name in features:
        if names.count(name) != 1:
            what = f'the training table has {"no" if name not in names else "more than one"} column "{name}"'
            raise DataError("MISSING_COLUMN", what, where=where, next_step=did_you_mean(name, names))
        column = file.read([name]).column(0)
        try:
            numbers = column.cast(pa.float64())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            what = f'column "{name}" of the training table is {column.type}, which is no number'
            raise DataError("WRONG_TYPE", what, where=where) from None
        found[name] = _distribution(numbers.to_numpy())
    return found


def _distribution(column: np.ndarray) -> Distribution:
    import numpy as np

    valid = column[np.isfinite(column)]
    if len(valid) == 0:
        return Distribution(0, 1.0 if len(column) else 0.0, None, None, None, None)
    quantiles = np.quantile(valid, QUANTILES)
    return Distribution(
        count=len(valid),
        null_share=float(1 - len(valid) / len(column)),
        mean=float(valid.mean()),
        std=float(valid.std(ddof=1)) if len(valid) > 1 else None,
        min=float(valid.min()),
        max=float(valid.max()),
        quantiles=tuple((p, float(q)) for p, q in zip(QUANTILES, quantiles, strict=True)),
    )
