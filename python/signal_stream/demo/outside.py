"""The demo's pipeline as programs elsewhere see it: a subscriber over gRPC, and a scrape of its metrics."""

from __future__ import annotations

import threading
import time
import urllib.request
from importlib.util import find_spec
from itertools import islice
from typing import TYPE_CHECKING, Final

from signal_stream.errors import CommandError

if TYPE_CHECKING:
    from signal_stream.demo.folder import DemoFolder
    from signal_stream.demo.show import Show

_PATIENCE_S: Final = 20.0
_LOOK_S: Final = 0.05
_SIGNALS: Final = 3
_METRICS: Final = (
    "signal_stream_signals_total",
    "signal_stream_model_freshness_seconds",
    "signal_stream_journal_records_total",
)
_SECTIONS: Final = {"metrics": None, "grpc": "grpc"}


def sections() -> str:
    """The sections of the deployment file for it: gRPC where its packages are installed."""
    asked = [name for name, package in _SECTIONS.items() if package is None or find_spec(package) is not None]
    return "".join(f'\n[{name}]\nlisten = "127.0.0.1:0"          # any free port\n' for name in asked)


def show_outside(show: Show, folder: DemoFolder) -> None:
    """Shows what a subscriber and a scrape get. Raises CommandError where nobody listens."""
    show.step("Seen from outside: a program that subscribes, and Prometheus")
    listens = _listens(folder)
    address = listens.get("grpc")
    if address is None:
        show.say('gRPC is not shown: pip install "signal-stream[grpc]" brings it')
    else:
        show.say(f'>>> for signal in ss.connect("{address}").signals():')
        show.say("...     print(signal.seq, signal.record.signal, signal.record.value, signal.record.verdict.outcome)")
        _subscribe(show, address)
    show.say(f"curl http://{listens['metrics']}/metrics")
    with urllib.request.urlopen(f"http://{listens['metrics']}/metrics", timeout=_PATIENCE_S) as answer:
        lines = answer.read().decode().splitlines()
    shown = [next((line for line in lines if line.startswith(name)), "") for name in _METRICS]
    for line in filter(None, shown):
        show.say(f"  {line}")
    show.say(f"  … {sum(not line.startswith('#') for line in lines):,} values")


def _subscribe(show: Show, address: str) -> None:
    from signal_stream.client import connect

    with connect(address) as pipeline, pipeline.signals() as subscription:
        ended = threading.Timer(_PATIENCE_S, subscription.close)
        ended.daemon = True
        ended.start()
        found = list(islice(subscription, _SIGNALS))
        ended.cancel()
    if len(found) < _SIGNALS:
        raise CommandError("STEP", f"a subscriber got {len(found)} signals in {_PATIENCE_S:.0f} s", where=address)
    for signal in found:
        made = signal.record
        show.say(f"{signal.seq} {made.signal} {made.value} {made.verdict.outcome}")


def _listens(folder: DemoFolder) -> dict[str, str]:
    """Where each server listens, once all do."""
    from signal_stream.store import Status

    until, servers = time.monotonic() + _PATIENCE_S, list[dict[str, str]]()
    while time.monotonic() < until:
        status = Status.read(folder.state)
        servers = [] if status is None else ((status.gateway or {}).get("servers") or [])
        if servers and all(each["state"] == "OK" for each in servers):
            return {each["name"]: each["listen"] for each in servers}
        time.sleep(_LOOK_S)
    errors = "; ".join(each["error"] for each in servers if each["error"])
    raise CommandError("STEP", f"nobody listens: {errors or 'the gateway did not start'}", where=str(folder.log))
