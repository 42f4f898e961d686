"""Sinks: where signals go besides the journal, each signal once, whatever crashed in between.

sink = FileSink(FileSink.Settings(url="file://signals.jsonl"))
sink.open(None)            # the id of the last signal that is there
sink.send(records)         # of the journal
sink.close()
"""

from .file_sink import FileSink

__all__ = ["FileSink"]
