"""`signal-stream doctor`: whether this installation can do its work, and what to do where it cannot."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from typing import Annotated, NamedTuple

import typer


class Check(NamedTuple):
    """One question, its answer, and what to do if the answer is no."""

    name: str
    good: bool
    found: str
    next_step: str = ""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: signal-stream doctor    Exit: 0 all well, 1 something needed is missing.")(doctor)


def doctor(
    state: Annotated[str | None, typer.Option(metavar="DIR", help="Look at this state folder too.")] = None,
) -> None:
    """Check the installation: the core, the engine's bits, the model runtime, the clock, disk space."""
    checks = list(_checks(state))
    width = max(len(check.name) for check in checks)
    for check in checks:
        mark = "ok  " if check.good else "FAIL"
        print(f"{mark}  {check.name:<{width}}  {check.found}")
        if not check.good and check.next_step:
            print(f"      {'':<{width}}  {check.next_step}")
    if not all(check.good for check in checks):
        raise typer.Exit(1)


def _checks(state: str | None) -> Iterator[Check]:
    python = platform.python_version()
    yield Check("python", platform.python_version_tuple() >= ("3", "11"), python, "Use Python 3.11 or newer.")
    for name, ask, advice in _PARTS:
        try:
            yield Check(name, True, ask())
        except Exception as error:  # noqa: BLE001 - a doctor reports what he finds
            yield Check(name, False, f"{type(error).__name__}: {error}", advice)
    yield _disk(state or ".")


def _core() -> str:
    from signal_stream import _core

    return f"compiled core {_core.__version__}"


def _bits() -> str:
    import pyarrow as pa

    import signal_stream as ss

    close = ss.bars("1m").close
    graph = ss.FeatureGraph(
        name="doctor",
        on=ss.bars("1m"),
        features={"std": close.rolling(20).std(), "log": close.log(), "ewm": close.ewm(span=9).mean()},
    )
    rows = [100 + (i * 7919 % 101) / 7 for i in range(300)]
    table = pa.table({"ts_event": [1_700_000_040 + 60 * i for i in range(300)], "close": rows})
    report = ss.parity(graph, table, snapshots=5)
    if not report.same:
        raise RuntimeError(f"live and batch differ: {report.difference}")
    return f"live = batch = restored   digest {next(iter(report.runs.values()))[:8]}"


def _runtime() -> str:
    import onnxruntime

    return f"onnxruntime {onnxruntime.__version__}"


def _research() -> str:
    import importlib.metadata as metadata

    return ", ".join(f"{name} {metadata.version(name)}" for name in ("scikit-learn", "skl2onnx", "matplotlib"))


def _clock() -> str:
    import time

    step = min(b - a for a, b in ((time.perf_counter_ns(), time.perf_counter_ns()) for _ in range(1000)))
    return f"clock reads in {step} ns"


def _disk(folder: str) -> Check:
    import shutil

    free = shutil.disk_usage(folder).free
    return Check(
        "disk",
        free > 1 << 30,
        f"{free / 1e9:.1f} GB free at {folder}",
        "Free some space: a full disk halts a pipeline.",
    )


_PARTS: tuple[tuple[str, Callable[[], str], str], ...] = (
    ("core", _core, "Install the wheel again: pip install --force-reinstall signal-stream."),
    ("parity", _bits, "Do not trade on this machine; report the digest and the processor."),
    ("models", _runtime, "pip install onnxruntime"),
    ("research", _research, 'pip install "signal-stream[research]" (for the demo and save_onnx)'),
    ("clock", _clock, ""),
)
