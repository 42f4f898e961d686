"""What events show to be wrong reaches the source, which may do something about it."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import pytest
from tests.serving import Market

from signal_stream.ingest.file_source import FileSource
from signal_stream.serve import Pipeline, build
from signal_stream.settings import load_deployment


def test_a_source_hears_of_a_gap_in_a_book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    market = Market.make(tmp_path / "market", seconds=3.0)
    with gzip.open(market.capture, "rt") as file:
        lines = file.readlines()
    depth = [number for number, line in enumerate(lines) if "depthUpdate" in line]
    lost = depth[len(depth) // 2]
    broken = tmp_path / "broken.gz"
    with gzip.open(broken, "wt") as file:
        file.writelines(lines[:lost] + lines[lost + 1 :])
    told: list[tuple[str, str]] = []
    monkeypatch.setattr(FileSource, "notice", lambda _, name, kind, ts_recv: told.append((name, kind)), raising=False)
    for capture, expected in ((market.capture, 0), (broken, 1)):
        served = replace(market, capture=capture).deploy(tmp_path / capture.stem)
        with Pipeline(build(load_deployment(served.deployment), path=served.deployment)) as pipeline:
            pipeline.run()
        assert [kind for _, kind in told] == ["BOOK_GAP"] * expected
        assert all("." in name for name, _ in told)
