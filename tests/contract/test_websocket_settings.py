"""Mistakes in the `[source]` of a venue's WebSocket are named with their line and what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from signal_stream.errors import SettingsError
from signal_stream.settings import load_deployment

FILE = """[pipeline]
name = "m"
[source]
url = "{url}"
venue = "{venue}"
symbols = {symbols}
stale_after = "5s"
queue_rows = 65536
lateness = "0ms"
late = "drop"
{more}
[[model]]
ref = "m@live"
deadline = "5ms"
[guards]
max_age = "2s"
completeness = 1.0
"""
RIGHT = {"url": "wss://stream.binance.com:9443", "venue": "binance", "symbols": '["BTCUSDT"]', "more": ""}


def read(folder: Path, **changed: str) -> object:
    path = folder / "deployment.toml"
    path.write_text(FILE.format(**(RIGHT | changed)))
    return load_deployment(path).source


def test_a_venue_on_this_machine_needs_no_tls(tmp_path: Path) -> None:
    read(tmp_path)
    read(tmp_path, url="ws://127.0.0.1:9443", more='rest = "http://localhost:9443"')


@pytest.mark.parametrize(
    ("changed", "line", "words"),
    [
        ({"url": "ws://stream.binance.com"}, 4, 'url = "ws://stream.binance.com": stream.binance.com: without TLS nobody knows'),
        ({"url": "wss://"}, 4, 'url = "wss://": it names no host. Write wss://HOST.'),
        ({"url": "wss://h:x"}, 4, 'url = "wss://h:x": its port is none from 1 to 65535. Write wss://HOST.'),
        ({"url": "wss://h:0"}, 4, "its port is none from 1 to 65535"),
        ({"url": "wss://h:99999/ws"}, 4, "its port is none from 1 to 65535"),
        ({"url": "wss://h:"}, 4, "its port is none from 1 to 65535"),
        ({"url": "wss://h:1:2"}, 4, "its port is none from 1 to 65535"),
        ({"url": "wss://[::1"}, 4, "its host cannot be read"),
        ({"url": "wss://h h"}, 4, '"h h" is no name of a host'),
        ({"url": "wss://."}, 4, '"." is no name of a host'),
        ({"url": "wss://h/#part"}, 4, "#part would reach nobody"),
        ({"url": "wss://user:pw@h"}, 4, "it has a user's name"),
        ({"more": 'rest = "https://h:70000"'}, 11, 'rest = "https://h:70000": its port is none from 1 to 65535. Write https://HOST.'),
        ({"symbols": '["BTCUSDT", "ETHUSDT", "btcusdt"]'}, 6, 'symbols names "btcusdt" twice'),
        ({"more": 'rest = "http://a.com"'}, 11, "only this machine is read so. Write https://HOST."),
        ({"venue": "binanse"}, 5, 'Did you mean "binance"?'),
        ({"symbols": "[]"}, 6, 'symbols names nothing. Name one at least: symbols = ["BTCUSDT"].'),
        ({"symbols": '[""]'}, 6, "symbols names nothing."),
        ({"more": "streams = []"}, 11, 'Name one at least: streams = ["trades"].'),
        ({"more": 'streams = ["candles"]'}, 11, 'streams = "candles" is not one of "trades", "quotes", "depth"'),
        ({"more": 'pace = "8x"'}, 11, "is for recorded files"),
        ({"more": 'reconnect_max = "1ms"'}, 11, "reconnect_max is below reconnect"),
        (
            {"venue": "independentreserve", "symbols": '["eth-aud"]', "more": 'streams = ["depth", "quotes"]'},
            11,
            "independentreserve has no quotes, only trades, depth",
        ),
    ],
)  # fmt: skip
def test_a_mistake_has_its_line(tmp_path: Path, changed: dict[str, str], line: int, words: str) -> None:
    with pytest.raises(SettingsError) as raised:
        read(tmp_path, **changed)
    text = " ".join(str(raised.value).split())
    assert f"deployment.toml:{line} [source]" in text
    assert words in text
