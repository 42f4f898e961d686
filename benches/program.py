"""The Rust program of the benches (`benches/rust`): built by cargo, and run for its figures."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from benches.folders import ROOT


class NotBuilt(Exception):
    """The Rust program cannot be built here."""


def figures_of(*words: str | Path) -> list[dict[str, Any]]:
    """What the program prints for these words: an object a figure. Raises NotBuilt, and CalledProcessError if it fails."""
    printed = subprocess.run([built(), *words], check=True, stdout=subprocess.PIPE, text=True).stdout
    return [json.loads(line) for line in printed.splitlines()]


@cache
def built() -> Path:
    """The program. Raises NotBuilt."""
    if shutil.which("cargo") is None:
        raise NotBuilt("there is no cargo")
    command = ["cargo", "build", "--release", "--quiet", "-p", "signal-benches", "--message-format=json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise NotBuilt(f"cargo failed: {done.stderr.strip().splitlines()[-1:]}")
    messages = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    return Path(next(message["executable"] for message in messages if message.get("executable")))
