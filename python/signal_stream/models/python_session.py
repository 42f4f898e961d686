"""A user's Python module as a model, in its worker process."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Self

from signal_stream._core import die_with_parent
from signal_stream.errors import ModelError
from signal_stream.models.python_request import TAIL_BYTES, Do, Tail
from signal_stream.models.session import NUMPY, SessionInfo

MODULE: Final = "signal_stream_user_model"
_STATE_BYTES_MAX: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class PythonSpec:
    """Which module, and what it needs: told to the worker as JSON.

    `path` is the module's file; what was registered with it lies in the same folder. `sha256` is the digest that the module
    must have, None for any.
    """

    path: str
    columns: tuple[str, ...]
    dtype: str
    requirements: tuple[str, ...]
    sha256: str | None

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        """The spec that `as_plain` has made plain, by way of JSON."""
        lists = {name: tuple(plain[name]) for name in ("columns", "requirements")}
        return cls(**{**plain, **lists})

    def as_plain(self) -> dict[str, Any]:
        """The spec as JSON can carry it."""
        return asdict(self)


class PythonSession:
    """A module ready to run, one row at a time, on one thread: from the request in `row` to the number in `values`.

    The module has a class `Model` (made with its folder, a `Path`) with a method, or else a function, `predict(rows,
    instruments, times)`: an array (n, columns) of its dtype, n instruments, n receive times in nanoseconds as int64; it gives n
    numbers. A class with `snapshot() -> bytes` and `restore(snapshot)` carries state; without them it may not remember.

    Invariant: `row` and `values` are never replaced.
    """

    info: SessionInfo

    def __init__(self, spec: PythonSpec, *, state_fd: int) -> None:
        """Reads, checks and imports the module. Raises ModelError."""
        import numpy as np

        self._spec = spec
        self._state_fd = state_fd
        self._pid = os.getpid()
        os.register_at_fork(after_in_child=self._forked)
        _check_requirements(spec)
        module, sha256 = _imported(spec)
        self._make = _maker(module, spec)
        self._model = self._made()
        self._is_new = True
        stateful = all(callable(getattr(self._model, name, None)) for name in ("snapshot", "restore"))
        self._row_bytes = len(spec.columns) * np.dtype(NUMPY[spec.dtype]).itemsize
        self._request = bytearray(self._row_bytes + TAIL_BYTES)
        self.row = memoryview(self._request)
        self._value = np.zeros(1)
        self.values = memoryview(self._value.data)
        self.info = SessionInfo(
            dtype=spec.dtype,
            values=1,
            sha256=sha256,
            runtime=f"Python {platform.python_version()}",
            run_ns_p50=0,
            stateful=stateful,
        )

    def compute(self) -> None:
        """Does what the request in `row` asks for. Raises what the model raises, and ValueError for an answer of another
        length."""
        try:
            self._value[0] = self._done(self.row)
        finally:
            if os.getpid() != self._pid:
                os._exit(1)  # a fork of the worker came back from the model: only the worker answers

    def _done(self, request: memoryview) -> float:
        tail = Tail.of(request, self._row_bytes)
        if tail.do is Do.PREDICT:
            return self._predicted(request, tail)
        if tail.do is Do.SNAPSHOT:
            return self._snapshot()
        if tail.do is Do.RESTORE:
            self._restore(tail.first)
        else:
            self._feed(tail)
        return 0.0

    def _predicted(self, request: memoryview, tail: Tail) -> float:
        import numpy as np

        self._is_new = False
        rows = np.frombuffer(request[: self._row_bytes], NUMPY[self._spec.dtype]).reshape(1, -1).copy()
        found = np.asarray(self._model.predict(rows, [tail.instrument], np.array([tail.ts_recv])), np.float64)
        if found.shape not in ((1,), (1, 1)):
            raise ValueError(
                f"predict gave an array of shape {list(found.shape)} for one row; it has to give one number a row"
            )
        return float(found.reshape(-1)[0])

    def _snapshot(self) -> float:
        state = self._model.snapshot()
        if not isinstance(state, bytes) or len(state) > _STATE_BYTES_MAX:
            what = f"{len(state):,} bytes" if isinstance(state, bytes) else type(state).__name__
            raise ValueError(f"snapshot gave {what}; it has to give bytes, {_STATE_BYTES_MAX:,} at most")
        os.ftruncate(self._state_fd, 0)
        written = 0
        while written < len(state):
            written += os.pwrite(self._state_fd, state[written:], written)
        return float(len(state))

    def _restore(self, size: int) -> None:
        if not self._is_new:
            self._model = self._made()
        self._is_new = size == 0
        if size:
            self._model.restore(os.pread(self._state_fd, size, 0))

    def _feed(self, tail: Tail) -> None:
        size = len(self._request)
        for i in range(tail.count):
            request = memoryview(os.pread(self._state_fd, size, tail.first + i * size))
            try:
                self._predicted(request, Tail.of(request, self._row_bytes))
            except Exception as error:  # noqa: BLE001  it was told when the row was asked for the first time
                sys.stderr.write(f"{error!r}\n")

    def _made(self) -> Any:
        return self._make(Path(self._spec.path).parent)

    def _forked(self) -> None:
        """A process that the model has forked ends with the worker."""
        if not die_with_parent(self._pid):
            os._exit(1)


def _check_requirements(spec: PythonSpec) -> None:
    """Raises ModelError for the first that is not installed."""
    from packaging.requirements import InvalidRequirement, Requirement

    for text in spec.requirements:
        try:
            wanted = Requirement(text)
        except InvalidRequirement as error:
            what = f'"{text}" is no requirement ({error})'
            raise ModelError("REQUIREMENT", what, where=spec.path, next_step='Write it as "numpy>=1.26".') from None
        if wanted.marker is not None and not wanted.marker.evaluate():
            continue
        try:
            found = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            found = ""
        if not found or not wanted.specifier.contains(found, prereleases=True):
            has = f"{wanted.name} {found} is installed" if found else f"{wanted.name} is not installed"
            what = f'the model needs "{text}", and {has}'
            raise ModelError("REQUIREMENT", what, where=spec.path, next_step=_install([text]))


def _install(requirements: Sequence[str]) -> str:
    words = " ".join(f'"{each}"' for each in requirements)
    return (
        f"{Path(sys.executable).name} -m pip install {words}" if words else "Install it, and name it as a requirement."
    )


def _imported(spec: PythonSpec) -> tuple[ModuleType, str]:
    """The module, run, and its digest."""
    path = Path(spec.path)
    try:
        source = path.read_bytes()
    except OSError as error:
        what = f"the module cannot be read ({error.strerror})"
        raise ModelError("UNREADABLE", what, where=spec.path, next_step="Check the path and its permissions.") from None
    sha256 = hashlib.sha256(source).hexdigest()
    if spec.sha256 is not None and sha256 != spec.sha256:
        what = f"the module has sha256 {sha256}, expected was {spec.sha256}"
        advice = "Restore the file as it was registered, or register the new one."
        raise ModelError("UNREADABLE", what, where=spec.path, next_step=advice)
    module = ModuleType(MODULE)
    module.__file__ = spec.path
    sys.modules[MODULE] = module
    sys.path.insert(0, str(path.parent))

    def run() -> None:
        exec(compile(source, spec.path, "exec"), module.__dict__)  # noqa: S102  that is what a Python model is

    _guarded(run, "the module", spec)
    return module, sha256


def _guarded(run: Callable[[], Any], what: str, spec: PythonSpec) -> Any:
    """What the user's code gives. Raises ModelError for whatever it raises."""
    try:
        return run()
    except ImportError as error:
        missing = f"{what} cannot be imported: {error}"
        names = spec.requirements or ([error.name.partition(".")[0]] if error.name else [])
        raise ModelError("REQUIREMENT", missing, where=_line(error, spec.path), next_step=_install(names)) from None
    except BaseException as error:  # noqa: BLE001  SystemExit too
        how = f"{what} raises {type(error).__name__}: {error}"
        raise ModelError(
            "PYTHON", how, where=_line(error, spec.path), next_step="Mend it, and register it again."
        ) from None


def _line(error: BaseException, path: str) -> str:
    """The line of the module at which it failed."""
    if isinstance(error, SyntaxError) and error.filename == path:
        return f"{path}:{error.lineno}"
    found, trace = path, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == path:
            found = f"{path}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def _maker(module: ModuleType, spec: PythonSpec) -> Callable[[Path], Any]:
    """What makes the model, from its folder."""
    if isinstance(kind := getattr(module, "Model", None), type):
        if not callable(getattr(kind, "predict", None)):
            what, advice = "its class Model has no method predict", "Give it predict(self, rows, instruments, times)."
            raise ModelError("PYTHON", what, where=spec.path, next_step=advice)
        return lambda folder: _guarded(lambda: kind(folder), "Model(folder)", spec)
    if callable(getattr(module, "predict", None)):
        return lambda _folder: module
    what = "the module has neither a class Model nor a function predict"
    raise ModelError("PYTHON", what, where=spec.path, next_step="Write def predict(rows, instruments, times).")
