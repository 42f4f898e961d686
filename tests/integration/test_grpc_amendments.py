"""Amendments over gRPC: to whoever asks for them, and to nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from tests.remote import Growing

import signal_stream as ss
from signal_stream.client import ReceivedAmendment
from signal_stream.errors import RemoteError
from signal_stream.records import Amendment, JournalRecord
from signal_stream.testing import sample_amendments


@pytest.fixture
def growing(tmp_path: Path) -> Iterator[Growing]:
    with Growing.in_folder(tmp_path / "state", segment_bytes=60_000) as made:
        yield made


def amend(growing: Growing, count: int) -> list[JournalRecord]:
    """So many signals, an amendment behind each; gives the amendments as the journal has them."""
    begin = growing.journal.next_seq
    for sample in sample_amendments(count, first=growing.made):
        growing.add(1)
        growing.journal.append_amendments([(sample.ts, sample.key, sample.body)])
    growing.bell.ring()
    return list(growing.place.reader().records(kind="amendment", from_seq=begin))


def as_received(records: list[JournalRecord]) -> list[ReceivedAmendment]:
    return [ReceivedAmendment(each.seq, each.ts, each.key, each.body.encode()) for each in records]


def test_who_asks_gets_the_journals_bytes_from_any_place_and_what_comes(growing: Growing) -> None:
    old = amend(growing, 150)  # over several segments
    with growing.served() as (_, address), ss.connect(address) as pipeline:
        everything = pipeline.amendments(oldest=True)
        assert list(islice(everything, 150)) == as_received(old)
        assert list(islice(pipeline.amendments(from_seq=old[7].seq), 10)) == as_received(old[7:17])
        from_now = pipeline.amendments().wait_begun()
        new = amend(growing, 40)
        assert list(islice(from_now, 40)) == list(islice(everything, 40)) == as_received(new)
        assert everything.next_seq == new[-1].seq + 1
        [again] = islice(pipeline.amendments(from_seq=new[-1].seq), 1)
        assert again.record == Amendment.from_json(new[-1].body)


def test_who_asks_for_signals_gets_signals(growing: Growing) -> None:
    amend(growing, 30)
    with growing.served() as (_, address), ss.connect(address) as pipeline:
        signals = pipeline.signals(oldest=True)
        got = list(islice(signals, 30))
        amend(growing, 5)
        got += islice(signals, 5)
    assert [each.signal_id for each in got] == [each.key for each in growing.place.reader().records(kind="signal")]


def test_where_only_signals_come_the_place_moves_on(growing: Growing) -> None:
    """A subscriber that comes back does not read again what was passed over."""
    with growing.served() as (_, address), ss.connect(address) as pipeline:
        subscription = pipeline.amendments(heartbeat_s=0.1).wait_begun()
        growing.add(200)
        end = growing.journal.next_seq
        while subscription.next_seq != end:
            subscription._receive()
            subscription.next_seq = subscription._behind


def test_a_filter_names_instruments(growing: Growing) -> None:
    records = amend(growing, 30)
    of_eth = [record for record in records if "ETHUSDT.BINANCE" in record.body]
    assert 0 < len(of_eth) < 30
    with growing.served() as (_, address), ss.connect(address) as pipeline:
        wanted = pipeline.amendments(oldest=True, instruments="ETHUSDT.BINANCE")
        assert list(islice(wanted, len(of_eth))) == as_received(of_eth)
        with pytest.raises(RemoteError, match="beyond the next"):
            next(pipeline.amendments(from_seq=10_000))
