"""Signals over gRPC: those of the journal, byte for byte, to whoever may have them; and the kill switch."""

from __future__ import annotations

import json
import signal as signals
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from tests.remote import MODEL, Authority, Growing
from tests.serving import ENVIRONMENT, Deploy, Served, wait_for

import signal_stream as ss
from signal_stream.client import ReceivedSignal
from signal_stream.errors import GatewayError, RemoteError, SettingsError
from signal_stream.gateway.grpc_server import GrpcServer
from signal_stream.monitor.look import Lookout
from signal_stream.records import JournalRecord, SignalRecord
from signal_stream.settings import GrpcSettings, load_deployment


@pytest.fixture
def growing(tmp_path: Path) -> Iterator[Growing]:
    with Growing.in_folder(tmp_path / "state") as made:
        yield made


def as_received(records: list[JournalRecord]) -> list[ReceivedSignal]:
    """What a subscriber has to get for these."""
    return [ReceivedSignal(each.seq, each.ts, each.key, each.body.encode()) for each in records]


def take(subscription: Iterator[ReceivedSignal], count: int) -> list[ReceivedSignal]:
    return list(islice(subscription, count))


def test_a_subscriber_gets_the_journals_bytes_from_any_place_and_what_comes(growing: Growing) -> None:
    old = growing.add(300)  # more than one answer holds
    with growing.served() as (_, address), ss.connect(address) as pipeline:
        everything = pipeline.signals(oldest=True)
        assert take(everything, 300) == as_received(old)
        assert take(pipeline.signals(from_seq=old[7].seq), 10) == as_received(old[7:17])
        from_now = pipeline.signals().wait_begun()
        new = growing.add(3, note="ünïcode\n")
        assert take(from_now, 3) == take(everything, 3) == as_received(new)
        assert everything.next_seq == growing.journal.next_seq == from_now.end_seq
        many = growing.add(300)  # more than one answer holds, of those that the gateway keeps
        assert take(pipeline.signals(from_seq=many[0].seq), 300) == as_received(many)
        [again] = take(pipeline.signals(from_seq=new[2].seq), 1)
        assert again.record == SignalRecord.from_json(new[2].body)


def test_one_that_comes_back_with_its_number_misses_nothing_and_gets_nothing_twice(growing: Growing) -> None:
    """Each connection is dropped in the middle of an answer; the number alone is what is kept."""
    got: list[ReceivedSignal] = []
    seq: int | None = 0
    with growing.served() as (_, address):
        for _ in range(12):
            growing.add(50)
            with ss.connect(address) as pipeline, pipeline.signals(from_seq=seq) as subscription:
                got += take(subscription, 37)
                seq = subscription.next_seq
        with ss.connect(address) as pipeline:
            rest = pipeline.signals(from_seq=seq)
            got += take(rest, 600 - len(got))
    assert got == as_received(list(growing.place.reader().records(kind="signal")))


def test_a_filter_gives_what_it_names(growing: Growing) -> None:
    growing.add(6)
    growing.add(6, instrument="ETHUSDT.BINANCE", verdict="HALT", codes=["KILLED", "GUARD"])
    growing.add(6, model_id="other", stage="canary")
    records = list(growing.place.reader().records(kind="signal"))

    def through(**wanted: Any) -> list[JournalRecord]:
        """Until the answer that is behind all of them."""
        found = []
        with ss.connect(address) as pipeline, pipeline.signals(oldest=True, **wanted) as subscription:
            for each in subscription:
                found.append(each.seq)
                if each.seq >= expected(wanted)[-1].seq:
                    break
        return [record for record in records if record.seq in found]

    def expected(wanted: dict[str, Any]) -> list[JournalRecord]:
        def matches(record: JournalRecord) -> bool:
            fields = json.loads(record.body)
            return (
                fields["model_id"] in wanted.get("models", [fields["model_id"]])
                and fields["instrument"] in wanted.get("instruments", [fields["instrument"]])
                and fields["verdict"] in wanted.get("outcomes", [fields["verdict"]])
                and ("codes" not in wanted or bool({*fields["codes"]} & {*wanted["codes"]}))
                and fields["stage"] in wanted.get("stages", ["live", "canary"])
            )

        return [record for record in records if matches(record)]

    with growing.served() as (_, address):
        for wanted in (
            {"models": [MODEL]},
            {"models": ["other"]},
            {"models": [MODEL, "other"], "outcomes": ["PASS"]},
            {"instruments": ["ETHUSDT.BINANCE"]},
            {"outcomes": ["VETO"]},
            {"codes": ["GUARD", "STALE"]},
            {"codes": ["KILLED"], "outcomes": ["HALT"], "instruments": ["ETHUSDT.BINANCE"]},
            {"stages": ["canary"]},
        ):
            assert through(**wanted) == expected(wanted) != [], wanted


def test_a_model_in_shadow_is_heard_only_by_who_asks_for_shadow(growing: Growing) -> None:
    with growing.served() as (_, address), ss.connect(address) as pipeline:
        usual, asked = pipeline.signals().wait_begun(), pipeline.signals(stages=["shadow"]).wait_begun()
        shadow = growing.add(2, stage="shadow", signal='"stage": "live"')
        live = growing.add(2)
        assert take(usual, 2) == as_received(live)
        assert take(asked, 2) == as_received(shadow)


def test_silence_is_told_from_a_broken_line_by_heartbeats(growing: Growing) -> None:
    growing.add(2, stage="shadow")
    with growing.served() as (_, address), grpc.insecure_channel(address) as channel:
        from signal_stream.wire import signals_pb2 as pb

        call = channel.unary_stream(
            "/signal_stream.v1.Signals/Subscribe", lambda each: each.SerializeToString(), pb.Update.FromString
        )
        answers = call(pb.SubscribeRequest(from_seq=0, heartbeat_ms=100))
        assert next(answers) == pb.Update(next_seq=0, end_seq=3)
        assert next(answers) == pb.Update(next_seq=3, end_seq=3)  # what did not match is behind
        assert next(answers) == pb.Update(next_seq=3, end_seq=3)
        answers.cancel()


def test_one_signal_by_its_id(growing: Growing) -> None:
    [_, record] = growing.add(2)
    with growing.served() as (_, address), ss.connect(address) as pipeline:
        assert pipeline.get(record.key.upper()) == as_received([record])[0]
        with pytest.raises(RemoteError, match="no signal with the id") as caught:
            pipeline.get("f" * 32)
        assert caught.value.code == "NOT_FOUND"


@pytest.mark.parametrize(
    ("wanted", "code", "text"),
    [
        ({"models": ["mowe"]}, "REQUEST", f'names model "mowe", which this pipeline does not have. Did you mean "{MODEL}"?'),
        ({"outcomes": ["VETOED"]}, "REQUEST", 'Did you mean "VETO"?'),
        ({"stages": ["shade"]}, "REQUEST", 'Did you mean "shadow"?'),
        ({"from_seq": 3, "oldest": True}, "REQUEST", "Give one of them."),
        ({"from_seq": 99}, "NOT_FOUND", "ask from 5 on."),
        ({"codes": ["x"] * 1001}, "REQUEST", "more than 1000 values"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_refused_with_what_to_do(
    growing: Growing, wanted: dict[str, Any], code: str, text: str
) -> None:
    growing.add(4)
    with growing.served() as (_, address), ss.connect(address) as pipeline:
        with pytest.raises(RemoteError) as caught:
            next(pipeline.signals(**wanted))
        assert caught.value.code == code
        assert text in str(caught.value)


def test_a_model_that_is_served_no_more_can_be_named(growing: Growing) -> None:
    old = growing.add(1)
    growing.journal.append("open", ts=old[0].ts, body=json.dumps({"models": [{"name": "newer"}]}))
    with growing.served() as (_, address), ss.connect(address) as pipeline:
        assert take(pipeline.signals(oldest=True, models=[MODEL]), 1) == as_received(old)


def test_kill_and_rearm_write_what_the_commands_write(growing: Growing) -> None:
    with growing.served() as (_, address), ss.connect(address) as pipeline:
        assert pipeline.kill("other@3", by="ann", reason="drift").startswith("other killed by ann at ")
        assert pipeline.kill(every=True, by="bob", reason="news").startswith("everything killed by bob at ")
        assert "other was killed already" in pipeline.kill("other", by="cy", reason="too")
        assert pipeline.rearm(every=True, by="ann", reason="over").startswith("everything re-armed by ann")
        assert "nothing to do" in pipeline.rearm(every=True, by="ann", reason="over")
        [standing] = pipeline.status()["latches"]
        for wrong, text in (
            ({"model": "othr"}, 'Did you mean "other"?'),
            ({}, "not clear what to kill"),
            ({"model": "other", "every": True}, "not clear what to kill"),
            ({"every": True, "by": " "}, "a name is needed"),
        ):
            with pytest.raises(RemoteError) as caught:
                pipeline.kill(**({"by": "ann", "reason": "x"} | wrong))  # type: ignore[arg-type]
            assert caught.value.code == "REQUEST"
            assert text in str(caught.value)
    history = growing.place.latches().history()
    assert [(each.action, each.scope, each.by) for each in history] == [
        ("kill", "model:other", "ann"), ("kill", "all", "bob"), ("kill", "model:other", "cy"), ("rearm", "all", "ann"),
    ]  # fmt: skip
    assert standing.startswith("other killed by ann")


def test_health_and_reflection_are_the_standard_ones(growing: Growing) -> None:
    with growing.served() as (_, address), grpc.insecure_channel(address) as channel:
        health = health_pb2_grpc.HealthStub(channel)

        def found(name: str) -> int:
            answer = health.Check(health_pb2.HealthCheckRequest(service=name))
            return int(answer.status)

        serving, not_serving = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
        assert found("signal_stream.v1.Control") == serving
        assert found("") == found("signal_stream.v1.Signals") == not_serving  # a journal, and nobody who serves
        services = ProtoReflectionDescriptorDatabase(channel)
        assert {"signal_stream.v1.Signals", "signal_stream.v1.Control"} <= set(services.get_services())
        described = services.FindFileContainingSymbol("signal_stream.v1.Signals")
        assert [each.name for each in described.service] == ["Signals", "Control"]


def test_an_address_that_is_taken_is_an_error_with_what_to_do(growing: Growing) -> None:
    with (
        growing.served() as (_, address),
        pytest.raises(GatewayError, match="Another program listens there") as caught,
        growing.served(address),
    ):
        pass
    assert caught.value.code == "ADDRESS"
    with growing.served(address) as (_, again):  # it was given back
        assert again == address


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ('listen = "0.0.0.0:50051"', 'Write "127.0.0.1:50051", or give certificate, key and client_ca.'),
        ('listen = "[::]:50051"', "would let other machines read signals, kill and re-arm"),
        ('listen = "0.0.0.0:1"\ncertificate = "c.pem"', "certificate without key and client_ca"),
        ('listen = "127.0.0.1:1"\ncontrol = ["ops"]', "without TLS nobody shows one"),
        ('listen = "127.0.0.1"', "an IP address and a port"),
        ('lisen = "127.0.0.1:1"', 'Did you mean "listen"?'),
    ],
)  # fmt: skip
def test_an_address_that_others_reach_needs_tls(deploy: Deploy, section: str, text: str) -> None:
    served = deploy(more=f"\n[grpc]\n{section}\n")
    with pytest.raises(SettingsError) as caught:
        load_deployment(served.deployment)
    assert text in str(caught.value)
    line = 1 + served.deployment.read_text().splitlines().index("[grpc]")
    assert int(caught.value.where.rpartition(":")[2]) > line


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.make(tmp_path)


def test_over_tls_a_certificate_has_the_roles_that_the_deployment_gives_it(
    growing: Growing, authority: Authority
) -> None:
    certificate, key = authority.issue("localhost")
    tls = {"certificate": certificate, "key": key, "client_ca": authority.path}
    records = growing.add(3)
    with growing.served("127.0.0.1:0", **tls, readers=["desk"], control=["ops"]) as (_, address):

        def connected(name: str, by: Authority = authority) -> Any:
            own, private = by.issue(name, file=f"caller-{name}")
            return ss.connect(address, ca=authority.path, certificate=own, key=private, name="localhost", timeout_s=5)

        with connected("desk") as desk, connected("ops") as ops, connected("stranger") as stranger:
            assert take(desk.signals(oldest=True), 3) == as_received(records)
            with pytest.raises(RemoteError, match='the certificate "desk" has no role for control') as caught:
                desk.kill(every=True, by="ops", reason="not mine")
            assert caught.value.code == "REFUSED"
            assert growing.place.latches().history() == ()
            assert ops.status()["state"] == "NEVER SERVED"
            assert ops.kill(every=True, by="ann", reason="news").startswith(
                "everything killed by ann (certificate ops)"
            )
            assert ops.rearm(every=True, by="", reason="over").startswith("everything re-armed by ops at")
            with pytest.raises(RemoteError, match="no role for reading signals") as caught:
                next(stranger.signals())
            assert caught.value.code == "REFUSED"
        with connected("ops", Authority.make(growing.place.folder, "other-ca")) as forged, pytest.raises(RemoteError):
            forged.kill(every=True, by="ops", reason="forged")
        with ss.connect(address, timeout_s=2) as plain, pytest.raises(RemoteError):
            plain.kill(every=True, by="ops", reason="plaintext")
    assert len(growing.place.latches().history()) == 2


def address_of(served: Served) -> str:
    """Where a served pipeline listens for gRPC, once its status says so."""

    def found() -> str:
        servers = (served.status().get("gateway") or {}).get("servers", [])
        return next((each["listen"] for each in servers if each["name"] == "grpc" and each["state"] == "OK"), "")

    return wait_for(found, "a gateway that listens")


def test_a_served_pipeline_is_heard_and_killed_from_outside(deploy: Deploy) -> None:
    served = deploy(more='\n[grpc]\nlisten = "127.0.0.1:0"\n', pace="1x")
    process = served.start()
    with ss.connect(address_of(served)) as pipeline:
        subscription = pipeline.signals(oldest=True)
        got = take(subscription, 20)
        assert (served.state.folder / "journal.bell").exists()
        pipeline.kill(every=True, by="ann", reason="test")
        known = served.count_signals()
        wait_for(lambda: served.count_signals() >= known + 10, "signals after the kill")
        assert all("KILLED" in each.verdict.codes for each in served.signals()[known:])
        process.send_signal(signals.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 0
    written = as_received(served.signal_records())
    assert got == written[:20]


def test_without_the_extra_a_client_says_what_to_install() -> None:
    code = """
import sys; sys.modules["grpc"] = None
import signal_stream as ss
try:
    ss.connect("127.0.0.1:1")
except ss.SignalStreamError as error:
    print(error.code, error)
"""
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("NO_PACKAGE grpc is not installed")
    assert 'pip install "signal-stream[grpc]"' in done.stdout


def test_closing_a_connection_ends_its_subscriptions(growing: Growing) -> None:
    with growing.served() as (_, address), ss.connect(address) as pipeline:
        subscription, got = pipeline.signals().wait_begun(), list[ReceivedSignal]()
        ended = threading.Event()
        reading = threading.Thread(target=lambda: (got.extend(subscription), ended.set()))
        reading.start()
        records = growing.add(3)
        wait_for(lambda: subscription.next_seq == growing.journal.next_seq, "the reader to have them")
        pipeline.close()
        reading.join(10)
        assert ended.is_set()  # and raised nothing
        assert got == as_received(records)
        with pytest.raises(RemoteError, match="closed here"):
            next(pipeline.signals())


def test_what_is_refused_is_not_repeated_at_any_length(growing: Growing) -> None:
    growing.add(1)
    with growing.served() as (_, address), ss.connect(address) as pipeline:
        with pytest.raises(RemoteError, match="no signal with the id") as caught:
            pipeline.get("x" * 20_000)
        assert caught.value.code == "NOT_FOUND"
        with pytest.raises(RemoteError, match="the filter names model") as caught:
            next(iter(pipeline.signals(models=["m" * 20_000])))
        assert caught.value.code == "REQUEST"


def test_what_no_request_can_hold_is_refused_before_it_is_sent(growing: Growing) -> None:
    with growing.served() as (_, address), ss.connect(address) as pipeline:
        for asked in (
            lambda: pipeline.signals(from_seq=-1),
            lambda: pipeline.signals(from_seq=1 << 64),
            lambda: pipeline.signals(heartbeat_s=float("nan")),
            lambda: pipeline.signals(heartbeat_s=float("inf")),
            lambda: pipeline.signals(models=["\ud800"]),
            lambda: pipeline.get("\ud800"),
            lambda: pipeline.kill("\ud800", by="ann", reason="test"),
            lambda: pipeline.rearm("other", by="\ud800", reason="test"),
        ):
            with pytest.raises(RemoteError, match="this cannot be asked") as caught:
                asked()
            assert caught.value.code == "REQUEST"


@pytest.mark.parametrize("method", ["Signals/Get", "Signals/Subscribe", "Control/Kill", "Control/Status"])
def test_bytes_that_are_no_request_are_refused(growing: Growing, method: str) -> None:
    with growing.served() as (_, address), grpc.insecure_channel(address) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            list(channel.unary_stream(f"/signal_stream.v1.{method}")(b"\xff\xff\xff", timeout=10))
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert caught.value.details().startswith("these 3 bytes are no ")
    assert not growing.latches.standing()


def test_a_state_folder_that_cannot_be_read_is_told_to_whoever_asks(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "journal").write_text("")
    server = GrpcServer(Lookout(tmp_path / "state"), GrpcSettings.read({"listen": "127.0.0.1:0"}))
    address = server.start()
    try:
        with ss.connect(address) as pipeline, pytest.raises(RemoteError, match="state/journal") as caught:
            pipeline.status()
        assert caught.value.code == "FAILED"
        assert "Unexpected" not in str(caught.value)
    finally:
        server.stop()
