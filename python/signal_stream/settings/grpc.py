"""`[grpc]`: where other programs subscribe to signals and reach the kill switch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from .address import Address, AddressText
from .section import Problem, Section
from .values import PositiveNs, Within

if TYPE_CHECKING:
    from collections.abc import Iterator


class GrpcSettings(Section):
    """`[grpc]`: where other programs subscribe to signals and reach the kill switch. See docs/grpc.md."""

    listen: AddressText | None = None
    """Address such as "127.0.0.1:50051"; absent: nowhere. Port 0 is any that is free. Without a certificate it must be one of
    this machine: whoever reaches it may read signals, kill and re-arm."""
    certificate: Path | None = Field(default=None, strict=False)
    """The server's certificate, a PEM file: with `key` and `client_ca`, TLS that asks callers for certificates too. Files
    that are replaced are used from the next connection on."""
    key: Path | None = Field(default=None, strict=False)
    """Its private key, a PEM file."""
    client_ca: Path | None = Field(default=None, strict=False)
    """Certificates of the authority that signs those of callers, a PEM file."""
    readers: tuple[str, ...] | None = Field(default=None, strict=False)
    """Common names of certificates that may read signals and status; absent: whoever has a certificate."""
    control: tuple[str, ...] = Field(default=(), strict=False)
    """Common names of certificates that may kill and re-arm; absent: none."""
    subscribers_max: int = Field(default=64, ge=1, le=10_000)
    """The most subscribers at a time; the next is refused."""
    stalled_after_ns: Annotated[PositiveNs, Within("1ns", "1d")] = Field(default=10_000_000_000, alias="stalled_after")
    """A subscriber that takes nothing for so long is cut off, and told where to go on."""

    @property
    def is_tls(self) -> bool:
        """Whether connections are encrypted, and callers show certificates."""
        return self.certificate is not None

    def problems(self) -> Iterator[Problem]:
        """Plaintext for other machines, half a TLS, roles without one."""
        files = {"certificate": self.certificate, "key": self.key, "client_ca": self.client_ca}
        given = [name for name, path in files.items() if path is not None]
        lacking = [name for name, path in files.items() if path is None]
        if given and lacking:
            text = f"{' and '.join(given)} without {' and '.join(lacking)}"
            yield Problem(given[0], text, "TLS takes all three: certificate, key and client_ca.")
        if self.listen is not None and not given and not Address.of(self.listen).is_loopback:
            port = Address.of(self.listen).port
            yield Problem(
                "listen",
                f'listen = "{self.listen}" without TLS would let other machines read signals, kill and re-arm',
                f'Write "127.0.0.1:{port}", or give certificate, key and client_ca.',
            )
        if not given:
            for name in ("readers", "control"):
                if getattr(self, name):
                    text = f"{name} names certificates, and without TLS nobody shows one"
                    yield Problem(name, text, "Give certificate, key and client_ca, or take it out.")
