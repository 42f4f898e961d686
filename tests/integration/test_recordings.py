"""Whole recordings of seven venues, where they are at hand: under the folder that `SIGNAL_STREAM_DATA` names, else in
`../shared/data` beside the repository. What is counted of each is what its README says."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from signal_stream import _core

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("SIGNAL_STREAM_DATA", ROOT.parent / "shared" / "data")) / "ws-frames"

FRAMES = {
    "COINBASE": ("coinbase", 1_030, {}),
    "KRAKEN": ("kraken", 4_430, {"book_diff": 4_269, "book_snapshot": 10, "trade": 10, "quote": 18}),
    "OKX": ("okx", 410, {"book_diff": 287, "book_snapshot": 3, "trade": 74, "quote": 28}),
    "BINANCE_FUTURES": ("binance", 1_535, {"book_diff": 764, "quote": 613, "trade": 91, "book_snapshot": 4}),
    "KUCOIN": ("kucoin", 4_721, {"quote": 830, "trade": 18, "book_snapshot": 9}),
    "INDEPENDENT_RESERVE": ("independentreserve", 1_665, {"order": 831 + 832 + 5}),
    "DERIBIT": ("deribit", 136, {"quote": 89, "reference": 89, "book_diff": 36, "book_snapshot": 10}),
}
"""Of each recording: the venue, frames, and messages by kind."""

AT_HAND = sorted(path.name.split(".")[0] for path in DATA.glob("*.jsonl.zst"))


def found_in(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_core.tape_info([str(DATA / f"{name}.jsonl.zst")]))
    return found


def answers(name: str) -> int:
    """Answers to requests in a recording, which count as inputs."""
    import pyarrow as pa

    with pa.input_stream(str(DATA / f"{name}.jsonl.zst"), compression="zstd") as text:
        lines = text.read().splitlines()
    return sum(line.startswith(b'{"t":"http"') for line in lines)


@pytest.mark.parametrize("name", AT_HAND)
def test_counts_are_those_of_the_readme(name: str) -> None:
    venue, frames, kinds = FRAMES[name]
    found = found_in(name)
    (file,) = found["files"]
    assert (file["venue"], file["framing"]) == (venue, "recording")
    assert f"the header names {venue}" in file["reason"]
    (source,) = found["sources"]
    assert source["inputs"] == frames + answers(name)
    assert source["inputs"] == source["messages"] + sum(source["rejects"].values())
    assert set(source["rejects"]) <= {"UNUSED_FRAME"}, found["rejects"]["first"]
    counted: dict[str, int] = {}
    for stream in found["streams"]:
        counted[stream["kind"]] = counted.get(stream["kind"], 0) + stream["messages"]
        assert stream["gaps"] == 0, stream
    assert {kind: counted.get(kind) for kind in kinds} == kinds
