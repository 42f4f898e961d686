"""The live composition: a deployment served, its signals found again, replayed and compared.

    with Pipeline(load_deployment(path), path=path) as pipeline:
        pipeline.run()

Inside, events go source › `Line` (engine › `Emitter`: model, Gate › journal › sinks). `Pipeline` owns the state folder
and does what a restart needs; `assembly` puts the parts together; `replay` makes a signal again from tape and journal.
"""

from .line import Line
from .pipeline import Pipeline
from .status import Status

__all__ = ["Line", "Pipeline", "Status"]
