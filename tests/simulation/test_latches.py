"""Latches: a kill holds over restarts and processes, and whatever happens to its file, nothing becomes un-killed."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING

import pytest

from signal_stream.errors import JournalError, LatchError
from signal_stream.store import Latches, State

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_723_161_254_000_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "latches.jsonl"


@pytest.fixture
def latches(path: Path) -> Latches:
    return Latches(path, create=True)


def kill(latches: Latches, model: str | None = "m", by: str = "ann", reason: str = "odd fills") -> None:
    latches.kill(model, by=by, reason=reason, now=NOW)


def rearm(latches: Latches, model: str | None = "m", by: str = "bob", reason: str = "fixed") -> None:
    latches.rearm(model, by=by, reason=reason, now=NOW + 1)


def test_a_kill_names_who_when_and_why(latches: Latches, path: Path) -> None:
    assert latches.killed("m") is None
    kill(latches)
    assert latches.killed("m") == "m killed by ann at 2024-08-08T23:54:14Z: odd fills"
    assert latches.killed("other") is None
    line = json.loads(path.read_text())
    assert (line["seq"], line["ts"], line["action"], line["scope"]) == (0, NOW, "kill", "model:m")
    assert (line["by"], line["reason"]) == ("ann", "odd fills")
    text = path.read_text().rpartition(', "crc32"')[0]
    assert line["crc32"] == zlib.crc32(text.encode())


def test_every_holder_of_the_file_sees_it_at_once(latches: Latches, path: Path) -> None:
    serving = Latches(path)
    assert serving.killed("m") is None
    kill(latches)
    assert serving.killed("m") is not None
    rearm(latches)
    assert serving.killed("m") is None
    kill(latches, None)
    assert serving.killed("m") is not None
    assert Latches(path).killed("any") is not None, "a restart changes nothing"


def test_the_command_of_another_process_counts(latches: Latches, path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from signal_stream.store import Latches; "
        f"Latches(Path(sys.argv[1])).kill('m', by='ann', reason='x', now={NOW})"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert latches.killed("m") is not None


def test_killing_twice_changes_nothing_but_is_written_down(latches: Latches) -> None:
    kill(latches)
    kill(latches, by="eve", reason="me too")
    assert [latch.by for latch in latches.standing()] == ["ann"]
    assert [latch.by for latch in latches.history()] == ["ann", "eve"]
    rearm(latches)
    assert latches.standing() == ()
    assert latches.killed("m") is None


def test_all_and_one_are_latched_apart(latches: Latches) -> None:
    kill(latches, "m")
    kill(latches, None)
    rearm(latches, None)
    assert latches.killed("m") is not None, "killed by name before: not lifted with the rest"
    assert latches.killed("other") is None
    kill(latches, None)
    rearm(latches, "m")
    assert "everything" in (latches.killed("m") or "")


@pytest.mark.parametrize(("by", "reason"), [("", "x"), ("ann", ""), (" ", "x"), ("ann", "\t")])
def test_nobody_acts_without_name_and_reason(latches: Latches, by: str, reason: str) -> None:
    for act in (kill, rearm):
        with pytest.raises(LatchError) as caught:
            act(latches, by=by, reason=reason)
        assert caught.value.code == "ANONYMOUS"
    assert latches.history() == ()


def test_rearming_what_is_not_killed_says_what_is(latches: Latches) -> None:
    kill(latches, "m")
    with pytest.raises(LatchError, match=r'"all" is not killed. Killed are: m killed by ann'):
        rearm(latches, None)
    with pytest.raises(LatchError, match='"other" is not killed'):
        rearm(latches, "other")


def test_a_model_may_have_any_name(latches: Latches) -> None:
    for name in ("all", 'quo"te', "line\nbreak", "é", "model:all"):
        kill(latches, name)
        assert latches.killed(name) is not None
        assert latches.killed("m") is None
        rearm(latches, name)
        assert latches.killed(name) is None


def test_every_changed_bit_kills_everything(latches: Latches, path: Path) -> None:
    kill(latches)
    rearm(latches)
    good = path.read_bytes()
    serving = Latches(path)
    for at in range(len(good)):
        for bit in range(0, 8, 3):
            changed = bytearray(good)
            changed[at] ^= 1 << bit
            path.write_bytes(changed)
            os.utime(path, ns=(at, at * 8 + bit))
            assert Latches(path).killed("m") is not None, (at, bit)
            assert serving.killed("m") is not None, (at, bit)
    path.write_bytes(good)
    assert serving.killed("m") is None


def test_a_line_cut_off_kills_until_it_is_whole(latches: Latches, path: Path) -> None:
    kill(latches)
    rearm(latches)
    good = path.read_bytes()
    last = good.rindex(b"\n", 0, -1) + 1
    for cut in range(last + 1, len(good)):
        path.write_bytes(good[:cut])
        assert "cut off" in (Latches(path).killed("x") or "")
    path.write_bytes(good)
    assert latches.killed("m") is None


def test_a_serving_process_notices_what_was_taken_back(latches: Latches, path: Path) -> None:
    kill(latches)
    before = path.read_bytes()
    assert latches.killed("m") is not None
    path.write_bytes(b"")
    assert "are gone" in (latches.killed("m") or "")
    path.write_bytes(before)
    assert "ann" in (latches.killed("m") or "")
    rearm(latches)
    assert latches.killed("m") is None
    path.write_bytes(before[: before.index(b"\n") + 1])
    assert latches.killed("m") is not None


@pytest.mark.parametrize("how", ["unlink", "rename", "replace", "directory", "unreadable folder"])
def test_a_missing_or_replaced_file_kills_everything(latches: Latches, path: Path, how: str) -> None:
    kill(latches, "other")
    assert latches.killed("m") is None
    if how == "unlink":
        path.unlink()
    elif how == "rename":
        path.rename(path.with_name("elsewhere"))
    elif how == "replace":
        path.unlink()
        path.write_bytes(b"\n")
    elif how == "directory":
        path.unlink()
        path.mkdir()
    else:
        path.parent.rename(path.parent.with_name("gone"))
    assert latches.killed("m") is not None
    assert Latches(path).killed("m") is not None
    with pytest.raises(LatchError) as caught:
        latches.standing()
    assert caught.value.code == "UNREADABLE"


def test_a_named_person_begins_a_damaged_file_anew(latches: Latches, path: Path) -> None:
    kill(latches, "bad", by="eve", reason="loses money")
    kill(latches, "worse")
    good = path.read_bytes()
    path.write_bytes(good.replace(b'"model:worse"', b'"model:w0rse"'))
    with pytest.raises(LatchError) as caught:
        rearm(latches, "bad")
    assert caught.value.code == "UNREADABLE"
    rearm(latches, None)
    assert latches.killed("m") is None
    assert "loses money" in (latches.killed("bad") or ""), "readable kills of single models are taken over"
    assert [latch.action for latch in latches.history()] == ["rearm", "kill"]
    assert path.with_name("latches.jsonl.aside-0000").read_bytes() != good


def test_killing_a_missing_file_does_not_unkill_the_rest(latches: Latches, path: Path) -> None:
    path.unlink()
    kill(latches, "m")
    for view in (latches, Latches(path)):
        assert view.killed("other") is not None
    rearm(latches, None)
    for view in (latches, Latches(path)):
        assert view.killed("m") is not None
        assert view.killed("other") is None


def test_a_kill_behind_a_cut_off_line_is_kept(latches: Latches, path: Path) -> None:
    path.write_bytes(b'{"seq": 0, "ts"')
    kill(latches, "m")
    rearm(latches, None)
    assert latches.killed("m") is not None
    assert latches.killed("other") is None


def test_before_the_first_run_only_a_pipeline_makes_the_file(tmp_path: Path) -> None:
    state = State(tmp_path / "state")
    assert state.latches().killed("m") is not None
    latches, journal = state.open()
    journal.close()
    assert latches.killed("m") is None
    state.latches_path.unlink()
    latches, journal = state.open()
    journal.close()
    assert latches.killed("m") is not None, "the journal shows that there was a file"


def test_a_kill_before_the_first_run_holds(tmp_path: Path) -> None:
    state = State(tmp_path / "state")
    kill(state.latches(), None)
    latches, journal = state.open()
    journal.close()
    assert "ann" in (latches.killed("m") or "")


def test_a_second_pipeline_is_refused(tmp_path: Path) -> None:
    state = State(tmp_path / "state")
    _, journal = state.open()
    with journal, pytest.raises(JournalError) as caught:
        state.open()
    assert caught.value.code == "LOCKED"


_FULL_DISK = """
import resource, sys
from pathlib import Path
from signal_stream.errors import LatchError
from signal_stream.store import Latches
path = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    Latches(path).kill("late", by="ann", reason="x", now=1)
except LatchError as error:
    print(error.code, error)
"""


@pytest.mark.parametrize("room", [0, 1, 40])
def test_a_kill_on_a_full_disk_kills_everything(latches: Latches, path: Path, room: int) -> None:
    kill(latches, "bad")
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    done = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, str(path), str(room)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("WRITE ")
    assert "everything is killed instead" in done.stdout
    assert latches.killed("unrelated") is not None
    rearm(latches, None)
    assert latches.killed("unrelated") is None
    assert latches.killed("bad") is not None


_HAMMER = """
import sys
from pathlib import Path
from signal_stream.store import Latches
latches = Latches(Path(sys.argv[1]))
for i in range(40):
    latches.kill(sys.argv[2], by=sys.argv[2], reason=str(i), now=i)
    latches.rearm(sys.argv[2], by=sys.argv[2], reason=str(i), now=i)
"""


def test_writers_do_not_lose_each_others_lines(latches: Latches, path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", _HAMMER, str(path), name]) for name in "abc"]
    while any(writer.poll() is None for writer in writers):
        for name in "abc":
            latches.killed(name)
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    history = latches.history()
    assert [latch.seq for latch in history] == list(range(240))
    for name in "abc":
        own = [latch for latch in history if latch.by == name]
        assert [latch.action for latch in own] == ["kill", "rearm"] * 40
    assert latches.standing() == ()
