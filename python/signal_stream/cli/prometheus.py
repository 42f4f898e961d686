"""A Prometheus server, asked over HTTP."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Final, NamedTuple

from signal_stream.errors import CommandError

_WAIT_S: Final = 10.0


class Line(NamedTuple):
    """One answer to a query: labels, times (seconds since 1970) and numbers."""

    labels: dict[str, str]
    times: list[float]
    numbers: list[float]


class Prometheus:
    """Asks the server at a URL such as http://127.0.0.1:9090."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def lines(self, expr: str, *, since: float, until: float, step: float) -> list[Line]:
        """What a query gives over a span of time. Raises CommandError where the server does not answer, or does not know the
        query."""
        asked = {"query": expr, "start": f"{since:.3f}", "end": f"{until:.3f}", "step": f"{step:g}"}
        found = self._get("query_range", asked)["result"]
        return [
            Line(each["metric"], [float(t) for t, _ in each["values"]], [float(v) for _, v in each["values"]])
            for each in found
        ]

    def _get(self, what: str, asked: dict[str, str]) -> dict[str, Any]:
        url = f"{self._url}/api/v1/{what}?{urllib.parse.urlencode(asked)}"
        try:
            with urllib.request.urlopen(url, timeout=_WAIT_S) as answer:  # noqa: S310  the URL is the user's own
                found: dict[str, Any] = json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise CommandError(
                "BAD_OPTION", f"Prometheus refuses a query: {error.read()[:200]!r}", where=self._url
            ) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            message = f"no Prometheus answers there: {getattr(error, 'reason', error)}"
            raise CommandError("BAD_OPTION", message, where=self._url, value=self._url) from error
        return found
