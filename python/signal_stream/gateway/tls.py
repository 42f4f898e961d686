"""The server's certificate, read again whenever its files change: a renewed one is used without a restart."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import grpc
from cryptography import x509

from signal_stream._core import FileWatch
from signal_stream.errors import GatewayError

if TYPE_CHECKING:
    from pathlib import Path

    from signal_stream.settings import GrpcSettings


@dataclass(frozen=True, slots=True)
class _Files:
    """Where certificate, key and the authority of clients lie."""

    certificate: Path
    key: Path
    client_ca: Path

    def read(self) -> grpc.ServerCertificateConfiguration:
        """Raises GatewayError CERTIFICATE."""
        certificate, key, client_ca = map(_read, (self.certificate, self.key, self.client_ca))
        _check(self.certificate, certificate)
        _check(self.client_ca, client_ca)
        return grpc.ssl_server_certificate_configuration([(key, certificate)], root_certificates=client_ca)


class ServerCertificate:
    """TLS with certificates on both sides. Files that cannot be read while it serves leave what is in use as it is."""

    def __init__(self, files: _Files) -> None:
        self._files = files
        self._watches = [FileWatch(path) for path in (files.certificate, files.key, files.client_ca)]
        self._has_changed()
        self.credentials = grpc.dynamic_ssl_server_credentials(
            files.read(),
            self._newer,  # type: ignore[arg-type]  # None: as before
            require_client_authentication=True,
        )

    @classmethod
    def of(cls, settings: GrpcSettings) -> Self:
        """The certificate that a deployment names, which must be complete. Raises GatewayError CERTIFICATE."""
        assert settings.certificate is not None and settings.key is not None and settings.client_ca is not None
        return cls(_Files(settings.certificate, settings.key, settings.client_ca))

    def expires_ns(self) -> int | None:
        """When the certificate on the disk expires; None where it cannot be read."""
        with suppress(GatewayError, ValueError):
            return _expires_ns(_read(self._files.certificate))
        return None

    def _newer(self) -> grpc.ServerCertificateConfiguration | None:
        """Asked before each handshake: what is to be used from now on, None if that is as before."""
        if not self._has_changed():
            return None
        try:
            return self._files.read()
        except GatewayError:
            return None  # half of it was replaced, say: looked at again when it changes

    def _has_changed(self) -> bool:
        return sum(watch.changed() for watch in self._watches) > 0  # each is looked at


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise GatewayError("CERTIFICATE", message, where=str(path), next_step="Check the paths in [grpc].") from error


def _check(path: Path, pem: bytes) -> None:
    try:
        _expires_ns(pem)
    except ValueError as error:
        raise GatewayError("CERTIFICATE", f"no certificate in PEM: {error}", where=str(path)) from error


def _expires_ns(pem: bytes) -> int:
    return int(x509.load_pem_x509_certificate(pem).not_valid_after_utc.timestamp()) * 1_000_000_000
