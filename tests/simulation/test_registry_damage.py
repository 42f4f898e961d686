"""Damage of a registry: whatever file it is of, and however it came about, commands name the file and what to do, none
ends with a traceback, and none loses what is whole."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.damage import HOW, damaged
from tests.serving import Market

from signal_stream.commands import program
from signal_stream.errors import SignalStreamError
from signal_stream.registry import Registry

KINDS = ("registry.sqlite", "manifest", "model.onnx", "golden.json", "training.json")
GRAPH = "from tests.serving import micro_graph\n\ngraph = micro_graph()\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Market:
    market = Market.make(tmp_path_factory.mktemp("registry") / "market", seconds=4.0)
    shutil.copytree(market.registry, market.folder / "copy")
    (market.folder / "graph.py").write_text(GRAPH)
    return market


@pytest.fixture
def market(made: Market) -> Iterator[Market]:
    yield made
    restore(made)


def restore(market: Market) -> None:
    shutil.rmtree(market.registry)
    shutil.copytree(market.folder / "copy", market.registry)


def file_of(market: Market, kind: str) -> Path:
    if kind == "registry.sqlite":
        return market.registry / kind
    model = Registry(market.registry).load("micro@live")
    digest = model.entry.digest
    return market.registry / "files" / digest[:2] / digest if kind == "manifest" else model.files[kind]


def run(market: Market, *words: str) -> str:
    """What a user reads: the exit code first. A traceback fails the test."""
    done = CliRunner().invoke(program(words[0]), [*words, "--registry", str(market.registry)])
    if done.exception is not None and not isinstance(done.exception, SystemExit | SignalStreamError):
        raise done.exception
    error = done.exception if isinstance(done.exception, SignalStreamError) else None
    return f"{done.exit_code if error is None else error.exit_code} {done.output}{error or ''}"


def register(market: Market, name: str = "micro") -> str:
    folder = market.folder
    return run(
        market, "register", "--graph", str(folder / "graph.py"), "--model", str(folder / "model.onnx"),
        "--train", str(folder / "train.parquet"), "--name", name, "--owner", "tests", "--default", "flow_200ms=0.0",
    )  # fmt: skip


PROMOTE = ("models", "promote", "micro@latest", "canary", "--by", "ann", "--reason", "a trial")
HARMLESS = {("registry.sqlite", "middle bit")}
"""A part of the file in which nothing is."""


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_named_with_its_file_and_what_to_do(market: Market, kind: str) -> None:
    path = file_of(market, kind)
    good = path.read_bytes()
    for how in HOW:
        if (kind, how) in HARMLESS:
            continue
        left = damaged(good, how, b"{}\n")
        path.chmod(0o644)
        path.unlink()
        if left is not None:
            path.write_bytes(left)
        before = {each: each.read_bytes() for each in market.registry.rglob("*") if each.is_file()}
        told = {"show": run(market, "models", "show", "micro@live"), "promote": run(market, *PROMOTE)}
        if kind in ("registry.sqlite", "manifest"):
            told["list"] = run(market, "models", "list")
        if left is not None and kind in ("registry.sqlite", "model.onnx") and (how != "empty" or kind == "model.onnx"):
            told["register"] = register(market)
        for command, text in told.items():
            assert text.startswith("2 "), (how, command, text)
            assert str(path) in text, (how, command, text)
            assert "estore" in text, (how, command, text)
        assert {each: each.read_bytes() for each in before} == before, how
        restore(market)


@pytest.mark.parametrize("left", [None, b""])
def test_new_tables_do_not_take_the_place_of_those_that_are_gone(market: Market, left: bytes | None) -> None:
    tables = market.registry / "registry.sqlite"
    tables.unlink()
    if left is not None:
        tables.write_bytes(left)
    told = register(market, name="another")
    assert told.startswith("2 ")
    assert f"{tables}: the registry's tables are gone, and a file of what was registered is still there" in told
    assert "Restore it from a copy" in told
    assert not tables.exists() if left is None else tables.read_bytes() == left
    restore(market)
    assert register(market, name="another").startswith("0 ")


def test_what_is_to_be_served_must_be_whole_and_what_is_retired_need_not(market: Market) -> None:
    path = file_of(market, "model.onnx")
    path.chmod(0o644)
    path.write_bytes(b"")
    assert run(market, *PROMOTE).startswith("2 ")
    assert run(market, "models", "promote", "micro@latest", "retired", "--by", "ann", "--reason", "x").startswith("0 ")
