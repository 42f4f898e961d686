"""The guard that a person's kill holds."""

from __future__ import annotations

from signal_stream.records import Finding, Prediction, VectorRow

from .guard import KillLatches


class KillSwitch:
    """Vetoes KILLED while the model, or all, are latched. The latches are looked at on every emission."""

    __slots__ = ("_killed", "_model")

    def __init__(self, *, model: str, latches: KillLatches) -> None:
        self._model = model
        self._killed = latches.killed

    def check(self, _prediction: Prediction | None, _vector: VectorRow, _now: int) -> Finding | None:
        """KILLED with who, when and why, or None."""
        why = self._killed(self._model)
        return None if why is None else Finding("KILLED", why)
