"""Graphs in files: `GRAPH.py` or `GRAPH.py:name`."""

from __future__ import annotations

import ast
import contextlib
import importlib
import runpy
import sys
import threading
import tokenize
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from signal_stream.errors import GraphError, did_you_mean
from signal_stream.features.graph import FeatureGraph

_ONE_AT_A_TIME = threading.RLock()
"""Modules and their path are the process's."""


def load_graph(ref: str) -> FeatureGraph:
    """The graph of a Python file; where it holds several, `FILE.py:name` chooses by variable or graph name.

    The file is run as Python runs a script: it imports the modules beside it, wherever the command was started. They are
    its own: another graph's module of the same name is another module. What it prints goes to the standard error.
    Raises GraphError with the file's line for whatever is wrong in it.
    """
    path, wanted = _place(ref)
    graphs = {name: value for name, value in _run(path).items() if isinstance(value, FeatureGraph)}
    if not graphs:
        raise GraphError(
            "NOT_FOUND", "holds no ss.FeatureGraph", where=str(path), next_step="Assign one to a variable."
        )
    if not wanted:
        distinct = {id(graph): graph for graph in graphs.values()}
        if len(distinct) == 1:
            return next(iter(distinct.values()))
        choices = " or ".join(f"{path}:{name}" for name in graphs)
        raise GraphError("NOT_FOUND", f"holds {len(distinct)} graphs", where=str(path), next_step=f"Say {choices}.")
    for name, found in graphs.items():
        if wanted in (name, found.name):
            return found
    raise GraphError("NOT_FOUND", f'holds no graph "{wanted}"', where=str(path), next_step=did_you_mean(wanted, graphs))


def _place(ref: str) -> tuple[Path, str]:
    """The file of a reference, and the name behind it."""
    wanted, path = "", Path(ref).expanduser()
    try:
        if not path.exists():
            file, _, wanted = ref.partition(":")
            path = Path(file).expanduser()
        if path.is_file():
            return path, wanted
        found = "is a folder" if path.is_dir() else "is no regular file" if path.exists() else ""
    except (OSError, ValueError) as error:  # too long, a byte that no path has, no right to look
        raise GraphError("NOT_FOUND", f"no file can be read there: {error}", where=ref[:200]) from None
    if found:
        raise GraphError(
            "NOT_FOUND", found, where=str(path), next_step="Give a Python file that holds a ss.FeatureGraph."
        )
    raise GraphError(
        "NOT_FOUND", f"no file {path}", where=ref, next_step="Give a Python file that holds a ss.FeatureGraph."
    )


def _run(path: Path) -> dict[str, object]:
    with _ONE_AT_A_TIME:
        try:
            with _neighbours(path.resolve().parent), contextlib.redirect_stdout(sys.stderr):
                return runpy.run_path(str(path))
        except GraphError as error:
            raise _in_feature(error, path) from None
        except SyntaxError as error:
            where = f"{error.filename or path}:{error.lineno or 1}"
            raise GraphError("UNREADABLE", f"not Python: {error.msg}", where=where) from None
        except SystemExit as error:
            raise GraphError(
                "UNREADABLE", f"ends the program ({error!r})", where=_line(error, path),
                next_step='Guard what is a program by `if __name__ == "__main__":`.',
            ) from None  # fmt: skip
        except Exception as error:  # noqa: BLE001 - the user's code may raise anything
            next_step = ""
            if isinstance(error, ImportError) and "relative import" in str(error):
                next_step = "The file is run as a script: import its neighbour by name, without the dot."
            raise GraphError(
                "UNREADABLE", f"{type(error).__name__}: {error}", where=_line(error, path), next_step=next_step
            ) from None


@contextlib.contextmanager
def _neighbours(folder: Path) -> Iterator[None]:
    """Modules of a folder come before all others of their name, and are forgotten afterwards.

    Those of the standard library stay what they are once loaded, as in a script.
    """
    names = {
        entry.stem for entry in _entries(folder) if entry.suffix == ".py" or (entry / "__init__.py").is_file()
    } - sys.stdlib_module_names
    names.discard("signal_stream")
    before, path, bytecode = dict(sys.modules), list(sys.path), sys.dont_write_bytecode
    for name in before:
        if name.partition(".")[0] in names:
            del sys.modules[name]
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.dont_write_bytecode = bytecode
        sys.path[:] = path
        for name, module in list(sys.modules.items()):
            own = name.partition(".")[0] == "signal_stream"
            if not own and before.get(name) is not module and _lies_in(module, folder):
                del sys.modules[name]
        for name, module in before.items():
            sys.modules.setdefault(name, module)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _lies_in(module: ModuleType, folder: Path) -> bool:
    """Whether a module is one of the folder, and not of an environment that lies in it."""
    spec = getattr(module, "__spec__", None)
    places = [getattr(module, "__file__", None), *(getattr(spec, "submodule_search_locations", None) or ())]
    found = next((Path(place) for place in places if place), None)
    if found is None or not found.is_relative_to(folder):
        return False
    inner = [
        Path(entry) for entry in sys.path if entry and Path(entry) != folder and Path(entry).is_relative_to(folder)
    ]
    return not any(found.is_relative_to(entry) for entry in inner)


def _line(error: BaseException, path: Path) -> str:
    """The last line of the file, or of a module beside it, that had a part in the error."""
    folder = path.resolve().parent
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename) == path:
            return f"{path}:{frame.lineno}"
        if Path(frame.filename).parent == folder:
            return f"{path.parent / Path(frame.filename).name}:{frame.lineno}"
    return str(path)


def _in_feature(error: GraphError, path: Path) -> GraphError:
    """The error with the feature named in whose definition its line stands."""
    file, _, line = error.where.rpartition(":")
    if error.message.startswith('feature "') or Path(file) != path or not line.isdigit():
        return error
    with tokenize.open(path) as text:
        feature = _feature_at(text.read(), int(line))
    message = f'feature "{feature}": {error.message}' if feature else error.message
    return GraphError(error.code, message, where=error.where, value=error.value, next_step=error.next_step)


def _feature_at(text: str, line: int) -> str | None:
    """The key of the innermost dictionary entry that covers a line."""
    found = None
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if not (isinstance(key, ast.Constant) and isinstance(key.value, str)):
                    continue
                if key.lineno <= line <= (value.end_lineno or value.lineno):
                    found = key.value
    return found
