"""Refusals of the core: one place makes errors of the tree of them, and each row of its table is in the tree."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import signal_stream as ss
from signal_stream import _core, core_errors
from signal_stream.core_errors import Asked, BoundRowsError, core_error
from signal_stream.errors import DataError, EngineError, GraphError, TapeError

PACKAGE = Path(core_errors.__file__).parent
FALLS_BACK = {
    "ingest/websocket_source.py": "what the core refuses of a deployment's settings is a mistake with its line",
    "research/engine.py": "bars that the core refuses to take as they are get the look that names the row",
    "research/table_files.py": "a file that is no tape and no capture may be a table",
    "serve/nearest_snapshot.py": "a snapshot of another version is passed over",
    "serve/restart.py": "a snapshot of another version is passed over",
}
"""Handlers that do something else, and why."""


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
    assert own == list(FALLS_BACK)


BARS = ss.FeatureGraph(
    name="b", on=ss.bars("1m"), features={"v": ss.bars("1m").volume, "d": ss.bars("1m").close.diff()}
)


def minutes(volumes: list[float]) -> pa.Table:
    opens = (1_700_000_040 + 60 * np.arange(len(volumes))) * 10**9  # of another unit they get a second look at any rate
    return pa.table({"ts_open": opens, "close": np.ones(len(volumes)), "volume": volumes})


def going_on(table: pa.Table, how: Callable[[ss.Engine, pa.Table], object]) -> None:
    """Gives a table to an engine that takes bars without a second look at them: it has had two."""
    engine = ss.Engine(BARS, instrument="X")
    engine.push(table[:2])
    how(engine, table[2:])


def backfilled(table: pa.Table, folder: Path) -> None:
    pq.write_table(table, folder / "t.parquet", row_group_size=2)
    ss.backfill(BARS, folder / "t.parquet", folder / "out.parquet", instrument="X")


WAYS: dict[str, Callable[[pa.Table, Path], object]] = {
    "push": lambda table, _: going_on(table, lambda engine, rest: engine.push(rest)),
    "push_vectors": lambda table, _: going_on(table, lambda engine, rest: engine.push_vectors(rest)),
    "pieces": lambda table, _: going_on(table, lambda engine, rest: engine.push_vectors(rest, chunk=1)),
    "stream": lambda table, _: going_on(table, lambda engine, rest: list(engine.stream(rest))),
    "not whole": lambda table, _: going_on(table, lambda engine, rest: list(engine.stream(rest, whole=False))),
    "restored": lambda table, _: going_on(
        table, lambda engine, rest: ss.Engine.restore(BARS, engine.snapshot(), like=engine).push(rest)
    ),
    "compute": lambda table, _: ss.compute(BARS, table.to_reader(2), instrument="X"),
    "backfill": backfilled,
    "parity": lambda table, _: ss.parity(BARS, table, instrument="X"),
}


@pytest.mark.parametrize("way", WAYS)
def test_an_amount_below_zero_is_a_mistake_in_its_row_by_whichever_way_it_comes(way: str, tmp_path: Path) -> None:
    """The core only says that there is one among bars that it takes without another look."""
    with pytest.raises(DataError, match=r'column "volume", row 4: volume is -4.0, below zero') as caught:
        WAYS[way](minutes([1.0, 2.0, 3.0, -4.0, 5.0]), tmp_path)
    assert caught.value.code == "BAD_VALUE"
    WAYS[way](minutes([1.0, 2.0, 3.0, 4.0, 5.0]), tmp_path)


def test_an_engine_whose_vectors_were_not_all_taken_says_so() -> None:
    """A clock over a hole of days is streamed: the state in between is nobody's."""
    graph = ss.FeatureGraph(name="c", on=ss.every("1s"), features={"p": ss.trades.price})
    engine = ss.Engine(graph)
    trades = pa.table({"ts_recv": [1_700_000_000, 1_700_400_000], "price": [1.0, 2.0], "qty": [1.0, 1.0]})
    vectors = engine.stream(trades)
    made = len(next(vectors))
    later = trades.set_column(0, "ts_recv", pa.array([1_700_500_000, 1_700_500_001]))
    asked: list[Callable[[], object]] = [
        engine.snapshot, engine.end, lambda: engine.push(later), lambda: engine.advance(1_700_400_001 * 10**9),
    ]  # fmt: skip
    for ask in asked:
        with pytest.raises(EngineError, match="what was pushed before is not taken whole") as caught:
            ask()
        assert caught.value.code == "BAD_INPUT"
    assert made + sum(map(len, vectors)) == 400_000
    assert engine.messages == engine.counts()["input"] == 2
    assert len(engine.snapshot()) > 0
