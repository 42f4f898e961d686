"""Several feeds in one source: messages of all in order of arrival, figures of each."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

import pytest
from tests.venue_captures import bybit
from tests.venue_run import EXCERPT, PATIENCE_S, messages_of

import signal_stream as ss
from signal_stream import parts
from signal_stream.errors import SettingsError, TapeError
from signal_stream.ingest.merged_source import MergedSource
from signal_stream.settings import load_deployment
from signal_stream.testing import BTCUSDT_PERP, MarketSimulator, VenueEmulator

SHARED = {"kind": "merged", "lateness": "0ms", "late": "drop", "queue_rows": 65_536, "patience": "3s"}
SOCKET = {"stale_after": "30s", "stamped": True, "reconnect": "5ms", "seed": 1}


def opened(feeds: list[dict[str, Any]], **more: Any) -> MergedSource:
    source = MergedSource(MergedSource.Settings.read(SHARED | {"feed": feeds} | more))
    source.open(None)
    return source


def read(source: MergedSource, count: int) -> list[tuple[Any, ...]]:
    """So many messages: kind, instrument, ids and receive time of each."""
    found: list[tuple[Any, ...]] = []
    latest = time.monotonic() + PATIENCE_S
    while len(found) < count and not source.ended:
        assert time.monotonic() < latest, f"{len(found)} of {count}: {source.stats()}"
        batch = source.next(5_000_000)
        found += [] if batch is None else named_of(batch)
    return found


def named_of(batch: Any) -> list[tuple[Any, ...]]:
    keys = ("kind", "instrument", "sequence", "ts_recv", "price")
    return [tuple(each.get(key) for key in keys) for each in messages_of(batch)]


def of_files(*paths: Path) -> list[tuple[Any, ...]]:
    return [message for batch in ss.read_tape(*paths) for message in named_of(batch)]


def test_markets_over_sockets_are_merged_as_their_files_would_be(tmp_path: Path) -> None:
    paths = [tmp_path / "spot.gz", tmp_path / "perp.gz"]
    MarketSimulator(seed=3, duration_s=4.0).write_capture(paths[0])
    MarketSimulator(seed=4, duration_s=4.0, instruments=(BTCUSDT_PERP,)).write_capture(paths[1])
    expected = of_files(*paths)
    with VenueEmulator(paths[0], stamped=True) as spot, VenueEmulator(paths[1], stamped=True) as perp:
        venues = {"binance": spot, "binance-usdm": perp}
        feeds = [
            SOCKET | {"url": venue.url, "rest": venue.rest, "venue": name, "symbols": ["BTCUSDT"]}
            for name, venue in venues.items()
        ]
        source = opened(feeds)
        try:
            found = read(source, len(expected))
            stats, position = source.stats(), source.position
        finally:
            source.close()
    assert found == expected
    assert {message[1] for message in found} == {"BTCUSDT.BINANCE", "BTCUSDT-PERP.BINANCE"}
    for feed, (name, venue) in zip(stats["feeds"], venues.items(), strict=True):
        assert (feed["name"], feed["url"], feed["connection"]["connected"]) == (name, venue.url, True)
        assert feed["messages"] == len(venue.frames) and feed["refused"] == {"UNUSED_FRAME": 1}
    assert stats["messages"] == len(expected)
    assert len(json.loads(position)["feeds"]) == 2


def test_two_venues_are_one_stream_and_files_end(tmp_path: Path) -> None:
    other = tmp_path / "bybit.txt"
    other.write_text("\n".join(bybit()) + "\n")
    expected = of_files(other, EXCERPT)
    source = opened([{"url": f"file://{EXCERPT}"}, {"url": f"file://{other}", "venue": "bybit"}], pace="max")
    assert not source.live
    try:
        found = read(source, 1 << 30)
        assert source.ended
    finally:
        source.close()
    assert found == sorted(expected, key=lambda message: message[3])
    assert {message[1] for message in found} == {"BTCUSDT.BINANCE", "BTCUSDT.BYBIT"}


@pytest.fixture(autouse=True)
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sources of somebody's own."""
    for kind, name in (("plain", "Plain"), ("replayed", "Replayed"), ("torn", "Torn")):
        monkeypatch.setitem(parts._BUILT_IN["source"], kind, f"tests.own_parts:{name}")


def test_a_source_of_ones_own_is_merged_and_goes_on_behind_any_message(tmp_path: Path) -> None:
    other = tmp_path / "bybit.txt"
    other.write_text("\n".join(bybit()) + "\n")
    expected = sorted(of_files(other, EXCERPT), key=lambda message: message[3])
    draw = random.Random(1)
    found: list[tuple[Any, ...]] = []
    position, ended, starts = None, False, 0
    while not ended:
        feeds = [
            {"kind": "replayed", "path": str(EXCERPT), "size": (5_000, 1, 500)[starts % 3]},
            {"url": f"file://{other}", "venue": "bybit"},
        ]
        source = MergedSource(MergedSource.Settings.read(SHARED | {"feed": feeds, "pace": "max", "queue_rows": 1}))
        source.open(position)
        starts += 1
        for _ in range(draw.randrange(1, 200)):
            batch = source.next(1_000_000_000)
            found += [] if batch is None else named_of(batch)
            position = source.position
        ended = source.ended
        stats = source.stats()
        source.close()
    assert starts > 3
    assert found == expected
    assert stats["feeds"][0]["name"] == EXCERPT.name


def test_a_source_of_ones_own_that_fails_ends_the_merge_in_its_words() -> None:
    source = opened([{"kind": "torn", "path": str(EXCERPT)}, {"url": f"file://{EXCERPT}"}], pace="max")
    try:
        with pytest.raises(TapeError, match=f"source {EXCERPT.name}: ValueError: the line is torn"):
            read(source, 1 << 30)
    finally:
        source.close()


FILE = """[pipeline]
name = "m"
[source]
kind = "merged"
queue_rows = 65536
lateness = "0ms"
late = "drop"
[[source.feed]]
url = "file://a.gz"
{first}
[[source.feed]]
{second}
[[model]]
ref = "m@live"
deadline = "5ms"
[guards]
max_age = "2s"
completeness = 1.0
"""
WIRE = 'url = "wss://stream.binance.com:9443"\nvenue = "binance"\nsymbols = ["BTCUSDT"]\nstale_after = "5s"\n'


def load(folder: Path, first: str, second: str) -> Any:
    path = folder / "deployment.toml"
    path.write_text(FILE.format(first=first, second=second))
    return load_deployment(path).source


def test_paths_of_feeds_lie_beside_the_file(tmp_path: Path) -> None:
    source = load(tmp_path, "follow = true", WIRE)
    assert [feed.url for feed in source.feeds] == [f"file://{tmp_path}/a.gz", "wss://stream.binance.com:9443"]
    assert source.is_live
    assert MergedSource.Settings.read(source.raw) == source
    assert json.loads(json.dumps(source.raw)) == source.raw


@pytest.mark.parametrize(
    ("first", "second", "line", "words"),
    [
        ("follow = true", WIRE + "symbol = 1", 16, 'feed 2: unknown key "symbol". Did you mean "symbols"?'),
        ("follow = true", 'url = "wss://a"', 11, 'feed 2: missing key "venue", which has no default'),
        ("follow = true", WIRE.replace('"binance"', '"binanse"'), 13, 'feed 2: venue = "binanse" is none'),
        (
            'follow = true\nlateness = "1s"',
            WIRE,
            11,
            "feed 1: lateness is said once for all feeds. Write it in [source].",
        ),
        ("", WIRE, 8, "a recorded file stands beside a live feed"),
        ('venue = "mtgox"', WIRE, 10, 'feed 1: venue = "mtgox" is none whose frames are known'),
        ("", 'url = "carrier://pigeon"', 12, 'feed 2: no source is named "carrier"'),
        ("", 'kind = "merged"', 12, "feed 2: merged feeds within merged feeds. Write its feeds beside the others."),
        ("", 'kind = "plain"', 12, 'feed 2: a source "plain" does not say whether it can be one of several'),
    ],
)
def test_a_mistake_in_a_feed_has_its_line(tmp_path: Path, first: str, second: str, line: int, words: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load(tmp_path, first, second)
    text = " ".join(str(raised.value).split())
    assert words in text
    assert f"deployment.toml:{line} [source]" in text
