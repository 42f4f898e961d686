"""What guards and signals need to know of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class ModelTerms(Protocol):
    """The part of a model's manifest that its signals and their guards rest on."""

    @property
    def name(self) -> str:
        """The model's id."""

    @property
    def version(self) -> str:
        """Of its manifest."""

    @property
    def signal(self) -> str:
        """What its value predicts."""

    @property
    def graph_digest(self) -> str: ...
    @property
    def schema_digest(self) -> str: ...
    @property
    def columns(self) -> tuple[str, ...]:
        """Its inputs in order."""

    @property
    def defaults(self) -> Mapping[str, float]:
        """What stands in for an invalid feature, by column."""

    @property
    def fallback(self) -> str:
        """What stands in for a prediction that did not come: see `Fallback`."""
