"""`--help` as a newcomer meets it: 80 columns, the example and the exit codes on lines of their own, no word eaten by markup."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from click.testing import CliRunner

from signal_stream.commands import program


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    inner = getattr(command, "commands", {})
    if not inner:
        yield path, command
    for name, each in inner.items():
        yield from _commands(each, (*path, name))


COMMANDS = dict(_commands(program()))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_a_command_that_is_named_is_made_without_the_others(path: tuple[str, ...]) -> None:
    made = program(path[0])
    alone = dict(_commands(made))
    if path[0] == "demo":
        assert alone.keys() == COMMANDS.keys(), "it runs the others"
    else:
        assert {each[0] for each in alone} <= {path[0], "kill", "rearm"}, "the two stand in one file"
    assert [each.name for each in alone[path].params] == [each.name for each in COMMANDS[path].params]


@cache
def _help(path: tuple[str, ...]) -> str:
    shown = CliRunner().invoke(program(path[0]), [*path, "--help"], env={"COLUMNS": "80"}, prog_name="signal-stream")
    assert shown.exit_code == 0
    return shown.output


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_fits_and_loses_no_word(path: tuple[str, ...]) -> None:
    shown = _help(path)
    assert max(map(len, shown.splitlines())) <= 80
    words = shown.replace("│", " ").split()
    command = COMMANDS[path]
    for text in (command.help, *(getattr(each, "help", None) or "" for each in command.params)):
        for word in inspect.cleandoc(text).split():
            assert any(word in each for each in words) or len(word) > 20, f"{word!r} is not shown"


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_example_is_a_line_of_its_own(path: tuple[str, ...]) -> None:
    lines = [line.strip() for line in _help(path).splitlines()]
    assert any(line.startswith(("Example: signal-stream ", "Examples: signal-stream ")) for line in lines)
    assert not any("Exit:" in line and not line.startswith("Exit: ") for line in lines)
    assert len(COMMANDS[path].help.partition("\n\n")[0]) < 125, "the list of commands shows it whole"
