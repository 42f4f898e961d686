"""Registration: the checks that a model must pass, and the manifest that it gets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from signal_stream.durations import duration_ns
from signal_stream.errors import ManifestError, ModelError, did_you_mean
from signal_stream.features import FeatureGraph
from signal_stream.registry import Golden, Manifest, Output
from signal_stream.research.golden import check_names, tolerance, worst_difference
from signal_stream.research.onnx_file import SealedInfo, read_info
from signal_stream.research.training_table import TrainingTable, read_training
from signal_stream.settings import model_guards

if TYPE_CHECKING:
    from signal_stream.models.offline import OfflineModel
    from signal_stream.registry import Entry


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
    guards: Sequence[str | Path | Mapping[str, Any]] = ()
    """Judge the model's signals wherever it is served: see `settings.model_guards`."""


def register(
    graph: FeatureGraph, model: str | Path, train: str | Path, registry: str | Path, declared: Declaration, *, now: int
) -> Entry:
    """Checks a model against its graph and training table and registers it; gives the registry's entry.

    Checks: the training table was made by this graph, where its metadata says by which (`training.json` of the version keeps
    whether it did), and has the graph's features; the ONNX file's columns, and the names that the model itself carries, are
    the features in order; no tensor lies outside the file; it takes float32 or float64 as when it was sealed; its predictions
    of the golden rows are the original's, within 1e-5 of a probability or of a value's spread. `now` is the time of
    registration in ns. Raises ModelError, DataError, ManifestError, RegistryError, or SettingsError for a guard, that names
    what is wrong.
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
    table = read_training(train, graph)
    said = replace(declared, signal=declared.signal or info.signal, horizon=horizon, label=declared.label or info.label)
    manifest = new_manifest(graph, said, table, kind="onnx", dtype=served.info.dtype, output=info.output, golden=golden)
    files: dict[str, Path | bytes] = {
        "model.onnx": Path(model),
        "golden.json": golden_file,
        "training.json": table.noted,
    }
    return Registry(Path(registry)).register(manifest, files, by=declared.owner, now=now)


def new_manifest(
    graph: FeatureGraph,
    declared: Declaration,
    table: TrainingTable,
    *,
    kind: str,
    dtype: str,
    output: Output,
    golden: Golden,
    requirements: tuple[str, ...] = (),
    stateful: bool = False,
) -> Manifest:
    """The manifest of a model that was checked. Raises ManifestError, or SettingsError for a guard."""
    guards = model_guards(declared.guards)
    return Manifest(
        format=2 if guards else 1,
        name=declared.name,
        kind=kind,
        signal=declared.signal or declared.name,
        horizon_ns=_duration("horizon", declared.horizon or ""),
        label=declared.label or "",
        owner=declared.owner,
        refit_cadence_ns=_duration("refit", declared.refit),
        graph_name=graph.name,
        graph=graph.to_json(),
        graph_digest=graph.digest,
        schema_digest=graph.plan.schema_digest,
        columns=graph.features,
        dtype=dtype,
        output=output,
        deadline_ns=_duration("deadline", declared.deadline),
        fallback=declared.fallback,
        golden=golden,
        training_distribution=table.distribution,
        defaults=dict(declared.defaults or {}),
        instruments=table.instruments,
        requirements=requirements,
        stateful=stateful,
        guards=guards,
    )


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
