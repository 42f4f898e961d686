"""gRPC where things go wrong: who does not read, who comes and goes, who is of another version, and what has expired."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.remote import Authority, Growing
from tests.serving import wait_for

import signal_stream as ss
from signal_stream.errors import RemoteError
from signal_stream.gateway import grpc_server, journal_feed, signals_service
from signal_stream.monitor.look import Lookout
from signal_stream.store.segment import segments
from signal_stream.wire import signals_pb2 as pb

SUBSCRIBE = "/signal_stream.v1.Signals/Subscribe"


@pytest.fixture
def growing(tmp_path: Path) -> Iterator[Growing]:
    with Growing.in_folder(tmp_path / "state") as made:
        yield made


def subscriptions(server: Any) -> int:
    found: int = server.signals.count
    return found


def resident_mib() -> float:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / (1 << 20)


def test_who_does_not_read_is_cut_off_with_its_place_and_holds_up_nobody(growing: Growing) -> None:
    with (
        growing.served(stalled_after="200ms") as (server, address),
        grpc.insecure_channel(
            address,
            [("grpc.http2.bdp_probe", 0)],  # a small window: what is not read fills it soon
        ) as channel,
    ):
        call = channel.unary_stream(SUBSCRIBE, pb.SubscribeRequest.SerializeToString, pb.Update.FromString)
        stalled = call(pb.SubscribeRequest(from_seq=0))
        with ss.connect(address) as pipeline:
            reading = pipeline.signals(oldest=True)
            count = 0
            while subscriptions(server) < 2 or count < 1000:
                new = growing.add(200)
                count += len(new)
                assert [each.seq for each in islice(reading, len(new))] == [each.seq for each in new]
            wait_for(lambda: subscriptions(server) == 1, "the one that does not read to be cut off")
            [more] = growing.add(1)
            assert next(reading).json == more.body.encode()
        got = []
        with pytest.raises(grpc.RpcError) as caught:
            for answer in stalled:
                got += [each.json for each in answer.signals]
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "cut off before record" in caught.value.details()
        [seq] = [int(value) for name, value in caught.value.trailing_metadata() if name == "next-seq"]
        written = list(growing.place.reader().records(kind="signal"))
        with ss.connect(address) as pipeline:
            behind = [record for record in written if record.seq >= seq]
            got += [each.json for each in islice(pipeline.signals(from_seq=seq), len(behind))]
        assert len(behind) > 100
        assert got == [record.body.encode() for record in written]


def test_one_that_is_cut_off_and_takes_nothing_for_ever_is_dropped(
    growing: Growing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals_service, "DROP_S", 0.2)
    growing.add(1000)
    with growing.served(stalled_after="100ms") as (server, address):
        channel = grpc.insecure_channel(address, [("grpc.http2.bdp_probe", 0)])
        call = channel.unary_stream(SUBSCRIBE, pb.SubscribeRequest.SerializeToString, pb.Update.FromString)
        stalled = call(pb.SubscribeRequest(from_seq=0))
        wait_for(lambda: server.signals.subscriptions, "a subscriber")
        wait_for(lambda: not server.signals.subscriptions, "it to be dropped")
        stalled.cancel()
        channel.close()


def test_a_thousand_who_come_and_go_leave_nothing_behind(growing: Growing) -> None:
    growing.add(50)
    with growing.served(subscribers_max=1000) as (server, address):

        def come_and_go(times: int) -> None:
            for _ in range(times):
                channel = grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)])
                call = channel.unary_stream(SUBSCRIBE, pb.SubscribeRequest.SerializeToString, pb.Update.FromString)
                next(call(pb.SubscribeRequest(from_seq=0)))
                channel.close()

        with ss.connect(address) as pipeline:
            reading = pipeline.signals().wait_begun()
            come_and_go(100)
            wait_for(lambda: subscriptions(server) == 1, "all of them to be gone")
            before = resident_mib()
            come_and_go(1000)
            [new] = growing.add(1)
            assert next(reading).json == new.body.encode()
            wait_for(lambda: subscriptions(server) == 1, "all of them to be gone")
            assert resident_mib() - before < 32


def test_one_more_than_the_most_is_refused_and_others_go_on(growing: Growing) -> None:
    with growing.served(subscribers_max=2) as (_, address), ss.connect(address) as pipeline:
        reading = [pipeline.signals().wait_begun() for _ in range(2)]
        with pytest.raises(RemoteError, match="subscribers_max") as caught:
            next(pipeline.signals())
        assert caught.value.code == "CUT_OFF"
        [new] = growing.add(1)
        assert [next(each).json for each in reading] == [new.body.encode()] * 2


def test_what_the_feed_keeps_is_bounded_and_who_is_behind_it_reads_the_journal(
    growing: Growing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_feed, "KEPT_SIGNALS", 10)
    with growing.served() as (server, address), ss.connect(address) as pipeline:
        from_now = pipeline.signals().wait_begun()
        new = growing.add(500)
        assert [each.json for each in islice(from_now, 500)] == [each.body.encode() for each in new]
        feed = server.signals._feed
        assert len(feed._kept) == 10
        feed.check_invariants()
        assert [each.seq for each in islice(pipeline.signals(oldest=True), 500)] == [each.seq for each in new]


def test_the_bell_is_what_is_waited_for(growing: Growing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc_server, "LOOK_S", 3600.0)
    with growing.served() as (_, address), ss.connect(address) as pipeline:
        subscription = pipeline.signals().wait_begun()
        for _ in range(20):
            [new] = growing.add(1)
            assert next(subscription).seq == new.seq


def test_older_and_newer_callers_are_understood(growing: Growing) -> None:
    """An older one sends fewer fields, a newer one such as we do not know: field 99, of each wire type."""
    old = growing.add(2)
    unknown = [b"\x98\x06\x07", b"\x9a\x06\x03abc", b"\x99\x06" + bytes(8), b"\x9d\x06" + bytes(4)]
    with growing.served() as (_, address), grpc.insecure_channel(address) as channel:
        call = channel.unary_stream(SUBSCRIBE, lambda raw: raw, pb.Update.FromString)
        for more in unknown:
            answers = call(pb.SubscribeRequest(from_seq=0).SerializeToString() + more)
            assert not next(answers).signals
            assert [each.seq for each in next(answers).signals] == [each.seq for each in old]
            answers.cancel()
        nothing_said = call(b"")
        assert next(nothing_said) == pb.Update(next_seq=3, end_seq=3)
        [new] = growing.add(1)
        assert next(nothing_said).signals[0].json == new.body.encode()
        nothing_said.cancel()
        with pytest.raises(grpc.RpcError):
            next(call(b"\xff\xff\xff"))
        status = channel.unary_unary("/signal_stream.v1.Control/Status", lambda raw: raw, pb.StatusReply.FromString)
        assert status(b"".join(unknown)).state == "NEVER SERVED"  # and it answers still
    newer = pb.Update(signals=[pb.Signal(seq=1)], next_seq=2).SerializeToString() + b"".join(unknown)
    assert pb.Update.FromString(newer).next_seq == 2


def test_a_place_that_retention_removed_is_refused_with_where_to_begin(tmp_path: Path) -> None:
    with Growing.in_folder(tmp_path / "state", segment_bytes=8 << 10) as growing:
        growing.add(40)
        for segment in segments(growing.place.journal_folder)[:3]:
            segment.path.unlink()
        first = segments(growing.place.journal_folder)[0].first_seq
        with growing.served() as (_, address), ss.connect(address) as pipeline:
            with pytest.raises(RemoteError, match=f"record 1 was removed.*Ask from {first} on") as caught:
                pipeline.signals(from_seq=1).wait_begun()
            assert (caught.value.code, caught.value.value) == ("NOT_FOUND", first)
            left = [each.seq for each in growing.place.reader().records(kind="signal")]
            for again in (pipeline.signals(from_seq=caught.value.value), pipeline.signals(oldest=True)):
                assert [each.seq for each in islice(again, len(left))] == left


def test_a_pipelines_side_that_is_started_again_is_found_again(growing: Growing) -> None:
    with growing.served() as (_, address), ss.connect(address) as pipeline:
        subscription = pipeline.signals(oldest=True)
        got = [next(subscription) for _ in growing.add(5)]
    with ss.connect(address) as pipeline:
        subscription = pipeline.signals(from_seq=subscription.next_seq)
        growing.add(5)
        with growing.served(address):
            got += [next(subscription) for _ in range(5)]
            assert subscription.next_seq == growing.journal.next_seq
        new = growing.add(5)
        with growing.served(address):  # the same subscription, while nobody closed it
            got += [next(subscription) for _ in new]
    assert [each.json for each in got] == [each.body.encode() for each in growing.place.reader().records(kind="signal")]


def test_nobody_at_the_address_is_said_after_the_patience(growing: Growing) -> None:
    with growing.served() as (_, address):
        pass
    with ss.connect(address, timeout_s=0.2) as pipeline:
        for ask in (pipeline.status, lambda: next(pipeline.signals(patience_s=0))):
            with pytest.raises(RemoteError, match=r"\[grpc\] listen") as caught:
                ask()
            assert caught.value.code == "UNREACHABLE"


def test_a_journal_that_is_damaged_ends_subscriptions_with_the_place(growing: Growing) -> None:
    growing.add(5)
    [segment] = segments(growing.place.journal_folder)
    with growing.served() as (_, address), ss.connect(address) as pipeline:
        subscription = pipeline.signals(oldest=True)
        seen = [next(subscription) for _ in range(5)]
        size = segment.path.stat().st_size
        with segment.path.open("r+b") as file:
            file.truncate(size - 100)
        with pytest.raises(RemoteError, match="cut before record 6") as caught:
            next(subscription)
        assert (caught.value.code, caught.value.value) == ("FAILED", seen[-1].seq + 1)
    growing.journal.tail.cut()


def test_a_state_folder_that_is_served_later_is_found(tmp_path: Path) -> None:
    from signal_stream.gateway.grpc_server import GrpcServer
    from signal_stream.settings import GrpcSettings

    server = GrpcServer(Lookout(tmp_path / "state"), GrpcSettings.read({"listen": "127.0.0.1:0"}))
    address = server.start()
    try:
        with ss.connect(address) as pipeline:
            subscription = pipeline.signals().wait_begun()
            with Growing.in_folder(tmp_path / "state") as growing:
                written = growing.add(2)
                assert [next(subscription).json for _ in written] == [each.body.encode() for each in written]
    finally:
        server.stop()


def tls(authority: Authority) -> dict[str, Any]:
    certificate, key = authority.issue("localhost", file="server")
    return {"certificate": certificate, "key": key, "client_ca": authority.path}


def test_a_callers_certificate_that_expires_ends_what_it_opened(growing: Growing, tmp_path: Path) -> None:
    authority = Authority.make(tmp_path)
    with growing.served(**tls(authority), control=["desk"]) as (_, address):
        certificate, key = authority.issue("desk", seconds=3)
        expires = time.time() + 3
        files = {"ca": authority.path, "name": "localhost", "timeout_s": 5.0}
        with ss.connect(address, certificate=certificate, key=key, **files) as pipeline:
            subscription = pipeline.signals(oldest=True, heartbeat_s=0.1)
            written = growing.add(2)
            assert [next(subscription).seq for _ in written] == [each.seq for each in written]
            with pytest.raises(RemoteError, match="the certificate has expired") as caught:
                next(subscription)
            assert (caught.value.code, caught.value.value) == ("REFUSED", growing.journal.next_seq)
            assert time.time() >= expires - 1
            with pytest.raises(RemoteError) as caught:  # over the connection that stood
                pipeline.kill(every=True, by="desk", reason="late")
        with ss.connect(address, certificate=certificate, key=key, **files) as late, pytest.raises(RemoteError):
            late.status()
        assert growing.place.latches().history() == ()
        certificate, key = authority.issue("desk")
        with ss.connect(address, certificate=certificate, key=key, **files) as renewed:
            [new] = growing.add(1)
            assert next(renewed.signals(from_seq=caught.value.value or new.seq)).json == new.body.encode()


def test_the_servers_certificate_that_expires_is_replaced_without_a_restart(growing: Growing, tmp_path: Path) -> None:
    authority = Authority.make(tmp_path)
    settings = tls(authority)
    authority.issue("localhost", file="server", seconds=2)
    own, key = authority.issue("desk")
    files = {"ca": authority.path, "certificate": own, "key": key, "name": "localhost", "timeout_s": 2.0}
    with growing.served(**settings) as (_, address), ss.connect(address, **files) as early:
        reading = early.signals().wait_begun()

        def is_refused() -> bool:
            with ss.connect(address, **files) as late:
                try:
                    late.status()
                except RemoteError:
                    return True
            return False

        wait_for(is_refused, "the certificate to expire")
        [new] = growing.add(1)
        assert next(reading).json == new.body.encode()  # who is connected stays
        settings["certificate"].write_text("no certificate")
        assert is_refused()  # half of a renewal
        authority.issue("localhost", file="server")
        with ss.connect(address, **files) as after:
            assert after.status()["state"] == "NEVER SERVED"
