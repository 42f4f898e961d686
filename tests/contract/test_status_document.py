"""Is a status that another version wrote, or half of one, an error that says so, whatever is in it?"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from signal_stream.errors import StateError
from signal_stream.monitor.look import look
from signal_stream.stack.status import read_status
from signal_stream.store import Status


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A status as a pipeline writes it."""
    counts = dict.fromkeys(("input", "accepted", "duplicate", "late", "rejected"), 0)
    folder = tmp_path_factory.mktemp("status")
    Status(
        state="SERVING", reason="", pid=1, pipeline="p", written_at=1, started_at=1, deployment="", source={}, models=(),
        counts=counts, refused={}, books={}, vectors=0, signals={}, codes={}, last_signal=None, latches=(), journal={},
        latency_ns={},
    ).write(folder)  # fmt: skip
    found: dict[str, Any] = json.loads((folder / "status.json").read_bytes())
    return found


def test_what_a_later_version_adds_is_passed_over(tmp_path: Path, written: dict[str, Any]) -> None:
    (tmp_path / "status.json").write_text(json.dumps(written | {"format": 99, "weather": "fine"}))
    assert look(tmp_path, now=2)["state"] == "DEAD"


@pytest.mark.parametrize("text", ["", "null", "[]", "3", '"x"', "{}", '{"format": 1', "[" * 100_000, "\xff"])
def test_half_a_status_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "status.json").write_text(text, encoding="latin-1")
    with pytest.raises(StateError, match="the status cannot be read") as caught:
        look(tmp_path, now=2)
    assert "__init__" not in str(caught.value)
    if text in ("null", "[]", "3", '"x"'):
        assert "it is no JSON object" in str(caught.value)


@pytest.mark.parametrize(
    "changed",
    [
        {"written_at": "now"}, {"state": None}, {"source": None}, {"models": [1]}, {"models": 5}, {"journal": 3},
        {"counts": {}}, {"age_limits": {"fresh_ns": "x"}}, {"components": ["x"]},
        {"counts": {"input": 5, "accepted": 1, "duplicate": 0, "late": 0, "rejected": 0}},
        {"models": [{"newest": {"data_age_ns": 5}}]}, {"source": {"silent_ns": "x"}},
    ],
)  # fmt: skip
def test_other_kinds_of_values_are_an_error(tmp_path: Path, written: dict[str, Any], changed: dict[str, Any]) -> None:
    (tmp_path / "status.json").write_text(json.dumps(written | changed))
    with pytest.raises(StateError):
        look(tmp_path, now=2)


def test_a_pipe_in_its_place_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "status.json")
    with pytest.raises(StateError, match="it is no file"):
        look(tmp_path, now=2)


@pytest.mark.parametrize("parts", [[1], [{}], 3])
def test_a_stacks_status_likewise(tmp_path: Path, parts: Any) -> None:
    (tmp_path / "status.json").write_text(json.dumps({"written_at": 1, "parts": parts}))
    with pytest.raises(StateError, match="the stack's status cannot be read"):
        read_status(tmp_path, now=2)
