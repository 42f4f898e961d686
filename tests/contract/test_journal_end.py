"""The end of a journal that is looked at again and again says what a look at the whole says."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from signal_stream.errors import JournalError
from signal_stream.store import Journal, JournalEnd, JournalReader
from signal_stream.store.segment import segments

if TYPE_CHECKING:
    from pathlib import Path


def looked(check: object) -> int | str:
    try:
        return check()  # type: ignore[operator,no-any-return]
    except JournalError as error:
        return error.code


@pytest.mark.parametrize("seed", range(8))
def test_each_look_says_what_a_look_at_the_whole_says(tmp_path: Path, seed: int) -> None:
    """While records are added, segments begun, the end torn or cut, and bytes changed that are new."""
    rng = random.Random(seed)
    folder = tmp_path / "journal"
    end = JournalEnd(folder)
    assert looked(end.check) == looked(JournalReader(folder).check_end) == "NOT_FOUND"
    for _ in range(12):
        with Journal(folder, fsync="always", segment_bytes=4_096) as journal:
            for _ in range(rng.randrange(30)):
                journal.append("counts", ts=1, body="x" * rng.randrange(400))
                if rng.random() < 0.3:
                    assert end.check() == journal.next_seq
        newest = segments(folder)[-1].path
        whole = newest.read_bytes()
        with newest.open("r+b") as file:
            match rng.randrange(4):
                case 0:
                    file.truncate(len(whole) - rng.randrange(1, 40))
                case 1:
                    file.seek(0, 2)
                    file.write(rng.randbytes(rng.randrange(1, 40)))
                case 2:
                    file.truncate(0)
        assert looked(end.check) == looked(JournalReader(folder).check_end)
        newest.write_bytes(whole)
        assert looked(end.check) == looked(JournalReader(folder).check_end)


def test_what_was_looked_at_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "journal"
    with Journal(folder) as journal:
        for _ in range(1_000):
            journal.append("counts", ts=1, body="x" * 1_000)
        end = JournalEnd(folder)
        assert end.check() == 1_000
        journal.append("counts", ts=1, body="y")
        read: list[int] = []
        from signal_stream.store import segment

        scan = segment.journal_scan
        monkeypatch.setattr(
            segment, "journal_scan", lambda data, *a, **k: read.append(len(data)) or scan(data, *a, **k)
        )
        assert end.check() == 1_001
    assert 0 < sum(read) < 1_000
