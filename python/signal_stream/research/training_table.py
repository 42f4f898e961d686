"""The table that a model was trained on: by which graph it was made, of which instruments, and how its columns lie."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from signal_stream.errors import DataError, did_you_mean
from signal_stream.features import FeatureGraph
from signal_stream.records import canonical_json
from signal_stream.registry import Distribution
from signal_stream.research.compute import GRAPH_METADATA

if TYPE_CHECKING:
    import numpy as np

NAMELESS: Final = "TABLE"
"""What research calls the instrument of a table that names none."""
QUANTILES: Final = (0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)


class TrainingTable(NamedTuple):
    """`noted` is JSON: how many rows, and the graph that the table says made it. `instruments` are none where it names none."""

    noted: bytes
    distribution: Mapping[str, Distribution]
    instruments: tuple[str, ...]


def read_training(train: str | Path, graph: FeatureGraph) -> TrainingTable:
    """What a version keeps of its training table. Raises DataError where another graph made it."""
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
            return TrainingTable(noted, _distributions(file, str(train), graph.features), _instruments(file))
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
