"""`examples/stack`: a real Prometheus and Alertmanager beside two deployments, started by one command, watched, and kept up."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.test_up import Up, free_port
from tests.serving import is_alive, wait_for

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "stack"
SECONDS = 120
UP = {"prepare": "DONE", "boards": "DONE"} | dict.fromkeys(("alertmanager", "prometheus", "micro", "flow"), "READY")


class Desk(Up):
    """The example in a folder of its own, at ports that are free."""

    def __init__(self, folder: Path) -> None:
        shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("out", "__pycache__"))
        super().__init__(folder)
        self.ports = {port: str(free_port()) for port in ("9090", "9093", "9101", "9102")}
        for path in folder.glob("*.toml"):
            text = re.sub("|".join(self.ports), lambda found: self.ports[found[0]], path.read_text())
            path.write_text(text.replace('"240"', f'"{SECONDS}"'))
        self.text = (folder / "stack.toml").read_text()

    def write(self) -> None:
        """It is there already."""

    def look(self) -> dict[str, Any]:
        path = self.folder / "out" / "up" / "status.json"
        return {each["name"]: each for each in json.loads(path.read_text())["parts"]} if path.exists() else {}

    def get(self, port: str, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[port]}{path}", timeout=10) as answer:
            return json.loads(answer.read())

    def query(self, expression: str) -> list[Any]:
        found = self.get("9090", f"/api/v1/query?query={urllib.parse.quote(expression)}")["data"]["result"]
        assert isinstance(found, list)
        return found


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "desk")
    yield made
    if made.process is not None:
        if made.process.poll() is None:
            made.process.kill()
        made.process.communicate()
        pids = [each["pid"] for each in made.look().values() if each["pid"]]
        wait_for(lambda: not any(map(is_alive, pids)), "the parts to end with what started them")


def expressions(board: Any) -> Iterator[str]:
    """Every query of a Grafana board."""
    if isinstance(board, dict):
        if isinstance(board.get("expr"), str):
            yield board["expr"]
        board = list(board.values())
    if isinstance(board, list):
        for each in board:
            yield from expressions(each)


def test_one_command_runs_it_and_what_is_killed_comes_back_alone(desk: Desk) -> None:
    desk.start()
    desk.wait(**UP)
    before = desk.look()
    boards = sorted((desk.folder / "out" / "watch" / "boards").glob("*.json"))
    assert len(boards) == 3, "three models"
    queries = {query for board in boards for query in expressions(json.loads(board.read_text()))}
    assert len(queries) > 10
    empty = set(queries)

    def answered() -> bool:
        empty.difference_update(
            [query for query in sorted(empty) if desk.query(query.replace("$__rate_interval", "30s"))]
        )
        return not empty

    wait_for(answered, f"an answer to every query of every board; none yet: {empty}")
    stages = {each["metric"]["stage"] for each in desk.query("signal_stream_model_info")}
    assert stages == {"live", "shadow"}
    assert desk.get("9090", "/api/v1/alertmanagers")["data"]["activeAlertmanagers"]
    for name in ("prometheus", "flow"):
        os.kill(before[name]["pid"], signal.SIGKILL)
    wait_for(lambda: all(desk.look()[name]["restarts"] == 1 for name in ("prometheus", "flow")), "both started again")
    after = desk.wait(prometheus="DEGRADED", micro="READY", alertmanager="READY")  # it is back, and said to have failed
    assert {name for name in UP if after[name]["pid"] != before[name]["pid"]} == {"prometheus", "flow"}
    wait_for(lambda: desk.query("up == 1"), "what it knew before it was killed, and what it scrapes now")
    # A deployment that catches up after its kill may be late with its status for a while.
    shown = wait_for(
        lambda: (found := desk.command("--status")).returncode == 1 and found, "a stack that is only degraded"
    )
    assert shown.stdout.startswith("desk  DEGRADED")
    code, _, err = desk.end()
    assert (code, err) == (0, "")
    assert not any(is_alive(each["pid"]) for each in desk.look().values() if each["pid"])
