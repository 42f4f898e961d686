"""Refusals of the core: one place makes errors of the tree of them, and each row of its table is in the tree."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import get_args

import pytest

from signal_stream import _core, core_errors
from signal_stream.core_errors import Asked, BoundRowsError, core_error
from signal_stream.errors import EngineError, GraphError, TapeError

PACKAGE = Path(core_errors.__file__).parent
FALLS_BACK = ["research/engine.py", "serve/nearest_snapshot.py", "serve/restart.py"]
"""Handlers that raise nothing: a snapshot of another version is passed over."""


@pytest.mark.parametrize("asked", get_args(Asked))
def test_each_row_of_the_table_is_in_the_tree(asked: Asked) -> None:
    for code in [*core_errors._TABLE.get(asked, {}), "A_CODE_OF_TOMORROW"]:
        error = core_error(_core.CoreError(code, "it is wrong", None), asked, about="here: ")
        assert error.code in type(error).codes
        assert str(error).startswith("here: it is wrong.")


def test_what_a_code_means_depends_on_what_was_asked() -> None:
    late = _core.CoreError("LATE", "message 7 is late", None)
    found = {asked: core_error(late, asked) for asked in ("feed", "engine", "row", "graph")}
    kinds = {asked: (type(error), error.code) for asked, error in found.items()}
    assert kinds == {
        "feed": (TapeError, "LATE"),
        "engine": (TapeError, "LATE"),
        "row": (BoundRowsError, "OUT_OF_ORDER"),
        "graph": (GraphError, "BAD_ARGUMENT"),
    }
    assert str(found["row"]) == "message 7 is late. Give times that do not fall."
    poisoned = core_error(_core.CoreError("POISONED", "an earlier call failed", None), "engine")
    assert (type(poisoned), poisoned.code) == (EngineError, "PANIC")


def test_nobody_else_translates() -> None:
    """Whoever catches a refusal of the core hands it to `core_error`."""
    own = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for handler in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(handler, ast.ExceptHandler) or handler.type is None:
                continue
            if "CoreError" in ast.unparse(handler.type) and "core_error(error, " not in ast.unparse(handler):
                own.append(str(path.relative_to(PACKAGE)))
    assert own == FALLS_BACK
