"""Replay: a signal made again from journal, tape and registry has the same bits, or it is said which differ."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from tests.serving import Market, Served, wait_for

from signal_stream import _core
from signal_stream.records import JournalRecord
from signal_stream.store import JournalReader


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    return Market.make(tmp_path_factory.mktemp("market"))


@pytest.fixture(scope="module")
def whole(market: Market, tmp_path_factory: pytest.TempPathFactory) -> Served:
    served = market.deploy(tmp_path_factory.mktemp("whole"))
    served.serve()
    return served


def copy_of(served: Served, folder: Path, records: list[JournalRecord]) -> Served:
    """A state folder that holds these records instead."""
    journal = folder / "state" / "journal"
    journal.mkdir(parents=True)
    frames = [_core.journal_encode(seq, r.ts, r.kind, r.key, r.body) for seq, r in enumerate(records)]
    (journal / f"{0:020d}.arrows").write_bytes(_core.journal_header() + b"".join(frames))
    shutil.copy(served.deployment, folder)
    return Served(folder)


def test_a_hundred_signals_have_the_same_bits(whole: Served) -> None:
    out = whole.command("replay", "--sample", "100", "--json").splitlines()
    replayed = [json.loads(line) for line in out]
    assert len(replayed) == 100
    assert all(each["same"] for each in replayed)
    assert {each["signal_id"] for each in replayed} <= set(whole.ids())
    assert any(each["value"] is not None for each in replayed)
    again = whole.command("replay", "--sample", "100", "--json", "--seed", "1").splitlines()
    assert {json.loads(line)["signal_id"] for line in again} != {each["signal_id"] for each in replayed}


def test_a_sample_is_one_line_and_a_line_for_what_differs(whole: Served, tmp_path: Path) -> None:
    (said,) = whole.command("replay", "--sample", "100").splitlines()
    assert said.startswith("SAME BITS  100 signals replayed, 0 differ")
    assert len(whole.command("replay", "--sample", "100", "--verbose").splitlines()) == 101
    assert "SAME BITS  1 signal replayed" in whole.command("replay", "--sample", "1")
    records = list(whole.state.reader().records())
    at = next(i for i, r in enumerate(records) if r.kind == "signal" and '"verdict": "PASS"' in r.body)
    body = json.loads(records[at].body)
    body["value"] *= 1 + 2**-52
    changed = JournalRecord(at, records[at].ts, "signal", records[at].key, json.dumps(body))
    served = copy_of(whole, tmp_path / "copy", [*records[:at], changed, *records[at + 1 :]])
    different, *_, said = served.command("replay", "--sample", "100000", exit_code=1).splitlines()
    assert different.startswith(f"different  {changed.key}")
    assert ", 1 differ" in said


def test_signals_are_named_by_their_id_or_its_beginning(whole: Served) -> None:
    ids = whole.ids()
    out = whole.command("replay", ids[150], ids[3][:10])
    assert ids[150] in out
    assert ids[3] in out
    assert "SAME BITS  2 signals replayed, 0 differ" in out
    assert "no signal has the id" in whole.command("replay", "f" * 32, exit_code=2)
    assert "--sample" in whole.command("replay", exit_code=2)


def test_another_value_is_found_with_both_bit_patterns(whole: Served, tmp_path: Path) -> None:
    records = list(whole.state.reader().records())
    at = next(i for i, r in enumerate(records) if r.kind == "signal" and '"verdict": "PASS"' in r.body)
    body = json.loads(records[at].body)
    value = body["value"]
    body["value"] = value * (1 + 2**-52)
    changed = JournalRecord(at, records[at].ts, "signal", records[at].key, json.dumps(body))
    served = copy_of(whole, tmp_path / "copy", [*records[:at], changed, *records[at + 1 :]])
    other = next(each for each in records[at + 1 :] if each.kind == "signal")
    out = served.command("replay", changed.key, other.key, exit_code=1)
    assert f"different  {changed.key}  value: recorded {body['value']!r} (0x" in out
    assert f"now {value!r} (0x" in out
    assert "DIFFERENT  2 signals replayed, 1 differ" in out


def test_another_vector_is_shown_with_its_bits(whole: Served, tmp_path: Path) -> None:
    records = list(whole.state.reader().records())
    at = next(i for i, r in enumerate(records) if r.kind == "signal" and '"verdict": "PASS"' in r.body)
    body = json.loads(records[at].body) | {"vector_hash": "0" * 64}
    changed = JournalRecord(at, records[at].ts, "signal", records[at].key, json.dumps(body))
    served = copy_of(whole, tmp_path / "copy", [*records[:at], changed])
    out = served.command("replay", changed.key, exit_code=1)
    assert f"vector_hash: recorded {'0' * 64}, now " in out
    assert "obi_5 = " in out


def test_a_tape_that_is_gone_or_another_cannot_be_replayed(market: Market, tmp_path: Path) -> None:
    capture = tmp_path / "moving.gz"
    shutil.copy(market.capture, capture)
    served = market.deploy(tmp_path / "served", url=f"file://{capture}")
    served.serve()
    moved = capture.rename(tmp_path / "moved.gz")
    assert "--tape PATH" in served.command("replay", "--sample", "5", exit_code=2)
    assert "SAME BITS" in served.command("replay", "--sample", "5", "--tape", str(moved))
    market.simulator.write_capture(capture)
    capture.write_bytes(capture.read_bytes()[:-200])
    assert "not the tape that was served" in served.command("replay", "--sample", "5", exit_code=2)


def test_a_model_that_is_gone_cannot_be_replayed(market: Market, whole: Served, tmp_path: Path) -> None:
    moved = market.registry.rename(tmp_path / "elsewhere")
    try:
        message = whole.command("replay", "--sample", "5", exit_code=2)
    finally:
        moved.rename(market.registry)
    assert "registry" in message
    assert "Traceback" not in message


def test_what_depended_on_the_moment_is_not_computed_again(market: Market, tmp_path: Path) -> None:
    served = market.deploy(tmp_path / "served", url="stdin:", pace=None, deadline="1ns", fallback="constant:0.5")
    process = served.start(stdin=subprocess.PIPE)
    before, after = market.pieces(2)
    served.feed(before)
    served.wait_serving(40)
    served.command("kill", "--all", "--by", "ann", "--reason", "test")
    served.feed(after)
    wait_for(lambda: "KILLED" in served.signals()[-1].verdict.codes, "silence")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    ids = [each.signal_id for each in served.signals() if {"DEADLINE", "KILLED"} & set(each.verdict.codes)]
    out = served.command("replay", *ids)
    assert f"SAME BITS  {len(ids)} signals replayed, 0 differ" in out
    assert f"{len(ids)} verdicts depended on the clock" in out
    assert "as it fell: DEADLINE" in out
    assert "as it fell: KILLED" in out


def test_a_running_pipeline_is_replayed(market: Market, tmp_path: Path) -> None:
    served = market.deploy(tmp_path / "served", url="stdin:", pace=None)
    process = served.start(stdin=subprocess.PIPE)
    served.feed(market.pieces(2)[0])
    served.wait_serving(60)
    assert "SAME BITS  60 signals" in served.command("replay", *served.ids()[:60])
    assert process.poll() is None
    served.end()
    assert JournalReader(served.state.journal_folder).last("open") is not None
