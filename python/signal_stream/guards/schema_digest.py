"""The guard that a vector is what the model was trained on."""

from __future__ import annotations

from .guard import Finding, Predicted, VectorRow


class SchemaDigest:
    """Vetoes SCHEMA_MISMATCH unless graph digest, schema digest and the number of columns are the manifest's.

    Asked on every emission: an engine that was swapped under a running model is caught at the next vector.
    """

    __slots__ = ("_graph", "_schema", "_width")

    def __init__(self, *, graph_digest: str, schema_digest: str, columns: int) -> None:
        self._graph = graph_digest
        self._schema = schema_digest
        self._width = columns

    def check(self, _prediction: Predicted | None, vector: VectorRow, _now: int) -> Finding | None:
        """SCHEMA_MISMATCH with what was expected and what was seen, or None."""
        if vector.graph_digest != self._graph:
            return self._differs("graph digest", self._graph, vector.graph_digest)
        if vector.schema_digest != self._schema:
            return self._differs("schema digest", self._schema, vector.schema_digest)
        if len(vector.reasons) != self._width:
            return self._differs("number of columns", self._width, len(vector.reasons))
        return None

    @staticmethod
    def _differs(what: str, expected: object, seen: object) -> Finding:
        return Finding("SCHEMA_MISMATCH", f"{what} is {seen}, the manifest has {expected}")
