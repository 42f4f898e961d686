"""Latches: a kill holds over restarts and processes, and whatever happens to its file, nothing becomes un-killed."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import resource
import subprocess
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signal_stream.errors import JournalError, LatchError
from signal_stream.records import JournalRecord
from signal_stream.serve.assembly import check_latches
from signal_stream.store import Latch, Latches, State

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NOW = 1_723_161_254_000_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "latches.jsonl"


@pytest.fixture
def latches(path: Path) -> Latches:
    return Latches(path, create=True)


def copy_of(path: Path) -> Path:
    return path.parent / "journal" / path.name


def kill(latches: Latches, model: str | None = "m", by: str = "ann", reason: str = "odd fills") -> None:
    latches.kill(model, by=by, reason=reason, now=NOW)


def rearm(latches: Latches, model: str | None = "m", by: str = "bob", reason: str = "fixed") -> None:
    latches.rearm(model, by=by, reason=reason, now=NOW + 1)


def test_a_kill_names_who_when_and_why(latches: Latches, path: Path) -> None:
    assert latches.killed("m") is None
    kill(latches)
    assert latches.killed("m") == "m killed by ann at 2024-08-08T23:54:14Z: odd fills"
    assert latches.killed("other") is None
    first, second = path.read_text().splitlines()
    line = json.loads(second)
    assert (line["seq"], line["ts"], line["action"], line["scope"]) == (1, NOW, "kill", "model:m")
    assert (line["by"], line["reason"]) == ("ann", "odd fills")
    text = json.loads(first)["sha256"] + second.rpartition(', "sha256"')[0]
    assert line["sha256"] == hashlib.sha256(text.encode()).hexdigest()
    assert copy_of(path).read_text() == path.read_text()


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


def as_format_0(path: Path) -> None:
    """Both files as a release wrote them whose lines had no format number."""
    before, lines = "", []
    for line in path.read_text().splitlines():
        fields = json.loads(line)
        text = json.dumps({name: value for name, value in fields.items() if name not in ("format", "sha256")})[:-1]
        before = hashlib.sha256((before + text).encode()).hexdigest()
        lines.append(f'{text}, "sha256": "{before}"}}\n')
    path.write_text("".join(lines))
    copy_of(path).write_text("".join(lines))


def extended(path: Path, **more: object) -> None:
    """Adds a re-arm of m to both files with more in its line, as a later release may write it."""
    last = json.loads(path.read_text().splitlines()[-1])
    fields = {name: value for name, value in last.items() if name != "sha256"}
    fields |= {"seq": last["seq"] + 1, "action": "rearm", "scope": "model:m", **more}
    text = json.dumps(fields)[:-1]
    digest = hashlib.sha256((last["sha256"] + text).encode()).hexdigest()
    for each in (copy_of(path), path):
        with each.open("a") as file:
            file.write(f'{text}, "sha256": "{digest}"}}\n')


def test_lines_have_a_format_and_those_without_are_gone_on_with(latches: Latches, path: Path) -> None:
    kill(latches)
    assert {json.loads(line)["format"] for line in path.read_text().splitlines()} == {1}
    as_format_0(path)
    older = Latches(path)
    assert "m killed by ann" in (older.killed("m") or "")
    rearm(older)
    assert older.killed("m") is None
    assert [json.loads(line).get("format") for line in path.read_text().splitlines()] == [None, None, 1]
    assert Latches(path).history() == older.history()


def test_a_line_with_more_fields_is_read_and_one_of_a_later_format_kills(latches: Latches, path: Path) -> None:
    serving = Latches(path)
    kill(latches)
    assert serving.killed("m") is not None
    extended(path, invented_later=[1, {"a": None}])
    assert serving.killed("m") is None
    assert Latches(path).killed("m") is None
    extended(path, format=2)
    assert "line 4 is not as it was written" in (serving.killed("m") or "")
    assert "everything counts as killed" in (Latches(path).killed("other") or "")


def test_a_change_costs_what_was_added_not_the_age_of_the_file(latches: Latches, path: Path) -> None:
    """Lines that were read before are not parsed again, by the serving process nor by one that adds to them."""
    for _ in range(50):
        kill(latches)
        rearm(latches)
    serving = Latches(path)
    with patch.object(Latch, "from_line", side_effect=Latch.from_line) as parsed:
        extended(path, action="kill")
        assert serving.killed("m") is not None
    assert parsed.call_count == 1, "one line was added, and the copy has the same"
    changed = path.read_bytes().replace(b"odd fills", b"old fills", 1)
    for each in (copy_of(path), path):
        each.write_bytes(changed)
    assert "line 2 is not as it was written" in (serving.killed("m") or ""), "also where the end is as it was"


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
    begun = before[: before.index(b"\n") + 1]
    path.write_bytes(begun)
    assert "lacks record 1 (m killed by ann" in (latches.killed("m") or "")
    copy_of(path).write_bytes(begun)
    with pytest.raises(LatchError, match="are gone"):
        latches.standing()
    copy_of(path).write_bytes(before)
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
    assert "m killed" not in str(latches.history())
    assert [(latch.action, latch.scope) for latch in latches.history()] == [
        ("rearm", "all"),
        ("kill", "model:bad"),
        ("kill", "model:worse"),
    ], "from the copy, which is whole"
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
    assert [latch.seq for latch in history] == list(range(1, 241))
    for name in "abc":
        own = [latch for latch in history if latch.by == name]
        assert [latch.action for latch in own] == ["kill", "rearm"] * 40
    assert latches.standing() == ()


LINES = 7


def acted(path: Path) -> Latches:
    """Latches with a history: `bad` stays killed, `good` was re-armed, and so was everything."""
    latches = Latches(path, create=True)
    kill(latches, "good")
    rearm(latches, "good")
    kill(latches, None)
    kill(latches, "bad", reason="loses money")
    rearm(latches, None)
    kill(latches, "bad", by="eve", reason="me too")
    assert len(path.read_bytes().splitlines()) == LINES
    return latches


def damaged(data: bytes, how: str, at: int, other: int) -> bytes | None:
    """What is left after an accident; None for a file that is gone."""
    lines = data.splitlines(keepends=True)
    line, second = at % len(lines), other % len(lines)
    if how == "missing":
        return None
    if how == "empty":
        return b""
    if how == "cut":
        return data[: at % len(data)]
    if how == "zeros":
        begin, end = sorted((at % len(data), other % len(data)))
        return data[:begin] + bytes(end + 1 - begin) + data[end + 1 :]
    if how == "bit":
        changed = bytearray(data)
        changed[at % len(data)] ^= 1 << other % 8
        return bytes(changed)
    if how == "without a line":
        del lines[line]
    elif how == "older":
        del lines[line:]
    elif how == "line twice":
        lines.insert(second, lines[line])
    else:
        lines[line], lines[second] = lines[second], lines[line]
    return b"".join(lines)


ACCIDENTS = ("missing", "empty", "cut", "zeros", "bit", "without a line", "older", "line twice", "swapped")


@settings(deadline=None, max_examples=60)
@given(
    how=st.sampled_from(ACCIDENTS),
    at=st.integers(0, 4_000),
    other=st.integers(0, 4_000),
    which=st.sampled_from(["file", "copy"]),
    person=st.sampled_from(["rearms", "kills first"]),
)
def test_no_accident_of_one_file_lifts_a_kill(
    tmp_path_factory: pytest.TempPathFactory, how: str, at: int, other: int, which: str, person: str
) -> None:
    path = tmp_path_factory.mktemp("accident") / "state" / "latches.jsonl"
    serving = acted(path)
    victim = path if which == "file" else copy_of(path)
    good = victim.read_bytes()
    after = damaged(good, how, at, other)
    if after == good:
        return
    if after is None:
        victim.unlink()
    else:
        victim.write_bytes(after)
    for view in (serving, Latches(path), Latches(path, create=True)):
        with pytest.raises(LatchError) as caught:
            view.standing()
        assert caught.value.code == "UNREADABLE"
        assert "latches.jsonl" in caught.value.message
        assert "signal-stream rearm --all --state" in caught.value.next_step
        assert view.killed("good") is not None, "everything counts as killed"
    if person == "kills first":
        kill(serving, "good", by="zoe", reason="to be safe")
        assert serving.killed("unrelated") is not None, "a kill does not lift what counts as killed"
    rearm(serving, None, by="bob", reason="have read both files")
    for view in (serving, Latches(path)):
        assert view.killed("unrelated") is None
        assert (view.killed("good") is not None) or person == "rearms"
        assert "loses money" in (view.killed("bad") or "") or "me too" in (view.killed("bad") or "")


@settings(deadline=None, max_examples=20)
@given(keep=st.integers(1, LINES - 1), more=st.booleans())
def test_both_files_put_back_are_known_by_the_journal(
    tmp_path_factory: pytest.TempPathFactory, keep: int, more: bool
) -> None:
    state = State(tmp_path_factory.mktemp("back") / "state")
    acted(state.latches_path)
    for path in (state.latches_path, copy_of(state.latches_path)):
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:keep]))
    latches = Latches(state.latches_path)
    if more:
        kill(latches, "else")
    noted = acted(state.folder.parent / "as it was" / "latches.jsonl").history()
    journal = Noted(noted)
    assert check_latches(latches, journal, pipeline="p", now=NOW) == noted[-1].seq
    assert latches.killed("any") is not None
    said = f"the latches lack record {noted[-1].seq}, which the journal holds"
    assert any(said in latch.reason for latch in latches.history())
    rearm(latches, None)
    assert latches.killed("any") is None
    assert latches.killed("bad") is not None
    assert check_latches(latches, Noted(latches.history()), pipeline="p", now=NOW) == latches.history()[-1].seq
    assert latches.killed("any") is None


class Noted:
    """A journal that holds latches, and nothing else."""

    def __init__(self, latches: Sequence[Latch]) -> None:
        self._records = [
            JournalRecord(seq, each.ts, "latch", str(each.seq), json.dumps(asdict(each)))
            for seq, each in enumerate(latches)
        ]

    def last(self, kind: str) -> JournalRecord | None:
        return self._records[-1] if kind == "latch" else None

    def records(self, *, kind: str) -> list[JournalRecord]:
        assert kind == "latch"
        return self._records


def test_a_kill_in_a_folder_of_others_says_that_nothing_was_killed(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.touch()
    with pytest.raises(LatchError, match="NOTHING WAS KILLED") as caught:
        kill(Latches(state / "latches.jsonl"), None)
    assert caught.value.code == "WRITE"
    state.unlink()
    Latches(state / "latches.jsonl", create=True)
    broken = patch("signal_stream.store.latches.os.fsync", side_effect=OSError(5, "no disk"))
    with broken, pytest.raises(LatchError, match="NOTHING WAS KILLED"):
        kill(Latches(state / "latches.jsonl"), None)


def test_a_kill_that_is_not_read_back_is_none(path: Path, latches: Latches) -> None:
    def lies(file: int, data: bytes) -> int:
        return len(data)

    with patch("signal_stream.store.latches.os.write", side_effect=lies), pytest.raises(LatchError) as caught:
        kill(latches)
    assert "everything is killed instead" in str(caught.value)
    assert Latches(path, create=True).killed("m") is not None


def test_a_writer_at_work_silences_nobody_else(path: Path, latches: Latches) -> None:
    kill(latches, "m")
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b"\n") + 1])
    handle = os.open(path.parent, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    view = Latches(path)
    assert view.killed("m") is not None, "in the copy already"
    assert view.killed("other") is None
    os.close(handle)
    assert "lacks record 1" in (view.killed("other") or ""), "the writer is gone, and did not end"
