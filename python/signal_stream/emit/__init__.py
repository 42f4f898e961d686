"""Sinks: where signals go besides the journal, each signal once, whatever crashed in between.

sink = sink_from_url("file://signals.jsonl")
sink.resume(journal)       # what the journal has and the sink lacks
sink.send([signal])        # after the journal has it
sink.close()
"""

from .arrow_file import ArrowFileSink
from .json_lines import JsonLinesSink
from .sink import SignalHistory, Sink, sink_from_url

__all__ = ["ArrowFileSink", "JsonLinesSink", "SignalHistory", "Sink", "sink_from_url"]
