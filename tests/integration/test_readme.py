"""The README's first hour, as it is written: its commands, its model and its deployment file, over a shorter market."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import signal_stream as ss
from signal_stream import demo
from signal_stream.testing import MarketSimulator

README = (Path(__file__).parents[2] / "README.md").read_text()
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(ss.__file__).parents[1])}


def blocks(kind: str) -> list[str]:
    """What stands in the README's code of a kind, in its order."""
    return re.findall(rf"^```{kind}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def commands(block: str) -> list[list[str]]:
    """The command lines of a block that are ours, without the program's name."""
    lines = (shlex.split(line, comments=True) for line in block.splitlines())
    return [words[1:] for words in lines if words[:1] == ["signal-stream"]]


def run(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_the_first_hour(tmp_path: Path) -> None:
    MarketSimulator(seed=3, duration_s=90.0).write_capture(tmp_path / "capture.gz")
    run(tmp_path, "-m", "signal_stream", "tape", "convert", "capture.gz", "-o", "tape.parquet")
    (tmp_path / "graph.py").write_text((Path(demo.__path__[0]) / "graph.py").read_text())
    (tmp_path / "fit.py").write_text(next(block for block in blocks("python") if "save_onnx" in block))
    deployment = next(block for block in blocks("toml") if "[[model]]" in block)
    served = deployment.replace('pace = "8x"', 'pace = "max"').replace(":9100", ":0").replace(":50051", ":0")
    assert 'pace = "max"' in served
    assert served.count(':0"') == 2
    (tmp_path / "deployment.toml").write_text(served)
    looked_at, registered, operated = map(commands, blocks("sh"))
    said = {}
    for words in looked_at:
        said[words[0]] = run(tmp_path, "-m", "signal_stream", *words)
    run(tmp_path, "fit.py")
    for words in [*registered, *operated]:
        said[words[0]] = run(tmp_path, "-m", "signal_stream", *words)
    assert said["parity"].startswith("PASS")
    assert said["lookahead"].startswith("PASS")
    assert "is live" in said["models"]
    assert len(said["signals"].splitlines()) == 5
    assert said["replay"].startswith("SAME BITS  100 signals")
    assert "killed" in said["kill"]
    assert "nothing is killed" in said["doctor"]
