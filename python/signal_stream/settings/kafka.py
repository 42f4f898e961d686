"""What a Kafka source and a Kafka sink have in common: the URL of a topic, and the client's own properties."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from signal_stream.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

_URL: Final = re.compile(r"kafka://([^/?#,\s]+:[0-9]{1,5}(?:,[^/?#,\s]+:[0-9]{1,5})*)/([A-Za-z0-9._-]{1,249})")


class KafkaTopic(NamedTuple):
    """A topic and the brokers that are asked first for it.

    >>> KafkaTopic.of("kafka://10.0.0.1:9092,10.0.0.2:9092/md.binance")
    KafkaTopic(servers='10.0.0.1:9092,10.0.0.2:9092', name='md.binance')
    >>> KafkaTopic.of("kafka://10.0.0.1:99999/md.binance")
    Traceback (most recent call last):
    ...
    ValueError: url = "kafka://10.0.0.1:99999/md.binance": the port of 10.0.0.1:99999 is none from 1 to 65535
    """

    servers: str
    name: str

    @classmethod
    def of(cls, url: str) -> Self:
        """Reads "kafka://HOST:PORT[,HOST:PORT…]/TOPIC". Raises ValueError for anything else."""
        match = _URL.fullmatch(url)
        if match is None:
            raise ValueError(f'url = "{url}" is not "kafka://HOST:PORT/TOPIC"')
        for server in match[1].split(","):
            if not 1 <= int(server.rpartition(":")[2]) <= 65_535:
                raise ValueError(f'url = "{url}": the port of {server} is none from 1 to 65535')
        return cls(match[1], match[2])


def client_properties(path: Path | None, *, ours: frozenset[str]) -> dict[str, str]:
    """The properties in a file as Kafka's own tools read it (`security.protocol=SASL_SSL`, a line each; `#` begins a
    comment); none without a file. `ours` are those that this part sets itself. Raises SettingsError."""
    if path is None:
        return {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError("BAD_VALUE", f"the client's properties cannot be read: {error}", where=str(path)) from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = (part.strip() for part in text.partition("="))
        where = f"{path}:{number}"
        if not equals or not name:
            raise SettingsError("SYNTAX", f'"{text}" is not "name=value"', where=where, value=text)
        if name in ours:
            advice = "Leave it out: without it a signal could be lost or be there twice."
            raise SettingsError(
                "BAD_VALUE", f"{name} is set by signal-stream", where=where, value=value, next_step=advice
            )
        found[name] = value
    return found
