"""Serving a venue's WebSocket: the signals of the file, over crashes, with certificates that are verified."""

from __future__ import annotations

import gzip
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from tests.serving import Deploy, Market, Served, wait_for
from tests.venue_run import EXCERPT

from signal_stream.records import SignalRecord
from signal_stream.testing import VenueEmulator
from signal_stream.testing.wire_faults import Severed

SOCKET = {"pace": None, "venue": "binance", "symbols": ["BTCUSDT"], "stale_after": "30s", "stamped": True,
          "reconnect": "10ms", "reconnect_max": "50ms", "seed": 1}  # fmt: skip


def without_ids(signals: list[SignalRecord]) -> list[tuple[Any, ...]]:
    return [(each.value, each.verdict.codes, each.lineage.vector_hash, each.lineage.tape.offset) for each in signals]


@contextmanager
def served_from(venue: VenueEmulator, deploy: Deploy, **more: Any) -> Iterator[Served]:
    served = deploy(url=venue.url, **(SOCKET | {"rest": venue.rest} | more))
    yield served


def serve_whole(venue: VenueEmulator, served: Served) -> None:
    """Serves until the whole capture was used, then ends it as a person would."""
    process = served.start()
    messages = len(venue.frames)
    wait_for(lambda: served.status().get("counts", {}).get("input", 0) >= messages, "the whole capture")
    process.terminate()
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err


@pytest.fixture(scope="module")
def expected(market: Market, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Any, ...]]:
    served = market.deploy(tmp_path_factory.mktemp("whole"))
    served.serve()
    return without_ids(served.signals())


def test_signals_are_those_of_the_file(deploy: Deploy, market: Market, expected: list[Any]) -> None:
    with VenueEmulator(market.capture, stamped=True) as venue, served_from(venue, deploy) as served:
        serve_whole(venue, served)
    assert without_ids(served.signals()) == expected
    assert {each.lineage.tape.name for each in served.signals()} == {"binance"}
    assert "SAME BITS  100 signals" in served.command("replay", "--sample", "100")


def test_one_that_conflates_replays_to_the_same_bits(deploy: Deploy, market: Market) -> None:
    with (
        VenueEmulator(market.capture, stamped=True) as venue,
        served_from(venue, deploy, conflate="latest") as served,
    ):
        serve_whole(venue, served)
    counts = served.status()["counts"]
    parts = ("accepted", "duplicate", "late", "rejected", "conflated")
    assert counts["input"] == sum(counts[name] for name in parts), "whatever waited when it was asked for"
    assert "SAME BITS  100 signals" in served.command("replay", "--sample", "100")


def test_signals_of_a_real_capture_are_those_of_the_file(deploy: Deploy, tmp_path: Path) -> None:
    capture = Path(__file__).parents[3] / "shared" / "data" / "binance-raw-2024-08-08" / "spot_btcusdt_20240808.gz"
    with gzip.open(capture if capture.exists() else EXCERPT, "rt") as file:
        lines = file.readlines()[:20_000]
    short = tmp_path / "short.gz"
    short.write_bytes(gzip.compress("".join(lines).encode(), 1))
    of_file = deploy("file", url=f"file://{short}")
    of_file.serve()
    with VenueEmulator(lines, stamped=True) as venue:
        served = deploy("socket", url=venue.url, **(SOCKET | {"rest": venue.rest}))
        serve_whole(venue, served)
    assert without_ids(served.signals()) == without_ids(of_file.signals())
    assert len(served.signals()) > 100


def test_it_goes_on_after_a_crash_with_a_book_of_its_own(deploy: Deploy, market: Market, expected: list[Any]) -> None:
    half = sum(len(piece.splitlines()) for piece in market.pieces(2)[:1])
    with VenueEmulator(market.capture, stamped=True, until=half) as venue, served_from(venue, deploy) as served:
        first = served.start()
        wait_for(lambda: served.status().get("counts", {}).get("input", 0) >= half, "the first half")
        first.kill()
        first.communicate()
        venue.go_on()
        second = served.start()
        said = len(venue.frames) + 3  # disconnected, connected, and a book
        wait_for(lambda: served.status().get("counts", {}).get("input", 0) >= said, "the rest")
        assert served.status()["source"]["connection"]["books_asked"] == 1
        second.terminate()
        second.communicate(timeout=30)
        assert second.returncode == 0
    values = {each[2] for each in expected}
    same = [each for each in without_ids(served.signals()) if each[2] in values]
    assert len(same) > len(expected) * 2 // 3, "the windows are those of the file again"
    assert served.sink_ids() == served.ids()
    assert "SAME BITS  50 signals" in served.command("replay", "--sample", "50")


def test_no_signal_rests_on_a_book_of_a_lost_connection(deploy: Deploy, market: Market) -> None:
    at = sum(len(piece.splitlines()) for piece in market.pieces(2)[:1])
    faults = [Severed(at=at, missed=200)]
    with VenueEmulator(market.capture, faults=faults, stamped=True) as venue:
        served = deploy(url=venue.url, completeness=1.0, **(SOCKET | {"rest": venue.rest}))
        process = served.start()
        wait_for(lambda: venue.is_done, "the capture")
        wait_for(lambda: served.status().get("source", {}).get("queue_rows") == 0, "the queue")
        process.terminate()
        process.communicate(timeout=30)
        struck = venue.struck[0].ts_recv
        back = venue.frames[at + 200].ts_recv
    between = [each for each in served.signals() if struck < each.lineage.data_window_end <= back]
    assert between
    assert {each.verdict.outcome for each in between} == {"VETO"}


def test_certificates_are_verified(deploy: Deploy, market: Market, expected: list[Any], tmp_path: Path) -> None:
    tls, pem = certificate(tmp_path)
    with VenueEmulator(market.capture, stamped=True, tls=tls) as venue:
        trusting = deploy("trusting", url=venue.url, **(SOCKET | {"rest": venue.rest, "ca": str(pem)}))
        serve_whole(venue, trusting)
    assert without_ids(trusting.signals()) == expected
    with VenueEmulator(market.capture, stamped=True, tls=tls) as venue:
        wary = deploy("wary", url=venue.url, **(SOCKET | {"rest": venue.rest}))
        process = wary.start()
        loss = wait_for(lambda: wary.status().get("source", {}).get("connection", {}).get("last_loss"), "a refusal")
        assert "certificate" in loss
        assert venue.frames_sent == 0
        process.terminate()
        process.communicate(timeout=30)


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A certificate for this machine that signs itself: as a server's context, and as a PEM file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a venue of tests")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / "ca.pem", folder / "key.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, private)
    return context, pem
