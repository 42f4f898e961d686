"""What `tape info` says of a tape's data is what was put into it: delays, the venue's clock, gaps and duplicates."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

from signal_stream import _core
from signal_stream.commands import program
from signal_stream.ingest import read_tape
from signal_stream.research.tape_quality import BINS_MAX, TapeQuality
from signal_stream.research.tape_silence import Silences
from signal_stream.research.venue_delays import VenueDelays

_SEQUENCE = re.compile(rb'"sequence":"(\d+)"')
FRAMES = Path(__file__).parents[1] / "data" / "frames"
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
    done = CliRunner().invoke(program("tape"), ["tape", "info", *arguments])
    assert done.exit_code == 0, done.output
    return done.output


def test_the_venues_clock_is_estimated_in_spite_of_late_messages(capture: Path) -> None:
    [clock] = json.loads(info(str(capture), "--json"))["clocks"]
    assert (clock["venue"], clock["messages"], clock["before"]) == ("BINANCE", 3601, 0)
    assert clock["drift"] == pytest.approx(DRIFT, rel=0.02)
    middle = OFFSET_NS + DRIFT * 1800e9
    assert clock["drift_margin"] < 1e-6
    assert clock["p50"] == pytest.approx(middle, abs=6e6)
    assert clock["p99"] > 3e8
    shown = info(str(capture))
    assert "BINANCE to here: p1 2" in shown
    assert "drift +50" in shown or "drift +49" in shown


def test_p1_is_the_delay_that_one_in_a_hundred_stays_below(capture: Path) -> None:
    delays = [
        event["ts_recv"].value - event["ts_event"].value
        for batch in read_tape(capture)
        for event in pa.record_batch(batch).to_pylist()
    ]
    [clock] = json.loads(info(str(capture), "--json"))["clocks"]
    assert sum(delay <= clock["p1"] for delay in delays) == pytest.approx(len(delays) / 100, abs=2)


def test_no_drift_is_told_of_what_is_too_short(tmp_path: Path) -> None:
    few = tmp_path / "few.cap"
    few.write_text("".join(line(i, ms=START_MS + 1000 * i, delay_ns=OFFSET_NS + 10**6 * i) for i in range(1, 11)))
    [clock] = json.loads(info(str(few), "--json"))["clocks"]
    assert (clock["drift"], clock["drift_margin"]) == (None, None)
    assert "drift not told: too short, or too uneven" in info(str(few))


def test_delays_that_are_all_the_same_were_declared(tmp_path: Path) -> None:
    even = tmp_path / "even.cap"
    even.write_text("".join(line(i, ms=START_MS + 1000 * i, delay_ns=OFFSET_NS) for i in range(1, 400)))
    assert "BINANCE to here: 20 ms for every message, as declared" in info(str(even))


def test_gaps_and_duplicates_stand_where_they_are(capture: Path) -> None:
    found = json.loads(info(str(capture), "--json"))
    quality = TapeQuality.of(read_tape(capture), found["ts_recv_first"], found["ts_recv_last"], 3601)
    faults = {name: counts.nonzero()[0].tolist() for name, counts in quality.faults.items()}
    assert faults["gap BTCUSDT.BINANCE"] == [pytest.approx(quality.bins / 2, abs=1)]
    assert faults["duplicate BTCUSDT.BINANCE"] == [quality.bins - 1]
    assert int(quality.counts["trade"].sum()) == 3601


@pytest.mark.parametrize("venue", sorted(path.stem for path in FRAMES.glob("*.txt")))
def test_the_picture_shows_the_gaps_and_duplicates_that_the_sequencer_finds(venue: str, tmp_path: Path) -> None:
    """Of every venue: ids of some rise by more than one, and miss nothing. The frames come twice, some between are left out."""
    frames = [line for line in (FRAMES / f"{venue}.txt").read_bytes().splitlines() if line[:1] in (b"{", b"[")]
    # KuCoin's trades again under later ids, of which some are nobody's.
    numbered = [line for line in frames if b"trade.l3match" in line]
    later = [
        _SEQUENCE.sub(lambda old, i=i: b'"sequence":"%d"' % (int(old[1]) + 7 * i), line)
        for i in range(3)
        for line in numbered
    ]
    lines = [*frames, *later, *frames[::3], *frames[1::2]]
    file = tmp_path / "frames.cap"
    file.write_bytes(b"".join(b"%d %s\n" % (START_MS * 10**6 + i, line) for i, line in enumerate(lines)))
    found = json.loads(_core.tape_info([str(file)], venue=venue))
    batches = iter(_core.Reader([str(file)], venue=venue).next, None)
    quality = TapeQuality.of(batches, found["ts_recv_first"], found["ts_recv_last"], found["messages"])
    for fault, key in (("gap", "gaps"), ("duplicate", "duplicate")):
        shown = {name: int(counts.sum()) for name, counts in quality.faults.items() if name.startswith(f"{fault} ")}
        told: dict[str, int] = {}
        for stream in found["streams"]:
            if stream["kind"] in ("trade", "book_diff") and stream[key]:
                told[f"{fault} {stream['instrument']}"] = told.get(f"{fault} {stream['instrument']}", 0) + stream[key]
        assert shown == told


def test_the_quality_does_not_depend_on_how_the_tape_is_cut(capture: Path) -> None:
    batches = list(read_tape(capture))
    first, last = batches[0].first_recv, batches[-1].last_recv
    assert first is not None
    assert last is not None
    parts = [batch.slice(i, min(i + 7, batch.messages)) for batch in batches for i in range(0, batch.messages, 7)]
    whole, cut = (TapeQuality.of(each, first, last, 3601) for each in (batches, parts))
    assert whole.clocks() == cut.clocks()
    assert whole.silences.longest == cut.silences.longest
    assert whole.silences.by_bin.tolist() == cut.silences.by_bin.tolist()
    assert {name: counts.tolist() for name, counts in whole.faults.items()} == {
        name: counts.tolist() for name, counts in cut.faults.items()
    }


def test_a_day_shows_its_short_silences_and_bursts(tmp_path: Path) -> None:
    """A second of 400 trades, and 90 s without any, within pieces of three minutes."""
    day, moments = tmp_path / "day.cap", []
    for second in range(86_400):
        if second == 30_000:
            moments += [1000 * second + 2 * i for i in range(400)]
        elif second % 5 == 0 and not 50_000 < second < 50_090:
            moments.append(1000 * second)
    day.write_text("".join(line(i, ms=START_MS + ms, delay_ns=10**6) for i, ms in enumerate(moments, 1)))
    found = json.loads(info(str(day), "--json"))
    assert found["silences"][0] == {"ns": 90 * 10**9, "begin": (START_MS + 50_000_000) * 10**6 + 10**6}
    assert "longest time without a message: 1.5 min from " in info(str(day))
    quality = TapeQuality.of(read_tape(day), found["ts_recv_first"], found["ts_recv_last"], found["messages"])
    assert quality.bins == BINS_MAX
    burst, hole = (round(second / 86_400 * BINS_MAX - 0.5) for second in (30_000, 50_045))
    assert quality.peaks["trade"].argmax() == burst
    assert quality.peaks["trade"][burst] > 5 * quality.counts["trade"][burst]
    assert np.flatnonzero(quality.silences.by_bin > 89 * 10**9).tolist() == [hole - 1, hole], (
        "the pieces that it touches"
    )
    assert quality.counts["trade"][hole] > 10, "the mean of the piece does not show it"


def test_connections_written_one_after_another_are_silent_when_all_are() -> None:
    silences = Silences(0, 1000, 10, 4)
    for times in ([0, 100, 300, 1000], [200, 310, 620], [640]):
        silences.add(np.array(times))
    assert [(each.ns, each.begin) for each in silences.longest] == [(360, 640), (310, 310), (100, 0)]
    assert silences.by_bin.tolist() == [100, 100, 100, 310, 310, 310, 360, 360, 360, 360]


def test_of_many_delays_an_even_share_is_kept_however_they_come() -> None:
    values = np.random.default_rng(3).integers(0, 10**6, 50_000)
    whole, cut = VenueDelays(1), VenueDelays(1)
    whole.add(values, np.zeros(len(values), int))
    for part in np.array_split(values, 77):
        cut.add(part, np.zeros(len(part), int))
    middles = np.array([0.0])
    assert whole.clock("V", middles) == cut.clock("V", middles)
    late = np.concatenate([np.zeros(4_000, int), np.full(36_000, 10**6)])
    uneven = VenueDelays(1)
    uneven.add(late, np.zeros(len(late), int))
    assert uneven.clock("V", middles).p50 == 10**6, "not only the first are kept"


def test_the_picture_is_drawn(capture: Path, tmp_path: Path) -> None:
    out = tmp_path / "quality.png"
    info(str(capture), "--picture", str(out))
    assert out.read_bytes().startswith(b"\x89PNG")
    assert out.stat().st_size > 20_000
