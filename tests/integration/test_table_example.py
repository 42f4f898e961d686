"""README "A table of your own", as it is typed: a CSV of several instruments becomes tape, features, model, signals."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv
from tests.serving import ENVIRONMENT

import signal_stream as ss

ROOT = Path(__file__).parents[2]
COLUMNS = {"ts_open": "time", "instrument": "symbol", "close": "c", "volume": "v"}


def typed(section: str) -> list[str]:
    """The commands of a section of the README."""
    text = (ROOT / "README.md").read_text()
    found = re.search(rf"^## {section}\n.*?^```\n(.*?)^```\n", text, flags=re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1].splitlines()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's folder, after every command was typed in it; `said.json` holds what they said."""
    folder = tmp_path_factory.mktemp("table") / "table"
    shutil.copytree(ROOT / "examples" / "table", folder)
    path = f"{Path(sys.executable).parent}{os.pathsep}{ENVIRONMENT['PATH']}"
    said = {}
    for line in typed("A table of your own"):
        done = subprocess.run(
            line, shell=True, cwd=folder, env=ENVIRONMENT | {"PATH": path}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        said[" ".join(line.split()[:3])] = done.stdout
    (folder / "said.json").write_text(json.dumps(said))
    return folder


def said(folder: Path, command: str) -> str:
    found: str = json.loads((folder / "said.json").read_text())[command]
    return found


def test_the_import_accounts_for_every_row(folder: Path) -> None:
    rows = csv.read_csv(folder / "bars.csv").num_rows
    told = said(folder, "signal-stream tape import")
    minutes = 175
    missing = 3 * minutes - rows
    assert f"{rows:,} bars + {missing:,} bars without trades" in told
    assert "3 instruments: ACME, BOLT, CORE" in told


def test_signals_are_made_of_what_compute_gives_on_the_table(folder: Path) -> None:
    graph = ss.load_graph(folder / "graph.py")
    table = csv.read_csv(folder / "bars.csv")
    research = ss.compute(graph, table, columns=COLUMNS)
    features = pq.read_table(folder / "features.parquet")
    for name in ("instrument", "ts_event", "ts_recv", *graph.features):
        assert features[name].to_pylist() == research[name].to_pylist(), name
    signals = [json.loads(line) for line in (folder / "signals.jsonl").read_text().splitlines()]
    assert [(each["instrument"], each["ts_recv"]) for each in signals] == list(
        zip(research["instrument"].to_pylist(), research["ts_recv"].cast(pa.int64()).to_pylist(), strict=True)
    )
    assert sum(each["verdict"] == "PASS" for each in signals) > 400


def test_replays_have_the_bits(folder: Path) -> None:
    assert "SAME BITS  100 signals replayed, 0 differ" in said(folder, "signal-stream replay --sample")


def test_parity_holds_on_the_tape(folder: Path) -> None:
    """Live, batch, replayed and restored: a graph across instruments, whose bars wait for each other in snapshots too."""
    report = ss.parity(ss.load_graph(folder / "graph.py"), folder / "bars.parquet")
    assert report.same, report


def test_the_tape_says_what_is_on_it(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "signal_stream", "tape", "info", "bars.parquet", "--json"], cwd=folder, env=ENVIRONMENT,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout)
    bars = {stream["instrument"]: stream["messages"] for stream in found["streams"] if stream["kind"] == "bar"}
    assert bars == {"ACME": 175, "BOLT": 175, "CORE": 175}
