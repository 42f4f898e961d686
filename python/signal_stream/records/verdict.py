"""What the Gate says about a prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PASS: Final = "PASS"  # noqa: S105  a verdict
VETO: Final = "VETO"
HALT: Final = "HALT"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the Gate says about one prediction.

    `outcome` is PASS, VETO or HALT. `codes` say why, in the fixed order of the guards; on a PASS they say why the
    value is the model's declared fallback. `why` has a sentence for each code, for people. `defaults_used` names
    the features for which the manifest's default went into the model.
    """

    outcome: str
    codes: tuple[str, ...] = ()
    why: tuple[str, ...] = ()
    defaults_used: tuple[str, ...] = ()
