"""Makes a state folder of the version that is installed, for `tests/data/formats`: `python -m tests.data.formats.make FOLDER`.

A pipeline on standard input is served, ended, killed and re-armed, and served again.
"""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.serving import Market, Served, wait_for

MESSAGES = 420


def make(state: Path) -> None:
    """The state folder."""
    with tempfile.TemporaryDirectory() as folder:
        market = Market.make(Path(folder) / "market", seconds=4.0, trees=2)
        served = market.deploy(Path(folder) / "served", url="stdin:", pace=None)
        with gzip.open(market.capture, "rt") as file:
            lines = file.readlines()[:MESSAGES]
        lines.insert(MESSAGES // 2 + 1, lines[MESSAGES // 2])  # a duplicate
        half = MESSAGES // 2
        serve(served, lines[:half])
        for command in ("kill", "rearm"):
            served.command(command, "--all", "--by", "ada", "--reason", "test")
        serve(served, lines[half:])
        shutil.rmtree(state, ignore_errors=True)
        shutil.copytree(served.state.folder, state, ignore=shutil.ignore_patterns("lock", "*.lock", "serve.pid"))


def serve(served: Served, lines: list[str]) -> None:
    """One process over these lines, ended as a service is."""
    process = served.start(stdin=subprocess.PIPE)
    assert process.stdin is not None
    before = served.status().get("counts", {}).get("input", 0)
    process.stdin.write("".join(lines))
    process.stdin.flush()
    wait_for(lambda: served.status().get("counts", {}).get("input", 0) >= before + len(lines), "everything to be used")
    process.terminate()
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err


if __name__ == "__main__":
    make(Path(sys.argv[1]))
