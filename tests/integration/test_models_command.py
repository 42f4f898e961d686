"""`signal-stream models`: what a person reads of a registered version, and what a script does."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.serving import ENVIRONMENT, Market

from signal_stream.commands import program
from signal_stream.registry import Registry


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    return Market.make(tmp_path_factory.mktemp("market"), seconds=5.0)


def models(market: Market, *words: str) -> str:
    command = [sys.executable, "-m", "signal_stream", "models", *words, "--registry", str(market.registry)]
    return subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, text=True).stdout


def test_a_version_is_described_with_its_columns_and_history(market: Market) -> None:
    (listed,) = models(market, "list").splitlines()
    ref, stage, *_ = listed.split()
    told = models(market, "show", ref.split("@")[0] + "@live")
    head, *rest = told.splitlines()
    assert (ref in head, stage) == (True, "live")
    rows = {line.split()[0]: line.split()[1:] for line in rest if line and line.split()[0] in market.graph.features}
    assert tuple(rows) == market.graph.features, "one row a column, in the model's order"
    assert {len(numbers) for numbers in rows.values()} == {8}
    assert [line.split("  ")[1] for line in rest[-2:]] == ["register → shadow", "stage shadow → live"]


def test_json_holds_the_whole_manifest(market: Market) -> None:
    plain = json.loads(models(market, "show", models(market, "list").split()[0], "--json"))
    assert plain["columns"] == list(market.graph.features)
    assert plain["graph"]["name"] == market.graph.name
    assert set(plain["training_distribution"]) == set(market.graph.features)


def test_somebody_without_a_name_on_this_machine_registers_under_a_number(
    market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in a container that runs under a user id of which /etc/passwd knows nothing."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 2_000_000_123)
    graph = tmp_path / "graph.py"
    graph.write_text("from tests.serving import micro_graph\n\ngraph = micro_graph()\n")
    registry = tmp_path / "registry"
    words = ["--name", "micro", "--graph", str(graph), "--model", str(market.folder / "model.onnx"),
             "--train", str(market.folder / "train.parquet"), "--registry", str(registry)]  # fmt: skip
    for owner in ("uid 2000000123", "ann"):
        assert not program("register")(["register", *words], standalone_mode=False)
        [ref] = re.findall(r"registered (micro@\w+)", capsys.readouterr().out)
        assert Registry(registry).load(ref).manifest.owner == owner
        monkeypatch.setenv("LOGNAME", "ann")
