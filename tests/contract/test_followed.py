"""Is the file that a followed source has read known again, whatever its name is now, and is every other one refused?"""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from signal_stream.errors import TapeError
from signal_stream.ingest.file_source import FileSource
from signal_stream.ingest.followed import FollowedFile, FollowedStart, find_followed

OLD, NEW = b"first line of the old file\n", b"first line of the new file\n"


def noted(path: Path, begins_at: int, head: bytes | None = None) -> FollowedFile:
    """What a position holds of the file that lies there."""
    found = path.stat()
    known = path.read_bytes()[:256] if head is None else head
    return FollowedFile(found.st_dev, found.st_ino, known.hex(), begins_at)


@pytest.fixture
def live(tmp_path: Path) -> Path:
    path = tmp_path / "live.capture"
    path.write_bytes(OLD)
    return path


def test_a_file_that_kept_its_name_goes_on_after_its_messages(live: Path) -> None:
    file = noted(live, 100)
    with live.open("ab") as more:
        more.write(b"and more\n")
    assert find_followed([file], live, 107) == FollowedStart(None, (), 100, 7)
    assert find_followed([], live, 107) == FollowedStart(None, (), 0, 107)


def test_a_file_of_which_nothing_was_read_is_the_newest_one(live: Path) -> None:
    """Where the new file begins with the next message, the old one is not needed any more, and may be deleted."""
    old = noted(live, 0)
    live.unlink()
    live.write_bytes(NEW)
    new = noted(live, 100)
    assert find_followed([old, new], live, 100) == FollowedStart(None, (old,), 100, 0)


def test_messages_of_the_older_file_are_read_from_it(live: Path) -> None:
    old = noted(live, 0)
    live.rename(live.with_name("live.capture.1"))
    live.write_bytes(NEW)
    start = find_followed([old, noted(live, 100)], live, 99)
    assert start == FollowedStart(live.with_name("live.capture.1"), (), 0, 99)


def test_a_renamed_file_is_found_by_its_inode(live: Path) -> None:
    file = noted(live, 0)
    renamed = live.with_name("20260101.capture")
    live.rename(renamed)
    shutil.copyfile(renamed, live.with_name("zz-copy"))
    live.write_bytes(NEW)
    assert find_followed([file], live, 1).begin == renamed


def test_an_inode_that_was_used_again_is_another_file(live: Path) -> None:
    file = noted(live, 0)
    live.write_bytes(NEW)
    assert noted(live, 0).ino == file.ino
    assert file.likeness(live) is None
    with pytest.raises(TapeError, match="another file than the one that was read") as caught:
        find_followed([file], live, 1)
    assert (caught.value.code, caught.value.value, caught.value.where) == ("TRUNCATED", 1, str(live))


def test_a_truncated_file_is_another_one_until_its_first_bytes_are_there(live: Path) -> None:
    file = noted(live, 0)
    os.truncate(live, 5)
    assert file.likeness(live) is None
    live.write_bytes(OLD)
    assert file.likeness(live) == (True, len(OLD))


def test_of_copies_the_fullest_is_taken_and_the_followed_name_comes_first(live: Path) -> None:
    file = noted(live, 0)
    for name, more in (("a", b"x\n"), ("b", b"x\ny\n"), ("c", b"")):
        live.with_name(name).write_bytes(OLD + more)
    live.unlink()  # what is left are copies, with inodes of their own
    assert find_followed([file], live, 1).begin == live.with_name("b")
    live.with_name("c").rename(live)
    assert find_followed([file], live, 1).begin is None
    assert file.likeness(live) == (False, len(OLD))


def test_two_files_that_begin_alike_are_told_apart_by_their_inodes(live: Path) -> None:
    file = noted(live, 0)
    first = live.with_name("live.capture.1")
    live.rename(first)
    live.write_bytes(OLD + b"but it goes on otherwise, and is the longer one\n")
    assert find_followed([file], live, 1).begin == first


def test_a_file_that_had_no_byte_yet_is_known_by_its_inode_alone(live: Path) -> None:
    file = noted(live, 5, head=b"")
    assert file.likeness(live) == (True, len(OLD))
    copy = live.with_name("copy")
    shutil.copyfile(live, copy)
    assert file.likeness(copy) is None
    live.unlink()
    assert find_followed([file], live, 5) == FollowedStart(None, (), 5, 0), "it may come yet"
    with pytest.raises(TapeError, match="its first 2 messages"):
        find_followed([file], live, 7)


def test_a_file_that_has_begun_must_be_there_though_none_of_its_messages_was_used(live: Path) -> None:
    file = noted(live, 5)
    live.unlink()
    with pytest.raises(TapeError, match="nobody knows what it held after its first 0 messages"):
        find_followed([file], live, 5)


def test_a_position_before_all_that_is_remembered_is_refused(live: Path) -> None:
    with pytest.raises(
        TapeError, match="101 messages came before the oldest file that is remembered, and 100 are"
    ) as caught:
        find_followed([noted(live, 101)], live, 100)
    assert caught.value.code == "TRUNCATED"
    assert find_followed([noted(live, 100)], live, 100).skip == 0


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
