"""Is `examples/custom_parts`, a package outside ours, served by one command, and are its parts what their roles ask for?"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.packages import install

import signal_stream as ss
from signal_stream.records import SignalRecord
from signal_stream.store import State
from signal_stream.testing import check_guard, check_observer, check_source, sample_decisions

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "custom_parts"


class Desk:
    """A folder outside the repository with the example's package installed, its data, its model and its deployment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "desk"
        self.site = folder / "site"
        install(EXAMPLE, self.site)
        self.environment = os.environ | {"PYTHONPATH": f"{self.site}{os.pathsep}{Path(ss.__file__).parents[1]}"}
        self.run(EXAMPLE / "prepare.py", str(self.folder), cwd=folder)

    def deploy(self, name: str) -> Path:
        """Another folder with the same data and model."""
        folder = self.folder.with_name(name)
        folder.mkdir()
        shutil.copytree(self.folder / "registry", folder / "registry")
        shutil.copy(self.folder / "trades.csv", folder)
        shutil.copy(EXAMPLE / "deployment.toml", folder)
        return folder

    def run(self, *words: Any, cwd: Path) -> str:
        done = subprocess.run(
            [sys.executable, *words], cwd=cwd, env=self.environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def command(self, *words: str, cwd: Path) -> str:
        return self.run("-m", "signal_stream", *words, cwd=cwd)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tmp_path_factory.mktemp("outside"))


def signals(folder: Path) -> list[SignalRecord]:
    return [SignalRecord.from_json(record.body) for record in State(folder / "state").reader().records(kind="signal")]


def in_the_sink(folder: Path) -> list[str]:
    base = sqlite3.connect(folder / "signals.db")
    try:
        return [row[0] for row in base.execute("SELECT id FROM signals ORDER BY n")]
    finally:
        base.close()


def test_one_command_serves_them(desk: Desk) -> None:
    folder = desk.deploy("served")
    desk.command("serve", "deployment.toml", cwd=folder)
    made = signals(folder)
    outcomes = Counter(each.verdict.outcome for each in made)
    assert outcomes["PASS"] > 20
    vetoed = [each for each in made if "GUARD" in each.verdict.codes]
    assert vetoed, "the guard objected to nothing"
    assert in_the_sink(folder) == [each.signal_id for each in made]
    counted = json.loads((folder / "vetoes.json").read_text())
    assert (counted["PASS"], counted["VETO"], counted["GUARD"]) == (outcomes["PASS"], outcomes["VETO"], len(vetoed))
    assert "trades_csv:" in desk.command("status", cwd=folder)
    assert "which is more than 0.2" in desk.command("signals", "show", vetoed[0].signal_id, cwd=folder)
    passed = next(each for each in made if each.verdict.outcome == "PASS")
    assert "SAME BITS" in desk.command("replay", passed.signal_id, cwd=folder)
    assert {each.lineage.model_id for each in made if each.verdict.outcome == "PASS"} == {"drift", "lean"}
    assert "SAME BITS" in desk.command("replay", "--sample", "400", cwd=folder)
    assert "python" in desk.command("models", "show", "lean@live", "--registry", "registry", cwd=folder)


def test_a_second_start_goes_on_where_the_first_ended(desk: Desk) -> None:
    folder, whole = desk.deploy("twice"), desk.deploy("once")
    desk.command("serve", "deployment.toml", cwd=whole)
    trades = (folder / "trades.csv").read_text().splitlines(keepends=True)
    (folder / "trades.csv").write_text("".join(trades[: len(trades) // 2]))
    desk.command("serve", "deployment.toml", cwd=folder)
    first = len(signals(folder))
    (folder / "trades.csv").write_text("".join(trades))
    desk.command("serve", "deployment.toml", cwd=folder)
    ids = [each.verdict.codes for each in signals(folder)]
    assert 0 < first < len(ids)
    assert ids == [each.verdict.codes for each in signals(whole)], "the guard forgot what it had seen"
    assert in_the_sink(folder) == [each.signal_id for each in signals(folder)]


def test_its_parts_are_what_their_roles_ask_for(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(desk.site)
    from custom_parts.max_change import MaxChange  # type: ignore[import-not-found]
    from custom_parts.trades_csv import TradesCsv  # type: ignore[import-not-found]
    from custom_parts.veto_counts import VetoCounts  # type: ignore[import-not-found]

    source = TradesCsv.Settings.model_validate(
        {
            "kind": "trades_csv",
            "path": desk.folder / "trades.csv",
            "instrument": "AB.X",
            "lateness": "0ms",
            "late": "drop",
        }
    )
    assert check_source(lambda: TradesCsv(source)) > 100
    guard = MaxChange.Settings(kind="max_change", max_change=0.2)
    assert check_guard(lambda: MaxChange(guard)) > 5
    observer = VetoCounts.Settings(kind="veto_counts", path=tmp_path / "vetoes.json")
    assert check_observer(lambda: VetoCounts(observer)) == len(sample_decisions())


def test_a_wrong_setting_of_its_parts_has_its_line(desk: Desk) -> None:
    folder = desk.deploy("wrong")
    path = folder / "deployment.toml"
    text = path.read_text()
    line = text[: text.index("max_change = 0.2")].count("\n") + 1
    path.write_text(text.replace("max_change = 0.2", "max_change = 0"))
    done = subprocess.run(
        [sys.executable, "-m", "signal_stream", "serve", "deployment.toml"],
        cwd=folder, env=desk.environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert f"deployment.toml:{line}  [[guard]] max_change = 0 is not above 0" in done.stderr


def test_a_model_is_registered_with_a_guard_of_the_package(desk: Desk) -> None:
    folder = desk.deploy("guarded")
    words = (
        "register", "--graph", f"{EXAMPLE / 'prepare.py'}:GRAPH", "--model", str(desk.folder / "drift.onnx"), "--train",
        str(desk.folder / "train.parquet"), "--name", "drift", "--registry", "registry",
    )  # fmt: skip
    said = desk.command(*words, "--guard", "max_change:max_change=0.2", cwd=folder)
    assert "its signals are judged by guard max_change:max_change=0.2" in said
    assert "guards    max_change:max_change=0.2" in desk.command("models", "show", "drift@latest", cwd=folder)
    done = subprocess.run(
        [sys.executable, "-m", "signal_stream", *words, "--guard", "max_chang:max_change=0.2"],
        cwd=folder, env=desk.environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert 'no guard is named "max_chang". Did you mean "max_change"?' in done.stderr
