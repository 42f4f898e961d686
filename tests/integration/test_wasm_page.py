"""examples/wasm in a real browser: the page draws what the native engine gives, to the last bit."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow.csv
import pytest

import signal_stream as ss
from signal_stream.features import load_graph

EXAMPLE = Path(__file__).parents[2] / "examples" / "wasm"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The example, with the module that its README makes."""
    folder = tmp_path / "wasm"
    shutil.copytree(EXAMPLE, folder)
    command = [sys.executable, "-m", "signal_stream", "compile", "--wasm", "graph.py", "-o", "graph.wasm"]
    subprocess.run(command, check=True, cwd=folder)
    return folder


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    """The folder, served."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_page_shows_the_last_vector_of_the_native_engine(folder: Path, address: str, tmp_path: Path) -> None:
    # The browser's own clock stands still while it fetches, and the page is printed once nothing is left to do.
    command = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
        "--virtual-time-budget=60000", "--dump-dom", address,
    ]  # fmt: skip
    page = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout
    bars = pyarrow.csv.read_csv(folder / "bars.csv")
    native = ss.compute(load_graph(str(folder / "graph.py")), bars, columns={"ts_open": "time"}, instrument="X")
    assert "<title>done</title>" in page
    assert f"{native.num_rows} bars, 5 features" in page
    shown = {name: float(value) for name, value in re.findall(r"<td>(\w+)</td><td>([^<]+)</td>", page)}
    last = native.slice(native.num_rows - 1).to_pylist()[0]
    assert shown == {name: last[name] for name in shown} and len(shown) == 5
