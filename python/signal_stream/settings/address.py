"""Addresses to listen at, as a deployment file writes them ("127.0.0.1:9100"), and those of servers in URLs."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Final, NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator

_PORT_MAX = 65_535
_HOST: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?")


def check_server(url: str) -> None:
    """Raises ValueError with what is wrong, unless the URL names one host, and with a port one from 1 to 65535.

    >>> check_server("wss://stream.binance.com:9443/ws")
    >>> check_server("wss://h:99999")
    Traceback (most recent call last):
    ...
    ValueError: its port is none from 1 to 65535
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        raise ValueError("its host cannot be read") from None
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0 or parts.netloc.endswith(":"):
        raise ValueError("its port is none from 1 to 65535")
    if parts.username is not None or parts.password is not None:
        raise ValueError("it has a user's name, which nobody would be told")
    if parts.fragment:
        raise ValueError(f"#{parts.fragment} would reach nobody")
    if not host:
        raise ValueError("it names no host")
    try:
        if ":" in host:
            ipaddress.ip_address(host)
        elif not _HOST.fullmatch(host):
            raise ValueError
    except ValueError:
        raise ValueError(f'"{host}" is no name of a host') from None


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
