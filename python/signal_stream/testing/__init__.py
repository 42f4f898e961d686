"""Shipped to users for tests and demos: a market simulator with faults on request, sources and clocks that a test moves, and
`check_*` for each role: what a part of one's own has to do, tried out on it."""

from signal_stream.testing.binance_frames import Frame
from signal_stream.testing.capture import Capture, TrueBook
from signal_stream.testing.check_guard import check_guard
from signal_stream.testing.check_model import check_model
from signal_stream.testing.check_observer import check_observer
from signal_stream.testing.check_sink import check_sink
from signal_stream.testing.check_source import check_source
from signal_stream.testing.content_faults import BadQuantity, BrokenJson, Crossed, TruncatedGzip
from signal_stream.testing.fair_value import FairValue
from signal_stream.testing.fault_log import FaultEntry, FaultLog
from signal_stream.testing.faults import Fault
from signal_stream.testing.instruments import BTCUSDT, BTCUSDT_PERP, ETHUSDT, SimulatedInstrument
from signal_stream.testing.limit_order_book import Fill, LimitOrderBook
from signal_stream.testing.manual_clock import ManualClock
from signal_stream.testing.market_simulator import MarketSimulator
from signal_stream.testing.memory_sink import MemorySink
from signal_stream.testing.memory_source import MemorySource
from signal_stream.testing.order_faults import Duplicate, Gap, Reorder, SnapshotMissing
from signal_stream.testing.order_flow import FlowRates
from signal_stream.testing.sample_amendments import sample_amendments
from signal_stream.testing.sample_decisions import sample_decisions, sample_vectors
from signal_stream.testing.sample_signals import sample_signals
from signal_stream.testing.timing_faults import Burst, ClockJump, Freeze
from signal_stream.testing.venue_emulator import VenueEmulator

__all__ = [
    "BTCUSDT",
    "BTCUSDT_PERP",
    "ETHUSDT",
    "BadQuantity",
    "BrokenJson",
    "Burst",
    "Capture",
    "ClockJump",
    "Crossed",
    "Duplicate",
    "FairValue",
    "Fault",
    "FaultEntry",
    "FaultLog",
    "Fill",
    "FlowRates",
    "Frame",
    "Freeze",
    "Gap",
    "LimitOrderBook",
    "ManualClock",
    "MarketSimulator",
    "MemorySink",
    "MemorySource",
    "Reorder",
    "SimulatedInstrument",
    "SnapshotMissing",
    "TrueBook",
    "TruncatedGzip",
    "VenueEmulator",
    "check_guard",
    "check_model",
    "check_observer",
    "check_sink",
    "check_source",
    "sample_amendments",
    "sample_decisions",
    "sample_signals",
    "sample_vectors",
]
