"""From a deployment to everything that a pipeline runs with, opened."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from signal_stream.components import Components

from .opening import Opening

if TYPE_CHECKING:
    from pathlib import Path

    from signal_stream.registry import StageWatch
    from signal_stream.settings import Deployment
    from signal_stream.store import Journal, Latches
    from signal_stream.store.tape_log import TapeLog

    from .checkpoint import CheckpointWriter
    from .gateway import GatewayProcess
    from .observing import ObserverThread
    from .run_record import RunRecord
    from .signal_path import SignalPath
    from .sinks import Sinks
    from .source_reader import SourceReader
    from .upkeep import UpkeepThread


@dataclass(slots=True)
class Parts:
    """A deployment's parts, open and ready to run; whoever holds them closes them."""

    deployment: Deployment
    path: Path
    """The deployment file's."""
    started_at: int
    latches: Latches
    latches_noted: int
    """Number of the newest line of the latches that the journal holds."""
    journal: Journal
    run_record: RunRecord
    not_reproduced: int
    """Signals of the journal that rest on messages which a power cut took from the tape."""
    source: SourceReader
    signal_path: SignalPath
    sinks: Sinks
    observers: tuple[ObserverThread, ...]
    late: TapeLog
    """Where late rows are kept."""
    stages: StageWatch
    writer: CheckpointWriter
    upkeep: UpkeepThread
    gateway: GatewayProcess | None
    """None where the deployment has nothing served to others."""
    components: Components = field(repr=False)
    """All of these, as they were started."""

    def close(self) -> None:
        """Gives everything back. May be called twice."""
        self.components.close()


def build(deployment: Deployment, *, path: Path) -> Parts:
    """Opens what a deployment names: state folder, models, journal, source, sinks. `path` is the deployment file's.

    Raises an error of the tree, and leaves nothing open then.
    """
    opening = Opening(deployment, path)
    components = Components(opening.components())
    components.open()
    return Parts(
        deployment=deployment,
        path=path,
        started_at=opening.started_at,
        latches=opening.latches,
        latches_noted=opening.latches_noted,
        journal=opening.journal,
        run_record=opening.restart.run_record,
        not_reproduced=opening.restart.not_reproduced,
        source=opening.reader,
        signal_path=opening.signal_path,
        sinks=opening.sinks,
        observers=tuple(opening.observers),
        late=opening.late,
        stages=opening.stages,
        writer=opening.writer,
        upkeep=opening.upkeep,
        gateway=opening.gateway,
        components=components,
    )
