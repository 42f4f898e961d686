"""`[metrics]`: where a pipeline shows how it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from .address import Address, AddressText
from .section import Problem, Section

if TYPE_CHECKING:
    from collections.abc import Iterator


class MetricsSettings(Section):
    """`[metrics]`: where a pipeline shows how it is."""

    listen: AddressText | None = None
    """Address of this machine, such as "127.0.0.1:9100", at which `/metrics` (for Prometheus), `/livez`, `/readyz` and `/status`
    are served over HTTP by a process of its own; absent: nowhere. Port 0 is any that is free."""
    log: Literal["auto", "json", "console"] = "auto"
    """How that process writes what happens to the pipeline, a line an event, to standard error: as JSON, for people, or "auto":
    for people on a terminal."""

    def problems(self) -> Iterator[Problem]:
        """Plain HTTP is for this machine only."""
        if self.listen is not None and not Address.of(self.listen).is_loopback:
            port = Address.of(self.listen).port
            yield Problem(
                "listen",
                f'listen = "{self.listen}" would show the pipeline to other machines, over plain HTTP to whoever asks',
                f'Write "127.0.0.1:{port}", and have what scrapes it run here, or a proxy with TLS in front of it.',
            )
