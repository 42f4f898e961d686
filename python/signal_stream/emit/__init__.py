"""Sinks: where signals go besides the journal, each signal once, whatever crashed in between.

sink = FileSink(FileSink.Settings(url="file://signals.jsonl"))
sink.open(None)            # the id of the last signal that is there
sink.send(records)         # of the journal
sink.close()
"""

from .file_sink import FileSink
from .kafka_sink import KafkaSink

__all__ = ["FileSink", "KafkaSink"]
