"""A journal that grows, served over gRPC in this process, and certificates for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from signal_stream.gateway.grpc_server import GrpcServer
from signal_stream.monitor.look import Lookout
from signal_stream.records import JournalRecord
from signal_stream.settings import GrpcSettings
from signal_stream.store import Bell, Journal, Latches, State
from signal_stream.testing import sample_signals

MODEL = "möwe"
"""The model of `sample_signals`."""


@dataclass
class Growing:
    """A state folder whose journal this process writes, with sample signals."""

    place: State
    latches: Latches
    journal: Journal
    bell: Bell
    made: int = 0

    @classmethod
    @contextmanager
    def in_folder(cls, folder: Path, **bounds: Any) -> Iterator[Growing]:
        place = State(folder)
        latches, journal = place.open(fsync="never", **bounds)
        with journal:
            journal.append(
                "open", ts=sample_signals(1)[0].ts, body=json.dumps({"models": [{"name": MODEL}, {"name": "other"}]})
            )
            yield cls(place, latches, journal, Bell(folder))

    def add(self, count: int, **changes: Any) -> list[JournalRecord]:
        """Appends so many signals more, with some of their fields changed; returns them as the journal has them."""
        begin = self.journal.next_seq
        for sample in sample_signals(count, first=self.made):
            self.journal.take_over([json.dumps(json.loads(sample.body) | changes)])
        self.bell.ring()
        self.made += count
        return list(self.place.reader().records(kind="signal", from_seq=begin))

    @contextmanager
    def served(self, listen: str = "127.0.0.1:0", **settings: Any) -> Iterator[tuple[GrpcServer, str]]:
        """A server of it, and its address."""
        read = GrpcSettings.read({"listen": listen} | {key: _plain(value) for key, value in settings.items()})
        server = GrpcServer(Lookout(self.place.folder), read)
        address = server.start()
        try:
            yield server, address
        finally:
            server.stop()


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


@dataclass(frozen=True)
class Authority:
    """Signs certificates that live as long as a test says."""

    folder: Path
    name: str
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def make(cls, folder: Path, name: str = "ca") -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _signed(name, key.public_key(), name, key, days=1, is_ca=True)
        made = cls(folder, name, key, certificate)
        made.path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return made

    @property
    def path(self) -> Path:
        """Its certificate."""
        return self.folder / f"{self.name}.pem"

    def issue(self, name: str, *, seconds: float = 86_400, file: str = "") -> tuple[Path, Path]:
        """A certificate for a name, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _signed(name, key.public_key(), self.name, self.key, days=seconds / 86_400)
        paths = self.folder / f"{file or name}.pem", self.folder / f"{file or name}.key"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return paths


def _signed(
    name: str, public: ec.EllipticCurvePublicKey, issuer: str, key: ec.EllipticCurvePrivateKey, *, days: float,
    is_ca: bool = False,
) -> x509.Certificate:  # fmt: skip
    now = datetime.now(UTC)
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (name, issuer)]
    builder = (
        x509.CertificateBuilder()
        .subject_name(names[0])
        .issuer_name(names[1])
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name), x509.DNSName("localhost")]), critical=False)
    )
    return builder.sign(key, hashes.SHA256())
