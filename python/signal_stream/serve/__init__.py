"""The live composition: a deployment served, its signals found again, replayed and compared.

    with Pipeline(build(load_deployment(path), path=path)) as pipeline:
        pipeline.run()

`build` opens what a deployment names, `Pipeline` runs it. Events go source › `SignalPath` (engine › `ModelStep`: model, Gate ›
journal); `sinks` follow the journal, observers are shown decisions, `replay` makes a signal again from tape and journal.
"""

from .build import Parts, build
from .pipeline import Pipeline
from .signal_path import SignalPath

__all__ = ["Parts", "Pipeline", "SignalPath", "build"]
