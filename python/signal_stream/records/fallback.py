"""What stands in for a prediction that did not come."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Fallback:
    """Nothing, the last valid prediction, or a constant.

    >>> Fallback.parse("constant:0.5")
    Fallback(kind='constant', value=0.5)
    """

    kind: str
    value: float | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `veto`, `last_valid` or `constant:X`. Raises ValueError with the allowed forms."""
        if text in ("veto", "last_valid"):
            return cls(text)
        kind, _, number = text.partition(":")
        if kind == "constant" and re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", number):
            value = float(number)
            if math.isfinite(value):
                return cls(kind, value)
        raise ValueError('"veto", "last_valid" or "constant:" with a number')
