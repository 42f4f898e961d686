"""Where the demo writes: a folder of its own, empty at the start of each run."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from signal_stream.errors import CommandError

if TYPE_CHECKING:
    from pathlib import Path

_MARK: Final = ".signal-stream-demo"
_MARK_TEXT: Final = "signal-stream demo made this folder, and empties it whenever it runs again.\n"


@dataclass(frozen=True, slots=True)
class DemoFolder:
    """The folder of `--out`, and what lies where in it."""

    path: Path

    @property
    def capture(self) -> Path:
        """The simulated market, as a venue's frames."""
        return self.path / "capture.gz"

    @property
    def tape(self) -> Path:
        """Everything that the demo uses of its source."""
        return self.path / "tape.parquet"

    @property
    def train(self) -> Path:
        """The tape's first part."""
        return self.path / "train.parquet"

    @property
    def live(self) -> Path:
        """The rest of the tape."""
        return self.path / "live.parquet"

    @property
    def graph(self) -> Path:
        """The feature graph, for people to read and change."""
        return self.path / "graph.py"

    @property
    def features(self) -> Path:
        """The training table."""
        return self.path / "features.parquet"

    @property
    def model(self) -> Path:
        """The fitted model."""
        return self.path / "model.onnx"

    @property
    def registry(self) -> Path:
        """The model registry."""
        return self.path / "registry"

    @property
    def deployment(self) -> Path:
        """What is served, and how."""
        return self.path / "deployment.toml"

    @property
    def state(self) -> Path:
        """The pipeline's journal, snapshots and latches."""
        return self.path / "state"

    @property
    def signals(self) -> Path:
        """The sink."""
        return self.path / "signals.jsonl"

    @property
    def log(self) -> Path:
        """What the serving process said."""
        return self.path / "serve.log"

    @property
    def picture(self) -> Path:
        """The picture."""
        return self.path / "demo.png"

    def begin(self) -> None:
        """Makes the folder, or empties the one of an earlier run.

        Raises CommandError for a folder that holds anything and is not the demo's, and while a pipeline of an earlier
        run still serves from it.
        """
        from signal_stream.store.lock import serving_pid

        where = str(self.path)
        mark = self.path / _MARK
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if any(self.path.iterdir()):
                if mark.is_symlink() or not mark.is_file() or mark.read_text(encoding="utf-8") != _MARK_TEXT:
                    raise CommandError(
                        "BAD_OPTION",
                        "the folder is not empty, and the demo did not make it; nothing was touched",
                        where=where,
                        next_step="Give another folder with --out.",
                    )
                if self.state.is_dir() and (pid := serving_pid(self.state)) is not None:
                    raise CommandError(
                        "BAD_OPTION",
                        f"process {pid} still serves from this folder",
                        where=where,
                        next_step=f"Stop it (kill {pid}), or give another folder with --out.",
                    )
            mark.write_text(_MARK_TEXT, encoding="utf-8")
            for entry in self.path.iterdir():
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                elif entry != mark:
                    entry.unlink()
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError("BAD_OPTION", f"it cannot be the demo's folder: {error}", where=where) from error
