"""The stub of the compiled core says what the module has, no more and no less."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_stub_equals_the_module() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python"), "MYPYPATH": str(ROOT / "python")}
    command = [sys.executable, "-m", "mypy.stubtest", "signal_stream._core"]
    command += ["--allowlist", str(ROOT / "tests" / "contract" / "stub_allowlist.txt")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
