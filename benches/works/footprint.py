"""What an installation weighs: the packages that the base install brings with it, and the compiled core. No goal."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

import signal_stream
from benches.figure import Figure, Measured
from benches.folders import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

MEGABYTE = 1e6


def measure(*, quick: bool) -> Iterator[Figure]:
    """How many packages, their size, and our own; `quick` changes nothing."""
    del quick
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    direct = [Requirement(text) for text in project["dependencies"]]
    packages = installed(direct)
    sizes = {name: size(package) for name, package in packages.items()}
    largest = sorted(sizes, key=lambda name: -sizes[name])[:4]
    note = ", ".join(f"{name} {sizes[name] / MEGABYTE:.0f}" for name in largest)
    own = Path(signal_stream.__file__).parent
    own_bytes = sum(
        path.stat().st_size for path in own.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    )
    yield Figure("base install, packages named", "packages", Measured.once(len(direct)))
    yield Figure("base install, packages in all", "packages", Measured.once(len(packages)))
    yield Figure("base install, size", "MB", Measured.once(sum(sizes.values()) / MEGABYTE), note=note)
    yield Figure(
        "signal_stream itself", "MB", Measured.once(own_bytes / MEGABYTE), note="with debug lines, which a wheel strips"
    )


def installed(requirements: list[Requirement]) -> dict[str, Distribution]:
    """The packages that the requirements bring about here, by name."""
    found: dict[str, Distribution] = {}
    waiting = list(requirements)
    while waiting:
        requirement = waiting.pop()
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        extras = requirement.extras or {""}
        if name in found or not any(_applies(requirement, extra) for extra in extras):
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue
        for text in found[name].requires or ():
            needed = Requirement(text)
            if any(_applies(needed, extra) for extra in extras):
                waiting.append(needed)
    return found


def _applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def size(package: Distribution) -> int:
    """Bytes of the package's files."""
    paths = (Path(str(file.locate())) for file in package.files or ())
    return sum(path.stat().st_size for path in paths if path.is_file())
