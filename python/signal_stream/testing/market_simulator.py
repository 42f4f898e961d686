"""A seeded market that writes captures like those of a real venue."""

import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from signal_stream.testing.binance_frames import Frame
from signal_stream.testing.capture import Capture
from signal_stream.testing.draws import Draws
from signal_stream.testing.fair_value import FairValue
from signal_stream.testing.fault_log import FaultLog
from signal_stream.testing.faults import NS_PER_S, Fault, Scene
from signal_stream.testing.instruments import BTCUSDT, SimulatedInstrument
from signal_stream.testing.order_flow import FlowRates
from signal_stream.testing.recorder import Recorder


@dataclass(frozen=True, kw_only=True)
class MarketSimulator:
    """An order-driven market: limit orders, cancels and market orders meet in a price-time priority book.

    What moves the price is a latent fair value with calm and volatile regimes whose next jump leans with a
    hidden pressure; the same pressure tilts the order flow, so that book imbalance and order-flow imbalance
    foretell the mid over seconds, about as well as in the real capture that the defaults are calibrated on
    (rank correlation with the next 10 s: 0.1 to 0.3).

    The captured lines are a function of the fields, the instrument and the faults alone: the same bytes on
    every machine (of the lines; the gzip file around them depends on the zlib at hand).

    >>> simulator = MarketSimulator(seed=7, duration_s=2.0)
    >>> lines = list(simulator.lines())
    >>> lines == list(simulator.lines())
    True
    >>> b'{"lastUpdateId":' in b"".join(lines)
    True
    """

    seed: int
    duration_s: float = 346.0
    """Length of the capture, seconds; the default is that of the real one."""
    start_ns: int = 1_723_161_254_000_000_000
    """Wall time of the first event, ns since 1970."""
    instruments: tuple[SimulatedInstrument, ...] = (BTCUSDT,)
    """Markets that hear the same news, each with its own book; ids are unique."""
    snapshot_levels: int = 1000
    """Levels a side in the REST snapshot that comes some 0.2 s after the first diff."""
    snapshot_every_s: float | None = None
    """Time between further snapshots, by which a reader recovers from a gap; None: only the first."""
    clock_offset_s: float = 0.0
    """Recorder's clock minus the venue's. The real capture has -1.27."""
    rates: FlowRates = field(default_factory=FlowRates)
    fair_value: FairValue = field(default_factory=FairValue)

    def __post_init__(self) -> None:
        if self.duration_s <= 0.0:
            raise ValueError(f"duration_s is above 0, not {self.duration_s}")
        ids = [instrument.id for instrument in self.instruments]
        if not ids or len(set(ids)) < len(ids):
            raise ValueError(f"instruments need one entry at least, and ids that differ, not {ids}")

    def write_capture(
        self, path: Path | str, *, instrument: str | None = None, faults: Sequence[Fault] = ()
    ) -> FaultLog:
        """Write a gzip capture of `<receive ns> <json>` lines in bounded memory; where the faults are.

        `instrument` is an id; None names the first. Faults change the capture as their classes say.
        """
        log = FaultLog()
        with Path(path).open("wb") as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as lines:
            for frame in self._frames(self._recorder(instrument, faults), faults, log):
                lines.write(frame.line)
        for fault in faults:
            fault.damage(Path(path), log)
        return log

    def lines(
        self, *, instrument: str | None = None, faults: Sequence[Fault] = (), log: FaultLog | None = None
    ) -> Iterator[bytes]:
        """The lines of the capture, newlines included, one by one; faults enter `log` as they pass."""
        _refuse_file_faults(faults)
        recorder = self._recorder(instrument, faults)
        frames = self._frames(recorder, faults, FaultLog() if log is None else log)
        return (frame.line for frame in frames)

    def capture(self, *, instrument: str | None = None, faults: Sequence[Fault] = ()) -> Capture:
        """The whole capture in memory, with the truth behind each line."""
        _refuse_file_faults(faults)
        recorder, log = self._recorder(instrument, faults), FaultLog()
        changes, latent = recorder.keep_truth()
        frames = list(self._frames(recorder, faults, log))
        return Capture(frames=frames, faults=log, changes=changes, latent=latent)

    def _recorder(self, instrument: str | None, faults: Sequence[Fault]) -> Recorder:
        return Recorder(
            self._instrument(instrument),
            self.rates,
            self.fair_value,
            seed=self.seed,
            start_ns=self.start_ns,
            stop_ns=self.start_ns + int(self.duration_s * NS_PER_S),
            stretches=tuple(stretch for fault in faults for stretch in fault.stretches(self.start_ns)),
            snapshot_levels=self.snapshot_levels,
            snapshot_every_ns=int(self.snapshot_every_s * NS_PER_S) if self.snapshot_every_s else None,
        )

    def _frames(self, recorder: Recorder, faults: Sequence[Fault], log: FaultLog) -> Iterator[Frame]:
        """The recorder's frames through the faults, each fault that shows numbered with its line."""
        frames = recorder.run()
        for n, fault in enumerate(faults):
            draws = Draws(self.seed, "fault", n, fault.name)
            frames = fault.apply(frames, Scene(draws, self.start_ns, log, recorder.frames))
        offset_ns = int(self.clock_offset_s * NS_PER_S)
        for line, frame in enumerate(frames, start=1):
            frame.ts_recv += offset_ns
            for mark in frame.marks:
                mark.number(line)
            yield frame

    def _instrument(self, id: str | None) -> SimulatedInstrument:
        if id is None:
            return self.instruments[0]
        for instrument in self.instruments:
            if instrument.id == id:
                return instrument
        known = ", ".join(instrument.id for instrument in self.instruments)
        raise ValueError(f"no instrument {id!r} in this market; it has {known}")


def _refuse_file_faults(faults: Sequence[Fault]) -> None:
    for fault in faults:
        if fault.file_only:
            raise ValueError(f"{fault.name} spoils a file, not lines: use write_capture")
