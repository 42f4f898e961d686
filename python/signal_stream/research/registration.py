"""Registration: the checks that a model must pass, and the manifest that it gets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from signal_stream.durations import duration_ns
from signal_stream.errors import DataError, ModelError, did_you_mean
from signal_stream.features import FeatureGraph
from signal_stream.records import Distribution, Golden, Manifest, Output
from signal_stream.research.onnx_file import read_facts

if TYPE_CHECKING:
    import numpy as np

    from signal_stream.registry import Entry

QUANTILES: Final = (0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)
TOLERANCE: Final = 1e-5
"""Largest difference between a prediction of the original model and of its float32 ONNX form."""


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

    Checks: the ONNX file's columns are the graph's features in order; the training table has them; the type is float32
    or float64; the ONNX predictions of the golden rows are the original's within 1e-5. `now` is the time of
    registration in ns. Raises ModelError or DataError that names what is wrong.
    """
    from signal_stream.registry import Registry

    facts = read_facts(model)
    if facts is None:
        raise ModelError(
            "GOLDEN", "the file carries no columns and no golden predictions, so nothing could be checked",
            where=str(model), next_step="Write it with signal_stream.save_onnx(model, path, columns=…, rows=…).",
        )  # fmt: skip
    _check_columns(graph, facts, str(model))
    output = Output(**facts["output"])
    golden, golden_file = _golden(facts, model, output)
    horizon = declared.horizon or facts.get("horizon") or ""
    if not horizon:
        raise ModelError(
            "OUTPUT", "nobody said how far ahead the model looks", where=str(model), next_step="Say --horizon 10s."
        )
    manifest = Manifest(
        name=declared.name,
        kind="onnx",
        signal=declared.signal or facts.get("signal") or declared.name,
        horizon_ns=duration_ns(horizon),
        label=declared.label or facts.get("label") or "",
        owner=declared.owner,
        refit_cadence_ns=duration_ns(declared.refit),
        graph_name=graph.name,
        graph=graph.to_json(),
        graph_digest=graph.digest,
        schema_digest=graph.plan.schema_digest,
        columns=graph.features,
        dtype="f32",
        output=output,
        deadline_ns=duration_ns(declared.deadline),
        fallback=declared.fallback,
        golden=golden,
        training_distribution=training_distribution(train, graph.features),
        defaults=dict(declared.defaults or {}),
    )
    files: dict[str, Path | bytes] = {"model.onnx": Path(model), "golden.json": golden_file}
    return Registry(Path(registry)).register(manifest, files, by=declared.owner, now=now)


def _check_columns(graph: FeatureGraph, facts: Mapping[str, Any], where: str) -> None:
    columns, features = list(facts["columns"]), list(graph.features)
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


def _golden(facts: Mapping[str, Any], model: str | Path, output: Output) -> tuple[Golden, bytes]:
    import numpy as np

    from signal_stream.models.offline import predict_rows

    inputs = np.asarray(facts["golden"]["inputs"], dtype=np.float32)
    wanted = np.asarray(facts["golden"]["outputs"], dtype=np.float64)
    found = predict_rows(model, inputs, columns=facts["columns"], output=output.name, output_index=output.index)
    worst = float(np.max(np.abs(found - wanted))) if len(wanted) else float("nan")
    if not worst <= TOLERANCE:
        row = int(np.argmax(np.abs(found - wanted)))
        raise ModelError(
            "GOLDEN", f"the original predicts {wanted[row]!r} for golden row {row}, the ONNX file {float(found[row])!r}",
            where=str(model), value=worst, next_step=f"They may differ by {TOLERANCE}: convert again, and compare.",
        )  # fmt: skip
    text = json.dumps({"inputs": inputs.tolist(), "outputs": [float(x) for x in found]}).encode()
    golden = Golden(
        rows=len(wanted),
        inputs_sha256=hashlib.sha256(inputs.tobytes()).hexdigest(),
        outputs_sha256=hashlib.sha256(np.asarray(found, dtype=np.float64).tobytes()).hexdigest(),
        difference_max=worst,
    )
    return golden, text


def training_distribution(train: str | Path, features: tuple[str, ...]) -> dict[str, Distribution]:
    """Count, null share, mean, standard deviation, extremes and quantiles of each feature, column by column."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(train) as file:
            names = file.schema_arrow.names
            missing = [name for name in features if name not in names]
            if missing:
                raise DataError(
                    "MISSING_COLUMN", f'the training table has no column "{missing[0]}"',
                    where=str(train), next_step=did_you_mean(missing[0], names),
                )  # fmt: skip
            return {name: _distribution(file.read([name]).column(0).to_numpy()) for name in features}
    except FileNotFoundError:
        raise DataError("UNKNOWN_TYPE", "there is no such file", where=str(train)) from None
    except pa.ArrowInvalid as error:
        raise DataError("UNKNOWN_TYPE", f"it cannot be read as Parquet: {error}", where=str(train)) from None


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
