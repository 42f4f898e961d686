"""The options of an input stand in one list: whatever reads an input shows each, takes each, and has it on its command line."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
import typer
from typer.main import get_command

import signal_stream as ss
from signal_stream.commands import backfill, lookahead, parity, tape
from signal_stream.errors import DataError
from signal_stream.research.input_options import EngineOptions, InputOptions, TableOptions, said

BARS = ss.bars("1m")
GRAPH = ss.FeatureGraph(name="g", on=BARS, features={"up": BARS.close.diff()})
DAY = pa.table({"t": [1700000040, 1700000100], "close": [10.0, 12.5]})
READ: list[tuple[Callable[..., Any], type]] = [
    (ss.compute, InputOptions),
    (ss.backfill, InputOptions),
    (ss.parity, InputOptions),
    (ss.lookahead, InputOptions),
    (ss.Engine, EngineOptions),
    (ss.read_table, TableOptions),
]


@pytest.mark.parametrize(("function", "kind"), READ, ids=lambda each: each.__name__)
def test_a_signature_shows_each_option_by_name_with_its_default(function: Callable[..., Any], kind: type) -> None:
    shown = inspect.signature(function).parameters
    assert kind.__annotations__.keys() <= shown.keys()
    for name in kind.__annotations__:
        assert shown[name].kind is inspect.Parameter.KEYWORD_ONLY
        assert shown[name].default == ("0.1%" if name == "max_rejected" else None), name
    assert not [each for each in shown.values() if each.kind is inspect.Parameter.VAR_KEYWORD]


CALLS: dict[str, Callable[..., object]] = {
    "compute": lambda **options: ss.compute(GRAPH, DAY, **options),
    "parity": lambda **options: ss.parity(GRAPH, DAY, **options),
    "lookahead": lambda **options: ss.lookahead(GRAPH, DAY, **options),
    "backfill": lambda **options: ss.backfill(GRAPH, DAY, "never.parquet", **options),
    "Engine": lambda **options: ss.Engine(GRAPH, **options),
    "read_table": lambda **options: ss.read_table(DAY, kind="bars", **options),
}


@pytest.mark.parametrize("name", CALLS)
def test_an_unknown_option_names_the_nearest(name: str) -> None:
    with pytest.raises(TypeError, match=r'there is no option "latncy"\. Did you mean "latency"'):
        CALLS[name](latncy="1s")


def test_a_command_has_each_option_with_its_words() -> None:
    app = typer.Typer()
    for each in (backfill, lookahead, parity, tape):
        each.register(app)
    commands: Any = get_command(app)
    found = {name: commands.commands[name] for name in ("backfill", "lookahead", "parity")}
    kinds = {**dict.fromkeys(found, InputOptions), "import": TableOptions}
    found["import"] = commands.commands["tape"].commands["import"]
    for name, command in found.items():
        options = {each.name: each for each in command.params}
        for option, words in said(kinds[name]).items():
            assert options[option].help == words.help, (name, option)
            assert {f"--{option.replace('_', '-')}", *words.also} == set(options[option].opts)


@pytest.mark.parametrize("option", ["latency", "length"])
@pytest.mark.parametrize("said_as", ["soon", 20, "5 min"])
def test_what_is_no_duration_is_refused_by_name(option: str, said_as: object) -> None:
    given: dict[str, Any] = {"columns": {"ts_open": "t"}, "instrument": "X", option: said_as}
    with pytest.raises(DataError, match=re.escape(f"{option} is {said_as!r}")) as raised:
        ss.compute(GRAPH, DAY, **given)
    assert "a duration such as" in raised.value.next_step
