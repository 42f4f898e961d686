"""The guard that a vector is what the model was trained on."""

from __future__ import annotations

from signal_stream.records import Finding, Prediction, VectorRow


class SchemaDigest:
    """Vetoes SCHEMA_MISMATCH unless graph digest, schema digest and the number of columns are the manifest's.

    Asked on every emission: an engine that was swapped under a running model is caught at the next vector.
    """

    __slots__ = ("columns", "graph_digest", "schema_digest")

    def __init__(self, *, graph_digest: str, schema_digest: str, columns: int) -> None:
        self.graph_digest = graph_digest
        self.schema_digest = schema_digest
        self.columns = columns

    def check(self, _prediction: Prediction | None, vector: VectorRow, _now: int) -> Finding | None:
        """SCHEMA_MISMATCH with what was expected and what was seen, or None."""
        if vector.graph_digest != self.graph_digest:
            return self._differs("graph digest", self.graph_digest, vector.graph_digest)
        if vector.schema_digest != self.schema_digest:
            return self._differs("schema digest", self.schema_digest, vector.schema_digest)
        if len(vector.reasons) != self.columns:
            return self._differs("number of columns", self.columns, len(vector.reasons))
        return None

    @staticmethod
    def _differs(what: str, expected: object, seen: object) -> Finding:
        return Finding("SCHEMA_MISMATCH", f"{what} is {seen}, the manifest has {expected}")
