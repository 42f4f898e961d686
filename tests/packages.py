"""Packages of users, installed as an installer leaves them: their modules and their metadata in a folder on the path."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path


def install(project: Path, site: Path) -> None:
    """Puts a project of the src layout into a folder of packages, with the entry points of its pyproject.toml."""
    data = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    shutil.copytree(project / "src", site, dirs_exist_ok=True)
    write_metadata(site, data["name"], data["version"], data["entry-points"])


def write_metadata(site: Path, name: str, version: str, groups: dict[str, dict[str, str]]) -> None:
    """The metadata of a package, with its entry points by group."""
    folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [
        line
        for group, points in groups.items()
        for line in (f"[{group}]", *(f"{kind} = {value}" for kind, value in points.items()), "")
    ]
    (folder / "entry_points.txt").write_text("\n".join(lines))
