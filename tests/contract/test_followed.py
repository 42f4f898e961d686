"""Does a followed source continue where a process ended, over restarts and rotations?"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from signal_stream.errors import TapeError
from signal_stream.ingest.file_source import FileSource


@pytest.fixture
def live(tmp_path: Path) -> Path:
    return tmp_path / "live.capture"


def trade_lines(first: int, last: int) -> str:
    """Lines of a capture, one trade each, with these ids."""
    data = '{{"e":"trade","E":{0},"s":"AB","t":{1},"p":"1","q":"1","T":{0},"m":false,"M":true}}'
    at = 1_700_000_000_000
    return "".join(
        f'{(at + i) * 10**6} {{"stream":"ab@trade","data":{data.format(at + i, i + 1)}}}\n' for i in range(first, last)
    )


def read_on(live: Path, position: bytes | None, messages: int) -> bytes:
    """The position behind so many more messages of a followed file, read by a source of its own as after a restart."""
    keys = {"url": f"file://{live}", "follow": True, "queue_rows": 1000, "lateness": "0s", "late": "drop"}
    source = FileSource(FileSource.Settings.read(keys))
    source.open(position)
    patience = time.monotonic() + 20
    try:
        while messages > 0:
            assert time.monotonic() < patience
            batch = source.next(10**9)
            messages -= 0 if batch is None else batch.messages
        assert messages == 0
        return source.position
    finally:
        source.close()


def test_a_position_knows_its_files_over_restarts_and_rotations(live: Path) -> None:
    live.write_text(trade_lines(0, 10))
    first = read_on(live, None, 10)
    live.rename(live.with_name("live.capture.1"))
    live.write_text(trade_lines(10, 30))
    second = read_on(live, first, 20)
    with live.open("a") as more:
        more.write(trade_lines(30, 35))
    third = read_on(live, second, 5)
    found = [(json.loads(each)["messages"], [file["begins_at"] for file in json.loads(each)["files"]])
             for each in (first, second, third)]  # fmt: skip
    assert found == [(10, [0]), (30, [0, 10]), (35, [0, 10])], "the older file is remembered for an older snapshot"
    live.rename(live.with_name("live.capture.2"))
    live.write_text(trade_lines(35, 40))
    fourth = json.loads(read_on(live, third, 5))
    assert [file["begins_at"] for file in fourth["files"]] == [0, 10, 35]


def test_another_file_than_the_one_that_was_read_is_refused(live: Path) -> None:
    live.write_text(trade_lines(0, 10))
    position = read_on(live, None, 10)
    live.write_text(trade_lines(10, 20))
    with pytest.raises(TapeError, match="nobody knows what it held after its first 10 messages; put it back") as caught:
        read_on(live, position, 1)
    assert caught.value.code == "TRUNCATED"
    assert str(live) in str(caught.value)
    with pytest.raises(TapeError, match="the source cannot continue behind position") as caught:
        read_on(live, b'{"offset": 3}', 1)
    assert caught.value.code == "DAMAGED"
