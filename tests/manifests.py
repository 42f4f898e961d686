"""Manifests for tests that need some model's: a plain one, and one as a user's is."""

from __future__ import annotations

from typing import Any, Final

from signal_stream.registry import Distribution, Golden, Manifest, Output

DIGEST: Final = f"{10:064x}"
_PLAIN: Final[dict[str, Any]] = {
    **dict.fromkeys(("name", "kind", "signal", "graph_name", "label", "owner", "graph"), "m"),
    **dict.fromkeys(("horizon_ns", "refit_cadence_ns", "deadline_ns"), 1),
    **dict.fromkeys(("graph_digest", "schema_digest"), DIGEST),
    "columns": ("a",),
    "dtype": "f32",
    "output": Output("p", 0, 1),
    "fallback": "veto",
    "golden": Golden(1, DIGEST, DIGEST, 0.0),
    "training_distribution": {},
}


def plain_manifest(**fields: Any) -> Manifest:
    """A manifest of one column "a" whose texts are "m", apart from `fields`."""
    return Manifest(**_PLAIN | fields)


GRAPH, SCHEMA, VECTOR = DIGEST, f"{11:064x}", f"{12:064x}"
MANIFEST: Final = Manifest(
    name="btc_micro",
    kind="onnx",
    signal="up_10s",
    horizon_ns=10_000_000_000,
    label="forward_return(10s) > 0",
    owner="Ann",
    refit_cadence_ns=7 * 86_400_000_000_000,
    graph_name="btc_micro",
    graph='{"features": {"z": 1, "a": 2}}',
    graph_digest=GRAPH,
    schema_digest=SCHEMA,
    columns=("obi", "flow"),
    dtype="f32",
    output=Output("probabilities", 1, 2),
    deadline_ns=5_000_000,
    fallback="veto",
    golden=Golden(16, GRAPH, SCHEMA, 1.8e-7),
    training_distribution={
        "obi": Distribution(90, 0.1, 0.5, 0.25, -1.0, 1.0, ((0.1, -0.5), (0.9, 0.75))),
        "flow": Distribution(0, 1.0, None, None, None, None),
    },
    defaults={"flow": 0.0},
)
"""Its text, and so its digest, must never move: what users have stored is found by it."""
