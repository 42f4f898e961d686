"""What a runtime is given to make a registered model ready."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A registered version as its runtime needs it: what `factory("model", kind)` is called with.

    `columns` are its inputs in order, of type `dtype` (f32 or f64); number `output_index` of the output named `output` becomes
    the prediction's value. `files` are where its verified files lie, by name, `digests` their SHA-256. `requirements` is
    what has to be installed. `isolated`: in a worker process of its own, or in the pipeline's. `first`: whether no other model
    of the pipeline was made before it; where CPUs are few, that one's worker shares the pipeline's. `spare`: whether a
    second worker is kept warm.
    """

    ref: str
    kind: str
    columns: tuple[str, ...]
    dtype: str
    output: str
    output_index: int
    files: Mapping[str, Path]
    digests: Mapping[str, str]
    requirements: tuple[str, ...] = ()
    isolated: bool = True
    first: bool = True
    spare: bool = True
