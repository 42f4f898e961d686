"""One line of the latches: who killed or re-armed what, when and why."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Self

from signal_stream.records import FORMAT, known_fields

if TYPE_CHECKING:
    from collections.abc import Iterable

ALL: Final = "all"
"""The scope of everything."""
_SHA256: Final = ', "sha256": '


@dataclass(frozen=True, slots=True)
class Latch:
    """One line of the file: who did what to which scope, when and why. `sha256` rests on all lines before it."""

    seq: int
    ts: int
    action: str
    scope: str
    by: str
    reason: str
    sha256: str

    @classmethod
    def after(cls, before: Latch | None, *, action: str, scope: str, by: str, reason: str, ts: int, seq: int) -> Self:
        """The latch whose line follows that of `before`, or begins a file."""
        bare = cls(seq, ts, action, scope, by, reason, "")
        chained = ("" if before is None else before.sha256) + bare._text()
        return cls(seq, ts, action, scope, by, reason, hashlib.sha256(chained.encode()).hexdigest())

    def to_line(self) -> str:
        """The line as this release writes it, with its digest and line end."""
        return f"{self._text()}{_SHA256}{json.dumps(self.sha256)}}}\n"

    @classmethod
    def from_line(cls, line: str, before: Latch | None) -> Self:
        """A line of this format or an older one; fields that are not known are passed over. Raises ValueError if one character is
        not as written, here or in a line before, and for a format of a later release: what it does is not known here."""
        text, found, digest = line.rpartition(_SHA256)
        plain = json.loads(line)
        chained = ("" if before is None else before.sha256) + text
        wanted = hashlib.sha256(chained.encode()).hexdigest()
        if not found or digest != f'"{wanted}"}}':
            raise ValueError("not a latch as it was written")
        if plain.get("format", 0) > FORMAT:
            raise ValueError("of a later release")
        return cls.from_plain(plain)

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        """The latch that JSON holds, whether or not it follows another. Raises TypeError where something is missing."""
        return cls(**known_fields(cls, plain))

    def __str__(self) -> str:
        when = datetime.fromtimestamp(self.ts / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        what = "everything" if self.scope == ALL else self.scope.removeprefix("model:")
        verb = {"kill": "killed", "rearm": "re-armed"}.get(self.action, "begun")
        return f"{what} {verb} by {self.by} at {when}: {self.reason}"

    def _text(self) -> str:
        fields = {name: value for name, value in asdict(self).items() if name != "sha256"}
        return json.dumps({"format": FORMAT} | fields)[:-1]


def scope_of(model: str | None) -> str:
    """The scope of a model, or of everything (None)."""
    return ALL if model is None else f"model:{model}"


def standing_kills(latches: Iterable[Latch]) -> dict[str, Latch]:
    """The kills in force after these lines, by scope."""
    standing: dict[str, Latch] = {}
    for latch in latches:
        if latch.action == "kill":
            standing.setdefault(latch.scope, latch)
        elif latch.action == "rearm":
            standing.pop(latch.scope, None)
    return standing
