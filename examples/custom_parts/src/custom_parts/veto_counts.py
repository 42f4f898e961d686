"""Why signals were vetoed, counted: a file for whoever looks after the desk."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from pydantic import Field

from signal_stream.records import Decision
from signal_stream.settings import ObserverSettings


class VetoCounts:
    """`kind = "veto_counts"`. Writes the counts when it is closed."""

    class Settings(ObserverSettings):
        """`[[observer]]` of vetoes by code."""

        path: Path = Field(strict=False)
        """The file; relative to the deployment file."""

    def __init__(self, settings: Settings) -> None:
        self._path = settings.path
        self._counts: Counter[str] = Counter()

    def observe(self, decision: Decision) -> None:
        """Counts the outcome and its codes."""
        self._counts[decision.verdict.outcome] += 1
        self._counts.update(decision.verdict.codes)

    def close(self) -> None:
        """Writes the counts."""
        self._path.write_text(json.dumps(dict(sorted(self._counts.items())), indent=1) + "\n")
