"""First inputs for the fuzzers, from what the repository has: `python fuzz/seed.py` fills fuzz/corpus."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pyarrow as pa

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "python"))


def put(target: str, name: str, content: bytes) -> None:
    """Writes one input."""
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def main() -> None:
    """Lines of a capture, frames of each venue, the graphs of specs/, a tape cut into small Arrow streams, a few edits of a snapshot."""
    from signal_stream.ingest import read_tape

    lines = (HERE / "capture.txt").read_bytes().splitlines(keepends=True)
    for i, line in enumerate(lines):
        put("capture", f"line-{i}", line)
    put("capture", "all", b"".join(lines))
    table = (HERE.parent / "crates" / "ingest" / "src" / "venues" / "mod.rs").read_text()
    for i, venue in enumerate(re.findall(r'^    \w+ = "(\w+)" in ', table, flags=re.MULTILINE)):
        path = HERE.parent / "tests" / "data" / "frames" / f"{venue}.txt"
        frames = [line for line in path.read_bytes().splitlines() if line[:1] in (b"{", b"[")]
        for j, frame in enumerate(frames):
            put("frames", f"{path.stem}-{j}", bytes([i]) + frame)
            put("capture", f"{path.stem}-{j}", b"1700000000000000000 " + frame + b"\n")
        put("frames", path.stem, bytes([i]) + b"\n".join(frames))
    for sample in sorted((HERE.parent / "tests" / "data" / "dbn-samples").glob("*.dbn")):
        put("dbn", sample.stem, sample.read_bytes())
    graphs = [(HERE / "graph.json").read_text()]
    for page in sorted((HERE.parent / "specs").glob("*.md")):
        graphs += re.findall(r"^```json\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for i, graph in enumerate(graphs):
        put("graph", f"graph-{i}", graph.encode())
    excerpt = HERE.parent / "tests" / "data" / "binance-excerpt" / "spot_btcusdt.gz"
    whole = pa.record_batch(next(iter(read_tape(excerpt))))
    for rows in (0, 1, 3):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, whole.schema) as stream:
            stream.write_batch(whole.slice(0, rows))
        put("tape", f"rows-{rows}", sink.getvalue().to_pybytes())
    for i in range(16):
        put("sequencer", f"steps-{i}", bytes((j * (2 * i + 1) + i) % 256 for j in range(200)))
    for i in range(32):
        put("snapshot", f"edit-{i}", bytes([7 * i, i, 0, 1, 3 * i, i // 2, 1, 255]))


if __name__ == "__main__":
    main()
