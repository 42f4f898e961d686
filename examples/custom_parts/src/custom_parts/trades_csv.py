"""Trades from a CSV file: `ts_ns,id,price,qty,side` with a header, as a data vendor sends them."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import BinaryIO, Final

from pydantic import Field

from signal_stream.errors import TapeError
from signal_stream.ingest import Trade, trades_batch
from signal_stream.settings import SourceSettings

HEADER: Final = b"ts_ns,id,price,qty,side\n"
BATCH: Final = 500


class TradesCsv:
    """`kind = "trades_csv"`. Its position is the byte of the file behind the last trade that it gave."""

    class Settings(SourceSettings):
        """`[source]` of a CSV file of trades."""

        path: Path = Field(strict=False)
        """The file; relative to the deployment file."""
        instrument: str
        """Whose trades they are."""

        @property
        def is_live(self) -> bool:
            """A file is no live source."""
            return False

    rereads = True  # so that it can be merged with other feeds
    live = False
    rate = inf
    tape = None  # no file that signal-stream reads: the pipeline writes down what came

    def __init__(self, settings: Settings) -> None:
        """Opens nothing."""
        self._settings = settings
        self._file: BinaryIO | None = None
        self._at = len(HEADER)
        self._given = 0
        self._refused = 0
        self.ended = False
        self.name = settings.path.name

    def open(self, position: bytes | None) -> None:
        """Begins behind a position."""
        path = self._settings.path
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise TapeError("NOT_FOUND", error.strerror or "cannot be opened", where=str(path)) from None
        if self._file.readline() != HEADER:
            raise TapeError("UNKNOWN_FORMAT", f"its header is not {HEADER.decode().strip()}", where=str(path))
        self._at = int(position or len(HEADER))
        self._file.seek(self._at)

    @property
    def position(self) -> bytes:
        """The byte behind the last trade that was given."""
        return str(self._at).encode()

    def next(self, wait_ns: int) -> object:
        """The next trades. A file has nothing to wait for."""
        if self._file is None or self.ended:
            return None
        trades: list[Trade] = []
        while len(trades) < BATCH and (line := self._file.readline()):
            try:
                ts, number, price, qty, side = line.decode().strip().split(",")
                trades.append(Trade(int(ts), price, qty, side or None, ts_event=int(ts), id=int(number)))  # type: ignore[arg-type]
            except ValueError:
                self._refused += 1
        self._at = self._file.tell()
        if not trades:
            self.ended = True
            return None
        self._given += len(trades)
        return trades_batch(self._settings.instrument, trades)

    def stop(self) -> None:
        """Nothing is read ahead: it ends here."""
        self.ended = True

    def stats(self) -> dict[str, object]:
        """Trades given and lines refused."""
        refused = {"BAD_LINE": self._refused} if self._refused else {}
        return {"url": f"trades_csv:{self._settings.path}", "messages": self._given, "refused": refused}

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()
