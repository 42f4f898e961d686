"""`signal-stream doctor`: whether this installation can do its work, and what to do where it cannot."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from pathlib import Path
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
    app.command(epilog="Example: signal-stream doctor\n\nExit: 0 all well, 1 something is missing or damaged.")(doctor)


def doctor(
    state: Annotated[
        str | None, typer.Option(metavar="DIR", help="Read this state folder too, to the last byte.")
    ] = None,
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
    if state is not None:
        yield from _state_checks(Path(state))


def _state_checks(folder: Path) -> Iterator[Check]:
    """Everything that a state folder holds, read to the last byte."""
    from signal_stream.errors import SignalStreamError

    if not folder.is_dir():
        yield Check("state", False, f"there is no folder {folder}", "Name the [pipeline] state of a deployment file.")
        return
    for name, ask in _REMEMBERED:
        try:
            yield Check(name, True, ask(folder))
        except SignalStreamError as error:
            where = f"{error.where}: " if error.where else ""
            yield Check(name, False, f"{where}{error.message}", error.next_step)
        except OSError as error:
            yield Check(name, False, f"{error.filename or folder}: {error.strerror or error}", "Check the disk.")


def _journal(folder: Path) -> str:
    from signal_stream.store import State

    journal = State(folder).reader()
    if not journal.folder.is_dir():
        return "none yet"
    count = lost = 0
    for record in journal.records():
        count += 1
        lost += record.kind == "lost"
    end = journal.check_end()
    first = end - count
    removed = f"; records 0 to {first - 1:,} are not here: older segments were removed" if first else ""
    marked = f"; {lost:,} are marked as lost by a repair" if lost else ""
    return f"{count:,} records{removed}{marked}"


def _latches(folder: Path) -> str:
    from signal_stream.errors import LatchError
    from signal_stream.serve.run_record import noted_latches
    from signal_stream.store import State

    state = State(folder)
    latches = state.latches()
    standing = latches.standing()
    if any(state.journal_folder.glob("*.arrows")):
        noted = noted_latches(state.reader())
        if noted and latches.lacks(noted[-1]):
            raise LatchError(
                "UNREADABLE",
                f"they lack record {noted[-1].seq}, which the journal holds ({noted[-1]})",
                where=str(state.latches_path),
                next_step="Everything is killed when it is served, until `signal-stream rearm --all`.",
            )
    return "; ".join(map(str, standing)) or "nothing is killed"


def _tape(folder: Path) -> str:
    from signal_stream.errors import TapeError
    from signal_stream.serve.run_record import last_run
    from signal_stream.store import State
    from signal_stream.store.tape_log import check_log, list_segments

    state = State(folder)
    opened = last_run(state.reader()) if any(state.journal_folder.glob("*.arrows")) else None
    check_log(folder / "late")
    if opened is None:
        return "none yet"
    if not opened.tape.recorded:
        return f"{opened.tape.path}, which is not kept here"
    path = Path(opened.tape.path)
    if not list_segments(path) and any(True for _ in state.reader().newest_first("signal")):
        raise TapeError(
            "NOT_FOUND", "the journal's signals rest on events that were recorded here, and none is", where=str(path),
            next_step="Put the folder back from a copy; without it no signal can be replayed.",
        )  # fmt: skip
    check_log(path)
    return f"recorded in {opened.tape.path}, every byte as it was written"


def _snapshots(folder: Path) -> str:
    from signal_stream.store import State

    return f"{State(folder).snapshots().check()} whole"


def _models(folder: Path) -> str:
    from signal_stream.registry import Registry
    from signal_stream.serve.run_record import last_run
    from signal_stream.store import State

    state = State(folder)
    opened = last_run(state.reader()) if any(state.journal_folder.glob("*.arrows")) else None
    if opened is None:
        return "none yet"
    registry = Registry(Path(opened.registry))
    for model in opened.models:
        registry.load(model.ref)
    return f"{', '.join(model.ref for model in opened.models)} as registered in {opened.registry}"


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


_REMEMBERED: tuple[tuple[str, Callable[[Path], str]], ...] = (
    ("journal", _journal),
    ("latches", _latches),
    ("tape", _tape),
    ("snapshots", _snapshots),
    ("served", _models),
)

_PARTS: tuple[tuple[str, Callable[[], str], str], ...] = (
    ("core", _core, "Install the wheel again: pip install --force-reinstall signal-stream."),
    ("parity", _bits, "Do not trade on this machine; report the digest and the processor."),
    ("models", _runtime, "pip install onnxruntime"),
    ("research", _research, 'pip install "signal-stream[research]" (for the demo and save_onnx)'),
    ("clock", _clock, ""),
)
