"""`[pipeline]`: what a pipeline is called, and where its state and its registry lie."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from .section import Problem, Section
from .values import Name

if TYPE_CHECKING:
    from collections.abc import Iterator


class PipelineSettings(Section):
    """`[pipeline]`: what it is called and where it keeps its things."""

    folders: ClassVar[frozenset[str]] = frozenset({"state", "registry"})

    name: Name
    """Part of every signal's id."""
    state: Path = Field(default=Path("state/"), strict=False)
    """Folder of journal, snapshots and latches."""
    registry: Path = Field(default=Path("registry/"), strict=False)
    """Folder of the model registry."""

    def problems(self) -> Iterator[Problem]:
        """One folder for two things; a state folder behind a link that a release moves."""
        if os.path.normpath(self.state) == os.path.normpath(self.registry):
            what = f'registry = "{self.registry}" is the state folder'
            yield Problem("registry", what, "Give each a folder of its own.")
        link = _release_link(self.state)
        if link is not None:
            yield Problem(
                "state",
                f'state = "{self.state}" lies behind the link {link} to {link.resolve()}: when the link is moved, kills '
                "and journal stay behind",
                "Write an absolute path without such a link.",
            )


def _release_link(path: Path) -> Path | None:
    """A link on the way to `path` that leads to another folder beside or below it, as the link to the newest release
    does; None if there is none. Links to elsewhere, as to another disk, stay where they are."""
    for link in (path, *path.parents):
        if link.is_symlink() and link.parent != link.parent.parent:
            home = link.parent.resolve()
            if home in link.resolve().parents:
                return link
    return None
