"""`[pipeline]`, `[journal]` and `[tape]`: what a pipeline is called, and what it keeps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from .section import Problem, Section
from .values import Name, PositiveNs

if TYPE_CHECKING:
    from collections.abc import Iterator


class PipelineSettings(Section):
    """`[pipeline]`: what it is called and where it keeps its things."""

    name: Name
    """Part of every signal's id."""
    state: Path = Field(default=Path("state/"), strict=False)
    """Folder of journal, snapshots and latches."""
    registry: Path = Field(default=Path("registry/"), strict=False)
    """Folder of the model registry."""

    def problems(self) -> Iterator[Problem]:
        """A state folder behind a link that a release moves."""
        link = _release_link(self.state)
        if link is not None:
            yield Problem(
                "state",
                f'state = "{self.state}" lies behind the link {link} to {link.resolve()}: when the link is moved, kills '
                "and journal stay behind",
                "Write an absolute path without such a link.",
            )


class JournalSettings(Section):
    """`[journal]`: how safely signals are kept."""

    fsync: Literal["never", "interval", "always"] = "interval"
    """When what was written is forced to the disk. kill -9 loses nothing in any case; a power cut may."""
    fsync_interval_ns: PositiveNs = Field(default=1_000_000_000, alias="fsync_interval")
    """The most that a power cut may take under "interval"."""
    segment_bytes: int = Field(default=64 << 20, ge=1 << 16, le=1 << 40)
    """Size at which a new file is begun."""
    segment_age_ns: PositiveNs = Field(default=86_400_000_000_000, alias="segment_age")
    """Age of a file's first record at which a new one is begun. Files that are full are compressed."""
    keep_ns: PositiveNs | None = Field(default=None, alias="keep")
    """How long records stay, such as "90d"; for ever where it is not said."""


class TapeSettings(Section):
    """`[tape]`: how long events are kept that were written down because their source cannot be read again."""

    segment_bytes: int = Field(default=64 << 20, ge=1 << 16, le=1 << 40)
    """Size at which a new file is begun."""
    segment_age_ns: PositiveNs = Field(default=86_400_000_000_000, alias="segment_age")
    """Age of a file's first event at which a new one is begun. Files that are full are compressed."""
    keep_ns: PositiveNs | None = Field(default=None, alias="keep")
    """How long events stay, such as "30d"; for ever where it is not said. What a replay of signals needs that are in the journal
    stays in any case: say [journal] keep as well."""


def _release_link(path: Path) -> Path | None:
    """A link on the way to `path` that leads to another folder beside or below it, as the link to the newest release
    does; None if there is none. Links to elsewhere, as to another disk, stay where they are."""
    for link in (path, *path.parents):
        if link.is_symlink() and link.parent != link.parent.parent:
            home = link.parent.resolve()
            if home in link.resolve().parents:
                return link
    return None
