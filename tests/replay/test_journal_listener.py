"""A journal that another process writes, followed from any place in it: each signal once, as it was written."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.remote import Growing

from signal_stream.errors import JournalError
from signal_stream.records import JournalRecord
from signal_stream.store import JournalListener
from signal_stream.store.segment import segments

SMALL = 8 << 10


def read_all(listener: JournalListener) -> list[JournalRecord]:
    """What there is by now."""
    found: list[JournalRecord] = []
    while True:
        before = listener.seq
        found += listener.read()
        if listener.seq == before:
            return found


def listening(folder: Path, seq: int = 0) -> JournalListener:
    listener = JournalListener(folder)
    listener.seek(seq)
    return listener


def test_what_is_appended_is_read_once_over_segments_and_from_every_place(tmp_path: Path) -> None:
    with Growing.in_folder(tmp_path / "state", segment_bytes=SMALL) as growing:
        folder = growing.place.journal_folder
        along, found = listening(folder), list[JournalRecord]()
        for _ in range(40):
            growing.add(1)
            found += read_all(along)
        written = list(growing.place.reader().records(kind="signal"))
        assert len(segments(folder)) > 3
        assert found == written
        for seq in range(growing.journal.next_seq + 1):
            assert read_all(listening(folder, seq)) == [record for record in written if record.seq >= seq], seq
        assert along.seq == growing.journal.next_seq


def test_segments_that_are_compressed_meanwhile_are_read_on(tmp_path: Path) -> None:
    from signal_stream.store.sealed import compress

    with Growing.in_folder(tmp_path / "state", segment_bytes=SMALL) as growing:
        folder = growing.place.journal_folder
        growing.add(40)
        written = list(growing.place.reader().records(kind="signal"))
        listener = listening(folder)
        found = listener.read()
        for segment in segments(folder)[:-1]:
            compress(segment.path, segment.sealed_path)
            segment.path.unlink()
        assert found + read_all(listener) == written
        assert read_all(listening(folder, 7)) == [record for record in written if record.seq >= 7]


def test_a_record_that_is_half_written_is_waited_for(tmp_path: Path) -> None:
    with Growing.in_folder(tmp_path / "state") as growing:
        growing.add(3)
        [segment] = segments(growing.place.journal_folder)
        whole = segment.path.read_bytes()
        listener = listening(growing.place.journal_folder)
        for size in range(0, len(whole), 97):
            segment.path.write_bytes(whole[:size])
            fresh = listening(growing.place.journal_folder)
            assert len(read_all(fresh)) <= 3
            segment.path.write_bytes(whole)
            read_all(fresh)
            assert fresh.seq == growing.journal.next_seq
        assert len(read_all(listener)) == 3


def test_what_was_removed_is_said_with_where_the_journal_begins(tmp_path: Path) -> None:
    with Growing.in_folder(tmp_path / "state", segment_bytes=SMALL) as growing:
        growing.add(40)
        folder = growing.place.journal_folder
        inside = listening(folder, 2)
        inside.read()
        for segment in segments(folder)[:3]:
            segment.path.unlink()
        first = segments(folder)[0].first_seq
        with pytest.raises(JournalError, match=f"begins at record {first}") as caught:
            listening(folder, 2)
        assert (caught.value.code, caught.value.value) == ("NOT_FOUND", first)
        end = growing.journal.next_seq
        with pytest.raises(JournalError) as caught:
            while inside.seq < end:
                inside.read(known_end=end)
        assert (caught.value.code, caught.value.value) == ("NOT_FOUND", first)


def test_damage_and_a_file_that_became_shorter_are_errors(tmp_path: Path) -> None:
    with Growing.in_folder(tmp_path / "state") as growing:
        growing.add(5)
        [segment] = segments(growing.place.journal_folder)
        whole = segment.path.read_bytes()
        listener = listening(growing.place.journal_folder)
        read_all(listener)
        segment.path.write_bytes(whole[: len(whole) - 300])
        with pytest.raises(JournalError, match="cut before record") as caught:
            listener.read()
        assert caught.value.code == "LOST"
        at = len(whole) // 2
        segment.path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(JournalError) as caught:
            read_all(listening(growing.place.journal_folder))
        assert caught.value.code == "DAMAGED"
        segment.path.write_bytes(whole)
