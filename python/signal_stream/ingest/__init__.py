"""Tapes, captures and tables in files; trades from elsewhere."""

from signal_stream.ingest.files import open_live, open_tape, read_tape, sniff
from signal_stream.ingest.intake import MAX_REJECTED, UNUSED, Intake, RefusedLines, share_of
from signal_stream.ingest.trades_batch import Trade, trades_batch

__all__ = [
    "MAX_REJECTED",
    "UNUSED",
    "Intake",
    "RefusedLines",
    "Trade",
    "open_live",
    "open_tape",
    "read_tape",
    "share_of",
    "sniff",
    "trades_batch",
]
