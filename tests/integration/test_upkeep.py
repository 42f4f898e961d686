"""Upkeep beside a pipeline: what is full is sealed while it serves."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from tests.serving import Market

from signal_stream.serve import Pipeline, build, upkeep
from signal_stream.serve.upkeep import Upkeep
from signal_stream.settings import load_deployment
from signal_stream.store import Snapshots
from signal_stream.store.retention import Retention
from signal_stream.store.tape_log import check_log

SMALL = "\n[tape]\nsegment_bytes = 65536\n[journal]\nsegment_bytes = 65536\n"


def test_full_segments_are_sealed_while_a_pipeline_serves(
    market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "LOOK_S", 0.01)
    served = market.deploy(tmp_path / "served", pace="4x", when_full="shed_oldest", queue_rows=10**6, more=SMALL)
    parts = build(load_deployment(served.deployment), path=served.deployment)
    tape, journal = served.state.folder / "tape", served.state.journal_folder
    with Pipeline(parts) as pipeline:
        status = pipeline.run()
        assert status.journal["upkeep_failure"] is None
    sealed = len(list(tape.glob("*.zst.arrow")))
    assert sealed > 2
    assert list(journal.glob("*.arrows.zst"))
    check_log(tape)
    assert "SAME BITS  20 signals" in served.command("replay", "--sample", "20")
    served.command("doctor", "--state", "state")
    tape.rename(tape.with_name("elsewhere"))
    assert "rest on events that were recorded here, and none is" in served.command(
        "doctor", "--state", "state", exit_code=1
    )


def test_a_folder_is_looked_through_only_where_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = {name: tmp_path / name for name in ("journal", "tape", "late")}
    for folder in folders.values():
        folder.mkdir()
    looked: list[str] = []
    monkeypatch.setattr(upkeep, "seal_journal", lambda folder, **_: looked.append(folder.name))
    monkeypatch.setattr(upkeep, "seal", lambda folder, **_: looked.append(folder.name))
    work = Upkeep(**folders, snapshots=Snapshots(tmp_path / "snapshots"), retention=Retention())
    stopped = threading.Event()
    work.seal(stopped)
    assert looked == ["journal", "tape", "late"]
    work.seal(stopped)
    assert len(looked) == 3
    (folders["tape"] / "new").touch()
    os.utime(folders["tape"], ns=(5, 5))
    work.seal(stopped)
    assert looked[3:] == ["tape"]
