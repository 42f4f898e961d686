"""What `kill` and `rearm` tell the person who runs them: whom it silenced, what stands besides, and whom it reaches."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from signal_stream.commands.kill import kill, rearm
from signal_stream.errors import CommandError
from signal_stream.store import Latches
from signal_stream.store.lock import StateLock


class Desk:
    """A state folder, and a person at its commands."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def said(self, command: Any, model: str | None = None, *, reason: str = "odd fills") -> list[str]:
        """The lines that a command prints; all models where none is named."""
        command("ann", reason, model, model is None, self.folder, None)
        return self._capsys.readouterr().out.splitlines()


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    (tmp_path / "state").mkdir()
    return Desk(tmp_path / "state", capsys)


def test_a_kill_says_whom_and_that_nobody_serves(desk: Desk) -> None:
    killed, serves = desk.said(kill, "micro@1a2b")
    assert killed.startswith("micro killed by ann at ")
    assert killed.endswith(": odd fills")
    assert serves == f"No process serves {desk.folder} now; it holds when one starts."


def test_a_kill_of_the_killed_names_the_first(desk: Desk) -> None:
    first, _ = desk.said(kill, "micro")
    again, _ = desk.said(kill, "micro", reason="me too")
    assert again == f"micro was killed already: {first}. Noted again."
    assert len(Latches(desk.folder / "latches.jsonl").history()) == 2
    everything, _ = desk.said(kill, reason="news")
    _, besides, _ = desk.said(kill, "other")
    assert besides == f"Everything is killed: {everything}"


def test_a_rearm_says_what_is_still_killed(desk: Desk) -> None:
    micro, _ = desk.said(kill, "micro")
    desk.said(kill, reason="news")
    rearmed, still = desk.said(rearm, reason="checked")
    assert rearmed.startswith("everything re-armed by ann at ")
    assert still == f"Still killed: {micro}"
    assert desk.said(rearm, "micro")[1] == f"No process serves {desk.folder} now; it holds when one starts."
    assert desk.said(rearm, "micro") == ["micro is not killed: nothing to do."]
    assert desk.said(rearm) == ["Nothing is killed as a whole: nothing to do."]


def test_the_process_that_serves_is_named_with_what_it_does_now(desk: Desk) -> None:
    Latches(desk.folder / "latches.jsonl", create=True)
    lock = StateLock(desk.folder)
    serves = f"Process {os.getpid()} serves {desk.folder}."
    assert desk.said(kill)[-1] == f"{serves} It is silent from its next signal on."
    assert desk.said(rearm)[-1] == f"{serves} It speaks from its next signal on."
    lock.close()


def test_what_people_wrote_cannot_move_the_cursor(desk: Desk) -> None:
    killed, _ = desk.said(kill, "micro", reason="odd\x1b[2Jfills")
    assert "\x1b" not in killed
    assert "odd" in killed


@pytest.mark.parametrize("command", [kill, rearm])
@pytest.mark.parametrize(("model", "every"), [(None, False), ("micro", True)])
def test_nothing_is_done_where_it_is_not_clear_to_whom(
    tmp_path: Path, command: Any, model: str | None, every: bool
) -> None:
    (tmp_path / "state").mkdir()
    with pytest.raises(CommandError, match=r"not clear what to kill or re-arm. Name a model, or say --all."):
        command("ann", "odd", model, every, tmp_path / "state", None)
    assert not (tmp_path / "state" / "latches.jsonl").exists()
