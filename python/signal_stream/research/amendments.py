"""Vectors that late events changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from signal_stream.durations import LATENESS_MAX
from signal_stream.errors import DataError
from signal_stream.research.table_options import stated_ns

if TYPE_CHECKING:
    import pyarrow as pa

    from signal_stream import _core
    from signal_stream.features import FeatureGraph


@dataclass(frozen=True, slots=True)
class Amendments:
    """Vectors as they are now, and of each its revision (1, 2, …), the digest of the vector as it was given last (None for one
    that is there only now), and the digest as it is now (None for one that is no more: it has no values)."""

    vectors: _core.Vectors
    changes: list[tuple[int, bytes | None, bytes | None]]

    def bits(self, part: str) -> bytes:
        """What two runs must agree on, of the "vectors" or the "changes". Concatenations do not depend on how a run was cut."""
        if part == "vectors":
            return self.vectors.bits()
        return b"".join(b"%d %s %s;" % (revision, old or b"-", new or b"-") for revision, old, new in self.changes)

    def batch(self, *, reasons: bool = False) -> pa.RecordBatch:
        """As `compute` gives vectors, with two columns more: `revision` and `withdrawn`."""
        import pyarrow as pa

        revisions = [revision for revision, *_ in self.changes]
        return with_revisions(
            pa.record_batch(self.vectors.columns(reasons=reasons)), revisions, [new is None for *_, new in self.changes]
        )


def with_revisions(
    batch: pa.RecordBatch, revisions: list[int] | None = None, withdrawn: list[bool] | None = None
) -> pa.RecordBatch:
    """Vectors with the columns `revision` and `withdrawn`: 0 and false where they are given for the first time."""
    import pyarrow as pa

    revision = pa.array([0] * batch.num_rows if revisions is None else revisions, pa.int64())
    gone = pa.array([False] * batch.num_rows if withdrawn is None else withdrawn, pa.bool_())
    return batch.append_column("revision", revision).append_column("withdrawn", gone)


def amend_ns(amend_within: str | None, graph: FeatureGraph) -> int:
    """How far before the watermark a late event still changes what was given; 0 for not at all. Raises DataError."""
    if amend_within is None:
        return 0
    if graph.axis != "event":
        raise DataError(
            "BAD_VALUE", "amend_within is for graphs on venue time: on receive time nothing is late", value=amend_within,
            next_step='Leave it out, or make the graph with axis="event".',
        )  # fmt: skip
    ns = stated_ns("amend_within", amend_within, most=LATENESS_MAX)
    if ns == 0:
        raise DataError(
            "BAD_VALUE", "amend_within is 0: no late event would be amended", value=amend_within,
            next_step="Leave it out, or say how late an event may be.",
        )  # fmt: skip
    return ns or 0
