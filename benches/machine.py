"""The machine that figures were taken on."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("numpy", "pyarrow", "onnxruntime", "scikit-learn", "TA-Lib")


def machine() -> dict[str, Any]:
    """CPU, cores that may be used, kernel, load, pressure and versions, now."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": f"{platform.system()} {platform.release()}",
        "load": [round(load, 2) for load in os.getloadavg()],
        "cpu_pressure": _cpu_pressure(),
        "python": platform.python_version(),
        "versions": _versions(),
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _cpu_pressure() -> float | None:
    """Percent of the last 10 s in which work had to wait for a CPU; None if the kernel does not count it."""
    try:
        some = Path("/proc/pressure/cpu").read_text().splitlines()[0]
    except OSError:
        return None
    return float(some.split()[1].removeprefix("avg10="))


@cache
def _versions() -> dict[str, str]:
    import signal_stream._core as core

    found = {"signal_stream": core.__version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    for name, command in (("cc", ["cc", "--version"]), ("commit", ["git", "rev-parse", "--short", "HEAD"])):
        try:
            found[name] = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]
        except (OSError, subprocess.CalledProcessError, IndexError):
            continue
    return found
