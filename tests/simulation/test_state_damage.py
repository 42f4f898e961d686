"""Damage of a state folder: whatever file it is of, and however it came about, it is named with the file and what to do, no
command loops, none ends with a traceback, and none changes what is whole."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.damage import HOW, damaged
from tests.serving import Market

from signal_stream.commands import program
from signal_stream.errors import SignalStreamError
from signal_stream.serve import Pipeline, build, upkeep
from signal_stream.settings import load_deployment
from signal_stream.store.journal_upkeep import seal_journal
from signal_stream.store.tape_log import TapeLog, log_batches, seal

SMALL = "\n[tape]\nsegment_bytes = 65536\n[journal]\nsegment_bytes = 65536\n"
STATUS, TAIL = ("status",), ("signals", "tail", "-n", "9999")


@dataclass(frozen=True)
class Folder:
    """A state folder in which there is each kind of file, and a copy of it."""

    state: Path
    copy: Path
    deployment: Path

    def start(self) -> str:
        """Starts to serve, and ends: what is said where that is refused."""
        try:
            parts = build(load_deployment(self.deployment), path=self.deployment)
            with Pipeline(parts):
                return ""
        except SignalStreamError as error:
            return str(error)

    def convert(self, out: Path) -> str:
        """Makes a tape of the recorded events."""
        done = CliRunner().invoke(program("tape"), ["tape", "convert", str(self.state / "tape"), "-o", str(out)])
        if done.exception is not None and not isinstance(done.exception, SystemExit | SignalStreamError):
            raise done.exception
        return said(done)

    def restore(self) -> None:
        shutil.rmtree(self.state)
        shutil.copytree(self.copy, self.state)

    def file(self, kind: str) -> Path:
        return KINDS[kind](self.state)

    def contents(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in self.state.rglob("*") if path.is_file()}

    def run(self, *words: str) -> Result:
        """A command; a traceback fails the test."""
        done = CliRunner().invoke(program(words[0]), [*words, "--state", str(self.state)])
        if done.exception is not None and not isinstance(done.exception, SystemExit | SignalStreamError):
            raise done.exception
        return done


def said(done: Result) -> str:
    """What a user reads, and the exit code first."""
    error = done.exception if isinstance(done.exception, SignalStreamError) else None
    return f"{done.exit_code if error is None else error.exit_code} {done.output}{error or ''}"


def nth(pattern: str, number: int, folder: str = "tape") -> Any:
    return lambda state: sorted((state / folder).glob(pattern))[number]


KINDS = {
    "an old tape segment": nth("*.zst.arrow", 1),
    "its checksums": nth(".*.zst.sums", 1),
    "a full tape segment": nth("[0-9]*.arrow", -2),
    "the checksums of a full one": nth(".*.sums", -2),
    "the newest tape segment": nth("[0-9]*.arrow", -1),
    "the checksums of the newest": nth(".*.sums", -1),
    "the tape's index": lambda state: state / "tape" / "index.jsonl",
    "an old journal segment": nth("*.zst", 1, "journal"),
    "a full journal segment": nth("*.arrows", -2, "journal"),
    "the newest journal segment": nth("*.arrows", -1, "journal"),
    "the witness of the journal": lambda state: state / "journal.head",
    "the latches": lambda state: state / "latches.jsonl",
    "the newest snapshot": nth("*.snapshot", -1, "snapshots"),
    "the status": lambda state: state / "status.json",
}
MENDED = {
    ("the tape's index", "empty"), ("the tape's index", "removed"), ("the tape's index", "without its last byte"),
    ("the witness of the journal", "empty"), ("the witness of the journal", "removed"),
    ("the witness of the journal", "quarter"), ("the witness of the journal", "half"),
    ("the witness of the journal", "without its last byte"), ("the witness of the journal", "first bit"),
    ("the witness of the journal", "middle bit"), ("the witness of the journal", "last bit"),
    ("the latches", "without its last byte"), ("the newest snapshot", "removed"), ("the newest snapshot", "swapped"),
    ("the status", "removed"), ("the status", "without its last byte"),
    ("the witness of the journal", "swapped"), ("the checksums of the newest", "without its last byte"),
    ("the checksums of the newest", "last bit"), ("an old journal segment", "middle bit"),
}  # fmt: skip
"""What is made anew from what is beside it, is written twice, or cannot be told from a kill between two writes; within a
compressed segment of the journal, what only who reads it finds: `tail` does. An earlier snapshot under the newest's name (a busy
machine has written one) says where it goes on."""


CUT_SHORT = {"the newest tape segment", "the checksums of the newest"}
"""What a kill may have left: it becomes a tape as far as it goes."""
MENDED_BY_SERVE = {"the tape's index", "the witness of the journal", "the newest snapshot", "the status"}
"""What it makes anew from what is beside it; in place of a snapshot it takes the one before."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    place = tmp_path_factory.mktemp("state")
    market = Market.make(place / "market", seconds=8.0, clock="20ms")
    served = market.deploy(place / "served", when_full="shed_oldest", queue_rows=10**6, more=SMALL)
    parts = build(load_deployment(served.deployment), path=served.deployment)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(upkeep, "LOOK_S", 1e9)  # what is full is sealed below
        with Pipeline(parts) as pipeline:
            pipeline.run()
    state = served.state.folder
    events = list(log_batches(state / "tape"))
    shutil.rmtree(state / "tape")
    log = TapeLog(state / "tape", segment_bytes=40_000)  # cut as if it had come slowly
    for batch in events:
        for at in range(0, batch.messages, 20):
            log.append(batch.slice(at, min(at + 20, batch.messages)))
    log.close()
    for log, sealing in (
        ("journal", seal_journal),
        ("tape", partial(seal, compress=True)),
    ):
        full = len([path for path in (state / log).glob("[0-9]*") if ".arrow" in path.name]) - 2
        assert full > 2
        turns = iter(range(full))
        sealing(state / log, stopped=lambda turns=turns: next(turns, None) is None)
    made = Folder(state, place / "copy", served.deployment)
    shutil.copytree(state, made.copy)
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_named_by_status_and_tail_and_nothing_else_is_touched(folder: Folder, kind: str) -> None:
    path = folder.file(kind)
    good, others = (
        path.read_bytes(),
        {each for each in path.parent.iterdir() if each.suffix == path.suffix and each != path},
    )
    other = max(others, key=lambda each: each.name).read_bytes() if others else b"{}\n"
    silent = []
    for how in HOW:
        left = damaged(good, how, other)
        path.unlink()
        if left is not None:
            path.write_bytes(left)
        before = folder.contents()
        told = {words[0]: said(folder.run(*words)) for words in (STATUS, TAIL)}
        assert folder.contents() == before, "who looks changes nothing"
        path.write_bytes(good)
        concerns = ["status"] if kind in ("the latches", "the newest snapshot") else ["status", "signals"]
        for command in concerns:
            if told[command].startswith("0"):
                silent.append((kind, how, command))
                continue
            segment = path.name.lstrip(".").partition(".")[
                0
            ]  # which of the two is wrong, segment or checksums, nobody knows
            named = segment if path.parent.name == "tape" and left is not None else str(path.parent)
            assert named in told[command] or path.name in told[command], (how, command, told[command])
    assert {(kind, how) for _, how, _ in silent} <= MENDED, silent
    assert ("an old journal segment", "middle bit", "signals") not in silent


@pytest.mark.parametrize("kind", KINDS)
def test_serve_refuses_what_is_damaged_or_says_so_and_keeps_what_is_whole(folder: Folder, kind: str) -> None:
    path, before = folder.file(kind), folder.contents()
    path.write_bytes(damaged(path.read_bytes(), "half", b"") or b"")
    try:
        refused = folder.start()
        after = folder.contents()
        status = said(folder.run(*STATUS))
    finally:
        folder.restore()
    if refused:
        assert str(path.parent) in refused
        assert "Restore it from a copy" in refused or "which keeps all that is good" in refused
    elif kind not in MENDED_BY_SERVE:
        assert not status.startswith("0")
        assert path.name in status or path.name.lstrip(".").partition(".")[0] in status or kind == "the latches", status
    written_on = {path, *(file for file in before if file.suffix == ".json" or file.name == "journal.head")}
    for file in before.keys() - written_on:
        cuts = sorted(each for each in after if each.suffix == ".cut" and each.name.startswith(file.stem))
        kept = after.get(file, b"") + b"".join(after[cut] for cut in cuts)
        assert kept.startswith(before[file]) or file.suffix == ".sums", file


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "tape segment" in kind or "checksums" in kind])
def test_no_tape_is_made_of_part_of_a_recording(folder: Folder, kind: str, tmp_path: Path) -> None:
    path, out = folder.file(kind), tmp_path / "out.parquet"
    good = path.read_bytes()
    try:
        for how in HOW:
            path.write_bytes(good)
            left = damaged(good, how, b"{}\n")
            path.unlink() if left is None else path.write_bytes(left)
            done = folder.convert(out)
            if not (kind in CUT_SHORT and done.startswith("0")):
                assert done.startswith("2 "), (how, done)
                assert str(path.parent) in done
                assert not out.exists()
            out.unlink(missing_ok=True)
    finally:
        folder.restore()
    assert folder.convert(out).startswith("0 ")


def test_a_folder_that_is_whole_is_found_so(folder: Folder) -> None:
    for words in (STATUS, TAIL, ("signals", "amendments"), ("replay", "--sample", "5")):
        done = folder.run(*words)
        assert done.exit_code == 0, said(done)
