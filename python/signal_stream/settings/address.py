"""Addresses to listen at, as a deployment file writes them: "127.0.0.1:9100"."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, NamedTuple, Self

from pydantic import AfterValidator

_PORT_MAX = 65_535


class Address(NamedTuple):
    """An IP address and a port. Port 0 is any that is free.

    >>> Address.of("127.0.0.1:9100")
    Address(host='127.0.0.1', port=9100)
    >>> str(Address.of("[::1]:9100")), Address.of("localhost:0").is_loopback, Address.of("0.0.0.0:1").is_loopback
    ('[::1]:9100', True, False)
    """

    host: str
    port: int

    @classmethod
    def of(cls, text: str) -> Self:
        """Reads "HOST:PORT". Raises ValueError for anything else: a name would mean whatever a resolver says today."""
        match = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([^:\[\]]+)):([0-9]{1,5})", text)
        host, port = ((match[1] or match[2]), int(match[3])) if match else ("", _PORT_MAX + 1)
        host = "127.0.0.1" if host == "localhost" else host
        try:
            ipaddress.ip_address(host)
        except ValueError:
            port = _PORT_MAX + 1
        if port > _PORT_MAX:
            raise ValueError('an IP address and a port such as "127.0.0.1:9100"')
        return cls(host, port)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return ipaddress.ip_address(self.host).is_loopback

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _address(text: str) -> str:
    Address.of(text)
    return text


AddressText = Annotated[str, AfterValidator(_address)]
"""An IP address and a port: "127.0.0.1:9100", "[::1]:9100"."""
