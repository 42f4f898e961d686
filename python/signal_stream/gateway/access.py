"""Who calls, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from cryptography import x509
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from signal_stream.settings import GrpcSettings

Role = Literal["read", "control"]
"""`read` is signals and status, `control` kill and re-arm."""
_ROLES: Final = {"read": "reading signals", "control": "control (kill and re-arm)"}


@dataclass(frozen=True, slots=True)
class Caller:
    """The client's certificate: its common name and when it expires. Both None without TLS: somebody on this machine."""

    name: str | None = None
    expires_ns: int | None = None

    @classmethod
    def of(cls, auth_context: Mapping[str, object]) -> Caller:
        """The caller of a request, of what the handshake proved. Without TLS that is nothing."""
        found = auth_context.get("x509_pem_cert")
        if not isinstance(found, list | tuple) or not found:
            return cls()
        certificate = x509.load_pem_x509_certificate(found[0])
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        expires = certificate.not_valid_after_utc
        return cls(str(names[0].value) if names else "", int(expires.timestamp()) * 1_000_000_000)

    def has_expired(self, now: int) -> bool:
        """Whether its certificate is too old: the handshake looked at that once, and a connection may last for months."""
        return self.expires_ns is not None and now > self.expires_ns


@dataclass(frozen=True, slots=True)
class Access:
    """The roles of certificates, by their common names. `readers` None: whoever has a certificate."""

    is_plaintext: bool
    readers: frozenset[str] | None
    control: frozenset[str]

    @classmethod
    def by(cls, settings: GrpcSettings) -> Access:
        """What a deployment file says."""
        readers = None if settings.readers is None else frozenset(settings.readers)
        return cls(not settings.is_tls, readers, frozenset(settings.control))

    def refusal(self, caller: Caller, role: Role) -> str | None:
        """Why this caller may not do that; None if it may.

        >>> access = Access(is_plaintext=False, readers=None, control=frozenset({"ops"}))
        >>> access.refusal(Caller("ops"), "control") is None, access.refusal(Caller("desk"), "read") is None
        (True, True)
        >>> access.refusal(Caller("desk"), "control")
        'the certificate "desk" has no role for control (kill and re-arm): [grpc] control of the deployment names those that have'
        """
        if self.is_plaintext:
            return None  # it is on this machine: `listen` is a loopback address
        allowed = self.control if role == "control" else self.readers
        if allowed is None or (caller.name and caller.name in allowed):
            return None
        if role == "read" and caller.name in self.control and caller.name:
            return None
        key = "control" if role == "control" else "readers"
        return (
            f'the certificate "{caller.name}" has no role for {_ROLES[role]}: [grpc] {key} of the deployment names those '
            "that have"
        )
