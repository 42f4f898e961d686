"""The columns of signals and of amendments in a file of Arrow record batches."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

from signal_stream.records import FORMAT, canonical_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa


class Columns(Protocol):
    """What the rows of a file are, and where they come from."""

    key: str
    """The column that names what a row is of."""
    what: str

    def schema(self) -> pa.Schema:
        """The columns."""

    def rows(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """The rows of these records, in order."""

    def texts(self, rows: Sequence[dict[str, Any]]) -> list[str]:
        """The records that whole rows are of."""


class SignalColumns:
    """A row a signal, its columns named and ordered as its JSON."""

    key = "signal_id"
    what = "signals"

    def schema(self) -> pa.Schema:
        """See `signal_schema`."""
        return signal_schema()

    def rows(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Signals as they are."""
        return [json.loads(text) for text in texts]

    def texts(self, rows: Sequence[dict[str, Any]]) -> list[str]:
        """Signals as they were; one without a stage was made when there was none."""
        return [json.dumps({name: x for name, x in row.items() if name != "stage" or x is not None}) for row in rows]


class AmendmentColumns:
    """A row a vector that changed, with the amendment that it belongs to: vectors of one amendment stand together."""

    key = "amendment_id"
    what = "amendments"

    def schema(self) -> pa.Schema:
        """See `amendment_schema`."""
        return amendment_schema()

    def rows(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Each amendment's vectors."""
        found: list[dict[str, Any]] = []
        for text in texts:
            amendment = json.loads(text)
            found += [amendment | vector for vector in amendment.pop("vectors")]
        return found

    def texts(self, rows: Sequence[dict[str, Any]]) -> list[str]:
        """Amendments as they were."""
        found: dict[str, dict[str, Any]] = {}
        of_vector = ("instrument", "ts_event", "revision", "old", "new", "values", "reasons")
        for row in rows:
            vector = {name: row.pop(name) for name in of_vector}
            found.setdefault(row["amendment_id"], row | {"vectors": []})["vectors"].append(vector)
        return [canonical_json({"format": FORMAT, **each}) for each in found.values()]


def amendment_schema() -> pa.Schema:
    """The columns, named as an amendment's JSON and a vector's in it; times are nanoseconds UTC. `features` names `values` and
    `reasons`."""
    import pyarrow as pa

    time = pa.timestamp("ns", tz="UTC")

    def required(name: str, kind: pa.DataType) -> pa.Field:
        return pa.field(name, kind, nullable=False)

    return pa.schema(
        [
            *(required(name, pa.string()) for name in ("amendment_id", "graph", "graph_digest")),
            required("offset", pa.int64()),
            required("ts_recv", time),
            required("instrument", pa.string()),
            required("ts_event", time),
            required("revision", pa.int64()),
            pa.field("old", pa.string()),
            pa.field("new", pa.string()),
            required("features", pa.list_(pa.string())),
            required("values", pa.list_(pa.float64())),
            required("reasons", pa.list_(pa.string())),
        ]
    )


def signal_schema() -> pa.Schema:
    """The columns, named and ordered as a signal's JSON; times are nanoseconds UTC."""
    import pyarrow as pa

    time = pa.timestamp("ns", tz="UTC")
    whole = pa.int64()

    def required(name: str, kind: pa.DataType) -> pa.Field:
        return pa.field(name, kind, nullable=False)

    stages = [required(stage, whole) for stage in ("features", "model", "guards", "emit")]
    return pa.schema(
        [
            *(required(name, pa.string()) for name in ("signal_id", "signal", "instrument")),
            pa.field("value", pa.float64()),
            required("verdict", pa.string()),
            required("codes", pa.list_(pa.string())),
            *(required(name, pa.string()) for name in ("model_id", "model_version")),
            pa.field("stage", pa.string()),
            *(required(name, pa.string()) for name in ("feature_graph_hash", "schema_hash", "vector_hash")),
            pa.field("ts_event", time),
            required("ts_recv", time),
            required("data_window_end", time),
            pa.field("data_age_ns", whole),
            required("tape", pa.struct([required("name", pa.string()), required("offset", whole)])),
            required("defaults_used", pa.list_(pa.string())),
            required("latency_ns", pa.struct(stages)),
        ]
    )
