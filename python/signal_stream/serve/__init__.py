"""The live composition: a deployment served, its signals found again, replayed and compared.

    with Pipeline(load_deployment(path), path=path) as pipeline:
        pipeline.run()

Inside, events go source › `SignalPath` (engine › `ModelStep`: model, Gate › journal › sinks). `Pipeline` owns the state folder
and does what a restart needs; `assembly` puts the parts together; `replay` makes a signal again from tape and journal.
"""

from .pipeline import Pipeline
from .signal_path import SignalPath
from .status import Status

__all__ = ["Pipeline", "SignalPath", "Status"]
