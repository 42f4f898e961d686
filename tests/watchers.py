"""A real Prometheus, a real Alertmanager and who is told: on free ports, in a folder of their own."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.serving import Served, wait_for

from signal_stream.cli.prometheus import Prometheus


def free_port() -> int:
    """A port that nobody listened at a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_ready(url: str) -> bool:
    """Whether a server says so."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except (OSError, urllib.error.URLError):
        return False


@dataclass
class Told:
    """What pagers and ticket boxes were told: the last part of the URL and the alert's labels, in order."""

    alerts: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def of(self, kind: str, owner: str) -> list[dict[str, str]]:
        """Labels of the alerts that came to a pager ("page") or box ("ticket") of an owner."""
        return [labels for path, labels in self.alerts if path == f"/{kind}/{owner}"]


class Watchers:
    """Runs what `signal-stream boards` wrote. Ends its processes by their ids."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told = Told()
        self.port, self.alert_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.prometheus = Prometheus(self.url)
        told = self.told

        class Box(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                told.alerts += [(self.path, each["labels"]) for each in body["alerts"] if each["status"] == "firing"]
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._box = ThreadingHTTPServer(("127.0.0.1", 0), Box)
        threading.Thread(target=self._box.serve_forever, args=(0.05,), daemon=True).start()
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def options(self) -> list[str]:
        """For `signal-stream boards`."""
        box = f"http://127.0.0.1:{self._box.server_address[1]}"
        told = ["--page", f"{box}/page/{{owner}}", "--ticket", f"{box}/ticket/{{owner}}"]
        return ["-o", str(self.folder), *told, "--alertmanager", f"127.0.0.1:{self.alert_port}"]

    def start_prometheus(self) -> None:
        """Starts it and waits until it is ready."""
        self._start(
            "prometheus", f"--config.file={self.folder}/prometheus.yml", f"--storage.tsdb.path={self.folder}/tsdb",
            f"--web.listen-address=127.0.0.1:{self.port}", "--rules.alert.resend-delay=1s", "--log.level=error",
        )  # fmt: skip
        wait_for(lambda: is_ready(f"{self.url}/-/ready"), "Prometheus")

    def start_alertmanager(self) -> subprocess.Popen[bytes]:
        """Starts it and waits until it is ready."""
        process = self._start(
            "prometheus-alertmanager", f"--config.file={self.folder}/alertmanager.yml",
            f"--storage.path={self.folder}/alerts", f"--web.listen-address=127.0.0.1:{self.alert_port}",
            "--cluster.listen-address=", "--log.level=error",
        )  # fmt: skip
        wait_for(lambda: is_ready(f"http://127.0.0.1:{self.alert_port}/-/ready"), "Alertmanager")
        return process

    def alerts(self) -> dict[str, str]:
        """The alerts that Prometheus has now, with their states."""
        with urllib.request.urlopen(f"{self.url}/api/v1/alerts", timeout=10) as answer:
            found = json.load(answer)["data"]["alerts"]
        return {each["labels"]["alertname"]: each["state"] for each in found}

    def end(self) -> None:
        """Ends both, and who is told."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(30)
        self._box.shutdown()
        self._box.server_close()

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{words[0]}.log").open("ab") as log:
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._processes.append(process)
        return process


def write_boards(served: Served, watchers: Watchers, *more: str) -> list[Path]:
    """`signal-stream boards` in the deployment's folder; the files that it names."""
    said = served.command("boards", "deployment.toml", *watchers.options, *more)
    return [Path(line) for line in said.splitlines()]
