"""What `tape info` says of a tape's data is what was put into it: delays, the venue's clock, gaps and duplicates."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner

from signal_stream.commands import program
from signal_stream.ingest import read_tape
from signal_stream.research.tape_quality import BINS, TapeQuality

START_MS = 1_700_000_040_000
OFFSET_NS, DRIFT = 20_000_000, 50e-6


def line(number: int, *, ms: int, delay_ns: int) -> str:
    data = {"e": "trade", "E": ms, "s": "BTCUSDT", "t": number, "p": "100.5", "q": "2", "T": ms, "m": False, "M": True}
    return f"{ms * 10**6 + delay_ns} " + json.dumps({"stream": "btcusdt@trade", "data": data}) + "\n"


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An hour of trades, one a second: the venue's clock falls behind by 50 ppm, one in twenty comes much later, and five ids are
    missing near the middle; the last one comes twice."""
    chosen = random.Random(5)
    lines = []
    for i in range(3600):
        late = chosen.randrange(900_000_000) if chosen.random() < 0.05 else chosen.randrange(2_000_000)
        number = 1 + i + (5 if i >= 1800 else 0)
        lines.append(line(number, ms=START_MS + 1000 * i, delay_ns=OFFSET_NS + round(DRIFT * i * 1e9) + late))
    lines.append(lines[-1])
    path = tmp_path_factory.mktemp("quality") / "spot.cap"
    path.write_text("".join(lines))
    return path


def info(*arguments: str) -> str:
    done = CliRunner().invoke(program(), ["tape", "info", *arguments])
    assert done.exit_code == 0, done.output
    return done.output


def test_the_venues_clock_is_estimated_in_spite_of_late_messages(capture: Path) -> None:
    [clock] = json.loads(info(str(capture), "--json"))["clocks"]
    assert (clock["venue"], clock["messages"], clock["before"]) == ("BINANCE", 3601, 0)
    assert clock["drift"] == pytest.approx(DRIFT, rel=0.02)
    middle = OFFSET_NS + DRIFT * 1800e9
    assert clock["offset"] == pytest.approx(middle, abs=2e6)
    assert clock["p99"] > 3e8
    assert "BINANCE to here: usual " in info(str(capture))
    assert "drift +50" in info(str(capture)) or "drift +49" in info(str(capture))


def test_gaps_and_duplicates_stand_where_they_are(capture: Path) -> None:
    found = json.loads(info(str(capture), "--json"))
    quality = TapeQuality.of(read_tape(capture), found["ts_recv_first"], found["ts_recv_last"])
    faults = {name: counts.nonzero()[0].tolist() for name, counts in quality.faults.items()}
    assert faults["gap BTCUSDT.BINANCE"] == [pytest.approx(BINS / 2, abs=1)]
    assert faults["duplicate BTCUSDT.BINANCE"] == [BINS - 1]
    assert int(quality.counts["trade"].sum()) == 3601


def test_the_quality_does_not_depend_on_how_the_tape_is_cut(capture: Path) -> None:
    batches = list(read_tape(capture))
    first, last = batches[0].first_recv, batches[-1].last_recv
    assert first is not None
    assert last is not None
    parts = [batch.slice(i, min(i + 7, batch.messages)) for batch in batches for i in range(0, batch.messages, 7)]
    whole, cut = (TapeQuality.of(each, first, last) for each in (batches, parts))
    assert whole.clocks() == cut.clocks()
    assert {name: counts.tolist() for name, counts in whole.faults.items()} == {
        name: counts.tolist() for name, counts in cut.faults.items()
    }


def test_the_picture_is_drawn(capture: Path, tmp_path: Path) -> None:
    out = tmp_path / "quality.png"
    info(str(capture), "--picture", str(out))
    assert out.read_bytes().startswith(b"\x89PNG")
    assert out.stat().st_size > 20_000
