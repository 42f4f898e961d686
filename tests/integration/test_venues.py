"""Recordings and captures of any venue, through the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import signal_stream as ss

FRAMES = Path(__file__).resolve().parents[1] / "data" / "frames"
START = 1_700_000_000_000_000_000


def frames(venue: str) -> list[tuple[str, str]]:
    """Frames of a venue, each with the URL that it answers or an empty text."""
    found, url = [], ""
    for line in (FRAMES / f"{venue}.txt").read_text().splitlines():
        if line.startswith("GET "):
            url = line[4:]
        elif line.startswith(("{", "[")):
            found.append((line, url))
            url = ""
    return found


def recording(folder: Path, venue: str) -> Path:
    """A recording as recorders write it, without a header; compressed by zstd."""
    lines = []
    for at, (frame, url) in enumerate(frames(venue)):
        kind = {"t": "http", "url": url} if url else {"t": "recv"}
        ts = (START + at * 1_000_000) / 1e9
        lines.append(json.dumps({**kind, "conn": "c", "ts": ts, "data": frame}, separators=(",", ":")))
    lines.insert(0, '{"t":"connect","conn":"c","ts":1699999999.5,"addr":"wss://venue"}')
    path = folder / f"{venue}.jsonl"
    path.write_text("\n".join(lines) + "\n")
    packed = folder / f"{venue}.jsonl.zst"
    import pyarrow as pa

    with pa.CompressedOutputStream(str(packed), "zstd") as out:
        out.write(path.read_bytes())
    return packed


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "signal_stream", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True)


def info(path: Path) -> dict:
    done = run("tape", "info", path, "--json", "--max-rejected", "100%")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("venue", sorted(path.stem for path in FRAMES.glob("*.txt")))
def test_a_recording_is_recognised_and_becomes_a_tape(tmp_path: Path, venue: str) -> None:
    packed = recording(tmp_path, venue)
    found = info(packed)
    (file,) = found["files"]
    assert (file["format"], file["venue"], file["framing"]) == ("capture.zst", venue, "recording")
    assert f"frames look like {venue}'s" in file["reason"]
    (source,) = found["sources"]
    assert source["inputs"] == len(frames(venue)), "the recorder's own notes are no frames"
    assert source["inputs"] == source["messages"] + sum(source["rejects"].values())
    assert set(source["rejects"]) <= {"UNUSED_FRAME"}, "nothing is wrong with any frame"
    tape = tmp_path / "tape.parquet"
    assert run("tape", "convert", packed, "-o", tape, "--max-rejected", "100%").returncode == 0
    assert info(tape)["messages"] == found["messages"] >= source["messages"]
    assert info(tape)["rows"] == found["rows"]


def test_the_reason_is_shown_and_a_venue_may_be_stated(tmp_path: Path) -> None:
    packed = recording(tmp_path, "kraken")
    shown = run("tape", "info", packed).stdout
    assert "frames of kraken (recording):" in shown
    stated = run("tape", "info", packed, "--venue", "kraken").stdout
    assert "kraken as stated" in stated
    wrong = run("tape", "info", packed, "--venue", "mtgox")
    assert wrong.returncode != 0 and "binance" in wrong.stderr
    other = run("tape", "info", packed, "--venue", "okx", "--max-rejected", "0.1%")
    assert other.returncode == 2, "no frame is OKX's"


def test_frames_of_nobody_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    path = tmp_path / "unknown"
    path.write_text("".join(f'{START + at} {{"venue":"x","price":{at}}}\n' for at in range(300)))
    done = run("tape", "info", path)
    assert done.returncode != 0 and "say whose frames they are (--venue NAME, one of binance, " in done.stderr


def test_a_graph_runs_over_a_recording(tmp_path: Path) -> None:
    graph = ss.FeatureGraph(
        name="mid", on=ss.every("1ms"), features={"mid": ss.instrument("BTCUSDT-PERP.BINANCE").book.mid()}
    )
    table = ss.compute(graph, recording(tmp_path, "binance"), max_rejected="100%")
    values = [value for value in table["mid"].to_pylist() if value is not None]
    assert values and values[0] == 61_800.25
