"""Tapes, captures and tables in files."""

from signal_stream.ingest.files import open_live, open_tape, read_tape, sniff

__all__ = ["open_live", "open_tape", "read_tape", "sniff"]
