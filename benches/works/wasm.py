"""The graph of 23 outputs as a WASM module, a row at a time in a browser, against the native engine over the same rows.

The module runs in Chromium, whose page calls it for every row as docs/wasm.md says; the native engine is called for every row
from Python (`Engine.bind`). Of each, what the call costs is in the figure.
"""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benches.figure import Figure, Goal, Measured
from benches.graph23 import graph
from benches.minutes import FIELDS, MINUTE_NS, START_NS, Minutes
from benches.turns import in_turns
from benches.works.event_call import OUTPUTS, ours
from signal_stream.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = """<!doctype html><p id="said"></p><script>
const bytes = (text) => Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
const ss = new WebAssembly.Instance(new WebAssembly.Module(bytes("%(module)s")), {}).exports, graph = ss.ss_open();
const rows = new Float64Array(bytes("%(rows)s").buffer), took = [];
let t = %(start)dn;
for (let round = 0; round < %(rounds)d; round++) {
  const row = new Float64Array(ss.memory.buffer, ss.ss_row(graph), %(columns)d), began = performance.now();
  for (let at = 0; at < rows.length; at += row.length) {
    for (let k = 0; k < row.length; k++) row[k] = rows[at + k];
    if (ss.ss_push(graph, t) < 0) throw new Error("refused");
    t += %(step)dn;
  }
  took.push(performance.now() - began);
}
said.textContent = `took ${took.join(" ")} end`;
</script>"""


def measure(*, quick: bool) -> Iterator[Figure]:
    """One figure: rows a second."""
    from signal_stream.research.wasm import compile_wasm

    rows, rounds, turns = (2_048, 5, 1) if quick else (4_096, 100, 5)
    work, unit, peer = "graph23, one row a call in a browser", "M rows/s", "native (Engine.bind)"
    goal = Goal("ratio", ">=", 0.5)
    try:
        module = compile_wasm(graph, columns=FIELDS)
        browser = chromium()
    except (EngineError, FileNotFoundError) as error:
        yield Figure(work, unit, None, peer, None, goal, f"not measured: {error}")
        return
    minutes = Minutes.made(rows)
    engine = ours(minutes)
    wasm, native = [], []
    for _ in range(turns):
        wasm += in_browser(browser, module, minutes, rounds)
        native += in_turns({"native": engine}, rounds=rounds)["native"]
    note = f"{OUTPUTS} outputs; {rows:,} rows a round, the best of {turns} x {rounds} rounds each"
    yield Figure(
        work, unit, Measured.most([rows / took / 1e6 for took in wasm]), peer,
        Measured.most([rows / took / 1e6 for took in native]), goal, note,
    )  # fmt: skip


def chromium() -> str:
    """Where Chromium is. Raises FileNotFoundError."""
    found = shutil.which("chromium")
    if found is None:
        raise FileNotFoundError("there is no chromium")
    return found


def in_browser(browser: str, module: bytes, minutes: Minutes, rounds: int) -> list[float]:
    """Seconds of each round."""
    given = {
        "module": base64.b64encode(module).decode(),
        "rows": base64.b64encode(minutes.rows(0, len(minutes)).tobytes()).decode(),
        "start": START_NS, "step": MINUTE_NS, "rounds": rounds, "columns": len(FIELDS),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_text(PAGE % given)
        command = [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={folder}/profile",
            "--dump-dom",
        ]
        done = subprocess.run([*command, page.as_uri()], check=True, capture_output=True, text=True)
    took = re.search(r"took ([\d. ]+) end", done.stdout)
    if took is None:
        raise subprocess.CalledProcessError(1, command)
    return [float(each) / 1e3 for each in took[1].split()]
