"""Tapes, captures and tables in files."""

from signal_stream.ingest.files import open_live, open_tape, read_tape, sniff
from signal_stream.ingest.intake import MAX_REJECTED, Intake, share_of

__all__ = ["MAX_REJECTED", "Intake", "open_live", "open_tape", "read_tape", "share_of", "sniff"]
