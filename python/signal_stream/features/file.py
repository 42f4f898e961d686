"""Graphs in files: `GRAPH.py` or `GRAPH.py:name`."""

from __future__ import annotations

import ast
import inspect
import re
import runpy
import traceback
from pathlib import Path

from signal_stream.errors import GraphError, did_you_mean
from signal_stream.features import expression, graph, indicators, streams
from signal_stream.features.graph import FeatureGraph


def load_graph(ref: str) -> FeatureGraph:
    """The graph of a Python file; where it holds several, `FILE.py:name` chooses by variable or graph name.

    Raises GraphError with the file's line for whatever is wrong in it.
    """
    file, _, wanted = ref.partition(":") if not Path(ref).exists() else (ref, "", "")
    path = Path(file)
    if not path.is_file():
        raise GraphError(
            "NOT_FOUND", f"no file {file}", where=ref, next_step="Give a Python file that holds a ss.FeatureGraph."
        )
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


def _run(path: Path) -> dict[str, object]:
    try:
        return runpy.run_path(str(path))
    except GraphError as error:
        raise _in_feature(error, path) from None
    except SyntaxError as error:
        where = f"{path}:{error.lineno or 1}"
        raise GraphError("UNREADABLE", f"not Python: {error.msg}", where=where) from None
    except Exception as error:  # noqa: BLE001 - the user's code may raise anything
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path]
        where = f"{path}:{lines[-1]}" if lines and lines[-1] else str(path)
        raise _keyword(error, where) or GraphError(
            "UNREADABLE", f"{type(error).__name__}: {error}", where=where
        ) from None


def _keyword(error: Exception, where: str) -> GraphError | None:
    """What a call of ours with an unknown keyword argument should have said; None for other errors."""
    found = re.fullmatch(r"(?:(\w+)\.)?(\w+)\(\) got an unexpected keyword argument '(\w+)'", str(error))
    if not isinstance(error, TypeError) or found is None:
        return None
    owner, name, keyword = found.groups()
    for module in (expression, graph, indicators, streams):
        kind = getattr(module, owner, None) if owner else module
        function = kind if name == "__init__" else getattr(kind, name, None)
        if callable(function):
            known = [other for other in inspect.signature(function).parameters if other != "self"]
            return GraphError(
                "UNKNOWN_KEY", f'{owner if name == "__init__" else name}(…) takes no "{keyword}"', where=where, value=keyword,
                next_step=did_you_mean(keyword, known),
            )  # fmt: skip
    return None


def _in_feature(error: GraphError, path: Path) -> GraphError:
    """The error with the feature named in whose definition its line stands."""
    file, _, line = error.where.rpartition(":")
    if error.message.startswith('feature "') or Path(file) != path or not line.isdigit():
        return error
    feature = _feature_at(path.read_text(encoding="utf-8"), int(line))
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
